//! Everything the fake knows: rooms with their current state, the log that `/sync` reads, people's devices.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    account::Account,
    event::{Event, Replaced},
    fork::Fork,
    request::Caller,
    residents::Residents,
};
use crate::{CALL_MEMBER, clock};

/// The part after the colon of all its ids.
pub(super) const SERVER: &str = "fake.test";
/// The one account that signs in.
pub(super) const BOT: &str = "@rtc-janitor:fake.test";
/// Who may give commands, and who made all rooms.
pub(super) const ADMIN: &str = "@admin:fake.test";
/// The admin room.
pub(super) const ADMIN_ROOM: &str = "!adminroom:fake.test";
/// Whose token may use the admin API; in no room.
pub(super) const SERVER_ADMIN: &str = "@server-admin:fake.test";
pub(super) const ADMIN_TOKEN: &str = "the-server-admin";
/// The appservice's own user.
pub(super) const APPSERVICE: &str = "@appservice:fake.test";
pub(super) const APPSERVICE_TOKEN: &str = "the-appservice";
pub(super) const MEMBER: &str = "m.room.member";
pub(super) const CREATE: &str = "m.room.create";
pub(super) const POWER_LEVELS: &str = "m.room.power_levels";
pub(super) const JOIN_RULES: &str = "m.room.join_rules";

/// How the bot stands to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Joined,
    Invited,
    /// Left, banned or never there.
    Out,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: Arc<str>,
    /// The current state, by type and key.
    pub(super) state: BTreeMap<(Cow<'static, str>, Arc<str>), Arc<Event>>,
    pub(super) standing: Standing,
    /// What `/sync` tells otherwise.
    pub(super) fork: Option<Fork>,
    /// Where the log stood at its last event: rooms are listed by it in sliding sync.
    pub(super) bumped: usize,
}

impl Room {
    pub(super) fn get(&self, kind: &str, key: &str) -> Option<&Arc<Event>> {
        self.state.get(&(known(kind), Arc::from(key)))
    }

    /// Whether this user may send state of this type, by the power levels alone.
    pub(super) fn has_power(&self, user: &str, kind: &str) -> bool {
        let levels = self.get(POWER_LEVELS, "").map(|event| event.content()).unwrap_or_default();
        let needed = levels["events"][kind].as_i64().or(levels["state_default"].as_i64()).unwrap_or(50);
        level_of(&levels, user) >= needed
    }

    /// Whether this user may redact what others have sent.
    pub(super) fn may_redact(&self, user: &str) -> bool {
        let levels = self.get(POWER_LEVELS, "").map(|event| event.content()).unwrap_or_default();
        level_of(&levels, user) >= levels["redact"].as_i64().unwrap_or(50)
    }

    /// What this user is to the room; empty for nothing.
    pub(super) fn membership(&self, user: &str) -> String {
        let event = self.get(MEMBER, user).map(|event| event.content()).unwrap_or_default();
        event["membership"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether this user is in it.
    pub(super) fn has_joined(&self, user: &str) -> bool {
        if user == BOT { self.standing == Standing::Joined } else { self.membership(user) == "join" }
    }
}

fn level_of(levels: &Value, user: &str) -> i64 {
    levels["users"][user].as_i64().or(levels["users_default"].as_i64()).unwrap_or(0)
}

/// A type of which there are many, without an allocation for each.
pub(super) fn known(kind: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 5] = [CALL_MEMBER, MEMBER, "m.room.create", "m.room.power_levels", "m.room.name"];
    KNOWN.iter().find(|name| **name == kind).map_or_else(|| kind.to_owned().into(), |name| (*name).into())
}

/// The whole of it.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) rooms: Vec<Room>,
    pub(super) by_id: HashMap<Arc<str>, usize>,
    /// Alias to room id.
    pub(super) aliases: HashMap<String, String>,
    /// Every event since the start with the room it is in; a sync token is a place in it.
    pub(super) log: Vec<(usize, Arc<Event>)>,
    /// Who has an account, but for the bot.
    pub(super) residents: Residents,
    /// Whether the bot may use the admin API.
    pub(super) bot_is_admin: bool,
    /// Tokens of another generation are not known.
    pub(super) generation: u32,
    /// Whether `/versions` offers MSC4186, and its endpoint answers.
    pub(super) sliding_sync: bool,
    /// Rooms that each connection of sliding sync has been told of.
    pub(super) told: HashMap<String, std::collections::HashSet<usize>>,
    /// Rooms of which the next incremental `/sync` is to say that it left something out.
    pub(super) limited: std::collections::HashSet<usize>,
    pub(super) account: Account,
    /// What `/.well-known/matrix/client` says.
    pub(super) well_known: Value,
    events: u64,
}

impl World {
    /// Whose a token is, and of which of the bot's devices.
    pub(super) fn who(&self, token: &str) -> (Caller, String) {
        match token {
            ADMIN_TOKEN => (Caller::ServerAdmin, String::new()),
            APPSERVICE_TOKEN => (Caller::Appservice, String::new()),
            _ => match self.account.device_of(token) {
                Some(device) => (Caller::Device, device),
                None => (Caller::Nobody, String::new()),
            },
        }
    }

    pub(super) fn room(&self, id: &str) -> Option<&Room> {
        self.by_id.get(id).map(|index| &self.rooms[*index])
    }

    /// Adds an empty room that nobody is told of.
    pub(super) fn add_room(&mut self, id: &str) -> usize {
        let (id, index) = (Arc::<str>::from(id), self.rooms.len());
        self.by_id.insert(Arc::clone(&id), index);
        let bumped = self.log.len();
        let state = BTreeMap::new();
        self.rooms.push(Room { id, state, standing: Standing::Out, fork: None, bumped });
        index
    }

    fn next_number(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// Puts a state event into the current state without telling anybody: what was there before the start.
    pub(super) fn lay(
        &mut self,
        room: usize,
        kind: &str,
        key: &str,
        sender: &Arc<str>,
        at_ms: i64,
        content: &Arc<str>,
    ) -> Arc<Event> {
        let number = self.next_number();
        let key: Arc<str> = key.into();
        let place = (known(kind), Arc::clone(&key));
        let replaced = self.rooms[room]
            .state
            .get(&place)
            .map(|old| Replaced { number: old.number, sender: Arc::clone(&old.sender) });
        let event = Arc::new(Event {
            number,
            kind: place.0.clone(),
            state_key: Some(Arc::clone(&key)),
            sender: Arc::clone(sender),
            at_ms,
            content: Arc::clone(content),
            replaced,
            transaction: None,
            redaction: None,
        });
        if kind == MEMBER && &*key == BOT {
            self.rooms[room].standing = match event.content()["membership"].as_str() {
                Some("join") => Standing::Joined,
                Some("invite") => Standing::Invited,
                _ => Standing::Out,
            };
        }
        self.rooms[room].state.insert(place, Arc::clone(&event));
        event
    }

    /// A new state event that everybody is told of.
    pub(super) fn put(
        &mut self,
        room: usize,
        kind: &str,
        key: &str,
        sender: &str,
        content: &Value,
    ) -> Arc<Event> {
        self.put_at(room, kind, key, sender, clock::now().timestamp_millis(), content)
    }

    /// The same with another `origin_server_ts`.
    pub(super) fn put_at(
        &mut self,
        room: usize,
        kind: &str,
        key: &str,
        sender: &str,
        at_ms: i64,
        content: &Value,
    ) -> Arc<Event> {
        let event = self.lay(room, kind, key, &sender.into(), at_ms, &content.to_string().into());
        self.tell(room, Arc::clone(&event));
        event
    }

    /// A new event that is no state.
    pub(super) fn send(
        &mut self,
        room: usize,
        kind: &str,
        sender: &str,
        content: &Value,
        transaction: Option<String>,
    ) -> Arc<Event> {
        let event = Arc::new(Event {
            number: self.next_number(),
            kind: kind.to_owned().into(),
            state_key: None,
            sender: sender.into(),
            at_ms: clock::now().timestamp_millis(),
            content: content.to_string().into(),
            replaced: None,
            transaction,
            redaction: None,
        });
        self.tell(room, Arc::clone(&event));
        event
    }

    /// Takes its content from an event that everybody goes on seeing: state stays set, by the same event.
    pub(super) fn empty(&mut self, room: usize, number: u64, redaction: &Arc<Event>) {
        let empty = |event: &mut Arc<Event>| {
            let mut emptied = Event::clone(event);
            emptied.content = "{}".into();
            emptied.redaction = Some(Arc::clone(redaction));
            *event = Arc::new(emptied);
        };
        self.rooms[room].state.values_mut().filter(|event| event.number == number).for_each(empty);
        let logged = self.log.iter_mut().filter(|(of, event)| *of == room && event.number == number);
        logged.map(|(_, event)| event).for_each(empty);
    }

    fn tell(&mut self, room: usize, event: Arc<Event>) {
        self.log.push((room, event));
        self.rooms[room].bumped = self.log.len();
    }

    /// Sets what a user is to a room: `join`, `leave`, `invite`, `ban`.
    pub(super) fn set_member(&mut self, room: usize, user: &str, by: &str, membership: &str) {
        self.put(room, MEMBER, user, by, &json!({"membership": membership, "displayname": user}));
    }
}
