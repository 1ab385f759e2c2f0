//! What is kept of writes and their events while the one has come without the other: an event before the answer that says
//! whether it is ours, and a write whose answer was lost and whose event has not come.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey, UserId},
    rtc::state_event::StateEvent,
    time::Timestamp,
};

use super::passing::Replaced;
use crate::{
    janitor::sweep::own::{is_of, made},
    world::journal::WriteRecord,
};

/// How many events are kept that may turn out to be own writes.
const EARLY: usize = 64;

/// How long after a write was given up its event may still come.
const LATE: Duration = Duration::from_mins(15);

/// An event that came by sync while a write was under way under its key.
#[derive(Debug)]
struct Early {
    room: RoomId,
    event: StateEvent,
    /// By the order of events.
    replaced: Option<Replaced>,
}

/// A write of which nothing was seen.
#[derive(Debug)]
struct GivenUp {
    write: WriteRecord,
    at: Timestamp,
}

impl GivenUp {
    /// Whether its event may still come.
    fn holds(&self, now: Timestamp) -> bool {
        now.since(self.at) <= LATE
    }
}

/// Both.
#[derive(Debug, Default)]
pub(super) struct Kept {
    early: BTreeMap<EventId, Early>,
    /// A server can be slower than the bot waits.
    given_up: HashMap<(RoomId, StateKey), GivenUp>,
}

impl Kept {
    /// Whether an event has come before its answer.
    pub(super) fn has_early(&self, event: &EventId) -> bool {
        self.early.contains_key(event)
    }

    /// An event comes while a write is under way under its key.
    pub(super) fn keep_early(&mut self, room: &RoomId, event: &StateEvent, replaced: Option<Replaced>) {
        if self.early.len() >= EARLY {
            self.early.pop_first();
        }
        let early = Early { room: room.clone(), event: event.clone(), replaced };
        self.early.insert(event.event_id.clone(), early);
    }

    /// The answer names an event: that has come before.
    pub(super) fn take_early(&mut self, event: &EventId) -> Option<(StateEvent, Option<Replaced>)> {
        self.early.remove(event).map(|early| (early.event, early.replaced))
    }

    /// The answer was lost: what has come before, if that is what the write made.
    pub(super) fn take_early_of(
        &mut self,
        write: &WriteRecord,
        me: &UserId,
    ) -> Option<(StateEvent, Option<Replaced>)> {
        let is_it = |early: &Early| {
            early.room == write.room
                && early.event.state_key == write.key
                && made(write, &early.event, me)
                && is_of(write, &early.event)
        };
        let id = self.early.iter().find(|(_, early)| is_it(early)).map(|(id, _)| id.clone())?;
        self.take_early(&id)
    }

    /// Nothing was seen of a write.
    pub(super) fn give_up(&mut self, write: &WriteRecord, now: Timestamp) {
        self.given_up.retain(|_, given_up| given_up.holds(now));
        let place = (write.room.clone(), write.key.clone());
        self.given_up.insert(place, GivenUp { write: write.clone(), at: now });
    }

    /// The write of a key that was given up and may still come.
    pub(super) fn given_up(&self, place: &(RoomId, StateKey), now: Timestamp) -> Option<&WriteRecord> {
        self.given_up.get(place).filter(|given_up| given_up.holds(now)).map(|given_up| &given_up.write)
    }

    /// It has come.
    pub(super) fn has_come(&mut self, place: &(RoomId, StateKey)) {
        self.given_up.remove(place);
    }
}
