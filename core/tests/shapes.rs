//! Shapes of memberships that stand in rooms today, and what beside them is only shown.
#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use rtc_janitor_core::{
    export::{Explained, Export, participants},
    ids::UserId,
    judge::{
        evidence::{Device, ListKind, RoomMember},
        policy::{Policy, Reason},
        room::{Observations, Placed, SfuRoom, gather},
        verdict::{Verdict, judge},
    },
    rtc::{
        membership::{Content, FirstSeen, Focus, Membership, Owner, read},
        state_event::StateEvent,
        sticky::{Beside, SLOT, STICKY_MEMBER, Sticky, StickyEvent, StickyEvents, is_closed_slot, sticky},
    },
    time::Timestamp,
};
use serde_json::{Value, json};

const NOW_MS: i64 = 1_800_000_000_000;
const NOW: Timestamp = Timestamp::from_millis(NOW_MS);
const MIN: i64 = 60_000;
const HOUR: i64 = 60 * MIN;

fn event(key: &str, sent: i64, content: &Value) -> Value {
    let user = key.trim_start_matches('_').split('_').next().expect("a user");
    json!({"type": "org.matrix.msc3401.call.member", "state_key": key, "sender": user, "event_id": format!("${key}"),
        "room_id": "!r:hs", "origin_server_ts": sent, "content": content})
}

fn content(key: &str, content: &Value) -> Content {
    let event = StateEvent::from_json(event(key, NOW_MS, content)).expect("an event");
    read(&event, FirstSeen { at: NOW, live: true })
}

fn one(key: &str, sent: i64, content: &Value) -> Membership {
    let event = StateEvent::from_json(event(key, sent, content)).expect("an event");
    match read(&event, FirstSeen { at: NOW, live: false }) {
        Content::Entries(mut entries) if entries.len() == 1 => entries.remove(0).expect("well-formed"),
        other => panic!("{other:?}"),
    }
}

fn explained(events: &[Value], sfu: Option<&Value>) -> Vec<Explained> {
    let mut export = Export::from_state(events.into()).expect("a state");
    if let Some(sfu) = sfu {
        export = export.with_sfu(sfu.clone()).expect("SFU rooms");
    }
    export.explain(&Policy::default(), None, NOW)
}

fn session(device: &str, focus: &Value) -> Value {
    json!({"application": "m.call", "call_id": "", "scope": "m.room", "device_id": device, "expires": 4 * HOUR,
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"}, "foci_preferred": [focus]})
}

#[test]
fn what_clients_write_to_leave_is_a_leave_and_nothing_else_is() {
    let key = "_@a:hs_D_m.call";
    for left in [
        json!({}),
        json!({"leave_reason": "m.lost_connection"}),
        json!({"slot_id": "m.call#ROOM"}),
        json!({"msc4354_sticky_key": "k"}),
        json!({"slot_id": "m.call#ROOM", "msc4354_sticky_key": "k"}),
    ] {
        assert_eq!(content(key, &left), Content::Left, "{left}");
    }
    for other in [json!({"device_id": "D"}), json!({"slot_id": "m.call#ROOM", "application": "m.call"})] {
        assert!(matches!(content(key, &other), Content::Malformed(_)), "{other}");
    }
}

#[test]
fn keys_that_apps_add_disturb_nothing() {
    let plain =
        session("D", &json!({"type": "livekit", "livekit_service_url": "https://a", "livekit_alias": "!r"}));
    let mut extended = plain.clone();
    for (key, value) in [
        ("org.example.hand", json!(true)),
        ("chat.commet.streams", json!(["screen"])),
        ("slot_id", json!("m.call#ROOM")),
        ("expires_ts", json!(1)),
        ("leave_reason", json!("x")),
    ] {
        extended[key] = value;
    }
    let key = "_@a:hs_D_m.call";
    assert_eq!(one(key, NOW_MS - MIN, &extended), one(key, NOW_MS - MIN, &plain));
}

#[test]
fn the_moment_that_matrix_dart_sdk_writes_beats_its_constant_span() {
    for ends in [NOW_MS - 1, NOW_MS + 1, NOW_MS + 5 * HOUR] {
        let entry = json!({"application": "m.call", "call_id": "", "scope": "m.room", "device_id": "D", "membershipID": "x",
            "foci_active": [], "expires": 720_000, "expires_ts": ends});
        let membership = one("@a:hs", NOW_MS - MIN, &json!({"memberships": [entry]}));
        assert_eq!(membership.expires.as_millis(), ends);
    }
}

#[test]
fn a_first_event_may_say_when_it_was_made_and_proves_no_refresh_by_that() {
    let silent = |created: Option<i64>, expires: i64, age: i64| {
        let mut content = session("D", &json!({"type": "livekit", "livekit_service_url": "https://a"}));
        content["expires"] = json!(expires);
        if let Some(before) = created {
            content["created_ts"] = json!(NOW_MS - age - before);
        }
        let member = json!({"type": "m.room.member", "state_key": "@a:hs", "sender": "@a:hs", "event_id": "$m",
            "origin_server_ts": 0, "content": {"membership": "join"}});
        let rows = explained(&[member, event("_@a:hs_D_m.call", NOW_MS - age, &content)], None);
        rows[0].reasons.contains(&"silent")
    };
    assert!(!silent(None, 8 * HOUR, 50 * HOUR) && silent(None, 8 * HOUR, 52 * HOUR));
    for created in [None, Some(0), Some(5_000)] {
        assert!(!silent(created, 4 * HOUR, 4 * HOUR + 14 * MIN), "{created:?}");
        assert!(silent(created, 4 * HOUR, 4 * HOUR + 16 * MIN), "{created:?}");
    }
    assert!(silent(Some(HOUR), 8 * HOUR, 76 * MIN), "an hour in, it has refreshed");
}

#[test]
fn an_sfu_is_one_by_whichever_of_its_names() {
    let (service, url) = ("https://sfu.hs/jwt", "wss://sfu.hs");
    let focus = |names: &[(&str, &str)]| {
        let mut focus = json!({"type": "livekit"});
        for (name, value) in names {
            focus[*name] = json!(value);
        }
        focus
    };
    let both = focus(&[("livekit_service_url", service), ("url", url)]);
    let newest_with = |newest: &Value| {
        let events = [
            event("_@a:hs_A", NOW_MS - 3 * HOUR, &session("A", &focus(&[("livekit_service_url", service)]))),
            event("_@b:hs_B", NOW_MS - 2 * HOUR, &session("B", newest)),
            event("_@c:hs_C", NOW_MS - MIN, &session("C", &focus(&[("url", url)]))),
        ];
        // The last to join is there, so the room's name is right, and whoever is not there is gone.
        let sfu = json!({"!r:hs": {"participants": [{"identity": "@c:hs:C", "state": "ACTIVE"}]}});
        let rows = explained(&events, Some(&sfu));
        rows[0].reasons.contains(&"not_on_sfu")
    };
    assert!(newest_with(&both), "somebody gives both names");
    assert!(!newest_with(&focus(&[("livekit_service_url", service)])), "nobody says that they are one");
}

#[test]
fn a_hashed_identity_is_a_veto_and_explained_and_recorders_need_no_explanation() {
    let focus = json!({"type": "livekit", "livekit_service_url": "https://sfu.hs/jwt"});
    let hashed = "H//Qua949xZXcT/6BAXPij33N05hLZr/pDGpNpKJk8Y";
    let mut alice = session("ALICEDEV1", &focus);
    alice["membershipID"] = json!("7f0c0f6e-0000-4000-8000-000000000001");
    let events = [
        event("_@old:hs_OLD", NOW_MS - 3 * HOUR, &session("OLD", &focus)),
        event("_@alice:example.org_ALICEDEV1", NOW_MS - 2 * HOUR, &alice),
        event("_@new:hs_NEW", NOW_MS - MIN, &session("NEW", &focus)),
    ];
    let with = |more: Value| {
        let sfu =
            json!({"!r:hs": {"participants": [{"identity": "@new:hs:NEW"}, {"identity": hashed}, more]}});
        let rows = explained(&events, Some(&sfu));
        (rows[0].reasons.contains(&"not_on_sfu"), rows[1].why.contains("lists the device as connected"))
    };
    for recorder in [
        json!({"identity": "EG_x", "kind": "EGRESS"}),
        json!({"identity": "EG_x", "kind": 2}),
        json!({"identity": "phone", "kind": "SIP"}),
        json!({"identity": "agent", "kind": "STANDARD", "permission": {"agent": true}}),
    ] {
        assert_eq!(with(recorder.clone()), (true, true), "{recorder}");
    }
    assert_eq!(with(json!({"identity": "stranger", "kind": "STANDARD"})), (false, true));
    let answer = json!({"participants": [{"identity": "@bot:hs:AGENT", "kind": "AGENT"}]});
    let SfuRoom::Participants(there) = participants(&answer) else { panic!("a list") };
    assert!(there.identities.contains("@bot:hs:AGENT"), "an agent's own membership is alive all the same");
}

#[test]
fn sticky_members_are_told_from_those_that_left_and_from_what_is_encrypted() {
    let member = json!({"slot_id": "m.call#ROOM", "application": {"type": "m.call"}, "member": {"id": "x"},
        "msc4354_sticky_key": "k"});
    for kind in STICKY_MEMBER {
        let is = |content: Value| {
            sticky(&json!({"type": kind, "content": content, "msc4354_sticky": {"duration_ms": 1}}))
        };
        assert_eq!(is(member.clone()), Some(Sticky::Member));
        assert_eq!(is(json!({"msc4354_sticky_key": "k"})), Some(Sticky::Left));
        assert_eq!(is(json!({"member": {"id": "x", "membership": "leave"}})), Some(Sticky::Left));
        assert_eq!(is(json!({"member": {"id": "x", "membership": "join"}})), Some(Sticky::Member));
        assert_eq!(is(json!(null)), Some(Sticky::Left));
    }
    let encrypted =
        |extra: &str| sticky(&json!({"type": "m.room.encrypted", "content": {}, extra: {"duration_ms": 1}}));
    assert_eq!(encrypted("msc4354_sticky"), Some(Sticky::Encrypted));
    assert_eq!(encrypted("sticky"), Some(Sticky::Encrypted));
    assert_eq!(encrypted("unsigned"), None, "most of what is encrypted is no call");
    assert_eq!(sticky(&json!({"type": "m.room.message", "content": {}, "sticky": {"duration_ms": 1}})), None);
}

#[test]
fn a_slot_is_closed_where_it_says_so() {
    let slot = |kind: &str, content: Value| {
        let event = json!({"type": kind, "state_key": "m.call#ROOM", "sender": "@a:hs", "event_id": "$s",
            "origin_server_ts": 0, "content": content});
        is_closed_slot(&StateEvent::from_json(event).expect("an event"))
    };
    for kind in SLOT {
        assert!(slot(kind, json!({"status": "closed"})));
        assert!(!slot(kind, json!({"status": "open"})));
        assert!(!slot(kind, json!({})));
    }
    assert!(!slot("m.room.topic", json!({"status": "closed"})));
}

#[test]
fn what_stands_beside_the_memberships_of_a_room_is_counted() {
    let slot = json!({"type": "m.rtc.slot", "state_key": "m.call#ROOM", "sender": "@a:hs", "event_id": "$s",
        "origin_server_ts": 0, "content": {"status": "closed"}});
    let export = Export::from_state(json!([slot])).expect("a state");
    assert_eq!(export.beside().closed_slots, ["m.call#ROOM".into()].into());
    let mut beside = export.beside().clone();
    let mut events = StickyEvents::default();
    for event in [
        sent("m.rtc.member", "@a:hs", &json!({"application": {"type": "m.call"}, "msc4354_sticky_key": "k"})),
        sent("m.rtc.member", "@b:hs", &json!({"application": {"type": "m.call"}, "msc4354_sticky_key": "k"})),
        sent("m.rtc.member", "@b:hs", &json!({"msc4354_sticky_key": "k"})),
        sent("m.room.encrypted", "@c:hs", &json!({})),
        sent("m.room.message", "@d:hs", &json!({})),
    ] {
        if let Some(event) = StickyEvent::read(&event) {
            events.take_in(&event, NOW);
        }
    }
    beside.add_sticky(&events, NOW);
    assert_eq!((beside.members, beside.encrypted), (1, 1));
    assert!(beside.may_be_in_a_call());
}

/// A sticky event that was sent now, for half an hour.
fn sent(kind: &str, sender: &str, content: &Value) -> Value {
    json!({"type": kind, "sender": sender, "event_id": format!("$of{sender}"), "origin_server_ts": NOW_MS,
        "content": content, "msc4354_sticky": {"duration_ms": 30 * MIN}})
}

#[test]
fn a_sticky_event_ends_when_the_server_says_or_when_it_says_itself_and_within_the_hour() {
    let member = json!({"member": {"id": "x"}, "sticky_key": "k"});
    let ends_after = |change: &dyn Fn(&mut Value)| {
        let mut event = sent("m.rtc.member", "@a:hs", &member);
        change(&mut event);
        let mut events = StickyEvents::default();
        events.take_in(&StickyEvent::read(&event).expect("a member"), NOW);
        let is_there = |minutes: &u64| {
            let mut beside = Beside::default();
            beside.add_sticky(&events, NOW + Duration::from_mins(*minutes));
            beside.members == 1
        };
        (0..200).take_while(is_there).count()
    };
    assert_eq!(ends_after(&|_| ()), 30);
    assert_eq!(ends_after(&|event| event["unsigned"]["msc4354_sticky_duration_ttl_ms"] = json!(7 * MIN)), 7);
    assert_eq!(ends_after(&|event| event["msc4354_sticky"]["duration_ms"] = json!(9 * HOUR)), 60);
    assert_eq!(ends_after(&|event| event["origin_server_ts"] = json!(NOW_MS + 9 * HOUR)), 30, "a fast clock");
    assert_eq!(ends_after(&|event| event["origin_server_ts"] = json!(NOW_MS - 20 * MIN)), 10);
}

#[test]
fn only_so_many_sticky_events_are_remembered_and_one_that_ended_makes_room() {
    let mut events = StickyEvents::default();
    let mut beside = Beside::default();
    let take_in = |events: &mut StickyEvents, number: usize, now| {
        let event = sent("m.room.encrypted", &format!("@u{number}:hs"), &json!({}));
        events.take_in(&StickyEvent::read(&event).expect("encrypted"), now);
    };
    for number in 0..5_000 {
        take_in(&mut events, number, NOW);
    }
    beside.add_sticky(&events, NOW);
    assert_eq!(beside.encrypted, 1_000);
    // Those have ended by then; one that is listed yet makes the count 1 again.
    let later = NOW + Duration::from_mins(31);
    let mut event = sent("m.room.encrypted", "@late:hs", &json!({}));
    event["unsigned"] = json!({"msc4354_sticky_duration_ttl_ms": MIN});
    events.take_in(&StickyEvent::read(&event).expect("encrypted"), later);
    let mut beside = Beside::default();
    beside.add_sticky(&events, later);
    assert_eq!(beside.encrypted, 1);
}

#[test]
fn what_is_sent_again_word_for_word_is_as_old_as_its_first_event_says() {
    // The Rust crates write created_ts from the start, by their own clock, and the same content every 30 min.
    let content = |created: i64| {
        let mut content = session("D", &json!({"type": "livekit", "livekit_service_url": "https://a"}));
        content["created_ts"] = json!(created);
        content
    };
    let again = one("_@a:hs_D", NOW_MS - MIN, &content(NOW_MS - 5 * HOUR));
    assert_eq!(again.expires, NOW - Duration::from_hours(1), "clients count from created_ts");
    assert_eq!(again.last_sign, NOW - Duration::from_mins(1), "and it was sent a minute ago all the same");
    let fast_clock = one("_@a:hs_D", NOW_MS - MIN, &content(NOW_MS + HOUR));
    assert_eq!(fast_clock.start, NOW - Duration::from_mins(1));
}

#[test]
fn a_member_whose_client_goes_on_after_its_end_is_known_by_that() {
    let mut content = session("D", &json!({"type": "livekit", "livekit_service_url": "https://a"}));
    content["created_ts"] = json!(NOW_MS - 5 * HOUR);
    assert!(one("_@a:hs_D", NOW_MS - MIN, &content).was_expired_when_sent());
    content["created_ts"] = json!(NOW_MS - 4 * HOUR);
    assert!(!one("_@a:hs_D", NOW_MS - MIN, &content).was_expired_when_sent(), "sent in time, over since");
}

/// A room in which every list answers the same of every device.
struct Lists {
    device: Device,
    has_lists: bool,
}

impl Observations for Lists {
    fn room_member(&self, _: &UserId) -> RoomMember {
        RoomMember::Joined
    }
    fn has_device_lists(&self, user: &UserId) -> bool {
        self.has_lists || !user.as_str().starts_with("@teams_")
    }
    fn device(&self, _: &Owner) -> Device {
        self.device
    }
    fn is_our_sfu(&self, _: &Focus) -> bool {
        false
    }
    fn sfu_room(&self, _: &Focus, _: &str) -> SfuRoom {
        SfuRoom::Unknown
    }
    fn on_each_sfu(&self, _: &str) -> Vec<SfuRoom> {
        Vec::new()
    }
    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }
}

#[test]
fn of_who_is_in_no_device_list_the_lists_say_nothing_and_all_else_counts() {
    let key = "_@teams_kim:hs_TEAMSCALL_m.call".into();
    let content = session("TEAMSCALL", &json!({"type": "livekit", "livekit_service_url": "https://a"}));
    let mut event = event("_@teams_kim:hs_TEAMSCALL_m.call", NOW_MS - MIN, &content);
    event["sender"] = json!("@teams_kim:hs");
    let event = StateEvent::from_json(event).expect("an event");
    let Content::Entries(entries) = read(&event, FirstSeen { at: NOW, live: false }) else {
        panic!("a session")
    };
    let membership = entries[0].as_ref().expect("a membership");
    let verdict = |device, has_lists, at| {
        let placed = [Placed { key: &key, membership }];
        let evidence = gather(&"!r:hs".into(), &placed, &Lists { device, has_lists }, at);
        judge(membership, &evidence[0], &Policy::default(), at).verdict
    };
    let missing = Device::Missing { by: ListKind::KeysQuery, seen_before: true };
    let idle = Device::Listed { last_seen: Some(NOW - Duration::from_mins(2)) };
    assert_eq!(verdict(missing, true, NOW), Verdict::Stale(Reason::DeviceGone), "the control");
    assert_eq!(
        verdict(idle, true, NOW + Duration::from_hours(2)),
        Verdict::Stale(Reason::DeviceIdle),
        "the control"
    );
    for device in [missing, Device::Unknown, idle] {
        assert_eq!(verdict(device, false, NOW), Verdict::Active, "{device:?}");
        assert_eq!(verdict(device, false, NOW + Duration::from_hours(2)), Verdict::Active, "{device:?}");
        let over = verdict(device, false, NOW + Duration::from_hours(4));
        assert_eq!(over, Verdict::Stale(Reason::Expired), "{device:?}");
    }
}
