//! Which memberships are open, by room: all that is kept of what sync brings.
//!
//! Empty keys pile up in every room for ever, so only what is open is remembered.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    rtc::{
        membership::{Content, FirstSeen, Malformed, Membership, read},
        state_event::StateEvent,
    },
};

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

/// All rooms the bot is in.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    rooms: BTreeMap<RoomId, OpenKeys>,
}

impl Tracker {
    pub(super) fn add_room(&mut self, room: &RoomId) -> &mut OpenKeys {
        if !self.knows(room) {
            self.rooms.insert(room.clone(), OpenKeys::new());
        }
        self.rooms.entry(room.clone()).or_default()
    }

    pub(super) fn knows(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    pub(super) fn remove_room(&mut self, room: &RoomId) -> Option<OpenKeys> {
        self.rooms.remove(room)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.keys()
    }

    /// Rooms with at least one open membership.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&RoomId, &OpenKeys)> {
        self.rooms.iter().filter(|(_, keys)| !keys.is_empty())
    }

    /// Every open event.
    pub(super) fn open(&self) -> impl Iterator<Item = (&RoomId, &StateKey, &OpenEvent)> {
        self.rooms.iter().flat_map(|(room, keys)| keys.iter().map(move |(key, open)| (room, key, open)))
    }

    pub(super) fn get(&self, room: &RoomId, key: &StateKey) -> Option<&OpenEvent> {
        self.rooms.get(room)?.get(key)
    }

    pub(super) fn remove(&mut self, room: &RoomId, key: &StateKey) -> Option<OpenEvent> {
        self.rooms.get_mut(room)?.remove(key)
    }

    /// The key under which an event stands, if it is open.
    pub(super) fn key_of(&self, room: &RoomId, event: &EventId) -> Option<&StateKey> {
        self.rooms.get(room)?.iter().find(|(_, open)| open.event.event_id == *event).map(|(key, _)| key)
    }

    pub(super) fn is_open(&self, room: &RoomId, key: &StateKey, event: &EventId) -> bool {
        self.get(room, key).is_some_and(|open| open.event.event_id == *event)
    }
}
