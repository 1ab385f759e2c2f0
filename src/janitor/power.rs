//! Who may write where, read afresh each time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rtc_janitor_core::{
    ids::RoomId,
    plan::{Candidate, Route},
    rtc::{state_event::StateEvent, state_key::RoomPower},
    time::Timestamp,
};

use super::{Janitor, observe::CONCURRENCY};
use crate::world::{NeighbourError, Rooms};

/// Whose turn it is where the server limits reads. What was read is acted on at once, and whoever waited
/// longest is read first the next time; else a server that always stops at the same number of reads would
/// never let some things be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// Nothing is read before this.
    not_before: Option<Timestamp>,
    /// When each room was read last.
    read: HashMap<RoomId, Timestamp>,
}

impl Turns {
    /// Forgets a wait that is over.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.not_before = self.not_before.filter(|until| now < *until);
    }
}

impl Janitor {
    /// Reads by which route each key can be emptied.
    pub(super) async fn find_routes(&mut self, candidates: &mut [Candidate]) {
        let rooms: BTreeSet<_> = candidates.iter().map(|candidate| candidate.room.clone()).collect();
        let powers = self.read_power(rooms).await;
        for candidate in candidates {
            candidate.route = powers.get(&candidate.room).map(|power| {
                power.may_write(&self.settings.user_id, &candidate.key).map(|()| Route::OwnPower)
            });
        }
    }

    /// Reads who may write what, afresh; the create event of a room never changes. When the server asks
    /// to slow down, the rest is left for later.
    pub(super) async fn read_power(&mut self, rooms: BTreeSet<RoomId>) -> HashMap<RoomId, RoomPower> {
        let mut powers = HashMap::new();
        self.turns.settle(self.now());
        if self.turns.not_before.is_some() {
            return powers;
        }
        self.turns.read.retain(|room, _| self.tracker.knows(room));
        let mut rooms: Vec<_> = rooms.into_iter().collect();
        rooms.sort_by_key(|room| self.turns.read.get(room).copied());
        let mut rooms = rooms.into_iter();
        let port = Arc::clone(&self.ports.rooms);
        let mut in_flight = FuturesUnordered::new();
        loop {
            while in_flight.len() < CONCURRENCY && self.turns.not_before.is_none() {
                let Some(room) = rooms.next() else { break };
                let create = self.tracker.about(&room).and_then(|about| about.create.clone());
                let port = &*port;
                in_flight.push(async move {
                    let read = read_levels(port, &room, create.is_none()).await;
                    (room, create, read)
                });
            }
            let Some((room, mut create, read)) = in_flight.next().await else { break };
            if let Err(NeighbourError::RateLimited { retry_after }) = &read {
                tracing::warn!(%room, ?retry_after, "the server asks to read less");
                self.turns.not_before = self.turns.not_before.max(Some(self.now() + *retry_after));
                self.is_slowed = true;
                continue;
            }
            self.turns.read.insert(room.clone(), self.now());
            let levels = match read {
                Ok((event, levels)) => {
                    if let Some(event) = event {
                        self.tracker.about_mut(&room).take_in(&event);
                        create = Some((event.content, event.sender));
                    }
                    levels.map(|event| event.content)
                }
                Err(error) => {
                    tracing::warn!(%room, "power levels not readable: {error}");
                    continue;
                }
            };
            let Some((create, creator)) = create else {
                tracing::warn!(%room, "the room has no create event");
                continue;
            };
            powers.insert(room, RoomPower::new(&create, &creator, levels.as_ref(), self.now()));
        }
        powers
    }

    /// Until when the server wants to be left alone with something that is to be done; then it is looked
    /// again.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        [self.hold_writes_until, self.turns.not_before].into_iter().flatten().min()
    }
}

/// The create event of a room, where it is wanted, and its power levels.
async fn read_levels(
    rooms: &dyn Rooms,
    room: &RoomId,
    wants_create: bool,
) -> Result<(Option<StateEvent>, Option<StateEvent>), NeighbourError> {
    let create = if wants_create { rooms.state_event(room, "m.room.create", "").await? } else { None };
    Ok((create, rooms.state_event(room, "m.room.power_levels", "").await?))
}
