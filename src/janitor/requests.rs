//! Starts what is wanted of the homeserver: reads, writes and joins. Each runs in the background and
//! comes back as an [`Outcome`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use rtc_janitor_core::{
    export::room_member,
    guard::breaker::Passage,
    ids::{RoomId, StateKey, UserId},
    judge::evidence::ListKind,
    rtc::state_event::CALL_MEMBER,
    time::Timestamp,
};
use tokio::time::timeout;

use super::{
    Janitor,
    background::{Outcome, PowerRead, in_time},
    evidence::{ListQuestion, read_member},
    reads::{Read, Urgency},
    sweep::{KnownBy, Outgoing, Trigger, read_standing},
};
use crate::world::{
    NeighbourError, RoomView, Rooms, StateWriter,
    device_lists::own_lists_of,
    dry_run::DryRun,
    journal::{FindingKind, JournalError, Mark},
};

/// How many keys of one large room are read at once.
const KEYS: usize = 4;

/// How long reading one large room may take in all: the first sweep of everything waits for it.
const LARGE_ROOM: Duration = Duration::from_mins(2);

impl Janitor {
    /// Starts as much as may be under way.
    pub(super) fn start_what_is_wanted(&mut self) -> Result<(), JournalError> {
        self.start_reads();
        self.start_lists();
        self.start_sfu();
        self.start_appservice();
        self.start_joins();
        self.start_writes()
    }

    fn start_reads(&mut self) {
        let now = self.now();
        while let Some(read) = self.reads.next(now) {
            let rooms = Arc::clone(&self.ports.rooms);
            match read {
                Read::View(room) if self.memory.is_large(&room) => {
                    let keys = self.memory.keys(&room).into_iter().flatten();
                    let keys: BTreeMap<_, _> = keys
                        .map(|(key, open)| {
                            (key.clone(), open.memberships().map(|m| m.owner.user.clone()).collect())
                        })
                        .collect();
                    self.background.start(async move {
                        let late =
                            || NeighbourError::Unreachable("a large room was not read in time".to_owned());
                        let view = timeout(LARGE_ROOM, view_by_key(&*rooms, &room, keys)).await;
                        Outcome::Viewed(room, view.unwrap_or_else(|_| Err(late())))
                    });
                }
                Read::View(room) => self.background.start(async move {
                    let view = in_time(rooms.full_view(&room)).await;
                    Outcome::Viewed(room, view)
                }),
                Read::Member(room, user) => self.background.start(async move {
                    let member = in_time(read_member(&*rooms, &room, &user)).await;
                    Outcome::Member(room, user, member)
                }),
                Read::Power(room) => {
                    let wants_create = self.memory.info(&room).is_none_or(|info| !info.knows_creation());
                    self.background.start(async move {
                        let power = in_time(read_power(&*rooms, &room, wants_create)).await;
                        Outcome::Power(room, power)
                    });
                }
                Read::Intent(id) => {
                    let Some(write) = self.unsettled.values().find(|write| write.id == id) else {
                        self.reads.done(Read::Intent(id), None, now);
                        continue;
                    };
                    let write = write.clone();
                    self.background
                        .start(async move { Outcome::Settled(id, read_standing(&*rooms, &write).await) });
                }
                Read::Alias(alias) => self.background.start(async move {
                    let nowhere = || NeighbourError::Invalid("the homeserver knows no such alias".to_owned());
                    let room = in_time(rooms.resolve(&alias)).await;
                    Outcome::Resolved(alias, room.and_then(|room| room.ok_or_else(nowhere)))
                }),
                Read::Clock => self
                    .background
                    .start(async move { Outcome::ServerTime(in_time(rooms.server_time()).await) }),
            }
        }
    }

    /// Has asked again where the aliases lead that led nowhere so far.
    pub(super) fn want_resolved(&mut self) {
        for unresolved in &self.file.unresolved {
            self.reads.want(Read::Alias(unresolved.alias.clone()), Urgency::Needed);
        }
    }

    fn start_lists(&mut self) {
        if !self.has_caught_up {
            return;
        }
        let now = self.now();
        for question in self.evidence.lists.questions(self.settings.device_check_interval, now) {
            self.ask_for_lists(question);
        }
    }

    pub(super) fn ask_for_lists(&mut self, ListQuestion { by, users }: ListQuestion) {
        let asked = self.now();
        match &self.ports.own_lists {
            Some(own) if by == ListKind::OwnList => {
                let own = Arc::clone(own);
                self.background
                    .start(async move { Outcome::Lists(by, asked, own_lists_of(&*own, users, asked).await) });
            }
            _ => {
                let lists = Arc::clone(&self.ports.device_lists);
                self.background
                    .start(async move { Outcome::Lists(by, asked, lists.devices_of(&users).await) });
            }
        }
    }

    fn start_joins(&mut self) {
        let now = self.now();
        while let Some((room, via)) = self.joins.next(now) {
            let rooms = Arc::clone(&self.ports.rooms);
            self.background.start(async move {
                let joined = rooms.join(&room, &via).await;
                Outcome::Joined(room, joined)
            });
        }
    }

    /// Starts writes, each with its intent in the journal first.
    fn start_writes(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        if !self.writes.may_begin(now) {
            return Ok(());
        }
        if self.writes.is_limited() && self.voice.is_awaited() {
            // Somebody waits for an answer: that goes first where the server takes few events.
            self.writes.step_back(now + Duration::from_secs(1));
            return Ok(());
        }
        let mut beginning = Vec::new();
        while beginning.len() < self.writes.room_for(now) {
            let Some(outgoing) = self.writes.next(now) else { break };
            let room = outgoing.write.room().clone();
            if self.still_stands(&outgoing, now) {
                beginning.push(outgoing);
            } else {
                self.writes.release(&room);
                self.sweep.mark(&room);
            }
        }
        let intents: Vec<_> = beginning
            .iter()
            .map(|outgoing| {
                let open = self.memory.get(outgoing.write.room(), outgoing.write.key());
                outgoing.intent(open, now)
            })
            .collect();
        let ids = self.journal.intend(&intents)?;
        for ((outgoing, intent), id) in beginning.into_iter().zip(intents).zip(ids) {
            self.start_write(outgoing, id, intent.mark);
        }
        Ok(())
    }

    /// Whether what a sweep has planned may still be written, as far as that costs nothing to tell. A plan
    /// that a person approved asks for less, and that is asked when it is put into the queue.
    fn still_stands(&self, Outgoing { write, trigger, .. }: &Outgoing, now: Timestamp) -> bool {
        let (room, key) = (write.room(), write.key());
        let is_excluded = !self.settings.covers(room)
            || write.owners().iter().any(|owner| self.settings.leaves_alone(&owner.user));
        match trigger {
            Trigger::Plan(..) => return true,
            Trigger::TakeBack => return !is_excluded,
            Trigger::Sweep { .. } => {}
        }
        let is_believed = write.reason().is_some_and(|reason| {
            let passage = reason.neighbour().map(|source| self.sweep.breakers.passage(source, now));
            passage != Some(Passage::Barred) && self.sweep.quarantine.believes(room, key, reason, now)
        });
        is_believed
            && self.memory.is_open(room, key, write.event())
            && self.memory.may_judge(room)
            && !is_excluded
    }

    fn start_write(&mut self, outgoing: Outgoing, id: i64, mark: Option<Mark>) {
        let writer = Arc::clone(&self.ports.writer);
        let (port, gate): (Arc<dyn StateWriter>, _) = match &outgoing.trigger {
            Trigger::Sweep { kind: FindingKind::Cleared, .. } | Trigger::TakeBack => {
                (writer, Some(self.sweep_gate.clone()))
            }
            Trigger::Plan(..) => (writer, Some(self.plan_gate.clone())),
            Trigger::Sweep { .. } => (Arc::new(DryRun), None),
        };
        let (rooms, write) = (Arc::clone(&self.ports.rooms), outgoing.write.clone());
        self.aftermath.begin(write.room(), write.key());
        self.writes.begin(outgoing, id, self.now());
        let me = self.server.is_write_read_back().then(|| self.settings.user_id.clone());
        self.background.start(async move {
            let known_by = KnownBy { me: me.as_ref(), mark: mark.as_ref() };
            let attempt = super::sweep::clear(&*rooms, &*port, gate.as_ref(), &write, known_by).await;
            Outcome::Written(write.event().clone(), attempt)
        });
    }
}

/// The create event of a room, where it is wanted, and its power levels.
async fn read_power(
    rooms: &dyn Rooms,
    room: &RoomId,
    wants_create: bool,
) -> Result<PowerRead, NeighbourError> {
    let create = if wants_create { rooms.state_event(room, "m.room.create", "").await? } else { None };
    let levels = rooms.state_event(room, "m.room.power_levels", "").await?;
    Ok(PowerRead { create, levels: levels.map(|event| event.content) })
}

/// What a full view would say, of the keys that are known to be open: for a room with so many members that
/// its whole state would be megabytes. A living key that sync hides is not found this way.
async fn view_by_key(
    rooms: &dyn Rooms,
    room: &RoomId,
    keys: BTreeMap<StateKey, Vec<UserId>>,
) -> Result<RoomView, NeighbourError> {
    let create = in_time(rooms.state_event(room, "m.room.create", "")).await?;
    let levels = in_time(rooms.state_event(room, "m.room.power_levels", "")).await?;
    let reads = stream::iter(keys).map(|(key, users)| async move {
        let event = in_time(rooms.state_event(room, CALL_MEMBER, key.as_str())).await?;
        let mut members = Vec::new();
        for user in users {
            let member = in_time(rooms.state_event(room, "m.room.member", user.as_str())).await?;
            members.push((user, room_member(member.as_ref())));
        }
        Ok::<_, NeighbourError>((event, members))
    });
    let mut view = RoomView::default();
    view.events.extend(create);
    view.events.extend(levels);
    let mut reads = std::pin::pin!(reads.buffer_unordered(KEYS));
    while let Some(read) = reads.next().await {
        let (event, members) = read?;
        view.events.extend(event);
        view.members.extend(members);
    }
    Ok(view)
}
