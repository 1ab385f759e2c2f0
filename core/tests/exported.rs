//! What people export and what others write into a room is odd in more ways than one.
#![expect(clippy::expect_used, reason = "tests")]

use rtc_janitor_core::{
    export::{Explained, Export, json, participants},
    judge::{policy::Policy, room::SfuRoom},
    time::Timestamp,
};
use serde_json::{Value, json};

const NOW_MS: i64 = 1_800_000_000_000;
const MIN: i64 = 60_000;
const HOUR: i64 = 60 * MIN;

/// What Element X shows: all that it asks for is there.
fn complete(sent: i64) -> Value {
    json!({
        "type": "org.matrix.msc3401.call.member", "state_key": "_@a:hs_D_m.call", "sender": "@a:hs",
        "event_id": "$e", "room_id": "!r:hs", "origin_server_ts": sent,
        "content": {
            "application": "m.call", "call_id": "", "scope": "m.room", "device_id": "D", "expires": 4 * HOUR,
            "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
            "foci_preferred": [
                {"type": "livekit", "livekit_service_url": "https://sfu.hs", "livekit_alias": "!r:hs"},
            ],
        },
    })
}

fn with(mut event: Value, changes: &[(&str, Value)]) -> Value {
    for (field, value) in changes {
        event["content"][*field] = value.clone();
    }
    event
}

fn without(mut event: Value, field: &str) -> Value {
    event["content"].as_object_mut().expect("an object").remove(field);
    event
}

fn state_event(kind: &str, key: &str, content: &Value) -> Value {
    json!({"type": kind, "state_key": key, "sender": "@creator:hs", "event_id": "$s", "room_id": "!r:hs",
        "origin_server_ts": NOW_MS - 1000 * HOUR, "content": content})
}

fn joined() -> Value {
    state_event("m.room.member", "@a:hs", &json!({"membership": "join"}))
}

fn explained(state: &[Value]) -> Explained {
    let export = Export::from_state(state.into()).expect("a state");
    export.explain(&Policy::default(), None, Timestamp::from_millis(NOW_MS)).remove(0)
}

fn verdict(event: Value) -> (&'static str, Option<&'static str>) {
    let row = explained(&[joined(), event]);
    (row.verdict, row.reason)
}

#[test]
fn null_is_absent_where_a_client_takes_it_so_and_malformed_where_none_does() {
    let young = || complete(NOW_MS - MIN);
    for (field, shown) in [
        ("created_ts", true),
        ("m.call.intent", true),
        ("expires", true),
        ("membershipID", true),
        ("scope", false),
        ("foci_preferred", false),
        ("focus_active", false),
        ("application", false),
        ("call_id", false),
        ("device_id", false),
    ] {
        let expected = if shown { "active" } else { "malformed" };
        assert_eq!(verdict(with(young(), &[(field, Value::Null)])).0, expected, "{field}");
    }
}

#[test]
fn a_null_that_element_x_alone_would_take_is_malformed_where_element_x_misses_something() {
    for needed in ["scope", "expires", "foci_preferred"] {
        let event = with(without(complete(NOW_MS - MIN), needed), &[("created_ts", Value::Null)]);
        assert_eq!(verdict(event).0, "malformed", "{needed}");
    }
    for (field, value) in [
        ("application", json!("org.example.board")),
        ("expires", json!(-1)),
        ("foci_preferred", json!([{"type": "livekit", "livekit_service_url": "https://sfu.hs"}])),
        ("focus_active", json!({"type": "livekit"})),
    ] {
        let event = with(complete(NOW_MS - MIN), &[("created_ts", Value::Null), (field, value)]);
        assert_eq!(verdict(event).0, "malformed", "{field}");
    }
}

#[test]
fn a_moment_in_place_of_a_span_proves_no_hourly_refresh() {
    let sent = NOW_MS - 2 * HOUR;
    let refreshed =
        |expires| with(complete(sent), &[("created_ts", json!(sent - HOUR)), ("expires", expires)]);
    assert_eq!(verdict(refreshed(json!(sent + 4 * HOUR))), ("active", None));
    assert_eq!(verdict(refreshed(json!(8 * HOUR))), ("stale", Some("silent")), "the control");
    let old = with(complete(NOW_MS - 72 * HOUR), &[("expires", json!(NOW_MS - 68 * HOUR))]);
    assert_eq!(verdict(old), ("stale", Some("silent")), "it is not shown for ever");
}

#[test]
fn an_event_whose_id_was_cut_out_is_judged_all_the_same() {
    let young = complete(NOW_MS - MIN);
    let mut cut = [young.clone(), young];
    cut[0]["event_id"] = Value::Null;
    cut[1].as_object_mut().expect("an object").remove("event_id");
    for event in cut {
        assert_eq!(verdict(event), ("active", None));
    }
}

#[test]
fn an_export_with_neither_create_nor_members_tells_nobody_to_have_left_and_says_so() {
    let member = || complete(NOW_MS - MIN);
    let bare = explained(&[member()]);
    assert_eq!(bare.verdict, "active");
    assert!(bare.why.contains("who is in the room is not in the export"), "{}", bare.why);
    let levels = state_event("m.room.power_levels", "", &json!({}));
    assert_eq!(explained(&[levels, member()]).verdict, "active");
    for complete in [
        state_event("m.room.create", "", &json!({"room_version": "11"})),
        state_event("m.room.member", "@b:hs", &json!({"membership": "join"})),
    ] {
        let row = explained(&[complete, member()]);
        assert_eq!((row.verdict, row.reason), ("stale", Some("not_joined")));
        assert!(!row.why.contains("export"), "{}", row.why);
    }
}

#[test]
fn only_who_is_known_to_have_disconnected_is_not_at_the_sfu() {
    for (state, is_there) in [
        (json!("DISCONNECTED"), false),
        (json!("disconnected"), false),
        (json!(3), false),
        (json!(3.0), false),
        (json!("3"), false),
        (json!(0), true),
        (json!(1), true),
        (json!(2), true),
        (json!(4), true),
        (json!("joining"), true),
        (json!("RESUMING"), true),
        (json!(null), true),
        (json!({}), true),
    ] {
        let answer = json!({"participants": [{"identity": "@a:hs:D", "state": state}]});
        let SfuRoom::Participants(there) = participants(&answer) else { unreachable!("a list") };
        assert_eq!(there.identities.contains("@a:hs:D"), is_there, "{state}");
    }
}

#[test]
fn ids_may_hold_whatever_ids_hold() {
    for (user, device) in [
        ("@a=2fb/c+d:hs", "D_1"),
        ("@A.B_c-d:[2001:db8::1]:8448", "D"),
        ("@ü:hs", "a/b+c="),
        ("@_bridge_x:hs", "_"),
        ("@:hs", "m.call"),
        ("@a:hs", ""),
        ("@a:hs", "\u{202e}\u{0}"),
    ] {
        let mut event = with(complete(NOW_MS - MIN), &[("device_id", json!(device))]);
        event["sender"] = json!(user);
        event["state_key"] = json!(format!("_{user}_{device}_m.call"));
        let member = state_event("m.room.member", user, &json!({"membership": "join"}));
        let keys = |device: &str| json!({"device_keys": {user: {device: {}}}});
        let verdict = |answer: Value| {
            let state = json!([member.clone(), event.clone()]);
            let export = Export::from_state(state).expect("a state").with_keys_query(answer).expect("keys");
            export.explain(&Policy::default(), None, Timestamp::from_millis(NOW_MS)).remove(0)
        };
        let listed = verdict(keys(device));
        assert_eq!((listed.verdict, listed.user_id.as_str()), ("active", user));
        assert_eq!(listed.device_id.as_deref(), Some(device));
        assert!(listed.anomalies.is_empty(), "{user}: {:?}", listed.anomalies);
        assert_eq!(verdict(keys("OTHER")).reason, Some("device_gone"), "{user} {device}");
    }
}

#[test]
fn a_file_is_read_whatever_its_editor_put_before_it() {
    let text = r#"[{"type": "é"}]"#;
    let units: Vec<u16> = std::iter::once(0xfeff).chain(text.encode_utf16()).collect();
    let expected = json!([{"type": "é"}]);
    for file in [
        text.as_bytes().to_vec(),
        [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ] {
        assert_eq!(json(&file).expect("JSON"), expected);
    }
    assert!(json(b"\xef\xbb\xbf").is_err());
    assert!(json(b"").is_err());
}
