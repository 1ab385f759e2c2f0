//! The queue of writes, and those under way: rooms side by side, the keys of one room one after the other,
//! so that the bot does not fork a room's event graph itself.
//!
//! What a sweep has queued is never final: the next sweep of a room replaces it, and `pause` withdraws it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use rtc_janitor_core::{
    command::PlanId,
    finding::Row,
    ids::{EventId, RoomId, StateKey, UserId},
    judge::policy::Neighbour,
    plan::{PlannedWrite, Route},
    rtc::membership::Remainder,
    time::Timestamp,
};
use serde_json::Value;

use crate::{
    janitor::{
        memory::OpenEvent,
        pace::{Concurrency, Hold},
    },
    world::{
        NeighbourError,
        journal::{FindingKind, Intent, Mark},
    },
};

/// After a failure that may heal, nothing is written for this long.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A write that takes this long holds up nobody but its own room: one more may begin beside it, for a
/// request that hangs says nothing about the rest. All in all there are never more than the most at once.
const OVERDUE: Duration = Duration::from_secs(2);

/// So many that wait are done within seconds, and nobody need make room for them.
const FEW: usize = 10;

/// On whose behalf a key is emptied.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::janitor) enum Trigger {
    /// A sweep's; with what a report says of it.
    Sweep {
        /// What to report it as.
        kind: FindingKind,
        /// What the report shows.
        row: Row,
    },
    /// A plan's, and of whoever approved it.
    Plan(PlanId, UserId),
    /// To mend an own write that put somebody back who had left.
    TakeBack,
}

/// A write with all that the record of it needs.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::janitor) struct Outgoing {
    pub(in crate::janitor) write: PlannedWrite,
    pub(in crate::janitor) trigger: Trigger,
    /// What was known, for the journal.
    pub(in crate::janitor) evidence: Value,
}

impl Outgoing {
    pub(in crate::janitor) fn is_of_sweep(&self) -> bool {
        matches!(self.trigger, Trigger::Sweep { .. })
    }

    pub(in crate::janitor) fn is_of_plan(&self, plan: &PlanId) -> bool {
        matches!(&self.trigger, Trigger::Plan(of, _) if of == plan)
    }

    /// What goes into the journal before the write; `open` is what stands there.
    pub(in crate::janitor) fn intent(&self, open: Option<&OpenEvent>, at: Timestamp) -> Intent {
        let Self { write, trigger, evidence } = self;
        let old_content = open.map(OpenEvent::content).unwrap_or_default();
        let mark = match (write.route(), write.part(), open) {
            (Route::Appservice, None, _) => Some((at, Remainder::nothing())),
            // Clients count the time of those who stay from the event, too: it hardly moves.
            (Route::Appservice, Some(part), Some(open)) => {
                let rest = Remainder::without(&old_content, part);
                rest.map(|rest| (open.sent + Duration::from_millis(1), rest))
            }
            _ => None,
        };
        Intent {
            room: write.room().clone(),
            key: write.key().clone(),
            event: write.event().clone(),
            owners: write.owners().to_vec(),
            reason: write.reason(),
            plan: match trigger {
                Trigger::Sweep { .. } | Trigger::TakeBack => None,
                Trigger::Plan(plan, by) => Some((plan.clone(), by.clone())),
            },
            route: write.route().as_str(),
            mark: mark.map(|(sent, rest)| Mark { sent, content: rest.content().clone() }),
            evidence: evidence.clone(),
            old_content,
            at,
        }
    }
}

/// A write under way.
#[derive(Debug)]
pub(in crate::janitor) struct UnderWay {
    pub(in crate::janitor) outgoing: Outgoing,
    /// Its number in the journal.
    pub(in crate::janitor) id: i64,
    began: Timestamp,
}

impl UnderWay {
    /// When it began.
    pub(in crate::janitor) fn began(&self) -> Timestamp {
        self.began
    }
}

/// All writes.
#[derive(Debug, Default)]
pub(in crate::janitor) struct Writes {
    /// What waits, by room, in the order of the plan.
    queued: BTreeMap<RoomId, VecDeque<(u64, Outgoing)>>,
    /// Rooms with something at their front and nothing under way, the most urgent first.
    ready: BTreeSet<(bool, u64, RoomId)>,
    /// Where each of them stands there.
    place: HashMap<RoomId, (bool, u64)>,
    under_way: HashMap<EventId, UnderWay>,
    busy: BTreeMap<RoomId, StateKey>,
    hold: Hold,
    concurrency: Concurrency,
    count: u64,
}

impl Writes {
    /// Puts the result of a sweep of some rooms in place of what sweeps had put there; `None`: of all.
    pub(in crate::janitor) fn replan(&mut self, rooms: Option<&BTreeSet<RoomId>>, plan: Vec<Outgoing>) {
        self.withdraw(|room, outgoing| {
            outgoing.is_of_sweep() && rooms.is_none_or(|rooms| rooms.contains(room))
        });
        for outgoing in plan {
            self.put(outgoing);
        }
    }

    /// Puts one write at the end of its room's.
    pub(in crate::janitor) fn put(&mut self, outgoing: Outgoing) {
        self.count += 1;
        if !outgoing.is_of_sweep() {
            // A person wants it, or it mends something: what a sweep had planned for the same key is done with that.
            self.withdraw_key(outgoing.write.room(), outgoing.write.key());
        }
        let room = outgoing.write.room().clone();
        self.queued.entry(room.clone()).or_default().push_back((self.count, outgoing));
        self.make_ready(&room);
    }

    /// Takes back what waits and is not wanted any more.
    pub(in crate::janitor) fn withdraw(&mut self, mut unwanted: impl FnMut(&RoomId, &Outgoing) -> bool) {
        let mut changed = Vec::new();
        for (room, queue) in &mut self.queued {
            let before = queue.len();
            queue.retain(|(_, outgoing)| !unwanted(room, outgoing));
            if queue.len() != before {
                changed.push(room.clone());
            }
        }
        for room in changed {
            self.make_ready(&room);
        }
    }

    /// Takes back what waits under one key: it no longer holds what was judged.
    pub(in crate::janitor) fn withdraw_key(&mut self, room: &RoomId, key: &StateKey) {
        let Some(queue) = self.queued.get_mut(room) else { return };
        let before = queue.len();
        // A plan that a person approved is to say what became of each key: it finds out by itself.
        queue.retain(|(_, outgoing)| !outgoing.is_of_sweep() || outgoing.write.key() != key);
        if queue.len() != before {
            self.make_ready(room);
        }
    }

    fn make_ready(&mut self, room: &RoomId) {
        if let Some((is_hidden, count)) = self.place.remove(room) {
            self.ready.remove(&(is_hidden, count, room.clone()));
        }
        let Some(queue) = self.queued.get(room) else { return };
        match queue.front() {
            Some((count, front)) if !self.busy.contains_key(room) => {
                let place = (!front.write.is_shown(), *count);
                self.place.insert(room.clone(), place);
                self.ready.insert((place.0, place.1, room.clone()));
            }
            Some(_) => {}
            None => {
                self.queued.remove(room);
            }
        }
    }

    /// Whether something more may begin now.
    pub(in crate::janitor) fn may_begin(&self, now: Timestamp) -> bool {
        self.hold.ends(now).is_none() && !self.ready.is_empty() && self.room_for(now) > 0
    }

    /// How many more may be under way.
    pub(in crate::janitor) fn room_for(&self, now: Timestamp) -> usize {
        let in_time = self.under_way.values().filter(|one| now.since(one.began) < OVERDUE).count();
        let by_pace = self.concurrency.limit().saturating_sub(in_time);
        by_pace.min(usize::from(Concurrency::AT_MOST).saturating_sub(self.under_way.len()))
    }

    /// When there is something to be done again that waits now: the server is to be asked no sooner, or what
    /// is under way leaves no room yet.
    pub(in crate::janitor) fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        if let Some(held) = self.held_until(now) {
            return (!self.is_empty()).then_some(held);
        }
        if self.ready.is_empty() {
            return None;
        }
        let overdue = self.under_way.values().map(|one| one.began + OVERDUE);
        overdue.filter(|at| *at > now).min()
    }

    /// The next write to begin; [`Self::begin`] is to follow.
    pub(in crate::janitor) fn next(&mut self, now: Timestamp) -> Option<Outgoing> {
        if self.hold.ends(now).is_some() {
            return None;
        }
        let (_, _, room) = self.ready.pop_first()?;
        self.place.remove(&room);
        let (_, outgoing) = self.queued.get_mut(&room)?.pop_front()?;
        self.busy.insert(room, outgoing.write.key().clone());
        Some(outgoing)
    }

    /// A write begins, under its number in the journal.
    pub(in crate::janitor) fn begin(&mut self, outgoing: Outgoing, id: i64, now: Timestamp) {
        let event = outgoing.write.event().clone();
        self.under_way.insert(event, UnderWay { outgoing, id, began: now });
    }

    /// A write came back, taken or not.
    pub(in crate::janitor) fn done(
        &mut self,
        event: &EventId,
        was_taken: bool,
        now: Timestamp,
    ) -> Option<UnderWay> {
        let at_once = self.under_way.len();
        let done = self.under_way.remove(event)?;
        let room = done.outgoing.write.room().clone();
        self.busy.remove(&room);
        self.make_ready(&room);
        if was_taken {
            self.concurrency.taken(now.since(done.began), at_once);
        }
        if self.is_empty() {
            self.concurrency.rest();
        }
        Some(done)
    }

    /// Obeys a server that asks for less, or does not answer: only writes wait, everything else goes on.
    pub(in crate::janitor) fn slow_down(&mut self, error: &NeighbourError, now: Timestamp) {
        match error {
            NeighbourError::RateLimited { retry_after } => {
                self.hold.until(now + *retry_after);
                self.concurrency.limited();
            }
            NeighbourError::Unreachable(_) => self.hold.until(now + AFTER_FAILURE),
            _ => {}
        }
    }

    /// Lets writes wait for a moment: somebody waits for an answer, and the server takes few events.
    pub(in crate::janitor) fn step_back(&mut self, until: Timestamp) {
        self.hold.until(until);
    }

    /// Whether the server has lately asked for less.
    pub(in crate::janitor) fn is_limited(&self) -> bool {
        self.concurrency.is_limited()
    }

    /// Until when nothing is written, while that is so.
    pub(in crate::janitor) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.hold.ends(now)
    }

    /// Whether a key is being written.
    pub(in crate::janitor) fn is_under_way(&self, room: &RoomId, key: &StateKey) -> bool {
        self.busy.get(room).is_some_and(|busy| busy == key)
    }

    /// Whether nothing waits and nothing is under way.
    pub(in crate::janitor) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.under_way.is_empty()
    }

    /// Whether more waits than a few.
    pub(in crate::janitor) fn are_many(&self) -> bool {
        self.queued.len() > FEW || self.queued.values().map(VecDeque::len).sum::<usize>() > FEW
    }

    pub(in crate::janitor) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How many writes of sweeps are under way, or wait in rooms that are not swept now; by room. They
    /// count against the limits before they are made.
    pub(in crate::janitor) fn pending(&self, swept: Option<&BTreeSet<RoomId>>) -> BTreeMap<RoomId, u32> {
        let mut pending: BTreeMap<RoomId, u32> = BTreeMap::new();
        for under_way in self.under_way.values().filter(|one| one.outgoing.is_of_sweep()) {
            *pending.entry(under_way.outgoing.write.room().clone()).or_default() += 1;
        }
        let others = self.queued.iter().filter(|(room, _)| swept.is_some_and(|swept| !swept.contains(*room)));
        for (room, queue) in others {
            let of_sweep = queue.iter().filter(|(_, outgoing)| outgoing.is_of_sweep()).count();
            *pending.entry(room.clone()).or_default() += u32::try_from(of_sweep).unwrap_or(u32::MAX);
        }
        pending
    }

    /// The sources that are being tested by a write of a sweep that is under way, or waits in a room that is
    /// not swept now.
    pub(in crate::janitor) fn probing(&self, swept: Option<&BTreeSet<RoomId>>) -> Vec<Neighbour> {
        let under_way = self.under_way.values().map(|under_way| &under_way.outgoing.write);
        let others = self.queued.iter().filter(|(room, _)| swept.is_some_and(|swept| !swept.contains(*room)));
        let waiting = others.flat_map(|(_, queue)| queue.iter().map(|(_, outgoing)| &outgoing.write));
        under_way.chain(waiting).flat_map(|write| write.probes().iter().copied()).collect()
    }

    /// What was taken out by [`Self::next`] is not begun after all.
    pub(in crate::janitor) fn release(&mut self, room: &RoomId) {
        self.busy.remove(room);
        self.make_ready(room);
    }

    /// The events of a plan that wait or are under way.
    pub(in crate::janitor) fn of_plan(&self, plan: &PlanId) -> BTreeSet<EventId> {
        let queued = self.queued.values().flatten().map(|(_, outgoing)| outgoing);
        let under_way = self.under_way.values().map(|under_way| &under_way.outgoing);
        queued
            .chain(under_way)
            .filter(|outgoing| outgoing.is_of_plan(plan))
            .map(|outgoing| outgoing.write.event().clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rtc_janitor_core::plan::{Approval, Proposal};

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    /// A write of the only key of a room.
    fn outgoing(room: &str) -> Outgoing {
        let proposal = Proposal {
            room: room.into(),
            room_name: None,
            key: "_@a:b_D_m.call".into(),
            event: EventId::from(format!("$of{room}").as_str()),
            owners: Vec::new(),
            part: None,
            route: None,
            reason: None,
            since: START,
            is_shown: true,
            is_alive: true,
            is_unknown: false,
            why: String::new(),
            reservation: None,
        };
        let approval = Approval {
            is_paused: false,
            is_excluded: false,
            made: START,
            route: Some(Ok(Route::OwnPower)),
            now: START,
        };
        let write = PlannedWrite::approved(&proposal, &approval).expect("it is approved");
        let trigger = Trigger::Plan(PlanId::numbered(1), "@boss:b".into());
        Outgoing { write, trigger, evidence: Value::Null }
    }

    /// Begins all that may begin; how many there were.
    fn begin(writes: &mut Writes, now: Timestamp) -> usize {
        let before = writes.under_way.len();
        while writes.may_begin(now) {
            let next = writes.next(now).expect("one is ready");
            writes.begin(next, 0, now);
        }
        writes.under_way.len() - before
    }

    #[test]
    fn a_write_that_hangs_holds_up_its_own_room_alone() {
        let mut writes = Writes::default();
        for room in 0..40 {
            writes.put(outgoing(&format!("!{room}:hs")));
        }
        assert!(writes.are_many());
        assert_eq!(begin(&mut writes, START), 1);
        assert_eq!(writes.next_at(START), Some(START + OVERDUE));
        let mut now = START;
        for _ in 1..Concurrency::AT_MOST {
            assert_eq!(begin(&mut writes, now + OVERDUE - Duration::from_millis(1)), 0);
            now = now + OVERDUE;
            assert_eq!(begin(&mut writes, now), 1);
        }
        assert_eq!(begin(&mut writes, now + OVERDUE * 9), 0, "never more at once than the most");
        assert_eq!(writes.next_at(now + OVERDUE * 9), None);
    }

    #[test]
    fn the_keys_of_one_room_are_written_one_after_the_other_whatever_hangs() {
        let mut writes = Writes::default();
        writes.put(outgoing("!one:hs"));
        writes.put(outgoing("!one:hs"));
        assert!(!writes.are_many());
        assert_eq!(begin(&mut writes, START), 1);
        assert_eq!(begin(&mut writes, START + OVERDUE * 9), 0);
    }
}
