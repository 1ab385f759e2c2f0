//! The outside: one port per neighbour, with its real implementation beside it.
//!
//! Everything that reaches the network, the disk or the clock is here, and nothing here decides
//! anything. A neighbour that fails says so as data ([`NeighbourError`]); what follows from that is
//! for the janitor to say.

use std::time::Duration;

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey, UserId},
    rtc::state_event::StateEvent,
    time::Timestamp,
};

pub mod chat;
pub mod clock;
pub mod device_lists;
pub mod dry_run;
pub mod homeserver;
pub mod journal;
pub mod store;

/// Why a neighbour gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeighbourError {
    /// No connection, a time-out, a 5xx, or an answer that is not Matrix: it may heal by itself.
    #[error("no usable answer: {0}")]
    Unreachable(String),
    /// 429. Nothing more is to be asked of it before `retry_after` has passed.
    #[error("asked to slow down (429), again in {}", humantime::format_duration(*retry_after))]
    RateLimited {
        /// What the server asks for; a default where it names nothing.
        retry_after: Duration,
    },
    /// The access token is not, or no longer, valid (`M_UNKNOWN_TOKEN`).
    #[error("the sign-in is no longer valid: {0}")]
    SignedOut(String),
    /// The server understood and said no.
    #[error("refused with {status} {errcode}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Matrix error code, such as `M_FORBIDDEN`.
        errcode: String,
        /// The server's own words.
        message: String,
    },
}

/// Reading rooms. Every call is a fresh request; nothing is cached here.
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

    /// What the homeserver's clock says (`Date` of an answer), in whole seconds.
    async fn server_time(&self) -> Result<Timestamp, NeighbourError>;

    /// Every membership event that stands in a room now, also the empty ones.
    async fn memberships(&self, room: &RoomId) -> Result<Vec<StateEvent>, NeighbourError>;

    /// The room that an alias leads to, `None` when there is no such alias. An alias can be moved to
    /// another room, so it is resolved once and the id kept.
    async fn resolve(&self, alias: &str) -> Result<Option<RoomId>, NeighbourError>;

    /// Joins a room, through the given servers where this server is not in it.
    async fn join(&self, room: &RoomId, via: &[String]) -> Result<(), NeighbourError>;

    /// Leaves a room.
    async fn leave(&self, room: &RoomId) -> Result<(), NeighbourError>;
}

/// The one place that changes other people's state.
#[async_trait]
pub trait StateWriter: Send + Sync {
    /// Empties a membership: `PUT {}` on its key. Returns the event that was written.
    async fn empty_membership(&self, room: &RoomId, key: &StateKey) -> Result<EventId, NeighbourError>;
}

/// What one answer of `/sync` says, reduced to what the janitor watches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncBatch {
    /// True when this is a view of everything (no since token): what it does not name does not exist.
    pub full: bool,
    /// Rooms the bot is in, with the state events that came: block and timeline, oldest first.
    pub joined: Vec<RoomUpdate>,
    /// Invitations that are open.
    pub invited: Vec<Invite>,
    /// Rooms the bot is no longer in: left, kicked or banned.
    pub left: Vec<LeftRoom>,
    /// Where the next request goes on.
    pub next_batch: String,
}

/// What came for one joined room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomUpdate {
    /// The room.
    pub room_id: RoomId,
    /// State events of the watched types, oldest first.
    pub events: Vec<StateEvent>,
    /// Events that were redacted; redaction is no state change, so the membership comes no other way.
    pub redacted: Vec<EventId>,
}

impl RoomUpdate {
    /// Whether it can have no bearing on any call.
    pub fn is_quiet(&self) -> bool {
        self.events.is_empty() && self.redacted.is_empty()
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

/// The stream of changes, one request at a time.
#[async_trait]
pub trait Watch: Send {
    /// One `/sync`. Without `since` it is a full view and returns at once; with it, the request
    /// stays open for up to `timeout` until something happens.
    async fn sync(&mut self, since: Option<&str>, timeout: Duration) -> Result<SyncBatch, NeighbourError>;
}

/// Something to say to people, in both forms.
pub use rtc_janitor_core::render::Message;

/// What goes into the admin room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Post {
    /// A notice.
    Notice {
        /// The text.
        message: Message,
        /// The event that it answers.
        reply_to: Option<EventId>,
        /// Who is pinged; nobody else ever is.
        mentions: Vec<UserId>,
    },
    /// Another text for an earlier notice.
    Edit {
        /// The text.
        message: Message,
        /// The notice.
        of: EventId,
        /// Who is pinged.
        mentions: Vec<UserId>,
    },
    /// A reaction.
    Reaction {
        /// What to.
        to: EventId,
        /// Which.
        key: String,
    },
}

/// Something that somebody did in the admin room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The event.
    pub event: EventId,
    /// Who did it.
    pub sender: UserId,
    /// When, by the clock of the sender's server.
    pub at: Timestamp,
    /// What it is.
    pub what: What,
    /// What vouches for the sender.
    pub trust: Trust,
    /// Whether it had been there before the bot could have heard it: nobody waits for an answer.
    pub is_backlog: bool,
}

/// What somebody did in the admin room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An `m.text` that was never edited.
    Text {
        /// `body`
        body: String,
        /// `formatted_body`, where it is HTML.
        html: Option<String>,
    },
    /// A reaction.
    Reaction {
        /// What to.
        to: EventId,
        /// Which.
        key: String,
    },
    /// Something encrypted whose key did not come.
    Undecryptable,
    /// The room went on elsewhere.
    Upgrade {
        /// Where.
        successor: RoomId,
    },
}

/// What vouches for the sender of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// As much as the room asks for.
    Enough,
    /// The room is encrypted, and this was not.
    InTheClear,
    /// It came from a device of an identity that is not the one that was verified once.
    IdentityViolated,
    /// It cannot be told which device it came from.
    Unattributable,
}

/// How somebody stands in the admin room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not in the room.
    Outside,
    /// In the room, with this power level (`i64::MAX` for a creator since room version 12).
    Inside(i64),
}

/// Several things that were heard, in order, and how to say that they need not be told again.
#[derive(Debug)]
pub struct Delivery {
    /// What was heard.
    pub heard: Vec<Heard>,
    /// To be used once all of them are in the journal.
    pub taken: tokio::sync::oneshot::Sender<()>,
}

/// The admin room.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Posts something. The transaction id makes a repeated call harmless: the server posts it once.
    async fn post(&self, transaction: &str, post: &Post) -> Result<EventId, NeighbourError>;

    /// Whether the bot is in the admin room and may speak there.
    async fn reachable(&self) -> Result<(), NeighbourError>;

    /// How somebody stands in the room, by its state as the server has it now.
    async fn standing(&self, user: &UserId) -> Result<Standing, NeighbourError>;

    /// Whether the room is encrypted and somebody there was verified once and has another identity now,
    /// by the keys that the server has now.
    async fn is_somebody_else_now(&self, user: &UserId) -> Result<bool, NeighbourError>;

    /// Goes on in another room from the next sync on.
    fn move_to(&self, room: &RoomId) -> Result<(), NeighbourError>;

    /// What the bot is called in the room, where it has a name there.
    async fn own_name(&self) -> Option<String>;
}
