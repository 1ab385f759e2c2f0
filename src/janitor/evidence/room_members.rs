//! Who is in which room: from full views, from the events that owners send themselves, and from a fresh
//! read where something speaks against an owner.

use std::collections::HashMap;

use rtc_janitor_core::{
    export::room_member,
    ids::{RoomId, UserId},
    judge::evidence::RoomMember,
    rtc::state_event::StateEvent,
    time::Timestamp,
};

use super::source::{Fact, Source};
use crate::world::{NeighbourError, Rooms};

/// The room membership of owners.
#[derive(Debug, Default)]
pub(in crate::janitor) struct MemberEvidence {
    rooms: HashMap<RoomId, Source<UserId, RoomMember>>,
}

impl MemberEvidence {
    fn fact(&self, room: &RoomId, user: &UserId) -> Option<&Fact<RoomMember>> {
        self.rooms.get(room)?.get(user)
    }

    /// What is known of a user in a room.
    pub(in crate::janitor) fn says(&self, room: &RoomId, user: &UserId) -> RoomMember {
        self.fact(room, user).map_or(RoomMember::Unknown, |fact| fact.value)
    }

    /// When that was observed.
    pub(in crate::janitor) fn observed_at(&self, room: &RoomId, user: &UserId) -> Option<Timestamp> {
        self.fact(room, user).map(|fact| fact.at)
    }

    /// Takes in what was read, or what an event proves.
    pub(in crate::janitor) fn take_in(
        &mut self,
        room: &RoomId,
        user: &UserId,
        member: RoomMember,
        at: Timestamp,
    ) {
        self.rooms.entry(room.clone()).or_default().put(user.clone(), member, at);
    }

    /// Somebody who sends a state event is in the room at that moment: no server takes it otherwise.
    pub(in crate::janitor) fn has_sent(&mut self, room: &RoomId, user: &UserId, at: Timestamp) {
        self.take_in(room, user, RoomMember::Joined, at);
    }

    /// Something happened to a user's membership of a room: nothing is known of it until it is read.
    pub(in crate::janitor) fn doubt(&mut self, room: &RoomId, user: &UserId) {
        if let Some(users) = self.rooms.get_mut(room) {
            users.forget(user);
        }
    }

    /// Forgets whoever owns nothing open in a room any more.
    pub(in crate::janitor) fn retain(&mut self, room: &RoomId, mut owns: impl FnMut(&UserId) -> bool) {
        if let Some(users) = self.rooms.get_mut(room) {
            users.retain(|user| owns(user));
            if users.iter().next().is_none() {
                self.rooms.remove(room);
            }
        }
    }

    /// Forgets a room.
    pub(in crate::janitor) fn forget_room(&mut self, room: &RoomId) {
        self.rooms.remove(room);
    }
}

/// Reads one user's `m.room.member` as it stands now; one that was never there is not joined.
///
/// # Errors
///
/// The homeserver's.
pub(in crate::janitor) async fn ask(
    rooms: &dyn Rooms,
    room: &RoomId,
    user: &UserId,
) -> Result<RoomMember, NeighbourError> {
    let event: Option<StateEvent> = rooms.state_event(room, "m.room.member", user.as_str()).await?;
    Ok(room_member(event.as_ref()))
}
