//! Keys and who may write them, held to what Synapse 1.163 was measured to answer.

use serde_json::{Value, json};

use super::*;
use crate::{rtc::state_event::CALL_MEMBER, time::Timestamp};

#[test]
fn a_key_names_its_user() {
    for (key, expected) in [
        ("_@alice:hs_DEV", Some("@alice:hs")),
        ("_@alice:hs_DEV_m.call", Some("@alice:hs")),
        ("@alice:hs", Some("@alice:hs")),
        ("@alice:hs_DEV_m.call", Some("@alice:hs")),
        ("_@alice:hs", Some("@alice:hs")),
        ("_@alice:hs_", Some("@alice:hs")),
        ("_@al_i_ce:hs_D_E_V_m.call", Some("@al_i_ce:hs")),
        ("_@_:hs_DEV", Some("@_:hs")),
        ("_@alice:hs:8448_DEV", Some("@alice:hs:8448")),
        ("_@alice:[::1]_DEV", Some("@alice:[::1]")),
        ("_@alice:[2001:db8::1]:8448_DEV_m.call", Some("@alice:[2001:db8::1]:8448")),
        ("_@alice:192.0.2.1:80_DEV", Some("@alice:192.0.2.1:80")),
        ("_@alice:hs_DEV:with:colons", Some("@alice:hs")),
        // Server names hold no underscore; ruma cuts them here too.
        ("_@alice:my_hs.org_DEV", Some("@alice:my")),
        ("_@ürsula:hs_DÉV", Some("@ürsula:hs")),
        ("__@alice:hs_DEV", None),
        ("_alice:hs_DEV", None),
        ("alice", None),
        ("@alice", None),
        ("_@alice_DEV", None),
        ("_", None),
        ("@", None),
        ("", None),
    ] {
        assert_eq!(user(&key.into()), expected, "{key:?}");
    }
}

const BOT: &str = "@bot:hs";

fn power(version: &str, levels: Option<&Value>) -> RoomPower {
    let create = json!({"room_version": version});
    RoomPower::new(&create, &"@creator:hs".into(), levels, Timestamp::from_millis(0))
}

fn may(power: &RoomPower, key: &str) -> Result<(), Blocked> {
    power.may_write(&BOT.into(), &key.into())
}

/// The answers of Synapse 1.163 to `PUT {}`: 200, "You are not allowed to set others state" (A),
/// "You don't have permission to post that to the room" (B).
fn answer(result: Result<(), Blocked>) -> &'static str {
    match result {
        Ok(()) => "200",
        Err(Blocked::OnlyItsOwner | Blocked::OwnerHasAsMuchPower) => "A",
        Err(Blocked::NotEnoughPower { .. }) => "B",
        Err(Blocked::NotAUserKey | Blocked::NotInTheRoom | Blocked::AppserviceAway) => "other",
    }
}

#[test]
fn ordinary_rooms_answer_as_they_were_measured_to() {
    let keys = ["_@alice:hs_DEV", "_@alice:hs_DEV_m.call", "@alice:hs_DEV", "@alice:hs"];
    for version in ["9", "10", "11", "12"] {
        for (bot, events, expected) in [
            (50, json!({}), ["200", "200", "A", "A"]),
            (50, json!({CALL_MEMBER: 0}), ["200", "200", "A", "A"]),
            (0, json!({}), ["B", "B", "B", "B"]),
            (0, json!({CALL_MEMBER: 0}), ["200", "200", "A", "A"]),
            (100, json!({CALL_MEMBER: 0}), ["200", "200", "A", "A"]),
        ] {
            let levels = json!({"users": {BOT: bot}, "events": events, "state_default": 50});
            let power = power(version, Some(&levels));
            let answers = keys.map(|key| answer(may(&power, key)));
            assert_eq!(answers, expected, "version {version}, power {bot}, events {events}");
        }
    }
}

#[test]
fn rooms_with_msc3757_answer_as_they_were_measured_to() {
    for version in ["org.matrix.msc3757.10", "org.matrix.msc3757.11"] {
        for (carol, bot, expected) in
            [(0, 50, "200"), (50, 50, "A"), (50, 100, "200"), (100, 50, "A"), (0, 0, "A")]
        {
            let levels = json!({"users": {BOT: bot, "@carol:hs": carol}, "events": {CALL_MEMBER: 0}});
            let power = power(version, Some(&levels));
            for key in ["@carol:hs", "@carol:hs_DEV_m.call"] {
                assert_eq!(answer(may(&power, key)), expected, "{version}: {bot} over {carol}, {key}");
            }
            assert_eq!(may(&power, "_@carol:hs_DEV_m.call"), Ok(()), "as ever");
            assert_eq!(may(&power, "@garbage"), Err(Blocked::NotAUserKey));
            assert_eq!(may(&power, BOT), Ok(()), "its own");
            assert_eq!(may(&power, "@bot:hs_DEV_m.call"), Ok(()), "its own");
        }
    }
}

#[test]
fn the_power_that_is_missing_is_told() {
    let power = power("11", Some(&json!({"users": {BOT: 49}})));
    assert_eq!(may(&power, "_@alice:hs_DEV"), Err(Blocked::NotEnoughPower { has: 49, needs: 50 }));
    assert_eq!(may(&power, "@alice:hs"), Err(Blocked::NotEnoughPower { has: 49, needs: 50 }));
}

#[test]
fn creators_are_above_every_number_from_version_12_on() {
    let levels = json!({"users": {BOT: 0}, "events": {CALL_MEMBER: i64::MAX}});
    for (version, privileged) in [
        ("1", false),
        ("11", false),
        ("12", true),
        ("13", true),
        ("org.matrix.hydra.11", true),
        ("org.matrix.msc4242.12", true),
        ("org.matrix.msc3757.11", false),
        ("com.example.new", false),
    ] {
        let now = Timestamp::from_millis(0);
        let create = json!({"room_version": version});
        let first = RoomPower::new(&create, &BOT.into(), Some(&levels), now);
        assert_eq!(may(&first, "_@a:hs_D").is_ok(), privileged, "{version}: its creator");
        let create = json!({"room_version": version, "additional_creators": [BOT]});
        let second = RoomPower::new(&create, &"@creator:hs".into(), Some(&levels), now);
        assert_eq!(may(&second, "_@a:hs_D").is_ok(), privileged, "{version}: an additional creator");
    }
}

#[test]
fn who_may_speak_is_told_by_the_type_of_the_message() {
    let levels = |events: Value, default: Value| json!({"users": {BOT: 10}, "events": events, "events_default": default});
    for (events, default, may) in [
        (json!({}), json!(10), true),
        (json!({}), json!(11), false),
        (json!({}), Value::Null, true),
        (json!({"m.room.message": 11}), json!(0), false),
        (json!({"m.room.message": 10}), json!(100), true),
        (json!({"m.room.encrypted": 11}), json!(0), true),
    ] {
        let levels = levels(events, default);
        assert_eq!(power("11", Some(&levels)).may_say(&BOT.into(), "m.room.message"), may, "{levels}");
    }
    assert!(power("11", None).may_say(&BOT.into(), "m.room.message"));
}

#[test]
fn a_level_that_is_no_level_is_as_if_it_were_not_there() {
    for (levels, needs) in [
        (json!({}), 50),
        (json!({"state_default": 30}), 30),
        (json!({"state_default": "30"}), 30),
        (json!({"state_default": null}), 50),
        (json!({"events": {CALL_MEMBER: "-7"}}), -7),
        (json!({"events": {CALL_MEMBER: [1]}, "state_default": 20}), 20),
        (json!({"events": 3}), 50),
        (json!([]), 50),
        (json!("50"), 50),
        (Value::Null, 50),
    ] {
        assert_eq!(power("9", Some(&levels)).membership_level(), needs, "{levels}");
    }
    assert_eq!(power("9", None).membership_level(), 50, "Synapse asks for 50 even then");
}
