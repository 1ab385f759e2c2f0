//! Mistakes that were made once, each as the promise that must hold.
#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "tests")]
use rtc_janitor_core::{
    export::{BadExport, Export, participants, room_member},
    guard::{
        breaker::{Breakers, Passage, Settings, State},
        limits::{Budget, Limits},
        quarantine::Quarantine,
    },
    ids::{RoomId, StateKey, UserId},
    judge::{
        evidence::{Device, DeviceHistory, Evidence, ListKind, Listing, RoomMember, Sfu},
        policy::{Grace, Neighbour, Policy, Reason},
        room::{Observations, Participants, Placed, SfuRoom, gather},
        verdict::{Judgement, judge},
    },
    ledger::{Due, Ledger, ObservedAt, ReasonClock, Subject},
    plan::{Candidate, Circumstances, Entry, HeldBack, Plan, Route},
    render::message::harmless,
    rtc::{
        membership::{Anomaly, Content, FirstSeen, Focus, Membership, Owner, read},
        state_event::{CALL_MEMBER, StateEvent},
        state_key::RoomPower,
    },
    time::Timestamp,
};
use serde_json::{Value, json};
use std::time::Duration;
const NOW_MS: i64 = 1_800_000_000_000;
const NOW: Timestamp = Timestamp::from_millis(NOW_MS);
const MIN: i64 = 60_000;
const LIST: ListKind = ListKind::KeysQuery;
const HOUR: i64 = 60 * MIN;
fn mins(n: u64) -> Duration {
    Duration::from_mins(n)
}
fn event(key: &str, user: &str, sent: i64, content: Value) -> Value {
    json!({"type": CALL_MEMBER, "state_key": key, "sender": user, "event_id": format!("${key}{sent}"), "room_id": "!r:hs", "origin_server_ts": sent, "content": content})
}
fn session(device: &str) -> Value {
    json!({"application": "m.call", "call_id": "", "device_id": device, "expires": 4*HOUR, "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
     "foci_preferred": [{"type": "livekit", "livekit_service_url": "https://ours", "livekit_alias": "a"}]})
}
fn entries(event: Value) -> Vec<Membership> {
    match read(&StateEvent::from_json(event).unwrap(), FirstSeen { at: NOW, live: false }) {
        Content::Entries(e) => e.into_iter().map(|e| e.unwrap()).collect(),
        other => panic!("{other:?}"),
    }
}
fn one(content: Value, sent: i64) -> Membership {
    entries(event("_@a:hs_D", "@a:hs", sent, content)).remove(0)
}
fn fine() -> Evidence {
    Evidence {
        room_member: RoomMember::Joined,
        device: Device::Listed { last_seen: None },
        sfu: Sfu::NotOurs,
        superseded_at: None,
    }
}
fn subject() -> Subject {
    Subject { room: "!r".into(), key: "k".into(), event: "$e".into(), entry: 0 }
}
fn verdict_of(e: &Evidence) -> Judgement {
    judge(&one(session("D"), NOW_MS - MIN), e, &Policy::default(), NOW)
}

#[test]
fn a_keyless_device_is_not_gone_when_the_servers_own_list_stops_answering() {
    // Listed by the admin API for as long as it was asked; it never had keys.
    let history = DeviceHistory { seen_in_own_list: true, ..DeviceHistory::default() };
    for (own, empty) in [
        (Listing::Unknown, true),
        (Listing::Unknown, false),
        // The admin has taken the token away again, and the janitor has started anew.
        (Listing::NotAsked, true),
        (Listing::NotAsked, false),
    ] {
        let device = Device::from_lists(own, Listing::Known { device: None, empty }, history);
        assert!(
            !matches!(device, Device::Missing { .. }),
            "{own:?}: {device:?}, grace {:?}",
            Policy::default().grace(Reason::DeviceGone, device)
        );
    }
}

#[test]
fn bridging_does_not_count_time_in_which_the_neighbour_did_not_answer() {
    let gone = Evidence { device: Device::Missing { by: ListKind::KeysQuery, seen_before: true }, ..fine() };
    let silent = Evidence { device: Device::Unknown, ..fine() };
    let mut stored: Vec<(Reason, ReasonClock)> = Vec::new();
    let mut held = Duration::ZERO;
    for (minute, evidence) in [(0, &gone), (1, &silent), (30, &silent), (60, &gone)] {
        let now = NOW + mins(minute);
        let mut ledger = Ledger::default();
        for (reason, c) in &stored {
            ledger.restore(subject(), *reason, *c, now, mins(120));
        }
        ledger.observe(&subject(), &verdict_of(evidence), ObservedAt::all(now), |_| Grace::After(mins(5)));
        for (_, clocks) in ledger.take_changes() {
            stored = clocks;
        }
        if let Some(c) = ledger.clock(&subject(), Reason::DeviceGone) {
            held = c.held;
        }
    }
    assert_eq!(held, Duration::ZERO, "it was never seen twice in a row");
}
fn owners(n: usize) -> Vec<Owner> {
    (0..n).map(|n| Owner { user: format!("@u{n}:hs").into(), device: "D".into() }).collect()
}
fn both() -> (Judgement, Judgement) {
    (
        verdict_of(&fine()),
        verdict_of(&Evidence {
            device: Device::Missing { by: ListKind::KeysQuery, seen_before: true },
            ..fine()
        }),
    )
}

#[test]
fn a_second_loss_while_the_breaker_is_open_does_not_shorten_its_wait() {
    let (active, gone) = both();
    let s = Settings::default();
    let mut b = Breakers::default();
    let first = owners(4);
    b.observe(first.iter().map(|o| (o, LIST, &active)), &s, NOW);
    assert_eq!(b.observe(first.iter().map(|o| (o, LIST, &gone)), &s, NOW + mins(1)).len(), 1);
    let (room, key): (RoomId, StateKey) = ("!r".into(), "k".into());
    let mut now = NOW + mins(6);
    for _ in 0..4 {
        b.probed(Neighbour::DeviceLists, &room, &key, &s, now);
        b.returned(&room, &key, now);
        let State::Open { until, .. } = b.state(Neighbour::DeviceLists) else { panic!() };
        now = *until;
    }
    b.probed(Neighbour::DeviceLists, &room, &key, &s, now);
    b.returned(&room, &key, now);
    let State::Open { until, wait_ms, .. } = b.state(Neighbour::DeviceLists).clone() else { panic!() };
    assert_eq!(wait_ms, 3_600_000);
    let more: Vec<_> = owners(12)[6..].to_vec();
    b.observe(more.iter().map(|o| (o, LIST, &active)), &s, now + mins(1));
    b.observe(more.iter().map(|o| (o, LIST, &gone)), &s, now + mins(2));
    let State::Open { until: then, wait_ms: w, .. } = b.state(Neighbour::DeviceLists).clone() else {
        panic!()
    };
    assert!(then >= until && w >= wait_ms, "was to wait until {until} ({wait_ms} ms), now {then} ({w} ms)");
}
#[test]
fn a_second_loss_while_probing_does_not_forget_the_probe() {
    let (active, gone) = both();
    let s = Settings::default();
    let mut b = Breakers::default();
    b.observe(owners(4).iter().map(|o| (o, LIST, &active)), &s, NOW);
    b.observe(owners(4).iter().map(|o| (o, LIST, &gone)), &s, NOW + mins(1));
    let (room, key): (RoomId, StateKey) = ("!r".into(), "k".into());
    b.probed(Neighbour::DeviceLists, &room, &key, &s, NOW + mins(6));
    let more: Vec<_> = owners(12)[6..].to_vec();
    b.observe(more.iter().map(|o| (o, LIST, &active)), &s, NOW + mins(6));
    b.observe(more.iter().map(|o| (o, LIST, &gone)), &s, NOW + mins(7));
    assert!(b.returned(&room, &key, NOW + mins(7)).is_some(), "the probe's return is still noticed");
}

#[test]
fn a_second_wrong_reason_does_not_free_the_first() {
    let (room, key): (RoomId, StateKey) = ("!r".into(), "k".into());
    let mut q = Quarantine::default();
    q.returned(&room, &key, Reason::DeviceGone, NOW);
    q.returned(&room, &key, Reason::NotOnSfu, NOW + mins(3));
    assert!(!q.believes(&room, &key, Reason::DeviceGone, NOW + mins(10)), "it was wrong ten minutes ago");
}
fn entry(due: &[Reason]) -> Option<Entry> {
    Some(Entry {
        owner: owners(1).remove(0),
        index: 0,
        due: due.iter().map(|r| Due { reason: *r, sightings: 2, first: NOW, refreshed: true }).collect(),
        expires: NOW,
        was_expired_when_sent: false,
        last_sign: NOW - mins(10),
        is_remote: false,
        sfu_is_silent: false,
    })
}
fn candidate(key: &str, entries: Vec<Option<Entry>>) -> Candidate {
    Candidate {
        room: "!r".into(),
        key: key.into(),
        event: "$e".into(),
        entries,
        is_shown: true,
        ends_call: false,
        is_excluded: false,
        is_divisible: false,
        route: Some(Ok(Route::OwnPower)),
    }
}

#[test]
fn an_array_event_that_rests_on_a_half_open_neighbour_is_its_one_probe() {
    let (active, gone) = both();
    let s = Settings::default();
    let mut b = Breakers::default();
    b.observe(owners(4).iter().map(|o| (o, LIST, &active)), &s, NOW - mins(7));
    b.observe(owners(4).iter().map(|o| (o, LIST, &gone)), &s, NOW - mins(6));
    assert_eq!(b.passage(Neighbour::DeviceLists, NOW), Passage::Probe);
    let q = Quarantine::default();
    let c = |k: &str| candidate(k, vec![entry(&[Reason::Expired]), entry(&[Reason::DeviceGone])]);
    let plan = Plan::make(
        vec![c("a"), c("b"), c("c")],
        Circumstances {
            is_paused: false,
            exclusion_is_unknown: false,
            first_sync_is_over: true,
            clock_is_skewed: false,
            minimum_age: mins(2),
            remote_device_lists: false,
            breakers: &b,
            probing: &[],
            quarantine: &q,
            now: NOW,
        },
        Budget::new(Limits::default(), 0),
    );
    assert_eq!(
        plan.writes.iter().filter(|w| w.probes().is_empty()).count(),
        0,
        "{} writes, none of them a probe",
        plan.writes.len()
    );
    assert!(plan.writes.len() <= 1);
}

#[test]
fn device_gone_switched_off_is_off_for_unseen_devices_too() {
    let mut p = Policy::default();
    p.grace[Reason::DeviceGone as usize] = Grace::Never;
    assert_eq!(
        p.grace(Reason::DeviceGone, Device::Missing { by: ListKind::KeysQuery, seen_before: false }),
        Grace::Never
    );
}
#[test]
fn an_unseen_device_never_has_less_grace_than_a_seen_one() {
    let mut p = Policy::default();
    p.grace[Reason::DeviceGone as usize] = Grace::After(mins(180));
    assert_eq!(
        p.grace(Reason::DeviceGone, Device::Missing { by: ListKind::KeysQuery, seen_before: false }),
        Grace::After(mins(180))
    );
}

#[test]
fn a_device_in_the_other_array_of_an_event_is_seen() {
    let content = json!({"memberships": [{"application": "m.call", "call_id": "", "device_id": "DEAD", "expires": 1}],
        "m.calls": [{"m.call_id": "x", "m.devices": [{"device_id": "ALIVE", "expires_ts": NOW_MS + HOUR}]}]});
    let devices: Vec<_> = entries(event("_@a:hs_x", "@a:hs", NOW_MS - HOUR, content))
        .into_iter()
        .map(|m| m.owner.device.to_string())
        .collect();
    assert!(devices.contains(&"ALIVE".to_owned()), "{devices:?}");
}
#[test]
fn an_empty_memberships_list_hides_no_group_call() {
    let content = json!({"memberships": [], "m.calls": [{"m.call_id": "x", "m.devices": [{"device_id": "ALIVE", "expires_ts": NOW_MS + HOUR}]}]});
    assert!(!matches!(
        read(
            &StateEvent::from_json(event("@a:hs", "@a:hs", NOW_MS - HOUR, content)).unwrap(),
            FirstSeen { at: NOW, live: false }
        ),
        Content::Left
    ));
}
struct World {
    sfu: Vec<(&'static str, &'static str, &'static [&'static str])>,
    ours: &'static [&'static str],
    silent: &'static [&'static str],
}
impl World {
    fn answer(&self, url: &str, name: &str) -> SfuRoom {
        if self.silent.contains(&url) {
            return SfuRoom::Unknown;
        }
        let here = self.sfu.iter().filter(|(u, n, _)| *u == url && *n == name);
        SfuRoom::Participants(here.flat_map(|(_, _, ids)| ids.iter().map(|s| (*s).to_owned())).collect())
    }
}
impl Observations for World {
    fn room_member(&self, _: &UserId) -> RoomMember {
        RoomMember::Joined
    }
    fn device(&self, _: &Owner) -> Device {
        Device::Listed { last_seen: None }
    }
    fn is_our_sfu(&self, f: &Focus) -> bool {
        f.names().any(|name| self.ours.contains(&name))
    }
    fn sfu_room(&self, f: &Focus, name: &str) -> SfuRoom {
        self.answer(f.names().next().unwrap(), name)
    }
    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom> {
        self.ours.iter().map(|url| self.answer(url, name)).collect()
    }
    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }
}
fn focused(device: &str, selection: &str, url: &str) -> Value {
    let mut c = session(device);
    c["focus_active"]["focus_selection"] = json!(selection);
    c["foci_preferred"][0]["livekit_service_url"] = json!(url);
    c
}
fn room(world: &World, events: Vec<Value>) -> Vec<Evidence> {
    let owned: Vec<_> = events
        .into_iter()
        .flat_map(|e| {
            let k: StateKey = e["state_key"].as_str().unwrap().into();
            entries(e).into_iter().map(move |m| (k.clone(), m))
        })
        .collect();
    let placed: Vec<_> = owned.iter().map(|(key, membership)| Placed { key, membership }).collect();
    gather(&"!r:hs".into(), &placed, world, NOW)
}

#[test]
fn an_array_ghost_does_not_choose_the_sfu_of_current_clients() {
    // Current clients ignore the array form: the oldest they see is Bob, who is on another's SFU.
    let array = json!({"memberships": [{"application": "m.call", "call_id": "", "device_id": "G", "expires": 4*HOUR, "foci_active": [{"type": "livekit", "livekit_service_url": "https://ours", "livekit_alias": "a"}]}]});
    let events = vec![
        event("@ghost:hs", "@ghost:hs", NOW_MS - 3 * HOUR, array),
        event(
            "_@bob:hs_B",
            "@bob:hs",
            NOW_MS - 2 * HOUR,
            focused("B", "oldest_membership", "https://foreign"),
        ),
        event("_@carol:hs_C", "@carol:hs", NOW_MS - HOUR, focused("C", "multi_sfu", "https://ours")),
    ];
    let world = World {
        sfu: vec![("https://ours", "!r:hs", &["@carol:hs:C"])],
        ours: &["https://ours"],
        silent: &[],
    };
    assert_eq!(room(&world, events)[1].sfu, Sfu::NotOurs, "Bob is on a foreign SFU");
}
#[test]
fn an_unknown_focus_selection_gives_no_absence() {
    let events = vec![
        event("_@bob:hs_B", "@bob:hs", NOW_MS - 2 * HOUR, focused("B", "something_new", "https://ours")),
        event("_@carol:hs_C", "@carol:hs", NOW_MS - HOUR, focused("C", "multi_sfu", "https://ours")),
    ];
    let world = World {
        sfu: vec![("https://ours", "!r:hs", &["@carol:hs:C"])],
        ours: &["https://ours"],
        silent: &[],
    };
    assert_ne!(room(&world, events)[0].sfu, Sfu::Absent { counts: true });
}

#[test]
fn superseded_since_the_other_key_was_joined_not_since_its_last_refresh() {
    let mut newer = session("D");
    newer["created_ts"] = json!(NOW_MS - 5 * HOUR);
    newer["expires"] = json!(24 * HOUR);
    let mut older = session("D");
    older["expires"] = json!(24 * HOUR);
    older["created_ts"] = json!(NOW_MS - 9 * HOUR);
    let e = Export::from_state(json!([event("_@a:hs_D", "@a:hs", NOW_MS - 6 * HOUR, older), event("_@a:hs_D_m.call", "@a:hs", NOW_MS - 2 * MIN, newer),
       {"type": "m.room.member", "state_key": "@a:hs", "sender": "@a:hs", "event_id": "$m", "origin_server_ts": 1, "content": {"membership": "join"}}])).unwrap();
    let rows = e.explain(&Policy::default(), None, NOW);
    assert_eq!(rows[0].since_ms, Some(NOW_MS - 5 * HOUR), "{}", rows[0].why);
}

#[test]
fn no_spelling_of_the_room_ping_gets_through() {
    for name in ["@room", "@Room", "@ROOM"] {
        assert!(!harmless(name).to_lowercase().contains("@room"), "{name}");
    }
}

#[test]
fn an_answer_that_is_no_participant_list_is_unknown() {
    for answer in [
        json!({"participants": "x"}),
        json!({"error": "unauthorized"}),
        json!({"errcode": "M_UNKNOWN"}),
        json!({"msg": "no"}),
    ] {
        assert_eq!(participants(&answer), SfuRoom::Unknown, "{answer}");
    }
    assert_eq!(participants(&json!({})), SfuRoom::Participants(Participants::default()));
}

#[test]
fn whoever_cannot_clear_a_key_is_told_why() {
    let state = |kind: &str, content: Value| {
        json!({"type": kind, "state_key": "", "sender": "@creator:hs", "event_id": format!("${kind}"),
            "origin_server_ts": 1, "content": content})
    };
    let call = || event("_@a:hs_D_m.call", "@a:hs", NOW_MS - MIN, session("D"));
    let create = || state("m.room.create", json!({"room_version": "11"}));
    let levels = |needed: i64| state("m.room.power_levels", json!({"events": {CALL_MEMBER: needed}}));
    let bot: UserId = "@bot:hs".into();
    let told = |events: Value| {
        let rows = Export::from_state(events).unwrap().explain(&Policy::default(), Some(&bot), NOW);
        (rows[0].route.unwrap(), rows[0].obstacle.clone())
    };
    let why = "the power level is 0, and call memberships need 50".to_owned();
    assert_eq!(told(json!([create(), levels(50), call()])), ("none", Some(why)));
    assert_eq!(told(json!([create(), levels(0), call()])), ("own_power", None));
    assert!(told(json!([call()])).1.unwrap().contains("no m.room.create"));
}

#[test]
fn a_file_that_holds_something_else_is_no_clean_bill_of_health() {
    let error = json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Token has expired"});
    let member = json!({"type": "m.room.member", "state_key": "@a:hs", "sender": "@a:hs", "event_id": "$m",
        "origin_server_ts": 1, "content": {"membership": "join"}});
    for other in [json!([]), json!([1, 2]), json!([{"name": "a case", "state": []}]), json!([member])] {
        assert!(Export::from_state(other.clone()).unwrap().is_no_room(), "{other}");
    }
    let create = json!({"type": "m.room.create", "state_key": "", "sender": "@a:hs", "event_id": "$c",
        "origin_server_ts": 1, "content": {}});
    let call = event("_@a:hs_D", "@a:hs", NOW_MS, json!({}));
    assert!(!Export::from_state(json!([create])).unwrap().is_no_room(), "the control");
    assert!(!Export::from_state(json!([call])).unwrap().is_no_room(), "cut down to what matters");
    let refused = BadExport::Refused("M_UNKNOWN_TOKEN Token has expired".into());
    assert_eq!(Export::from_state(error.clone()).unwrap_err(), refused);
    let export = || Export::from_state(json!([])).unwrap();
    assert_eq!(export().with_keys_query(error.clone()).unwrap_err(), refused);
    assert_eq!(export().with_synapse_devices(error).unwrap_err(), refused);
    let lists = json!({"devices": [], "total": 0});
    assert_eq!(export().with_synapse_devices(lists.clone()).unwrap_err(), BadExport::SynapseDevices);
    assert!(export().with_synapse_devices(json!({"@a:hs": lists})).is_ok(), "the control");
    let participants = json!({"participants": []});
    assert_eq!(export().with_sfu(participants.clone()).unwrap_err(), BadExport::Sfu);
    assert!(export().with_sfu(json!({"!r:hs": participants})).is_ok(), "the control");
}

#[test]
fn without_power_levels_the_creator_has_100() {
    let bot: UserId = "@bot:hs".into();
    let p = RoomPower::new(&json!({"room_version": "11"}), &bot, None, NOW);
    assert!(p.may_write(&bot, &"_@a:hs_D".into()).is_ok());
}

#[test]
fn what_was_emptied_is_told_of_its_owner_not_of_who_emptied_it() {
    let e = Export::from_state(json!([event("_@alice:hs_D", "@janitor:hs", NOW_MS, json!({}))])).unwrap();
    assert_eq!(e.explain(&Policy::default(), None, NOW)[0].user_id.as_str(), "@alice:hs");
}

#[test]
fn a_pause_between_an_answer_and_its_first_look_does_not_count() {
    let gone = Evidence { device: Device::Missing { by: ListKind::KeysQuery, seen_before: true }, ..fine() };
    let mut ledger = Ledger::default();
    let look = |ledger: &mut Ledger, now: u64, answered: u64| {
        let at = ObservedAt { device_lists: NOW + mins(answered), ..ObservedAt::all(NOW + mins(now)) };
        ledger.observe(&subject(), &verdict_of(&gone), at, |_| Grace::After(mins(5)));
    };
    look(&mut ledger, 0, 0);
    ledger.pause(None); // at minute 2, after an answer of minute 1
    look(&mut ledger, 60, 1);
    look(&mut ledger, 61, 61);
    assert!(
        ledger.clock(&subject(), Reason::DeviceGone).unwrap().held <= mins(1),
        "{:?}",
        ledger.clock(&subject(), Reason::DeviceGone)
    );
}

#[test]
fn those_who_hung_up_do_not_dilute_the_breaker() {
    let (active, gone) = both();
    let s = Settings::default();
    let mut b = Breakers::default();
    let all = owners(28);
    b.observe(all.iter().map(|o| (o, LIST, &active)), &s, NOW);
    // Twenty leave properly; a minute later all of the other eight vanish from the device list.
    b.observe(all[..8].iter().map(|o| (o, LIST, &active)), &s, NOW + mins(1));
    assert_eq!(b.observe(all[..8].iter().map(|o| (o, LIST, &gone)), &s, NOW + mins(2)).len(), 1);
}

#[test]
fn half_a_second_of_skew_is_no_anomaly() {
    let e = StateEvent::from_json(event("_@a:hs_D", "@a:hs", NOW_MS + 500, session("D"))).unwrap();
    let Content::Entries(seen) = read(&e, FirstSeen { at: NOW, live: true }) else { panic!() };
    assert_eq!(seen[0].as_ref().unwrap().anomalies, []);
    let Content::Entries(exported) = read(&e, FirstSeen { at: NOW, live: false }) else { panic!() };
    assert_eq!(exported[0].as_ref().unwrap().anomalies, [Anomaly::TimestampInFuture]);
}

// As after an outage, when five minutes gain no sightings.
#[test]
fn time_before_the_first_look_does_not_count() {
    let gone = Evidence { device: Device::Missing { by: ListKind::KeysQuery, seen_before: true }, ..fine() };
    let mut ledger = Ledger::default();
    for (now, answered) in [(5, 0), (6, 6)] {
        let at = ObservedAt { device_lists: NOW + mins(answered), ..ObservedAt::all(NOW + mins(now)) };
        ledger.observe(&subject(), &verdict_of(&gone), at, |_| Grace::After(mins(5)));
    }
    assert_eq!(ledger.due(&subject(), NOW + mins(6)), [], "it has been watched for one minute");
}

#[test]
fn a_neighbour_that_comes_back_wrong_after_a_long_silence_opens_the_breaker() {
    let (active, gone) = both();
    let unknown = verdict_of(&Evidence { device: Device::Unknown, ..fine() });
    let s = Settings::default();
    let mut b = Breakers::default();
    let all = owners(10);
    b.observe(all.iter().map(|o| (o, LIST, &active)), &s, NOW);
    for minute in 1..15 {
        b.observe(all.iter().map(|o| (o, LIST, &unknown)), &s, NOW + mins(minute));
    }
    assert_eq!(
        b.observe(all.iter().map(|o| (o, LIST, &gone)), &s, NOW + mins(15)).len(),
        1,
        "all ten vanish"
    );
}

fn circumstances<'a>(breakers: &'a Breakers, quarantine: &'a Quarantine) -> Circumstances<'a> {
    Circumstances {
        is_paused: false,
        exclusion_is_unknown: false,
        first_sync_is_over: true,
        clock_is_skewed: false,
        minimum_age: mins(2),
        remote_device_lists: false,
        breakers,
        probing: &[],
        quarantine,
        now: NOW,
    }
}

#[test]
fn what_another_device_carries_along_in_an_array_does_not_supersede_a_session() {
    let array = json!({"memberships": [
        {"application": "m.call", "call_id": "", "device_id": "D", "expires": HOUR, "created_ts": NOW_MS - 50 * MIN},
        {"application": "m.call", "call_id": "", "device_id": "OLD", "expires": HOUR},
    ]});
    let events = vec![
        event("_@a:hs_D_m.call", "@a:hs", NOW_MS - 10 * MIN, session("D")),
        event("@a:hs", "@a:hs", NOW_MS - MIN, array),
    ];
    let world = World { sfu: vec![], ours: &[], silent: &[] };
    let evidence = room(&world, events);
    assert_eq!(evidence[0].superseded_at, None, "the session is what its device wrote");
    assert_eq!(evidence[1].superseded_at, Some(NOW - mins(10)), "the control: the carried entry is old");
    assert_eq!(evidence[2].superseded_at, None);
}

#[test]
fn an_entry_of_the_array_form_supersedes_where_it_is_known_when_its_device_made_it() {
    let entry =
        |device: &str| json!({"application": "m.call", "call_id": "", "device_id": device, "expires": HOUR});
    let superseded = |memberships: Value| {
        let events = vec![
            event("_@a:hs_D_m.call", "@a:hs", NOW_MS - 120 * MIN, session("D")),
            event("@a:hs", "@a:hs", NOW_MS - 30 * MIN, json!({"memberships": memberships})),
        ];
        let evidence = room(&World { sfu: vec![], ours: &[], silent: &[] }, events);
        (evidence[0].superseded_at, evidence[1].superseded_at)
    };
    assert_eq!(superseded(json!([entry("D"), entry("OTHER")])), (None, None), "it may be carried along");
    assert_eq!(superseded(json!([entry("D")])), (None, None), "by one that has left since, too");
    let mut dated = entry("D");
    dated["created_ts"] = json!(NOW_MS - 40 * MIN);
    assert_eq!(superseded(json!([dated, entry("OTHER")])), (Some(NOW - mins(40)), None));
    dated["created_ts"] = json!(NOW_MS - 130 * MIN);
    assert_eq!(superseded(json!([dated, entry("OTHER")])), (None, Some(NOW - mins(120))));
    dated["created_ts"] = json!(NOW_MS + HOUR);
    assert_eq!(superseded(json!([dated, entry("OTHER")])), (None, None), "by a clock that is wrong");
}

#[test]
fn superseded_since_the_first_that_was_newer() {
    let events = [("", 90), ("_m.call", 60), ("_x", 30)]
        .map(|(end, age)| event(&format!("_@a:hs_D{end}"), "@a:hs", NOW_MS - age * MIN, session("D")));
    let evidence = room(&World { sfu: vec![], ours: &[], silent: &[] }, events.to_vec());
    let since: Vec<_> = evidence.iter().map(|one| one.superseded_at).collect();
    assert_eq!(since, [Some(NOW - mins(60)), Some(NOW - mins(30)), None]);
}

#[test]
fn whoever_names_no_sfu_is_saved_where_ours_lists_them() {
    let events = || {
        let mut without = session("D");
        without.as_object_mut().expect("an object").remove("foci_preferred");
        vec![event("_@a:hs_D", "@a:hs", NOW_MS - 5 * HOUR, without)]
    };
    let there =
        World { sfu: vec![("https://ours", "!r:hs", &["@a:hs:D"])], ours: &["https://ours"], silent: &[] };
    assert_eq!(room(&there, events())[0].sfu, Sfu::Listed);
    let elsewhere =
        World { sfu: vec![("https://ours", "!r:hs", &["@b:hs:B"])], ours: &["https://ours"], silent: &[] };
    assert_eq!(room(&elsewhere, events())[0].sfu, Sfu::NotOurs, "not being there proves nothing");
    let silent = World { silent: &["https://ours"], ..there };
    assert_eq!(room(&silent, events())[0].sfu, Sfu::Unknown, "it may be there");
}

#[test]
fn whoever_is_listed_by_another_sfu_of_ours_is_alive() {
    // Zoe, the oldest, was on B and has hung up: the oldest is Alice now, on A. Bob is still connected to B.
    let events = || {
        let on = |user: &str, age, url| {
            let key = format!("_{user}_D");
            event(&key, user, NOW_MS - age, focused("D", "oldest_membership", url))
        };
        vec![
            on("@alice:hs", 60 * MIN, "https://a"),
            on("@bob:hs", 50 * MIN, "https://b"),
            on("@carol:hs", 5 * MIN, "https://a"),
        ]
    };
    let on_a: (_, _, &[_]) = ("https://a", "!r:hs", &["@alice:hs:D", "@carol:hs:D"]);
    let ours = &["https://a", "https://b"];
    let connected = World { sfu: vec![on_a, ("https://b", "!r:hs", &["@bob:hs:D"])], ours, silent: &[] };
    assert_eq!(room(&connected, events())[1].sfu, Sfu::Listed);
    let silent = World { silent: &["https://b"], ..connected };
    assert_eq!(room(&silent, events())[1].sfu, Sfu::Unknown, "it may be there");
    let gone = World { sfu: vec![on_a], ours, silent: &[] };
    assert_eq!(room(&gone, events())[1].sfu, Sfu::Absent { counts: true }, "the control");
}

#[test]
fn one_sfu_is_one_however_its_address_is_written() {
    let at = |device: &str, age, url: &str| {
        let mut content = focused(device, "multi_sfu", url);
        content["created_ts"] = json!(NOW_MS - age);
        event(&format!("_@a:hs_{device}"), "@a:hs", NOW_MS - age, content)
    };
    let world = World {
        sfu: vec![("https://ours/Jwt", "!r:hs", &["@a:hs:NEW"])],
        ours: &["https://ours/Jwt"],
        silent: &[],
    };
    let events = vec![at("OLD", HOUR, "https://ours/Jwt"), at("NEW", MIN, "HTTPS://Ours/Jwt/")];
    let evidence = room(&world, events);
    assert_eq!((evidence[0].sfu, evidence[1].sfu), (Sfu::Absent { counts: true }, Sfu::Listed));
}

#[test]
fn nothing_is_superseded_before_it_was_there() {
    let mut newer = session("D");
    newer["created_ts"] = json!(NOW_MS - 8 * HOUR);
    let events = vec![
        event("_@a:hs_D", "@a:hs", NOW_MS - HOUR, session("D")),
        event("_@a:hs_D_m.call", "@a:hs", NOW_MS, newer),
    ];
    let world = World { sfu: vec![], ours: &[], silent: &[] };
    assert_eq!(room(&world, events)[0].superseded_at, Some(NOW - mins(60)));
}

#[test]
fn the_sfu_saves_whoever_it_lists_also_when_no_client_shows_them_any_more() {
    let events = || {
        vec![event("_@a:hs_D", "@a:hs", NOW_MS - 5 * HOUR, focused("D", "oldest_membership", "https://ours"))]
    };
    let there =
        World { sfu: vec![("https://ours", "!r:hs", &["@a:hs:D"])], ours: &["https://ours"], silent: &[] };
    assert_eq!(room(&there, events())[0].sfu, Sfu::Listed);
    let elsewhere =
        World { sfu: vec![("https://ours", "!r:hs", &["@b:hs:B"])], ours: &["https://ours"], silent: &[] };
    assert_eq!(room(&elsewhere, events())[0].sfu, Sfu::Absent { counts: false }, "where it went is a guess");
}

#[test]
fn a_name_that_somebody_chose_proves_nobody_elses_absence() {
    let mut mallory = focused("M", "multi_sfu", "https://ours");
    mallory["membershipID"] = json!("@bob:hs:B");
    let events = |last: Value| {
        vec![
            event("_@bob:hs_B", "@bob:hs", NOW_MS - 3 * HOUR, focused("B", "multi_sfu", "https://ours")),
            event("_@alice:hs_A", "@alice:hs", NOW_MS - 2 * HOUR, focused("A", "multi_sfu", "https://ours")),
            event("_@mallory:hs_M", "@mallory:hs", NOW_MS - HOUR, last),
        ]
    };
    let world =
        World { sfu: vec![("https://ours", "!r:hs", &["@bob:hs:B"])], ours: &["https://ours"], silent: &[] };
    assert_eq!(room(&world, events(mallory))[1].sfu, Sfu::Absent { counts: false });
    let world = World {
        sfu: vec![("https://ours", "!r:hs", &["@bob:hs:B", "@mallory:hs:M"])],
        ours: &["https://ours"],
        silent: &[],
    };
    let honest = events(focused("M", "multi_sfu", "https://ours"));
    assert_eq!(room(&world, honest)[1].sfu, Sfu::Absent { counts: true }, "the control");
}

#[test]
fn a_member_event_that_says_nothing_is_not_known_to_have_left() {
    let member = |content: Value| {
        let event = json!({"type": "m.room.member", "state_key": "@a:hs", "sender": "@a:hs", "event_id": "$m",
            "origin_server_ts": NOW_MS, "content": content});
        room_member(Some(&StateEvent::from_json(event).unwrap()))
    };
    for content in [Value::Null, json!({}), json!({"membership": 3})] {
        assert_eq!(member(content), RoomMember::Unknown);
    }
    assert_eq!(member(json!({"membership": "leave"})), RoomMember::NotJoined { since: Some(NOW) });
}

#[test]
fn an_event_that_speaks_for_a_living_device_too_is_held_back_for_that() {
    // First an entry that something else holds back, then one that is alive.
    let mut long_dead = entry(&[Reason::Expired]).unwrap();
    long_dead.expires = NOW - Duration::from_hours(31 * 24);
    let (breakers, quarantine) = (Breakers::default(), Quarantine::default());
    let plan = Plan::make(
        vec![
            candidate("k", vec![Some(long_dead.clone()), entry(&[])]),
            candidate("c", vec![Some(long_dead)]),
        ],
        circumstances(&breakers, &quarantine),
        Budget::new(Limits::default(), 0),
    );
    let held: Vec<_> = plan.held.iter().map(|(one, why)| (one.key.as_str(), *why)).collect();
    assert_eq!(held, [("c", HeldBack::LongExpired), ("k", HeldBack::OthersInEvent)]);
}

#[test]
fn an_event_in_two_forms_speaks_for_everybody_in_both() {
    let mut both = session("A");
    both["memberships"] =
        json!([{"application": "m.call", "call_id": "", "device_id": "B", "expires": HOUR}]);
    let found = entries(event("_@a:hs_A", "@a:hs", NOW_MS, both));
    let devices: Vec<_> = found.iter().map(|one| one.owner.device.as_str()).collect();
    assert_eq!(devices, ["A", "B"]);
}

#[test]
fn an_export_that_was_cut_down_is_read_and_who_is_unreadable_is_not_taken_for_gone() {
    let mut bare = event("_@a:hs_D", "@a:hs", NOW_MS - HOUR, session("D"));
    bare.as_object_mut().unwrap().remove("event_id");
    for membership in ["join", "leave"] {
        let member =
            json!({"type": "m.room.member", "state_key": "@a:hs", "content": {"membership": membership}});
        let export = Export::from_state(json!([member, bare])).unwrap();
        assert_eq!(export.explain(&Policy::default(), None, NOW)[0].verdict, "active", "it has no sender");
    }
    let mut whole = event("@a:hs", "@a:hs", NOW_MS, json!({"membership": "leave"}));
    whole["type"] = json!("m.room.member");
    let rows = Export::from_state(json!([whole, bare])).unwrap().explain(&Policy::default(), None, NOW);
    assert_eq!((rows[0].verdict, rows[0].reason), ("stale", Some("not_joined")), "the control");
}

#[test]
fn what_is_odd_about_a_malformed_event_is_told() {
    let state = json!([event("_@b:hs_D", "@a:hs", NOW_MS + MIN, json!({"device_id": "D"}))]);
    let rows = Export::from_state(state).unwrap().explain(&Policy::default(), None, NOW);
    assert_eq!(rows[0].verdict, "malformed");
    assert_eq!(rows[0].anomalies, ["sender_differs_from_key", "timestamp_in_future"]);
}

#[test]
fn a_malformed_entry_is_told_with_its_own_device() {
    let state = json!([event(
        "@a:hs",
        "@a:hs",
        NOW_MS,
        json!({"device_id": "X", "memberships": [{"device_id": "D"}]})
    )]);
    let rows = Export::from_state(state).unwrap().explain(&Policy::default(), None, NOW);
    assert_eq!((rows[0].verdict, rows[0].device_id.as_deref()), ("malformed", Some("D")));
}
