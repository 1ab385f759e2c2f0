//! The rooms the bot is in: which memberships are open there, what the room is called, and who may do
//! what in it. All that is kept of what sync brings.
//!
//! Empty keys pile up in every room for ever, so only what is open is remembered.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey, UserId},
    rtc::{
        membership::{Content, FirstSeen, Malformed, Membership, read},
        state_event::StateEvent,
        state_key::{Blocked, RoomPower},
    },
    time::Timestamp,
};
use serde_json::Value;

/// An event with at least one open membership in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OpenEvent {
    pub(super) event: StateEvent,
    pub(super) entries: Vec<Result<Membership, Malformed>>,
}

impl OpenEvent {
    /// The event with its memberships, `None` when nobody can be in it.
    pub(super) fn read(event: StateEvent, seen: FirstSeen) -> Option<Self> {
        match read(&event, seen) {
            Content::Entries(entries) if entries.iter().any(Result::is_ok) => Some(Self { event, entries }),
            Content::Left | Content::Malformed(_) | Content::Entries(_) => None,
        }
    }

    pub(super) fn memberships(&self) -> impl Iterator<Item = &Membership> {
        self.entries.iter().flatten()
    }
}

/// A room and its open memberships, by key.
pub(super) type OpenKeys = BTreeMap<StateKey, OpenEvent>;

/// What is known of a room beside its calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct About {
    pub(super) alias: Option<String>,
    pub(super) name: Option<String>,
    /// Content and sender of `m.room.create`, which never changes.
    pub(super) create: Option<(Value, UserId)>,
    /// Content of `m.room.power_levels`.
    pub(super) levels: Option<Value>,
    /// The room that a tombstone names.
    pub(super) successor: Option<RoomId>,
}

impl About {
    /// A name for people.
    pub(super) fn shown(&self) -> Option<&str> {
        self.alias.as_deref().or(self.name.as_deref())
    }

    /// Takes in what a state event says of the room; false when it is about something else.
    pub(super) fn take_in(&mut self, event: &StateEvent) -> bool {
        let text = |field: &str| {
            let text = event.content.get(field)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        if !event.state_key.as_str().is_empty() {
            return false;
        }
        match event.event_type.as_str() {
            "m.room.canonical_alias" => self.alias = text("alias"),
            "m.room.name" => self.name = text("name"),
            "m.room.create" => self.create = Some((event.content.clone(), event.sender.clone())),
            "m.room.power_levels" => self.levels = Some(event.content.clone()),
            "m.room.tombstone" => self.successor = text("replacement_room").map(RoomId::from),
            _ => return false,
        }
        true
    }

    /// Whether `user` has the power to clear what others may write; `None` where the room's creation is
    /// not known.
    pub(super) fn may_clear(&self, user: &UserId, now: Timestamp) -> Option<Result<(), Blocked>> {
        let (create, creator) = self.create.as_ref()?;
        let power = RoomPower::new(create, creator, self.levels.as_ref(), now);
        // Any key that is not bound to its owner.
        Some(power.may_write(user, &StateKey::from("_")))
    }
}

#[derive(Debug, Default)]
struct Room {
    keys: OpenKeys,
    about: About,
}

/// All rooms the bot is in.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    rooms: BTreeMap<RoomId, Room>,
}

impl Tracker {
    pub(super) fn add_room(&mut self, room: &RoomId) -> &mut OpenKeys {
        &mut self.room(room).keys
    }

    fn room(&mut self, room: &RoomId) -> &mut Room {
        if !self.knows(room) {
            self.rooms.insert(room.clone(), Room::default());
        }
        self.rooms.entry(room.clone()).or_default()
    }

    pub(super) fn knows(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    pub(super) fn about(&self, room: &RoomId) -> Option<&About> {
        self.rooms.get(room).map(|room| &room.about)
    }

    pub(super) fn about_mut(&mut self, room: &RoomId) -> &mut About {
        &mut self.room(room).about
    }

    pub(super) fn remove_room(&mut self, room: &RoomId) -> Option<OpenKeys> {
        self.rooms.remove(room).map(|room| room.keys)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = (&RoomId, &About, &OpenKeys)> {
        self.rooms.iter().map(|(id, room)| (id, &room.about, &room.keys))
    }

    /// Rooms with at least one open membership.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&RoomId, &OpenKeys)> {
        self.rooms().filter(|(.., keys)| !keys.is_empty()).map(|(room, _, keys)| (room, keys))
    }

    /// Every open event.
    pub(super) fn open(&self) -> impl Iterator<Item = (&RoomId, &StateKey, &OpenEvent)> {
        self.rooms().flat_map(|(room, _, keys)| keys.iter().map(move |(key, open)| (room, key, open)))
    }

    pub(super) fn get(&self, room: &RoomId, key: &StateKey) -> Option<&OpenEvent> {
        self.rooms.get(room)?.keys.get(key)
    }

    pub(super) fn remove(&mut self, room: &RoomId, key: &StateKey) -> Option<OpenEvent> {
        self.rooms.get_mut(room)?.keys.remove(key)
    }

    /// The key under which an event stands, if it is open.
    pub(super) fn key_of(&self, room: &RoomId, event: &EventId) -> Option<&StateKey> {
        let keys = &self.rooms.get(room)?.keys;
        keys.iter().find(|(_, open)| open.event.event_id == *event).map(|(key, _)| key)
    }

    pub(super) fn is_open(&self, room: &RoomId, key: &StateKey, event: &EventId) -> bool {
        self.get(room, key).is_some_and(|open| open.event.event_id == *event)
    }
}
