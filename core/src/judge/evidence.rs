//! The snapshot a verdict is made from: what was observed from outside the membership.
//!
//! Every piece is known or unknown. A neighbour that was not asked, could not answer, or answered in
//! a way that can mean two things, is unknown here and never "gone".

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Everything observed about one membership from outside of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Whether the owner is in the room.
    pub room_member: RoomMember,
    /// What the device lists say of the device.
    pub device: Device,
    /// What our SFU says.
    pub sfu: Sfu,
    /// When a newer membership of the same owner, device and call was sent under another key.
    pub superseded_at: Option<Timestamp>,
}

impl Evidence {
    /// Nothing was observed at all.
    pub const NONE: Self = Self {
        room_member: RoomMember::Unknown,
        device: Device::NotAsked,
        sfu: Sfu::NotOurs,
        superseded_at: None,
    };
}

/// The owner's own `m.room.member`, from a fresh read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomMember {
    /// It was not read, or could not be. A member absent from a sync says nothing.
    Unknown,
    /// In the room.
    Joined,
    /// Not in the room: left, kicked, banned, invited only, or never there (404).
    NotJoined {
        /// When that came about, where there is an event to tell.
        since: Option<Timestamp>,
    },
}

/// Who keeps a device list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// The homeserver's own list of a local user: complete, with keyless devices.
    OwnList,
    /// `/keys/query`: devices with uploaded encryption keys only.
    KeysQuery,
}

/// What only the server knows of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The appservice that it belongs to: a bridge's users write device ids that are in no list.
    pub bridge: Option<String>,
    /// Whether it was deactivated.
    pub is_deactivated: bool,
}

/// What the device lists of the owner say about the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// No list was asked for, or none that may speak about this device.
    NotAsked,
    /// A list was asked for and gave nothing that can be relied on for this owner.
    Unknown,
    /// The device is listed.
    Listed {
        /// When the server last saw it, where the list says so.
        last_seen: Option<Timestamp>,
    },
    /// The list is known and lacks the device.
    Missing {
        /// Which list says so.
        by: ListKind,
        /// Whether the device was seen in a list before; one that never was may have no keys.
        seen_before: bool,
    },
}

/// An answer of a list for one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Not asked.
    NotAsked,
    /// No usable answer.
    Unknown,
    /// The user is a bridge's, whose device ids are in no list: no list says anything.
    OfNoUse,
    /// Answered.
    Known {
        /// The device, where it is listed, with when it was last seen.
        device: Option<Option<Timestamp>>,
        /// Whether the list names no device at all.
        empty: bool,
    },
}

/// What was learned of a device earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceHistory {
    /// It was in the server's own list at some time.
    pub seen_in_own_list: bool,
    /// It was in a `/keys/query` list at some time: it has encryption keys.
    pub seen_with_keys: bool,
    /// It came back after having been cleared for `device_gone`: `/keys/query` was wrong about it and is not
    /// believed against it again, nor is the server's own list where it never had it.
    pub came_back: bool,
}

impl DeviceHistory {
    /// It was in a list at some time.
    pub const fn seen_in_list(self) -> bool {
        self.seen_in_own_list || self.seen_with_keys
    }

    /// It was only ever in the server's own list: it has no keys, and `/keys/query` never names it.
    const fn is_keyless(self) -> bool {
        self.seen_in_own_list && !self.seen_with_keys
    }
}

impl Device {
    /// Which list lacks the device, where one does.
    pub const fn missing_from(self) -> Option<ListKind> {
        match self {
            Self::Missing { by, .. } => Some(by),
            Self::NotAsked | Self::Unknown | Self::Listed { .. } => None,
        }
    }

    /// Weighs the two lists: the server's own decides where it is known.
    ///
    /// An empty `/keys/query` map is what a user without keys has, and an unknown user, and a
    /// deactivated one: it is unknown unless this very device was in such a map before.
    pub fn from_lists(own: Listing, keys_query: Listing, history: DeviceHistory) -> Self {
        let seen_before = history.seen_with_keys;
        match (own, keys_query) {
            (Listing::OfNoUse, _) | (_, Listing::OfNoUse) | (Listing::NotAsked, Listing::NotAsked) => {
                Self::NotAsked
            }
            (Listing::Known { device: Some(last_seen), .. }, _) => Self::Listed { last_seen },
            // It was cleared because it is in no list, and came back: its client writes an id that is in none.
            (Listing::Known { device: None, .. }, _) if history.came_back && !history.seen_in_own_list => {
                Self::NotAsked
            }
            (Listing::Known { device: None, .. }, _) => {
                Self::Missing { by: ListKind::OwnList, seen_before: history.seen_in_list() }
            }
            (_, Listing::Known { device: Some(_), .. }) => Self::Listed { last_seen: None },
            // The own list would have decided. What it knew of devices without keys, the other does not.
            (Listing::Unknown, Listing::Known { device: None, .. }) => Self::Unknown,
            (_, Listing::Known { device: None, .. }) if history.came_back || history.is_keyless() => {
                Self::NotAsked
            }
            (_, Listing::Known { device: None, empty: true }) if !seen_before => Self::Unknown,
            (_, Listing::Known { device: None, .. }) => {
                Self::Missing { by: ListKind::KeysQuery, seen_before }
            }
            _ => Self::Unknown,
        }
    }
}

/// What our own SFU says about a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sfu {
    /// The membership's SFU is another's, or none is configured: no evidence.
    NotOurs,
    /// Ours, and it did not answer, or restarted.
    Unknown,
    /// It lists the identity: the device is in the call.
    Listed,
    /// It does not list it.
    Absent {
        /// Whether that means anything: the membership was seen there before, or it is shown that
        /// the SFU room is found under the right name. Otherwise absence is no evidence.
        counts: bool,
    },
}
