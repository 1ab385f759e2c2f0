//! The outside: one port per neighbour, with its real implementation beside it.
//!
//! Everything that reaches the network, the disk or the clock is here, and nothing here decides
//! anything. A neighbour that fails says so as data ([`NeighbourError`]); what follows from that is
//! for the janitor to say.

use std::time::Duration;

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey, UserId},
    rtc::{
        membership::Remainder,
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};

pub mod abilities;
pub mod appservice;
pub(crate) mod backoff;
pub mod chat;
pub mod chat_events;
pub mod clock;
pub mod device_lists;
pub mod dry_run;
pub mod error;
pub mod homeserver;
pub mod journal;
pub mod livekit;
pub mod room_view;
pub mod store;
pub mod synapse_admin;
pub mod sync;
pub mod writer;

pub use abilities::ServerAbilities;
pub use chat_events::{EventBatch, Post, RoomEvent, RoomEventKind, Standing, Trust};
pub use error::NeighbourError;
pub use room_view::RoomView;
/// Something to say to people, in both forms.
pub use rtc_janitor_core::render::Message;
pub use sync::{Invite, JoinedRooms, LeftRoom, RoomUpdate, SyncBatch};

/// Reading rooms, and being in them. Every call is a fresh request; nothing is cached here.
#[async_trait]
pub trait Rooms: Send + Sync {
    /// The current state event under a type and key, with its event id
    /// (`GET /rooms/{room}/state/{type}/{key}?format=event`); `None` when there is none (404
    /// `M_NOT_FOUND`).
    async fn state_event(
        &self,
        room: &RoomId,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<StateEvent>, NeighbourError>;

    /// All that matters of the room's current state, in one request (`GET /rooms/{room}/state`).
    ///
    /// # Errors
    ///
    /// [`NeighbourError::NotInRoom`] when the bot is not in the room, also where the server goes on
    /// answering with the state of when it was; [`NeighbourError::TooLarge`] for a room with too much
    /// state to be read at once, which is to be read key by key.
    async fn full_view(&self, room: &RoomId) -> Result<RoomView, NeighbourError>;

    /// One event by its id, also one that was replaced since (`GET /rooms/{room}/event/{id}`); `None`
    /// when there is none, or none that is a state event.
    async fn event(&self, room: &RoomId, event: &EventId) -> Result<Option<StateEvent>, NeighbourError>;

    /// What the homeserver's clock says (`Date` of an answer), in whole seconds.
    async fn server_time(&self) -> Result<Timestamp, NeighbourError>;

    /// Every membership event of [`Rooms::full_view`].
    async fn memberships(&self, room: &RoomId) -> Result<Vec<StateEvent>, NeighbourError> {
        let mut events = self.full_view(room).await?.events;
        events.retain(|event| event.event_type == CALL_MEMBER);
        Ok(events)
    }

    /// The room that an alias leads to, `None` when there is no such alias. An alias can be moved to
    /// another room, so it is resolved once and the id kept.
    async fn resolve(&self, alias: &str) -> Result<Option<RoomId>, NeighbourError>;

    /// Joins a room, through the given servers where this server is not in it.
    async fn join(&self, room: &RoomId, via: &[String]) -> Result<(), NeighbourError>;

    /// Leaves a room.
    async fn leave(&self, room: &RoomId) -> Result<(), NeighbourError>;
}

/// A key that is to be cleared, and how.
#[derive(Clone, Copy, Debug)]
pub struct KeyWrite<'a> {
    /// The room.
    pub room: &'a RoomId,
    /// The key.
    pub key: &'a StateKey,
    /// By which route, with what that takes.
    pub how: How<'a>,
}

/// A route, with what it takes to go by it.
#[derive(Clone, Copy, Debug)]
pub enum How<'a> {
    /// With the bot's own power: the key is emptied.
    OwnPower,
    /// As the owner of the key.
    AsOwner {
        /// The owner.
        owner: &'a UserId,
        /// What is left of the event.
        rest: &'a Remainder,
        /// The time that the event says it was sent: by it a write is known again whose answer was lost.
        sent: Timestamp,
    },
    /// By a redaction of the event that stands there.
    Redaction(&'a EventId),
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was cleared, by this event: the one that stands there now, or the redaction.
    Event(EventId),
    /// It was spared: this was a dry run.
    Nothing,
}

/// The one place that changes other people's state.
#[async_trait]
pub trait StateWriter: Send + Sync {
    /// Clears a membership.
    ///
    /// # Errors
    ///
    /// [`NeighbourError::Invalid`] for a route that is not set up; else the homeserver's.
    async fn clear(&self, write: KeyWrite<'_>) -> Result<Written, NeighbourError>;
}

/// The stream of changes, one request at a time.
#[async_trait]
pub trait Watch: Send {
    /// One step. Without `since` it is a view of everything and returns at once; with it, the request
    /// stays open for up to `timeout` until something happens.
    ///
    /// # Errors
    ///
    /// [`NeighbourError::Refused`] for a `since` that the server does not take (any more): it is to be
    /// dropped, and everything read anew.
    async fn sync(&mut self, since: Option<&str>, timeout: Duration) -> Result<SyncBatch, NeighbourError>;
}

/// The admin room.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Posts something. The transaction id makes a repeated call harmless: the server posts it once.
    async fn post(&self, transaction: &str, post: &Post) -> Result<EventId, NeighbourError>;

    /// Whether the bot is in the admin room, heard what is said there within the last 90 s, may speak
    /// there, and was not refused its last message, for whatever reason.
    async fn reachable(&self) -> Result<(), NeighbourError>;

    /// How somebody stands in the room, by its state as the server has it now.
    async fn standing(&self, user: &UserId) -> Result<Standing, NeighbourError>;

    /// Whether the room is encrypted and somebody there was verified once and has another identity now,
    /// by the keys that the server has now.
    async fn identity_changed(&self, user: &UserId) -> Result<bool, NeighbourError>;

    /// Whether this account has ever said anything in the admin room: then a journal that knows nothing is
    /// not the first. What cannot be told for certain counts as yes.
    async fn has_spoken_before(&self) -> Result<bool, NeighbourError>;

    /// Goes on in another room from the next sync on.
    fn move_to(&self, room: &RoomId) -> Result<(), NeighbourError>;

    /// What the bot is called in the room, where it has a name there.
    async fn own_name(&self) -> Option<String>;
}
