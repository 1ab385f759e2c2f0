//! What is kept of a room's power answers as its events do.

use proptest::{prelude::*, sample::select};
use serde_json::{Map, json};

use super::*;

const USERS: [&str; 4] = ["@bot:hs", "@mod:hs", "@creator:hs", "@new:hs"];

/// The rules as they read the events themselves, whenever they are asked.
struct Events<'a> {
    version: &'a str,
    creators: &'a [&'a str],
    levels: Option<&'a Value>,
}

impl Events<'_> {
    fn level(&self, path: [&str; 2]) -> Option<i64> {
        let value = self.levels?.get(path[0])?;
        level(if path[1].is_empty() { value } else { value.get(path[1])? })
    }

    fn power(&self, user: &str) -> (bool, i64) {
        if creators_are_privileged(self.version) && self.creators.contains(&user) {
            return (true, 0);
        }
        if self.levels.is_none_or(Value::is_null) {
            return (false, if user == self.creators[0] { 100 } else { 0 });
        }
        let own = self.level(["users", user]).or_else(|| self.level(["users_default", ""]));
        (false, own.unwrap_or(0))
    }

    fn may_write(&self, writer: &str, key: &str) -> bool {
        let own = self.level(["events", CALL_MEMBER]).or_else(|| self.level(["state_default", ""]));
        let has = self.power(writer);
        let owner = state_key::user(&key.into()).map(str::to_owned);
        has >= (false, own.unwrap_or(50))
            && (!key.starts_with('@')
                || key == writer
                || (self.version.starts_with("org.matrix.msc3757.")
                    && owner.is_some_and(|owner| owner == writer || has > self.power(&owner))))
    }

    fn may_say(&self, user: &str, kind: &str) -> bool {
        let own = self.level(["events", kind]).or_else(|| self.level(["events_default", ""]));
        self.power(user) >= (false, own.unwrap_or(0))
    }

    fn may_redact(&self, user: &str) -> bool {
        self.may_say(user, "m.room.redaction")
            && self.power(user) >= (false, self.level(["redact", ""]).unwrap_or(50))
    }
}

fn a_level() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => select(vec![0, 1, 49, 50, 51, 100]).prop_map(|level: i64| json!(level)),
        1 => select(vec![json!("50"), json!(" 7 "), json!("x"), json!(null), json!(49.9), json!([])]),
    ]
}

fn levels() -> impl Strategy<Value = Option<Value>> {
    let map = |keys: Vec<&'static str>| {
        let entries = prop::collection::vec((select(keys), a_level()), 0..4);
        entries.prop_map(|entries| {
            Value::Object(entries.into_iter().map(|(key, level)| (key.to_owned(), level)).collect())
        })
    };
    let fields = ["users_default", "state_default", "events_default", "redact"];
    let plain = prop::collection::vec((select(fields.to_vec()), a_level()), 0..4);
    let users = prop_oneof![9 => map(USERS.to_vec()), 1 => Just(json!(null))];
    let events = map(vec![CALL_MEMBER, "m.room.redaction", "m.room.message"]);
    let content =
        (plain, prop::option::of(users), prop::option::of(events)).prop_map(|(plain, users, events)| {
            let mut content: Map<_, _> =
                plain.into_iter().map(|(key, level)| (key.to_owned(), level)).collect();
            content.extend(users.map(|users| ("users".to_owned(), users)));
            content.extend(events.map(|events| ("events".to_owned(), events)));
            Value::Object(content)
        });
    prop_oneof![1 => Just(None), 1 => Just(Some(Value::Null)), 8 => content.prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_of_a_room_answers_as_its_events_do(
        version in select(vec!["1", "10", "11", "12", "org.matrix.msc3757.11", "org.matrix.hydra.11", "odd"]),
        levels in levels(),
        user in select(USERS.to_vec()),
        key in select(vec!["_@mod:hs_D", "@mod:hs", "@bot:hs", "@new:hs_D", "@", "_"]),
    ) {
        let events = Events { version, creators: &["@creator:hs", "@mod:hs"], levels: levels.as_ref() };
        let create = json!({"room_version": version, "additional_creators": ["@mod:hs"]});
        let power = RoomPower::new(&create, &"@creator:hs".into(), levels.as_ref(), Timestamp::from_millis(0));
        let id = UserId::from(user);
        prop_assert_eq!(power.may_write(&id, &key.into()).is_ok(), events.may_write(user, key));
        prop_assert_eq!(power.may_redact(&id), events.may_redact(user));
        for kind in ["m.room.message", "m.reaction"] {
            prop_assert_eq!(power.may_say(&id, kind), events.may_say(user, kind));
        }
        let own = power.clone().for_user(&id);
        prop_assert_eq!(own.may_write(&id, &key.into()), power.may_write(&id, &key.into()));
        prop_assert_eq!(own.may_redact(&id), power.may_redact(&id));
        for other in USERS {
            let other = UserId::from(other);
            let (by_own, by_all) = (own.may_write(&other, &key.into()), power.may_write(&other, &key.into()));
            prop_assert!(by_own.is_err() || by_all.is_ok(), "what was dropped opens no door");
        }
        let is_acted_for = |name: &UserId| name.as_str().starts_with("@m");
        let kept = power.clone().for_writers(&id, Some(&is_acted_for));
        for writer in USERS.map(UserId::from).iter().filter(|name| **name == id || is_acted_for(name)) {
            prop_assert_eq!(kept.may_write(writer, &key.into()), power.may_write(writer, &key.into()));
        }
    }
}

#[test]
fn what_is_kept_for_one_user_does_not_grow_with_the_others() {
    let users: Map<_, _> = (0..5000).map(|n| (format!("@u{n}:hs"), json!(50))).collect();
    let levels = json!({"users": users, "events": {"m.room.name": 50}});
    let create = json!({"room_version": "11"});
    let power = RoomPower::new(&create, &"@creator:hs".into(), Some(&levels), Timestamp::from_millis(0));
    let own = power.for_user(&"@u7:hs".into());
    assert_eq!((own.users.len(), own.events.len(), own.creators.len()), (1, 0, 0));
    assert_eq!(own.level_of(&"@u7:hs".into()), 50);
}
