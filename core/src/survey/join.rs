//! Rooms that the bot is to get into, once a person has approved that, and what came of each.

use serde::{Deserialize, Serialize};

use crate::ids::RoomId;

/// One room of a plan, as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinProposal {
    /// The room.
    pub room: RoomId,
    /// What it was called at that time.
    pub name: Option<String>,
    /// What was shown to be done. Nothing else is done, and this only where it still holds.
    pub how: How,
}

/// What is done to get into a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Joining is enough.
    Join,
    /// The admin API gives the bot power and, where it is not in the room, an invitation.
    MakeRoomAdmin {
        /// Whether the bot is in the room.
        is_in: bool,
    },
    /// The room was upgraded: its successor is joined.
    Successor(RoomId),
}

/// What came of one room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum JoinOutcome {
    /// The bot is in it and may clear there.
    Joined,
    /// It is in it, and may not clear all there.
    JoinedWithoutPower,
    /// It was in it, and has the power now.
    Raised,
    /// It is in the room that this one was upgraded to.
    InSuccessor(RoomId),
    /// The server said no, in these words.
    Refused(String),
    /// It did not work, or nobody knows whether it did, for this reason.
    Failed(String),
    /// It was not tried, for this reason.
    Held(String),
}

impl JoinOutcome {
    /// The name in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::JoinedWithoutPower => "joined_without_power",
            Self::Raised => "raised",
            Self::InSuccessor(_) => "in_successor",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Held(_) => "held",
        }
    }

    /// Whether the bot is where it was to be.
    pub const fn is_success(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Failed(_) | Self::Held(_))
    }
}
