//! One room's current state, reduced to what bears on its calls.

use std::collections::BTreeMap;

use rtc_janitor_core::{ids::UserId, judge::evidence::RoomMember, rtc::state_event::StateEvent};

/// What a room's current state says of its calls, who is in them, and who may end them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomView {
    /// Membership events that are not empty, and empty ones of the bot's own; `m.room.create`,
    /// `m.room.power_levels`, `m.room.name`, `m.room.canonical_alias`, `m.room.tombstone` and the RTC slots.
    /// A key that is not among them is not open.
    pub events: Vec<StateEvent>,
    /// Of everybody for whom one of these memberships may speak (its sender, and the user in its state
    /// key), whether they are in the room.
    pub members: BTreeMap<UserId, RoomMember>,
}
