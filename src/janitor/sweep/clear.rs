//! One write: the key is read once more, and emptied if it is still what was judged and the gate is open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rtc_janitor_core::{
    ids::{EventId, UserId},
    judge::{evidence::RoomMember, policy::Reason},
    plan::{PlannedWrite, Route},
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
    /// It was emptied by somebody else in the instant before the write, of which the server made no event.
    AnothersEvent(StateEvent),
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
/// `gate` is `None` for a dry run, which writes nothing that a gate would have to hold. `me` is who writes by own power,
/// where the answer to a write is no proof that it was made: then it is read back.
pub(in crate::janitor) async fn clear(
    rooms: &dyn Rooms,
    port: &dyn StateWriter,
    gate: Option<&Gate>,
    write: &PlannedWrite,
    me: Option<&UserId>,
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
        Ok(Written::Event(id)) => match anothers_event(rooms, write, me, &id).await {
            Some(event) => Attempt::AnothersEvent(event),
            None => Attempt::Written(Written::Event(id)),
        },
        Ok(Written::Nothing) => Attempt::Written(Written::Nothing),
        Err(error) => Attempt::Failed(error),
    }
}

/// The event that a write was answered with, where somebody else has sent it: a server may make no event of a content
/// that stands there already, whoever wrote it, also where it stands there by a redaction (Dendrite). What cannot be
/// read counts as ours; sync tells it later.
async fn anothers_event(
    rooms: &dyn Rooms,
    write: &PlannedWrite,
    me: Option<&UserId>,
    id: &EventId,
) -> Option<StateEvent> {
    let me = me.filter(|_| write.route() == Route::OwnPower)?;
    let event = in_time(rooms.event(write.room(), id)).await.ok()??;
    (event.sender != *me).then_some(event)
}
