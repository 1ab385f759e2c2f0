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

/// Reads that the server put off. What was read is acted on all the same; were it not, a server that
/// always stops at the same number of reads would never let anything be written.
#[derive(Clone, Debug, Default)]
pub(super) struct PutOff {
    /// Nothing is read before this.
    until: Option<Timestamp>,
    /// The rooms whose turn it is then.
    rooms: BTreeSet<RoomId>,
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
        let now = self.now();
        if self.put_off.until.is_some_and(|until| now < until) {
            self.put_off.rooms.extend(rooms);
            return HashMap::new();
        }
        let before = std::mem::take(&mut self.put_off);
        let mut waiting = rooms.clone();
        let (first, rest): (Vec<_>, Vec<_>) = rooms.into_iter().partition(|room| before.rooms.contains(room));
        let port = Arc::clone(&self.ports.rooms);
        let mut rooms = first.into_iter().chain(rest);
        let mut in_flight = FuturesUnordered::new();
        let mut powers = HashMap::new();
        loop {
            while in_flight.len() < CONCURRENCY && self.put_off.until.is_none() {
                let Some(room) = rooms.next() else { break };
                let create = self.tracker.about(&room).and_then(|about| about.create.clone());
                let port = &*port;
                in_flight.push(async move {
                    let read = read_levels(port, &room, create.is_none()).await;
                    (room, create, read)
                });
            }
            let Some((room, mut create, read)) = in_flight.next().await else { break };
            let levels = match read {
                Ok((event, levels)) => {
                    if let Some(event) = event {
                        self.tracker.about_mut(&room).take_in(&event);
                        create = Some((event.content, event.sender));
                    }
                    levels.map(|event| event.content)
                }
                Err(NeighbourError::RateLimited { retry_after }) => {
                    tracing::warn!(%room, ?retry_after, "the server asks to read less");
                    self.put_off.until = self.put_off.until.max(Some(self.now() + retry_after));
                    self.is_slowed = true;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%room, "power levels not readable: {error}");
                    waiting.remove(&room);
                    continue;
                }
            };
            waiting.remove(&room);
            let Some((create, creator)) = create else {
                tracing::warn!(%room, "the room has no create event");
                continue;
            };
            powers.insert(room, RoomPower::new(&create, &creator, levels.as_ref(), self.now()));
        }
        drop(in_flight);
        if self.put_off.until.is_some() {
            self.put_off.rooms = waiting;
        }
        powers
    }

    /// Until when the server wants to be left alone with something that is to be done.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        let now = self.now();
        let reads = self.put_off.until.filter(|until| now < *until);
        [self.hold_writes_until, reads].into_iter().flatten().min()
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
