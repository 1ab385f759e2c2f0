use serde_json::json;

use super::*;

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_800_000_000_000;
pub(crate) const ME: &str = "@bot:hs";

fn state(kind: &str, key: &str, sender: &str, content: Value) -> Value {
    let mut event = json!({
        "type": kind, "state_key": key, "sender": sender, "room_id": "!r:hs",
        "event_id": format!("${kind}{key}"), "origin_server_ts": NOW - HOUR,
    });
    event["content"] = content;
    event
}

fn member(user: &str, membership: &str) -> Value {
    state("m.room.member", user, user, json!({"membership": membership}))
}

fn call(user: &str, device: &str, key: &str, age: i64) -> Value {
    let content = json!({
        "application": "m.call", "call_id": "", "device_id": device, "scope": "m.room",
        "foci_preferred": [], "focus_active": {"type": "livekit", "focus_selection": "oldest_membership"},
    });
    let mut event = state(CALL_MEMBER, key, user, content);
    event["origin_server_ts"] = json!(NOW - age);
    event
}

/// A room of alice's with her in a call that expired, and what else stands in it.
fn room(more: Vec<Value>) -> Vec<Value> {
    let mut events = vec![
        state("m.room.create", "", "@alice:hs", json!({"room_version": "11"})),
        state("m.room.name", "", "@alice:hs", json!({"name": "Stand-up"})),
        member("@alice:hs", "join"),
        call("@alice:hs", "D", "_@alice:hs_D_m.call", 5 * HOUR),
    ];
    events.extend(more);
    events
}

fn rules(rule: &str) -> Value {
    state("m.room.join_rules", "", "@alice:hs", json!({"join_rule": rule}))
}

fn levels(content: Value) -> Value {
    state("m.room.power_levels", "", "@alice:hs", content)
}

/// What a survey of a server with these rooms found, named after what they are.
pub(crate) fn found(scope: Scope) -> Survey {
    let (alice, bot) =
        (|| levels(json!({"users": {"@alice:hs": 100}})), |level| levels(json!({"users": {ME: level}})));
    let grave = || state("m.room.tombstone", "", "@alice:hs", json!({"replacement_room": "!new:hs"}));
    let rooms = [
        ("Private", vec![alice(), rules("invite")]),
        ("Public", vec![levels(json!({"events": {CALL_MEMBER: 0}})), rules("public")]),
        ("Banned", vec![alice(), rules("invite"), member(ME, "ban")]),
        ("Upgraded", vec![alice(), rules("invite"), grave()]),
        ("Remote", vec![levels(json!({"users": {"@far:away": 100}})), rules("invite")]),
        ("Powerless", vec![alice(), member(ME, "join")]),
        ("Fine <b>", vec![bot(50), member(ME, "join")]),
    ];
    let rooms = rooms.into_iter().map(|(name, mut more)| {
        more.push(state("m.room.name", "", "@alice:hs", json!({"name": name})));
        let mut events = room(more);
        events.remove(1);
        let id = name.split(' ').next().unwrap_or_default().to_lowercase();
        let mut room = survey(events);
        room.listed.room = format!("!{id}:hs").into();
        room
    });
    Survey {
        scope,
        looked_at: 10_000,
        of: Some(10_000),
        cut: None,
        rooms: rooms.collect(),
        unread: vec![(
            Listed { room: "!big:hs".into(), name: Some("Big".into()), alias: None },
            "the answer is larger than 64 MiB".into(),
        )],
        without_lists: Some("no usable answer: timed out".into()),
        at: Timestamp::from_millis(NOW),
        took: Duration::from_secs(92),
    }
}

fn survey(events: Vec<Value>) -> SurveyedRoom {
    surveyed(events, false)
}

fn surveyed(events: Vec<Value>, is_excluded: bool) -> SurveyedRoom {
    let listed = Listed { room: "!r:hs".into(), name: None, alias: None };
    let (me, policy) = (ME.into(), Policy::default());
    let surveyor = Surveyor {
        me: &me,
        acts_for: &|_| false,
        allow_redaction: false,
        policy: &policy,
        now: Timestamp::from_millis(NOW),
    };
    SurveyedRoom::read(listed, events, json!({}), is_excluded, surveyor).expect("a state")
}

fn step_names(room: &SurveyedRoom) -> Vec<&'static str> {
    room.steps.iter().map(Step::as_str).collect()
}

#[test]
fn what_is_said_of_a_room_is_what_explain_says() {
    let mut events = room(vec![member(ME, "join"), levels(json!({"users": {ME: 50}}))]);
    events.push(call("@alice:hs", "E", "_@alice:hs_E_m.call", HOUR));
    events.push(call("@gone:hs", "F", "_@gone:hs_F_m.call", HOUR));
    events.push(state(CALL_MEMBER, "_@alice:hs_G_m.call", "@alice:hs", json!({})));
    let room = survey(events);
    assert_eq!(room.listed.name.as_deref(), Some("Stand-up"));
    assert_eq!(room.memberships.len(), 3, "who has left is not open");
    assert_eq!((room.count("active"), room.count("stale"), room.count("unknown")), (1, 2, 0));
    assert_eq!(room.reasons(), [("expired", 1), ("not_joined", 1)].into());
    assert!(room.can_see() && room.can_clear(), "{:?}", room.obstacles);
    assert_eq!((step_names(&room), room.way), (vec![], Way::None(NoWay::InTheRoom)));
}

#[test]
fn each_kind_of_room_has_its_steps_and_its_way() {
    let alice = || levels(json!({"users": {"@alice:hs": 100}}));
    let afar = || levels(json!({"users": {"@far:away": 100}}));
    let free = || levels(json!({"users": {"@far:away": 100}, "events": {CALL_MEMBER: 0}}));
    let far = || member("@far:away", "join");
    let grave = || state("m.room.tombstone", "", "@alice:hs", json!({"replacement_room": "!new:hs"}));
    let successor = || Way::Successor("!new:hs".into());
    for (what, more, steps, way) in [
        ("private", vec![alice(), rules("invite")], vec!["make_room_admin", "join"], Way::MakeRoomAdmin),
        ("without join rules", vec![alice()], vec!["make_room_admin", "join"], Way::MakeRoomAdmin),
        ("public", vec![alice(), rules("public")], vec!["make_room_admin", "join"], Way::MakeRoomAdmin),
        ("public and free", vec![free(), rules("public")], vec!["join"], Way::Join),
        (
            "without power levels, where the creator has all power",
            vec![rules("invite")],
            vec!["make_room_admin", "join"],
            Way::MakeRoomAdmin,
        ),
        (
            "public, where more power is needed than there is to be given",
            vec![levels(json!({"users": {"@alice:hs": 100}, "events": {CALL_MEMBER: 150}})), rules("public")],
            vec!["join", "raise_power"],
            Way::Join,
        ),
        (
            "remote and private",
            vec![afar(), far(), rules("invite")],
            vec!["invite", "join", "raise_power"],
            Way::None(NoWay::InviteOnly),
        ),
        ("remote and public", vec![afar(), far(), rules("public")], vec!["join", "raise_power"], Way::Join),
        (
            "invited",
            vec![afar(), rules("invite"), member(ME, "invite")],
            vec!["join", "raise_power"],
            Way::Join,
        ),
        (
            "banned",
            vec![alice(), rules("public"), member(ME, "ban")],
            vec!["unban", "make_room_admin", "join"],
            Way::None(NoWay::Banned),
        ),
        ("upgraded", vec![alice(), rules("invite"), grave()], vec!["go_to_successor"], successor()),
        (
            "upgraded, and the bot banned",
            vec![alice(), rules("invite"), grave(), member(ME, "ban")],
            vec!["go_to_successor"],
            successor(),
        ),
        (
            "upgraded, with the bot in it",
            vec![levels(json!({"users": {ME: 50}})), grave(), member(ME, "join")],
            vec![],
            Way::None(NoWay::InTheRoom),
        ),
        ("without power", vec![alice(), member(ME, "join")], vec!["make_room_admin"], Way::MakeRoomAdmin),
        (
            "without power, and nobody here has any",
            vec![afar(), far(), member(ME, "join")],
            vec!["raise_power"],
            Way::None(NoWay::InTheRoom),
        ),
        (
            "whose moderator here may not change levels",
            vec![
                levels(json!({"users": {"@alice:hs": 50}, "events": {"m.room.power_levels": 100}})),
                rules("invite"),
            ],
            vec!["invite", "join", "raise_power"],
            Way::None(NoWay::InviteOnly),
        ),
        (
            "whose admin of this server has left",
            vec![levels(json!({"users": {"@gone:hs": 100}})), member("@gone:hs", "leave"), rules("invite")],
            vec!["invite", "join", "raise_power"],
            Way::None(NoWay::InviteOnly),
        ),
    ] {
        let room = survey(room(more));
        assert_eq!((step_names(&room), room.way), (steps, way), "{what}");
    }
}

#[test]
fn a_creator_of_a_room_of_version_12_can_give_power() {
    let mut events = room(vec![levels(json!({"users": {}})), rules("invite")]);
    events[0] = state("m.room.create", "", "@alice:hs", json!({"room_version": "12"}));
    assert_eq!(survey(events.clone()).way, Way::MakeRoomAdmin);
    events[4] = levels(json!({"users": {}, "events": {CALL_MEMBER: 150}}));
    assert_eq!(step_names(&survey(events)), ["make_room_admin", "join", "raise_power"], "100 is not enough");
}

#[test]
fn of_an_excluded_room_nothing_is_proposed() {
    let room = surveyed(room(vec![levels(json!({"users": {"@alice:hs": 100}})), rules("public")]), true);
    assert_eq!((step_names(&room), room.proposal()), (vec![], Err(NoWay::Excluded)));
    assert!(!room.can_see() && !room.can_clear());
}

#[test]
fn keys_that_are_their_owners_alone_are_no_matter_of_power() {
    let mut events = room(vec![member(ME, "join"), levels(json!({"users": {ME: 100}}))]);
    events.push(call("@alice:hs", "E", "@alice:hs", HOUR));
    let room = survey(events);
    assert_eq!(room.obstacles, [(Obstacle::Blocked(Blocked::OnlyItsOwner), 1)].into());
    assert!(room.can_see() && !room.can_clear());
    assert_eq!(room.proposal(), Err(NoWay::InTheRoom));
}

#[test]
fn what_an_appservice_or_a_redaction_can_clear_is_cleared() {
    let mut events = room(vec![member(ME, "join"), levels(json!({"users": {ME: 100}}))]);
    events.push(call("@alice:hs", "E", "@alice:hs", HOUR));
    let (me, policy, now) = (ME.into(), Policy::default(), Timestamp::from_millis(NOW));
    let nobody = |_: &UserId| false;
    let alice = |user: &UserId| user.as_str() == "@alice:hs";
    let none = Surveyor { me: &me, acts_for: &nobody, allow_redaction: false, policy: &policy, now };
    let read = |events: &[Value], surveyor| {
        let listed = Listed { room: "!r:hs".into(), name: None, alias: None };
        SurveyedRoom::read(listed, events.to_vec(), json!({}), false, surveyor).expect("a state")
    };
    assert!(!read(&events, none).can_clear());
    assert!(read(&events, Surveyor { allow_redaction: true, ..none }).can_clear());
    let free = json!({"users": {}, "events": {CALL_MEMBER: 0}});
    let mut without_power = events.clone();
    without_power[5] = levels(free);
    let as_alice = Surveyor { acts_for: &alice, ..none };
    assert!(read(&without_power, as_alice).can_clear());
    without_power[2] = member("@alice:hs", "leave");
    assert!(!read(&without_power, as_alice).can_clear(), "nobody writes into a room they have left");
}

#[test]
fn only_owners_of_open_memberships_are_asked_for_devices() {
    let mut events = room(vec![]);
    events.push(call("@bob:hs", "E", "_@bob:hs_E_m.call", HOUR));
    events.push(state(CALL_MEMBER, "_@carol:hs_F_m.call", "@carol:hs", json!({})));
    let asked = owners(&events, Timestamp::from_millis(NOW)).expect("a state");
    let names: Vec<_> = asked.keys().map(UserId::as_str).collect();
    assert_eq!(names, ["@alice:hs", "@bob:hs"]);
}

#[test]
fn what_is_no_state_of_a_room_says_nothing_of_calls_there() {
    let now = Timestamp::from_millis(NOW);
    let whole = room(vec![]);
    assert_eq!(owners(&whole, now).map(|owners| owners.len()), Ok(1));
    for garbage in [json!(1), json!("m.room.member"), json!(null), json!({}), json!({"type": 5})] {
        let events = [whole.clone(), vec![garbage.clone()]].concat();
        assert_eq!(owners(&events, now), Err(NoState::NoEvent), "{garbage}");
    }
    let mut without_sender = whole.clone();
    without_sender[3]["sender"] = json!(null);
    assert!(matches!(owners(&without_sender, now), Err(NoState::Membership(_))));
    let listed = || Listed { room: "!r:hs".into(), name: None, alias: None };
    let (me, policy) = (ME.into(), Policy::default());
    let surveyor = Surveyor { me: &me, acts_for: &|_| false, allow_redaction: false, policy: &policy, now };
    for state in [vec![], vec![member("@alice:hs", "join")]] {
        let read = SurveyedRoom::read(listed(), state, json!({}), false, surveyor);
        assert_eq!(read, Err(NoState::NoRoom));
    }
}

#[test]
fn a_device_that_the_servers_list_lacks_is_gone() {
    let listed = Listed { room: "!r:hs".into(), name: None, alias: None };
    let (me, policy) = (ME.into(), Policy::default());
    let surveyor = Surveyor {
        me: &me,
        acts_for: &|_| false,
        allow_redaction: false,
        policy: &policy,
        now: Timestamp::from_millis(NOW),
    };
    let mut events = room(vec![]);
    events[3] = call("@alice:hs", "D", "_@alice:hs_D_m.call", HOUR);
    let lists = json!({"@alice:hs": {"devices": [{"device_id": "OTHER", "last_seen_ts": null}]}});
    let room = SurveyedRoom::read(listed, events, lists, false, surveyor).expect("a state");
    assert_eq!(room.reasons(), [("device_gone", 1)].into());
}

#[test]
fn a_space_names_its_rooms() {
    let child = |room: &str, content: Value| state("m.space.child", room, "@alice:hs", content);
    let events = vec![
        state("m.room.create", "", "@alice:hs", json!({"type": "m.space"})),
        child("!a:hs", json!({"via": ["hs"]})),
        child("!removed:hs", json!({})),
    ];
    assert!(is_space(&events) && !is_space(&room(vec![])));
    assert_eq!(children(&events).collect::<Vec<_>>(), ["!a:hs".into()]);
}

#[test]
fn what_is_surveyed_can_be_narrowed() {
    let named =
        |rooms: &[&str]| Ok(Scope::Named(rooms.iter().map(|room| room.parse().expect("a room")).collect()));
    for (text, scope) in [
        ("", Ok(Scope::All)),
        ("  ", Ok(Scope::All)),
        ("#a:hs", named(&["#a:hs"])),
        ("#a:hs,#b:hs, !c:hs", named(&["#a:hs", "#b:hs", "!c:hs"])),
        ("!c", named(&["!c"])),
        ("#team-*:hs", Ok(Scope::Pattern("#team-*:hs".into()))),
        ("Team", Ok(Scope::Pattern("Team".into()))),
        ("Team Meeting?", Ok(Scope::Pattern("Team Meeting?".into()))),
    ] {
        assert_eq!(text.parse(), scope, "{text}");
    }
    for wrong in ["#team", "#a:hs,team"] {
        assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
    }
}

#[test]
fn its_json_has_these_keys() {
    let room = survey(room(vec![levels(json!({"users": {"@alice:hs": 100}})), rules("invite")]));
    let row = SurveyRow::new(&room, true, &ME.into(), "https://hs/");
    insta::assert_snapshot!(serde_json::to_string_pretty(&row).expect("JSON"));
}
