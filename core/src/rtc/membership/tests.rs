//! Times: what counts as the age, the start and the expiry of a membership.

use serde_json::json;

use super::*;
use crate::rtc::state_event::CALL_MEMBER;

const SEEN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A session sent this many milliseconds before the janitor saw it.
fn session(before: i64, live: bool, more: Value) -> Membership {
    let mut content = json!({
        "application": "m.call", "call_id": "", "device_id": "D", "focus_active": {"type": "livekit"},
    });
    if let (Value::Object(content), Value::Object(more)) = (&mut content, more) {
        content.extend(more);
    }
    let event = StateEvent::from_json(json!({
        "type": CALL_MEMBER, "state_key": "_@a:hs_D_m.call", "sender": "@a:hs", "event_id": "$e",
        "origin_server_ts": SEEN.as_millis() - before, "content": content,
    }))
    .expect("an event");
    let Content::Entries(mut entries) = read(&event, FirstSeen { at: SEEN, live }) else { unreachable!() };
    entries.remove(0).expect("a membership")
}

#[test]
fn what_arrives_live_is_as_old_as_the_time_since_though_its_servers_clock_is_slow() {
    let slow = session(5 * 3_600_000, true, json!({}));
    assert_eq!(slow.last_sign, SEEN);
    assert_eq!((slow.sent, slow.start), (SEEN.offset_millis(-18_000_000), SEEN.offset_millis(-18_000_000)));
    assert_eq!(slow.expires, SEEN.offset_millis(-3_600_000), "clients count from the event's own time");
    assert_eq!(slow.anomalies, []);
}

#[test]
fn what_was_found_on_arrival_is_as_old_as_it_says() {
    let old = session(5 * 3_600_000, false, json!({}));
    assert_eq!(old.last_sign, SEEN.offset_millis(-18_000_000));
}

#[test]
fn nothing_is_from_the_future() {
    for live in [true, false] {
        let early = session(-90_000, live, json!({"created_ts": SEEN.as_millis() + 60_000}));
        assert_eq!((early.sent, early.last_sign, early.start), (SEEN, SEEN, SEEN));
        assert_eq!(early.created, Some(SEEN), "replaced, not forgotten: it was no first event");
        assert_eq!(early.expires, SEEN + DEFAULT_EXPIRES);
        assert_eq!(early.anomalies, [Anomaly::TimestampInFuture], "once");
    }
}

#[test]
fn the_written_expires_is_kept_only_where_it_is_a_number() {
    for (expires, span, end) in [
        (json!(60_000), Some(60_000), 60_000),
        (json!(0), Some(0), 0),
        (json!(-1), Some(0), -1),
        (json!(null), None, 14_400_000),
        (json!("60000"), None, 14_400_000),
    ] {
        let membership = session(0, true, json!({"expires": expires}));
        assert_eq!(membership.expires_after, span.map(Duration::from_millis), "{expires}");
        assert_eq!(membership.expires, SEEN.offset_millis(end), "{expires}");
        assert_eq!(membership.anomalies.contains(&Anomaly::BadExpires), expires.is_string());
    }
}
