//! What real clients wrote, replayed event by event as a janitor sees it that follows the room live,
//! with what it must conclude after every one of them.
#![expect(clippy::expect_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rtc_janitor_core::{
    export::Export,
    ids::{RoomId, StateKey, UserId},
    judge::{
        evidence::{Device, Evidence, ListKind, RoomMember, Sfu},
        policy::{Policy, Reason},
        room::{Observations, Placed, SfuRoom, gather},
        verdict::{Finding, Judgement, Verdict, judge},
    },
    ledger::{Ledger, ObservedAt, Subject},
    rtc::{
        membership::{Content, FirstSeen, Focus, Form, Membership, Owner, read},
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};
use serde_json::{Value, json};

const MILLISECOND: Duration = Duration::from_millis(1);
const SILENT_AFTER: Duration = Duration::from_mins(4 * 60 + 15);
const HOURLY: Duration = Duration::from_mins(75);

/// The traces, by a part of their description.
fn trace(what: &str) -> Vec<Value> {
    let traces: Vec<Value> =
        serde_json::from_str(include_str!("data/real-clients.json")).expect("the traces");
    assert_eq!(traces.len(), 9, "every trace has its test below");
    let mut found = traces.into_iter().filter(|t| t["what"].as_str().is_some_and(|w| w.contains(what)));
    let trace = found.next().expect("the trace is there");
    assert_eq!(found.next(), None, "and only one");
    serde_json::from_value(trace["events"].clone()).expect("events")
}

/// What one event must come out as, its times in milliseconds from the first event of the trace.
enum Wrote {
    /// The device is in no call any more.
    Left,
    /// A membership, first written.
    Joined { expires: i64 },
    /// A membership that joined at `start`, written again.
    Refreshed { start: i64, expires: i64 },
}
use Wrote::{Joined, Left, Refreshed};

/// One event of a trace: who wrote it when, what it is, and who is in a call after it.
struct Step {
    at: i64,
    device: &'static str,
    wrote: Wrote,
    then: &'static [&'static str],
}

const fn step(at: i64, device: &'static str, wrote: Wrote, then: &'static [&'static str]) -> Step {
    Step { at, device, wrote, then }
}

/// Everybody in the room, every device listed, no SFU of ours, unless said otherwise.
#[derive(Default)]
struct World {
    gone: Vec<&'static str>,
    owners_left: bool,
    /// What our SFU lists in the one room it has, by the alias of that room.
    sfu: Option<(Box<str>, BTreeSet<String>)>,
}

impl Observations for World {
    fn room_member(&self, _: &UserId) -> RoomMember {
        if self.owners_left { RoomMember::NotJoined { since: None } } else { RoomMember::Joined }
    }

    fn device(&self, owner: &Owner) -> Device {
        if self.gone.contains(&owner.device.as_str()) {
            Device::Missing { by: ListKind::KeysQuery, seen_before: true }
        } else {
            Device::Listed { last_seen: None }
        }
    }

    fn is_our_sfu(&self, _: &Focus) -> bool {
        self.sfu.is_some()
    }

    fn sfu_room(&self, _: &Focus, name: &str) -> SfuRoom {
        let here = self.sfu.iter().filter(|(alias, _)| **alias == *name);
        SfuRoom::Participants(here.flat_map(|(_, identities)| identities.clone()).collect())
    }

    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom> {
        let here = self.sfu.iter().filter(|(alias, _)| **alias == *name);
        here.map(|(_, identities)| SfuRoom::Participants(identities.iter().cloned().collect())).collect()
    }

    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }
}

/// A janitor that follows one room live.
#[derive(Default)]
struct Follower {
    open: BTreeMap<StateKey, (StateEvent, Membership)>,
    now: i64,
}

impl Follower {
    fn receive(&mut self, event: &Value) -> Option<Membership> {
        let event = StateEvent::from_json(event.clone()).expect("a state event");
        assert_eq!(event.event_type, CALL_MEMBER);
        self.now = event.origin_server_ts.as_millis();
        let key = event.state_key.clone();
        let membership = match read(&event, FirstSeen { at: event.origin_server_ts, live: true }) {
            Content::Left => None,
            Content::Malformed(why) => panic!("{why}"),
            Content::Entries(entries) => {
                assert_eq!(entries.len(), 1, "the session form has one entry");
                Some(entries[0].clone().expect("a membership"))
            }
        };
        let replaced = self.open.remove(&key).map(|(event, _)| event.event_id);
        if replaced.is_some() {
            assert_eq!(event.replaces_state, replaced, "no event of the trace is missing");
        }
        if let Some(membership) = &membership {
            self.open.insert(key, (event, membership.clone()));
        }
        membership
    }

    /// What the janitor concludes of every open membership at one moment, by device.
    fn judge(&self, world: &World, at: Timestamp) -> BTreeMap<String, (Membership, Evidence, Judgement)> {
        let placed: Vec<_> =
            self.open.iter().map(|(key, (_, membership))| Placed { key, membership }).collect();
        let evidence = gather(&RoomId::from("!room:hs.test"), &placed, world, at);
        let policy = Policy::default();
        placed
            .iter()
            .zip(evidence)
            .map(|(placed, evidence)| {
                let judgement = judge(placed.membership, &evidence, &policy, at);
                let device = placed.membership.owner.device.to_string();
                (device, (placed.membership.clone(), evidence, judgement))
            })
            .collect()
    }

    fn verdicts(&self, world: &World, after: Duration) -> BTreeMap<String, Verdict> {
        let judged = self.judge(world, Timestamp::from_millis(self.now) + after);
        judged.into_iter().map(|(device, (_, _, judgement))| (device, judgement.verdict)).collect()
    }
}

fn verdicts<const N: usize>(of: [(&str, Verdict); N]) -> BTreeMap<String, Verdict> {
    of.into_iter().map(|(device, verdict)| (device.to_owned(), verdict)).collect()
}

const ACTIVE: Verdict = Verdict::Active;

fn is(judgement: &Judgement, reason: Reason) -> bool {
    matches!(judgement.finding(reason), Finding::Holds { .. })
}

/// Replays a trace, and holds every event and the room after it to the story.
fn replay(trace: &[Value], story: &[Step]) -> Follower {
    assert_eq!(trace.len(), story.len(), "every event has its expectation");
    let zero = trace[0]["origin_server_ts"].as_i64().expect("a time");
    let moment = |offset: i64| Timestamp::from_millis(zero).offset_millis(offset);
    let mut follower = Follower::default();
    for (event, step) in trace.iter().zip(story) {
        let name = format!("{} ms, {}", step.at, step.device);
        let membership = follower.receive(event);
        assert_eq!(follower.now, moment(step.at).as_millis(), "{name}: the time");
        let key = event["state_key"].as_str().expect("a key");
        assert!(key.starts_with("_@") && key.ends_with(&format!("_{}_m.call", step.device)), "{name}: {key}");
        let (start, created, expires) = match step.wrote {
            Left => {
                assert_eq!(membership, None, "{name}: left");
                (0, None, 0)
            }
            Joined { expires } => (step.at, None, expires),
            Refreshed { start, expires } => (start, Some(moment(start)), expires),
        };
        if let Some(membership) = membership {
            assert!(!matches!(step.wrote, Left), "{name}: still open");
            assert_eq!(membership.owner.device.as_str(), step.device, "{name}");
            assert_eq!(membership.owner.user.as_str(), event["sender"], "{name}: the sender owns it");
            assert_eq!((membership.form, membership.call.is_m_call()), (Form::Session, true), "{name}");
            assert_eq!(&*membership.call.id, "", "{name}: the room's own call");
            assert_eq!(membership.start, moment(start), "{name}: start");
            assert_eq!(membership.created, created, "{name}: created_ts");
            assert_eq!(membership.expires, moment(expires), "{name}: expiry");
            assert_eq!(membership.last_sign, moment(step.at), "{name}: it was seen to arrive");
            assert_eq!(membership.anomalies, [], "{name}: nothing odd");
            assert!(membership.focus.is_some(), "{name}: its SFU is known");
        }
        expect_the_room(&follower, step, &name);
    }
    follower
}

/// After each event: who is open, that all of them are active now, and when they would stop to be.
fn expect_the_room(follower: &Follower, step: &Step, name: &str) {
    let now = Timestamp::from_millis(follower.now);
    let room = follower.judge(&World::default(), now);
    assert_eq!(room.keys().map(String::as_str).collect::<Vec<_>>(), step.then, "{name}: who is in the call");
    for (device, (membership, evidence, judgement)) in &room {
        let name = format!("{name}, of {device}");
        let judged = |at| judge(membership, evidence, &Policy::default(), at);
        assert_eq!(evidence.superseded_at, None, "{name}: each device has one key");
        assert_eq!(evidence.sfu, Sfu::NotOurs, "{name}");
        if now < membership.expires {
            assert_eq!(judgement.verdict, ACTIVE, "{name}: alive now");
            assert!(
                !is(&judged(membership.expires - MILLISECOND), Reason::Expired),
                "{name}: not yet expired"
            );
        }
        let over = judged(membership.expires);
        assert_eq!(over.verdict, Verdict::Stale(Reason::Expired), "{name}: expired at its expiry");
        let since = over.finding(Reason::Expired);
        assert_eq!(since, Finding::Holds { since: Some(membership.expires) }, "{name}");
        // None of the traces lasts an hour, so none of them proves an hourly refresh.
        let quiet = |for_: Duration| is(&judged(membership.last_sign + for_), Reason::Silent);
        assert!(!quiet(HOURLY + MILLISECOND), "{name}: no hourly refresh is proven");
        assert!(!quiet(SILENT_AFTER), "{name}: silence is over 4 h 15 min");
        assert!(quiet(SILENT_AFTER + MILLISECOND), "{name}: silent after 4 h 15 min");
    }
}

const FOUR_HOURS: i64 = 14_400_000;

#[test]
fn crash_then_the_device_logs_out() {
    const D: &str = "PIETPURZFX";
    let trace = trace("crash, then the device logs out");
    let crashed = replay(&trace[..1], &[step(0, D, Joined { expires: FOUR_HOURS }, &[D])]);
    // While the ghost stands: gone by the device list at once, due by it after five minutes.
    let gone = World { gone: vec![D], ..World::default() };
    assert_eq!(crashed.verdicts(&World::default(), MILLISECOND), verdicts([(D, ACTIVE)]));
    assert_eq!(
        crashed.verdicts(&gone, MILLISECOND),
        verdicts([(D, Verdict::Stale(Reason::DeviceGone))]),
        "logged out"
    );
    replay(&trace, &[step(0, D, Joined { expires: FOUR_HOURS }, &[D]), step(1675, D, Left, &[])]);
}

#[test]
fn two_live_clients_refresh_and_leave() {
    const BOB: &str = "ESBOIJTGCS";
    const CAROL: &str = "FOOLLXFRGZ";
    const BOTH: &[&str] = &[BOB, CAROL];
    replay(
        &trace("two live clients with 30 s expiry"),
        &[
            step(0, BOB, Joined { expires: 30_000 }, &[BOB]),
            step(1370, CAROL, Joined { expires: 31_370 }, BOTH),
            step(25_085, BOB, Refreshed { start: 0, expires: 60_000 }, BOTH),
            step(26_428, CAROL, Refreshed { start: 1370, expires: 61_370 }, BOTH),
            step(55_078, BOB, Refreshed { start: 0, expires: 90_000 }, BOTH),
            step(56_423, CAROL, Refreshed { start: 1370, expires: 91_370 }, BOTH),
            step(76_502, BOB, Left, &[CAROL]),
            step(76_501, CAROL, Left, &[]),
        ],
    );
}

#[test]
fn an_oldest_membership_client_is_looked_for_where_the_oldest_is() {
    const CAROL: &str = "FOOLLXFRGZ";
    let mut trace = trace("two live clients with 30 s expiry");
    let alias = trace[0]["content"]["foci_preferred"][0]["livekit_alias"].as_str().expect("an alias").into();
    let identity = format!("{}:{CAROL}", trace[1]["sender"].as_str().expect("a sender"));
    assert_eq!(trace[1]["content"]["focus_active"]["focus_selection"], "oldest_membership");
    // As if Carol preferred another SFU: it is Bob's that counts while he is there.
    let own = &mut trace[1]["content"]["foci_preferred"][0];
    own["livekit_alias"] = json!("her own");
    own["livekit_service_url"] = json!("https://her.own/livekit/jwt");
    let world = World { sfu: Some((alias, BTreeSet::from([identity]))), ..World::default() };
    for (selection, seen) in
        [("oldest_membership", Sfu::Listed), ("multi_sfu", Sfu::Absent { counts: false })]
    {
        trace[1]["content"]["focus_active"]["focus_selection"] = json!(selection);
        let mut follower = Follower::default();
        for event in &trace[..2] {
            follower.receive(event);
        }
        let judged = follower.judge(&world, Timestamp::from_millis(follower.now));
        assert_eq!(judged[CAROL].1.sfu, seen, "{selection}");
    }
}

#[test]
fn the_owner_leaves_the_room_and_the_membership_stays() {
    const BOB: &str = "NGGZCEMCDU";
    const CAROL: &str = "WXCHPSADML";
    let trace = trace("owner leaves the room");
    let story = || {
        vec![
            step(0, BOB, Joined { expires: FOUR_HOURS }, &[BOB]),
            step(730, CAROL, Joined { expires: 730 + FOUR_HOURS }, &[BOB, CAROL]),
            step(2870, BOB, Left, &[CAROL]),
            step(2901, CAROL, Left, &[]),
        ]
    };
    let left_behind = replay(&trace[..2], &story()[..2]);
    let world = World { owners_left: true, gone: vec![BOB], ..World::default() };
    let not_joined = Verdict::Stale(Reason::NotJoined);
    assert_eq!(left_behind.verdicts(&world, MILLISECOND), verdicts([(BOB, not_joined), (CAROL, not_joined)]));
    replay(&trace, &story());
}

#[test]
fn a_crashed_device_is_gone_and_the_same_users_new_device_is_not() {
    const DEAD: &str = "MQAQFKBMCZ";
    const NEW: &str = "MAESNQBNPY";
    let trace = trace("crash, then the same user joins on a new device");
    let story = || {
        vec![
            step(0, DEAD, Joined { expires: FOUR_HOURS }, &[DEAD]),
            step(667, NEW, Joined { expires: 30_667 }, &[NEW, DEAD]),
            step(2733, DEAD, Left, &[NEW]),
            step(25_696, NEW, Refreshed { start: 667, expires: 60_667 }, &[NEW]),
        ]
    };
    let both = replay(&trace[..2], &story()[..2]);
    let world = World { gone: vec![DEAD], ..World::default() };
    assert_eq!(
        both.verdicts(&world, MILLISECOND),
        verdicts([(NEW, ACTIVE), (DEAD, Verdict::Stale(Reason::DeviceGone))])
    );
    replay(&trace, &story());
}

#[test]
fn of_two_devices_the_one_that_dies_expires_and_the_other_does_not() {
    const DEAD: &str = "ZUFBXITSTK";
    const ALIVE: &str = "MRAKGBSYNM";
    let trace = trace("two devices, one dies");
    let story = || {
        vec![
            step(0, DEAD, Joined { expires: 30_000 }, &[DEAD]),
            step(607, ALIVE, Joined { expires: 30_607 }, &[ALIVE, DEAD]),
            step(25_649, ALIVE, Refreshed { start: 607, expires: 60_607 }, &[ALIVE, DEAD]),
            step(33_507, DEAD, Left, &[ALIVE]),
        ]
    };
    let three = replay(&trace[..3], &story()[..3]);
    let late = |ms| three.verdicts(&World::default(), Duration::from_millis(ms));
    assert_eq!(late(30_000 - 25_649 - 1), verdicts([(ALIVE, ACTIVE), (DEAD, ACTIVE)]));
    let expired = Verdict::Stale(Reason::Expired);
    assert_eq!(late(30_000 - 25_649), verdicts([(ALIVE, ACTIVE), (DEAD, expired)]));
    assert_eq!(late(33_507 - 25_649), verdicts([(ALIVE, ACTIVE), (DEAD, expired)]), "when it was emptied");
    replay(&trace, &story());
}

#[test]
fn a_live_client_that_is_emptied_comes_back_as_a_new_membership() {
    const D: &str = "JEIJDSAVGU";
    let back = |at: i64| step(at, D, Joined { expires: at + FOUR_HOURS }, &[D]);
    let trace = trace("a live membership is overwritten");
    replay(
        &trace,
        &[
            back(0),
            step(53, D, Left, &[]),
            back(117),
            step(1658, D, Left, &[]),
            back(1693),
            step(3230, D, Left, &[]),
            back(3262),
        ],
    );
    // Nothing that was held against the old event is held against the new one.
    let mut ledger = Ledger::default();
    let policy = Policy::default();
    let mut follower = Follower::default();
    let mut subjects = Vec::new();
    for event in &trace[..3] {
        follower.receive(event);
        let now = Timestamp::from_millis(follower.now);
        let Some((event, _)) = follower.open.values().next() else { continue };
        let subject = Subject {
            room: "!room:hs.test".into(),
            key: event.state_key.clone(),
            event: event.event_id.clone(),
            entry: 0,
        };
        let judged = follower.judge(&World { gone: vec![D], ..World::default() }, now);
        let (_, evidence, judgement) = &judged[D];
        ledger.observe(&subject, judgement, ObservedAt::all(now), |r| policy.grace(r, evidence.device));
        subjects.push(subject);
    }
    assert_ne!(subjects[0], subjects[1]);
    let five_minutes = Timestamp::from_millis(follower.now) + Duration::from_mins(5) - MILLISECOND;
    assert_eq!(ledger.due(&subjects[1], five_minutes), [], "its clock began with its own event");
    assert_eq!(ledger.due(&subjects[1], five_minutes + MILLISECOND).len(), 1);
}

#[test]
fn the_delayed_leave_of_a_crashed_client_leaves_nothing_to_do() {
    const D: &str = "VXIPPUJZTU";
    let trace = trace("crash with delayed events");
    assert_eq!(trace[1]["sender"], trace[0]["sender"], "the server empties it in the owner's name");
    replay(&trace, &[step(0, D, Joined { expires: FOUR_HOURS }, &[D]), step(13_048, D, Left, &[])]);
}

#[test]
fn a_sticky_membership_is_no_membership_of_ours() {
    let trace = trace("sticky membership");
    for event in &trace {
        assert_eq!(event["type"], "org.matrix.msc4143.rtc.member");
        let refused = StateEvent::from_json(event.clone()).expect_err("it has no state key");
        assert_eq!(refused.missing, "state_key");
        // Even where a server hands it out among the state events, it is passed over.
        let mut as_state = event.clone();
        as_state["state_key"] = json!("_@bob-581ab1:hs.test_HLCGDONKOC_m.call");
        let export = Export::from_state(json!([event, as_state])).expect("a state");
        let now = Timestamp::MAX;
        assert_eq!(export.explain(&Policy::default(), Some(&"@janitor:hs.test".into()), now), []);
    }
}

#[test]
fn a_client_with_a_fast_clock_proves_no_hourly_refresh_before_an_hour_is_over() {
    const D: &str = "RLLYZNFKFV";
    let trace = trace("client clock at 60 times real time");
    let refreshed = |at: i64, n: i64| step(at, D, Refreshed { start: 0, expires: n * FOUR_HOURS }, &[D]);
    replay(
        &trace,
        &[
            step(0, D, Joined { expires: FOUR_HOURS }, &[D]),
            refreshed(60_040, 2),
            refreshed(120_038, 3),
            refreshed(180_034, 4),
        ],
    );
}

#[test]
fn the_same_refreshes_an_hour_apart_do_prove_it() {
    let mut trace = trace("client clock at 60 times real time");
    let zero = trace[0]["origin_server_ts"].as_i64().expect("a time");
    for event in &mut trace {
        let at = event["origin_server_ts"].as_i64().expect("a time");
        event["origin_server_ts"] = json!(zero + (at - zero) * 60);
    }
    let mut follower = Follower::default();
    for (event, proven) in trace.iter().zip([false, true, true, true]) {
        let membership = follower.receive(event).expect("a membership");
        let quiet = |for_| {
            let alone = Evidence { room_member: RoomMember::Joined, ..Evidence::NONE };
            is(&judge(&membership, &alone, &Policy::default(), membership.last_sign + for_), Reason::Silent)
        };
        assert!(!quiet(HOURLY));
        assert_eq!(quiet(HOURLY + MILLISECOND), proven, "{}", event["origin_server_ts"]);
        assert!(quiet(SILENT_AFTER + MILLISECOND));
    }
}
