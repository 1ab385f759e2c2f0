//! What stands in the rooms: the open memberships, what a room is called, and who may write there.
//!
//! The only part that opens and closes keys. It takes events in and says what that changed
//! ([`Taken`]); what follows from it is for others to decide. Empty keys pile up in every room for
//! ever, so only what is open is kept.

mod room_info;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey, UserId},
    rtc::{
        membership::{Content, FirstSeen, Form, Malformed, Membership, read},
        state_event::StateEvent,
    },
    time::Timestamp,
};
use serde_json::Value;

pub(in crate::janitor) use room_info::{RoomInfo, Told, Writers};

/// Rooms with more members than this are read key by key: the state of a room with 20,000 members is
/// 10 MB and more.
pub(in crate::janitor) const LARGE_ROOM: u64 = 2_000;

/// What is kept of an event with at least one open membership in it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::janitor) struct OpenEvent {
    pub(in crate::janitor) event_id: EventId,
    /// Its entries, in order; those that no client shows are named, and nothing more is kept of them.
    pub(in crate::janitor) entries: Vec<Result<Membership, Malformed>>,
    /// When its server says that it was sent.
    pub(in crate::janitor) sent: Timestamp,
    /// The content, for the record of a clear: there is no undo.
    content: Box<str>,
    /// The event that it replaced, where the server says so.
    pub(in crate::janitor) replaces: Option<EventId>,
    /// When it was first seen.
    pub(in crate::janitor) seen: Timestamp,
}

impl OpenEvent {
    /// The event with its memberships; `None` when nobody can be in it.
    pub(in crate::janitor) fn read(event: &StateEvent, seen: FirstSeen) -> Option<Self> {
        match read(event, seen) {
            Content::Entries(entries) if entries.iter().any(Result::is_ok) => Some(Self {
                event_id: event.event_id.clone(),
                entries,
                sent: event.origin_server_ts,
                content: event.content.to_string().into(),
                replaces: event.replaces_state.clone(),
                seen: seen.at,
            }),
            Content::Left | Content::Malformed(_) | Content::Entries(_) => None,
        }
    }

    pub(in crate::janitor) fn memberships(&self) -> impl Iterator<Item = &Membership> {
        self.entries.iter().flatten()
    }

    /// Whether each entry can be taken out by itself: the session form is one piece.
    pub(in crate::janitor) fn is_divisible(&self) -> bool {
        self.memberships().all(|membership| membership.form != Form::Session)
    }

    /// The content as JSON.
    pub(in crate::janitor) fn content(&self) -> Value {
        serde_json::from_str(&self.content).unwrap_or(Value::Null)
    }
}

/// Whether nobody is in an event.
pub(in crate::janitor) fn is_empty(event: &StateEvent) -> bool {
    let seen = FirstSeen { at: event.origin_server_ts, live: false };
    read(event, seen) == Content::Left
}

/// The open keys of one room.
pub(in crate::janitor) type OpenKeys = BTreeMap<StateKey, OpenEvent>;

/// How well a room's memberships are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum View {
    /// By sync alone, which may be wrong after the room's event graph has forked.
    #[default]
    Hearsay,
    /// By a full view of the current state, and what sync has brought since without a gap.
    Current,
}

#[derive(Debug, Default)]
struct Room {
    keys: OpenKeys,
    info: RoomInfo,
    view: View,
    /// Whether a membership event was ever seen there: a fork can hide a living key as well as invent a
    /// dead one.
    has_had_calls: bool,
    joined_members: Option<u64>,
    /// Whether its state was once too much to be read, however many members it has.
    is_too_large: bool,
}

/// What an event changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::janitor) enum Taken {
    /// The key holds this event now, which was not known.
    Opened,
    /// Nobody is in it any more; the event that was open before.
    Closed(EventId),
    /// Nothing that matters.
    Nothing,
}

/// All rooms the bot is in.
#[derive(Debug, Default)]
pub(in crate::janitor) struct Memory {
    rooms: BTreeMap<RoomId, Room>,
    /// Names by room, also of rooms that are not synced yet.
    names: BTreeMap<RoomId, Option<Box<str>>>,
    /// Rooms with at least one open key.
    with_calls: BTreeSet<RoomId>,
    /// Events that are known to be over, though a sync may show them again.
    over: HashMap<EventId, Timestamp>,
    open: usize,
}

impl Memory {
    pub(in crate::janitor) fn new(names: BTreeMap<RoomId, Option<String>>) -> Self {
        let names = names.into_iter().map(|(room, name)| (room, name.map(Into::into))).collect();
        Self { names, ..Self::default() }
    }

    /// Notes that the bot is in a room; true when it was not known to be.
    pub(in crate::janitor) fn add_room(&mut self, room: &RoomId) -> bool {
        if self.knows(room) {
            return false;
        }
        self.rooms.insert(room.clone(), Room::default());
        self.names.entry(room.clone()).or_default();
        true
    }

    /// Forgets a room; returns what was open there and what it was called.
    pub(in crate::janitor) fn remove_room(&mut self, room: &RoomId) -> (OpenKeys, Option<String>) {
        self.with_calls.remove(room);
        let keys = self.rooms.remove(room).map(|room| room.keys).unwrap_or_default();
        self.open -= keys.len();
        (keys, self.names.remove(room).flatten().map(String::from))
    }

    /// Whether the bot is in a room, as far as sync has told.
    pub(in crate::janitor) fn knows(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    /// Whether the bot was in a room at the last full view, also before this start.
    pub(in crate::janitor) fn knew(&self, room: &RoomId) -> bool {
        self.names.contains_key(room)
    }

    /// The rooms of an earlier start that a full view did not name.
    pub(in crate::janitor) fn not_among(&self, named: &BTreeSet<RoomId>) -> Vec<RoomId> {
        self.names.keys().filter(|room| !named.contains(*room)).cloned().collect()
    }

    /// A name for people, where there is one.
    pub(in crate::janitor) fn name_of(&self, room: &RoomId) -> Option<String> {
        self.names.get(room).cloned().flatten().map(String::from)
    }

    /// Takes over the name that the room's state gives; true when it is another than before.
    pub(in crate::janitor) fn rename(&mut self, room: &RoomId) -> bool {
        let shown = self.info(room).and_then(RoomInfo::shown).map(Into::into);
        let slot = self.names.entry(room.clone()).or_default();
        let changed = *slot != shown;
        *slot = shown;
        changed
    }

    pub(in crate::janitor) fn info(&self, room: &RoomId) -> Option<&RoomInfo> {
        self.rooms.get(room).map(|room| &room.info)
    }

    pub(in crate::janitor) fn info_mut(&mut self, room: &RoomId) -> Option<&mut RoomInfo> {
        self.rooms.get_mut(room).map(|room| &mut room.info)
    }

    /// What a room's state names as the number of its members, and whether that makes it large.
    pub(in crate::janitor) fn is_large(&self, room: &RoomId) -> bool {
        self.rooms.get(room).is_some_and(|room| {
            room.is_too_large || room.joined_members.is_some_and(|number| number > LARGE_ROOM)
        })
    }

    /// Notes that a room's state was too much to be read.
    pub(in crate::janitor) fn is_too_large(&mut self, room: &RoomId) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.is_too_large = true;
        }
    }

    pub(in crate::janitor) fn count_members(&mut self, room: &RoomId, joined: Option<u64>) {
        if let Some(room) = self.rooms.get_mut(room)
            && joined.is_some()
        {
            room.joined_members = joined;
        }
    }

    /// Takes in what stands under a key now.
    pub(in crate::janitor) fn take_in(
        &mut self,
        room: &RoomId,
        key: &StateKey,
        event: Option<OpenEvent>,
    ) -> Taken {
        let Some(slot) = self.rooms.get_mut(room) else { return Taken::Nothing };
        slot.has_had_calls = true;
        match event {
            Some(event) if self.over.contains_key(&event.event_id) => Taken::Nothing,
            Some(event) => {
                self.with_calls.insert(room.clone());
                if slot.keys.insert(key.clone(), event).is_none() {
                    self.open += 1;
                }
                Taken::Opened
            }
            None => match slot.keys.remove(key) {
                Some(before) => {
                    self.open -= 1;
                    if slot.keys.is_empty() {
                        self.with_calls.remove(room);
                    }
                    Taken::Closed(before.event_id)
                }
                None => Taken::Nothing,
            },
        }
    }

    /// Notes that an event is over, by a read of the current state or by an own write: a view of one
    /// branch of the room's graph that still shows it is not believed.
    pub(in crate::janitor) fn is_over(&mut self, event: &EventId, now: Timestamp) {
        self.over.insert(event.clone(), now);
    }

    /// Whether an event is known to be over.
    pub(in crate::janitor) fn was_over(&self, event: &EventId) -> bool {
        self.over.contains_key(event)
    }

    /// Forgets what was over before then.
    pub(in crate::janitor) fn forget_over(&mut self, before: Timestamp) {
        self.over.retain(|_, at| *at >= before);
    }

    /// Notes that a room's memberships were read from its current state.
    pub(in crate::janitor) fn is_current(&mut self, room: &RoomId) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.view = View::Current;
        }
    }

    /// Notes that a room is known by sync alone again: after a gap, or a read that contradicts.
    pub(in crate::janitor) fn doubt(&mut self, room: &RoomId) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.view = View::Hearsay;
        }
    }

    /// Whether a verdict may be made on what is known of a room.
    pub(in crate::janitor) fn may_judge(&self, room: &RoomId) -> bool {
        self.rooms.get(room).is_some_and(|room| room.view == View::Current || room.keys.is_empty())
    }

    /// Whether a room has had calls and is known by sync alone.
    pub(in crate::janitor) fn hearsay_of(&self, room: &RoomId) -> bool {
        self.rooms.get(room).is_some_and(|room| room.view == View::Hearsay && room.has_had_calls)
    }

    /// All such rooms.
    pub(in crate::janitor) fn hearsay(&self) -> Vec<RoomId> {
        let is_hearsay = |room: &Room| room.view == View::Hearsay && room.has_had_calls;
        self.rooms.iter().filter(|(_, room)| is_hearsay(room)).map(|(id, _)| id.clone()).collect()
    }

    /// Notes that a membership event was seen in a room, whatever it was.
    pub(in crate::janitor) fn has_had_calls(&mut self, room: &RoomId) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.has_had_calls = true;
        }
    }

    pub(in crate::janitor) fn rooms(&self) -> impl Iterator<Item = (&RoomId, &RoomInfo, &OpenKeys)> {
        self.rooms.iter().map(|(id, room)| (id, &room.info, &room.keys))
    }

    /// The open keys of one room.
    pub(in crate::janitor) fn keys(&self, room: &RoomId) -> Option<&OpenKeys> {
        self.rooms.get(room).map(|room| &room.keys)
    }

    /// Rooms with at least one open key.
    pub(in crate::janitor) fn with_calls(&self) -> &BTreeSet<RoomId> {
        &self.with_calls
    }

    /// How many rooms there are, and how many keys are open in them.
    pub(in crate::janitor) fn size(&self) -> (usize, usize) {
        (self.rooms.len(), self.open)
    }

    /// Every open event.
    pub(in crate::janitor) fn open(&self) -> impl Iterator<Item = (&RoomId, &StateKey, &OpenEvent)> {
        self.with_calls
            .iter()
            .filter_map(|id| Some((id, &self.rooms.get(id)?.keys)))
            .flat_map(|(id, keys)| keys.iter().map(move |(key, open)| (id, key, open)))
    }

    pub(in crate::janitor) fn get(&self, room: &RoomId, key: &StateKey) -> Option<&OpenEvent> {
        self.rooms.get(room)?.keys.get(key)
    }

    /// The key under which an event stands, if it is open.
    pub(in crate::janitor) fn key_of(&self, room: &RoomId, event: &EventId) -> Option<&StateKey> {
        let keys = &self.rooms.get(room)?.keys;
        keys.iter().find(|(_, open)| open.event_id == *event).map(|(key, _)| key)
    }

    pub(in crate::janitor) fn is_open(&self, room: &RoomId, key: &StateKey, event: &EventId) -> bool {
        self.get(room, key).is_some_and(|open| open.event_id == *event)
    }

    /// The keys that a full view of a room does not name: what it does not name is gone.
    pub(in crate::janitor) fn not_named(&self, room: &RoomId, named: &BTreeSet<&StateKey>) -> Vec<StateKey> {
        let keys = self.keys(room).into_iter().flatten();
        keys.map(|(key, _)| key).filter(|key| !named.contains(key)).cloned().collect()
    }

    /// Whether a user owns an open membership in a room.
    pub(in crate::janitor) fn owns(&self, room: &RoomId, user: &UserId) -> bool {
        let events = self.keys(room).into_iter().flat_map(BTreeMap::values);
        events.flat_map(OpenEvent::memberships).any(|membership| membership.owner.user == *user)
    }
}
