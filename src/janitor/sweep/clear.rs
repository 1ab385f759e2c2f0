//! One write: the key is read once more, and cleared if it is still what was judged and the gate is open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rtc_janitor_core::{
    ids::{EventId, UserId},
    judge::{evidence::RoomMember, policy::Reason},
    plan::{PlannedWrite, Route},
    rtc::{
        membership::Remainder,
        state_event::{CALL_MEMBER, StateEvent},
    },
};
use tokio::time::sleep;

use crate::{
    janitor::{background::in_time, evidence::read_member, memory::is_empty},
    world::{How, KeyWrite, NeighbourError, Rooms, StateWriter, Written, journal::Mark},
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
    /// It was redacted, and somebody stands there by a newer event: it came before the redaction or after it.
    Followed(Written, StateEvent),
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
    /// It was made, and what it came to could not be seen.
    Unseen(NeighbourError),
}

/// How long after a redaction the key is read, each time until it shows: a server may be behind itself.
const SHOWS_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1)];

/// By what a write is known for one's own.
#[derive(Clone, Copy, Debug)]
pub(in crate::janitor) struct KnownBy<'a> {
    /// Who writes by own power, where the answer to a write is no proof that it was made: then it is read back.
    pub(in crate::janitor) me: Option<&'a UserId>,
    /// What the journal knows a write as the owner by.
    pub(in crate::janitor) mark: Option<&'a Mark>,
}

/// Reads the key once more and clears it if it is still what was judged.
///
/// `gate` is `None` for a dry run, which writes nothing that a gate would have to hold.
pub(in crate::janitor) async fn clear(
    rooms: &dyn Rooms,
    port: &dyn StateWriter,
    gate: Option<&Gate>,
    write: &PlannedWrite,
    known_by: KnownBy<'_>,
) -> Attempt {
    let current = match read(rooms, write).await {
        Ok(Some(event)) if event.event_id == *write.event() && !is_empty(&event) => event,
        Ok(current) => return Attempt::Replaced(current),
        Err(error) => return Attempt::NotTried(error),
    };
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
    let rest = match write.part() {
        None => Some(Remainder::nothing()),
        Some(places) => Remainder::without(&current.content, places),
    };
    let how = match write.route() {
        Route::OwnPower => How::OwnPower,
        Route::Redaction => How::Redaction(write.event()),
        Route::Appservice => {
            // It must be the owner's event, and what is written must be what the journal will know it by.
            let is_it = |mark: &&Mark| rest.as_ref().is_some_and(|rest| *rest.content() == mark.content);
            let not_tried = |why: &str| Attempt::NotTried(NeighbourError::Invalid(why.to_owned()));
            let owner = write.owners().first().map(|owner| &owner.user);
            let Some(owner) = owner.filter(|owner| **owner == current.sender) else {
                return not_tried("the event is not its owner's");
            };
            let (Some(rest), Some(mark)) = (&rest, known_by.mark.filter(is_it)) else {
                return not_tried("what would be left of the event is not what was to be left of it");
            };
            How::AsOwner { owner, rest, sent: mark.sent }
        }
    };
    match port.clear(KeyWrite { room: write.room(), key: write.key(), how }).await {
        Ok(written @ Written::Event(_)) if write.route() == Route::Redaction => {
            after_redaction(rooms, write, written).await
        }
        Ok(Written::Event(id)) => match anothers_event(rooms, write, known_by.me, &id).await {
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

/// What the key holds after its event was redacted: a newer event lost nothing by that.
async fn after_redaction(rooms: &dyn Rooms, write: &PlannedWrite, written: Written) -> Attempt {
    for pause in SHOWS_AFTER {
        sleep(pause).await;
        match read(rooms, write).await {
            Ok(Some(event)) if event.event_id == *write.event() && is_empty(&event) => {
                return Attempt::Written(written);
            }
            Ok(Some(event)) if event.event_id == *write.event() => {}
            Ok(Some(newer)) if !is_empty(&newer) => return Attempt::Followed(written, newer),
            Ok(current) => return Attempt::Replaced(current),
            Err(error) => return Attempt::Unseen(error),
        }
    }
    Attempt::Unseen(NeighbourError::Unreachable("the redaction does not show".to_owned()))
}

async fn read(rooms: &dyn Rooms, write: &PlannedWrite) -> Result<Option<StateEvent>, NeighbourError> {
    in_time(rooms.state_event(write.room(), CALL_MEMBER, write.key().as_str())).await
}
