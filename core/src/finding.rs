//! What a sweep found about a key, as the journal keeps it and reports show it.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{RoomId, UserId},
    judge::{evidence::ListKind, policy::Reason},
    plan::Route,
    time::Timestamp,
};

/// What was found about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// It was emptied.
    Cleared,
    /// It would have been emptied in mode `clean`.
    WouldClear,
    /// It is due and nobody here may empty it.
    Blocked,
    /// The server refused to empty it.
    Refused,
}

/// One key in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The room.
    pub room: RoomId,
    /// Its name, where it is known.
    pub room_name: Option<String>,
    /// Whose membership it was.
    pub user: UserId,
    /// On which device; several in the array form.
    pub devices: Vec<String>,
    /// Why it was stale.
    pub reason: Reason,
    /// Which device list lacks the device, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_from: Option<ListKind>,
    /// Since when that was seen.
    pub since: Timestamp,
    /// Whether clients still showed it.
    pub is_shown: bool,
    /// What kept it from being cleared, and what would help.
    pub obstacle: Option<String>,
    /// By which route it was cleared, or would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// How often it was found.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}
