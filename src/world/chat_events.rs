//! What is said in the admin room, by the bot and by others, as values.

use rtc_janitor_core::{
    ids::{EventId, RoomId, UserId},
    render::Message,
    time::Timestamp,
};

/// What goes into the admin room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Post {
    /// A message of its own: a notice, which clients show in grey and without a sound; an ordinary text where a
    /// person is needed at once.
    Notice {
        /// The text.
        message: Message,
        /// The event that it answers.
        reply_to: Option<EventId>,
        /// Who is pinged; nobody else ever is.
        mentions: Vec<UserId>,
        /// Whether a person is needed at once.
        is_alarm: bool,
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
pub struct RoomEvent {
    /// The event.
    pub event: EventId,
    /// Who did it.
    pub sender: UserId,
    /// When, by the clock of the sender's server.
    pub at: Timestamp,
    /// What it is.
    pub what: RoomEventKind,
    /// What vouches for the sender.
    pub trust: Trust,
    /// Whether it had been there before the bot could have heard it: nobody waits for an answer.
    pub is_backlog: bool,
    /// The root of the thread in which it stands.
    pub thread: Option<EventId>,
}

/// What somebody did in the admin room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEventKind {
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

/// Events of the admin room in their order, and how to say that they need not be handed over again.
#[derive(Debug)]
pub struct EventBatch {
    /// The events.
    pub events: Vec<RoomEvent>,
    /// To be used once all of them are in the journal.
    pub ack: tokio::sync::oneshot::Sender<()>,
}
