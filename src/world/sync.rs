//! What one step of the watch connection brings, as values.

use std::{fmt, sync::Arc};

use matrix_sdk::bytes::Bytes;
use rtc_janitor_core::{
    ids::{EventId, RoomId, UserId},
    rtc::{state_event::StateEvent, sticky::StickyEvent},
};

use super::ServerAbilities;

/// What one answer says, reduced to what the janitor watches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncBatch {
    /// Whether this is a view of everything (no since token): what it does not name does not exist.
    pub full: bool,
    /// Whether the state in it is the server's current one. `/sync` v2 does not promise that: where a
    /// room's event graph has forked, its full view names keys that are long gone and hides others.
    pub is_current: bool,
    /// Rooms the bot is in, with the state events that came, oldest first.
    pub joined: JoinedRooms,
    /// Invitations that are open.
    pub invited: Vec<Invite>,
    /// Rooms the bot is no longer in: left, kicked or banned. A full view may name some of old.
    pub left: Vec<LeftRoom>,
    /// Where the next request goes on.
    pub next_batch: String,
    /// What the server can do; comes with a view of everything.
    pub abilities: Option<ServerAbilities>,
}

/// What came for one joined room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomUpdate {
    /// The room.
    pub room_id: RoomId,
    /// State events of the watched types, oldest first. A full view leaves out what others have emptied:
    /// a key that it does not name is not open.
    pub events: Vec<StateEvent>,
    /// Events that were redacted; redaction is no state change, so the membership comes no other way.
    pub redacted: Vec<EventId>,
    /// Sticky events that may put somebody into a call, oldest first.
    pub sticky: Vec<StickyEvent>,
    /// Whether something between the last answer and this one was left out: the state that is given may
    /// not be the whole change.
    pub limited: bool,
    /// Whether a key that somebody else has emptied was left out: the room has had calls.
    pub had_memberships: bool,
    /// How many are in the room, where the server says it: a change of it is a hint that an owner left.
    pub joined_members: Option<u64>,
}

impl RoomUpdate {
    /// An update that brings these state events and nothing else.
    pub fn new(room_id: RoomId, events: Vec<StateEvent>) -> Self {
        Self {
            room_id,
            events,
            redacted: Vec::new(),
            sticky: Vec::new(),
            limited: false,
            had_memberships: false,
            joined_members: None,
        }
    }
}

/// The joined rooms of an answer. Those of a real answer are read one by one as they are taken, so
/// that the events of 100,000 rooms never exist all at once: only the text they are in does.
#[derive(Clone, Default)]
pub struct JoinedRooms(Rooms);

#[derive(Clone)]
enum Rooms {
    Read(Vec<RoomUpdate>),
    Unread { rooms: Vec<(RoomId, Bytes)>, read: ReadRoom },
}

/// Reads what an answer says of one room.
pub(crate) type ReadRoom = Arc<dyn Fn(RoomId, &[u8]) -> RoomUpdate + Send + Sync>;

impl Default for Rooms {
    fn default() -> Self {
        Self::Read(Vec::new())
    }
}

impl JoinedRooms {
    /// Rooms with the text that an answer has of each, and how to read it.
    pub(crate) fn unread(rooms: Vec<(RoomId, Bytes)>, read: ReadRoom) -> Self {
        Self(Rooms::Unread { rooms, read })
    }

    /// How many there are; reads nothing.
    pub fn len(&self) -> usize {
        match &self.0 {
            Rooms::Read(rooms) => rooms.len(),
            Rooms::Unread { rooms, .. } => rooms.len(),
        }
    }

    /// Whether there is none; reads nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which they are; reads nothing.
    pub fn ids(&self) -> impl Iterator<Item = &RoomId> {
        let (read, unread) = match &self.0 {
            Rooms::Read(rooms) => (&rooms[..], &[][..]),
            Rooms::Unread { rooms, .. } => (&[][..], &rooms[..]),
        };
        read.iter().map(|update| &update.room_id).chain(unread.iter().map(|(room, _)| room))
    }

    /// Reads each in turn, and keeps them to be read again.
    pub fn iter(&self) -> impl Iterator<Item = RoomUpdate> {
        self.clone().into_iter()
    }
}

impl From<Vec<RoomUpdate>> for JoinedRooms {
    fn from(rooms: Vec<RoomUpdate>) -> Self {
        Self(Rooms::Read(rooms))
    }
}

impl IntoIterator for JoinedRooms {
    type Item = RoomUpdate;
    type IntoIter = Box<dyn Iterator<Item = RoomUpdate> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        match self.0 {
            Rooms::Read(rooms) => Box::new(rooms.into_iter()),
            Rooms::Unread { rooms, read } => {
                Box::new(rooms.into_iter().map(move |(room, text)| read(room, &text)))
            }
        }
    }
}

/// By what is in them.
impl PartialEq for JoinedRooms {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for JoinedRooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An open invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The room one is invited to.
    pub room_id: RoomId,
    /// Who invites; `None` when the server did not say.
    pub inviter: Option<UserId>,
}

/// A room the bot has been taken out of, or has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftRoom {
    /// The room.
    pub room_id: RoomId,
    /// Who removed the bot; the bot itself when it left.
    pub by: Option<UserId>,
    /// The reason given.
    pub reason: Option<String>,
    /// Whether it is a ban.
    pub banned: bool,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn rooms_are_counted_and_named_without_reading_them_and_read_as_they_are_taken() {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let reader = move |room, text: &[u8]| {
            counted.fetch_add(1, Ordering::Relaxed);
            RoomUpdate { joined_members: Some(text.len() as u64), ..RoomUpdate::new(room, Vec::new()) }
        };
        let body = Bytes::from_static(b"aabbb");
        let rooms = vec![("!a".into(), body.slice(..2)), ("!b".into(), body.slice(2..))];
        let joined = JoinedRooms::unread(rooms, Arc::new(reader));

        assert_eq!((joined.len(), joined.is_empty()), (2, false));
        assert_eq!(joined.ids().map(RoomId::as_str).collect::<Vec<_>>(), ["!a", "!b"]);
        assert_eq!(read.load(Ordering::Relaxed), 0);

        let mut updates = joined.into_iter();
        assert_eq!(updates.next().unwrap().joined_members, Some(2));
        assert_eq!(read.load(Ordering::Relaxed), 1);
        assert_eq!(updates.next().unwrap().joined_members, Some(3));
        assert_eq!(updates.next(), None);
    }
}
