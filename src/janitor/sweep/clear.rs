//! One write: the key is read once more, and emptied if it is still what was judged and the gate is open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rtc_janitor_core::{
    judge::{evidence::RoomMember, policy::Reason},
    plan::PlannedWrite,
    rtc::state_event::{CALL_MEMBER, StateEvent},
};

use crate::{
    janitor::{background::in_time, evidence::read_member, memory::is_empty},
    world::{KeyWrite, NeighbourError, Rooms, StateWriter, Written},
};

/// Whether anything may be written at this instant. The loop shuts it, and a write that is under way and
/// has not reached its last step is not made.
#[derive(Clone, Debug, Default)]
pub(in crate::janitor) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(in crate::janitor) fn set(&self, is_open: bool) {
        self.0.store(is_open, Ordering::SeqCst);
    }

    pub(in crate::janitor) fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How far one write came.
#[derive(Debug)]
pub(in crate::janitor) enum Attempt {
    Written(Written),
    /// Something else stands under the key now, or nothing.
    Replaced(Option<StateEvent>),
    /// Its owner is in the room after all, or it cannot be read whether.
    OwnerIsBack,
    /// The gate was shut before the write.
    Withheld,
    /// It was not reached, so nothing was written.
    NotTried(NeighbourError),
    /// It was tried and failed.
    Failed(NeighbourError),
}

/// Reads the key once more and empties it if it is still what was judged.
///
/// `gate` is `None` for a dry run, which writes nothing that a gate would have to hold.
pub(in crate::janitor) async fn clear(
    rooms: &dyn Rooms,
    port: &dyn StateWriter,
    gate: Option<&Gate>,
    write: &PlannedWrite,
) -> Attempt {
    let read = in_time(rooms.state_event(write.room(), CALL_MEMBER, write.key().as_str()));
    match read.await {
        Ok(Some(event)) if event.event_id == *write.event() && !is_empty(&event) => {}
        Ok(current) => return Attempt::Replaced(current),
        Err(error) => return Attempt::NotTried(error),
    }
    if write.reason() == Some(Reason::NotJoined) {
        for owner in write.owners() {
            match in_time(read_member(rooms, write.room(), &owner.user)).await {
                Ok(RoomMember::NotJoined { .. }) => {}
                Ok(_) => return Attempt::OwnerIsBack,
                Err(error) => return Attempt::NotTried(error),
            }
        }
    }
    if gate.is_some_and(|gate| !gate.is_open()) {
        return Attempt::Withheld;
    }
    let owner = write.owners().first().map(|owner| &owner.user);
    let key = KeyWrite { room: write.room(), key: write.key(), route: write.route(), owner };
    match port.clear(key).await {
        Ok(written) => Attempt::Written(written),
        Err(error) => Attempt::Failed(error),
    }
}
