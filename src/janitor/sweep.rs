//! From evidence to writes: which rooms are to be looked at, what was concluded before, and the guards.
//!
//! A sync update, an answer or a due instant marks rooms; a sweep looks at those, and the regular one at
//! all that have something open. [`Sweep`] owns what a verdict needs of earlier ones; it asks nobody and
//! writes nothing.

mod aftermath;
mod candidates;
mod clear;
mod judged;
mod look;
mod own;
mod tally;
mod ways;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use rtc_janitor_core::{
    guard::{breaker::Breakers, quarantine::Quarantine},
    ids::{EventId, RoomId, StateKey},
    judge::policy::Neighbour,
    ledger::Ledger,
    time::Timestamp,
};

pub(in crate::janitor) use aftermath::{Aftermath, read_standing};
pub(in crate::janitor) use clear::{Attempt, Gate, KnownBy, clear};
pub use judged::Judged;
pub(in crate::janitor) use judged::{Index, naming_reason};
pub use look::SweepSummary;
pub(in crate::janitor) use own::is_after;
pub(in crate::janitor) use tally::Tally;
pub(in crate::janitor) use writes::{Outgoing, Trigger, Writes};

use crate::world::{NeighbourError, backoff::Backoff, journal::FindingKind};

/// By how much our clock and the server's may differ. `Date` counts whole seconds.
pub(in crate::janitor) const MOST_SKEW: Duration = Duration::from_secs(30);

/// How long a comparison of the clocks is good for.
const CLOCK_CHECK: Duration = Duration::from_mins(5);

/// How soon clocks that differed are compared again.
const SKEWED_CHECK: Duration = Duration::from_secs(10);

/// What happens comes in bursts; a sweep of the rooms that it touches waits this long for the rest.
const SETTLE: Duration = Duration::from_millis(100);

/// The longest a regular sweep may be late before the time since the last one no longer counts: the
/// process was suspended, or the machine asleep.
const LATE: Duration = Duration::from_mins(2);

/// The pauses after a key could not be written.
const RETRY: Backoff = Backoff::new(Duration::from_mins(5), Duration::from_hours(6));

/// Which rooms a sweep looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::janitor) enum Scope {
    /// All that have something open.
    All,
    /// These.
    Rooms(BTreeSet<RoomId>),
}

/// How the clocks compared.
#[derive(Clone, Copy, Debug)]
struct ClockCheck {
    at: Timestamp,
    is_skewed: bool,
}

/// When to look, and what was concluded.
#[derive(Debug)]
pub(in crate::janitor) struct Sweep {
    pub(in crate::janitor) ledger: Ledger,
    pub(in crate::janitor) breakers: Breakers,
    pub(in crate::janitor) quarantine: Quarantine,
    /// Events that were dealt with in one way and need no second time.
    dealt_with: HashSet<(EventId, FindingKind)>,
    /// Keys that the server refused to write: when to try again.
    retry_at: HashMap<(RoomId, StateKey), (Timestamp, Backoff)>,
    /// Rooms to be looked at soon.
    dirty: BTreeSet<RoomId>,
    /// Rooms in which something is due and waits for an answer.
    waiting: BTreeSet<RoomId>,
    /// Rooms in which something was refused or is too young, and when that may be over.
    retries: BTreeSet<(Timestamp, RoomId)>,
    wants_all: bool,
    /// How long a sweep waits for the rest of a burst.
    settle: Duration,
    last: Option<Timestamp>,
    last_regular: Option<Timestamp>,
    clock: Option<ClockCheck>,
    /// How many keys of each room expired over 30 days ago.
    long_expired: BTreeMap<RoomId, usize>,
    pub(in crate::janitor) tally: Tally,
    /// For a single sweep, whose result also names what it cleared: what was last concluded of what is due.
    kept: Option<BTreeMap<(EventId, u32), Judged>>,
}

impl Sweep {
    pub(in crate::janitor) fn new(ledger: Ledger, breakers: Breakers, quarantine: Quarantine) -> Self {
        Self {
            ledger,
            breakers,
            quarantine,
            dealt_with: HashSet::new(),
            retry_at: HashMap::new(),
            dirty: BTreeSet::new(),
            waiting: BTreeSet::new(),
            retries: BTreeSet::new(),
            wants_all: false,
            settle: SETTLE,
            last: None,
            kept: None,
            last_regular: None,
            clock: None,
            long_expired: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// From now on, what is concluded of what is due is kept for [`Self::take_kept`].
    pub(in crate::janitor) fn keep_judged(&mut self) {
        self.kept.get_or_insert_default();
    }

    fn keep(&mut self, judged: &[Judged]) {
        let Some(kept) = &mut self.kept else { return };
        for one in judged.iter().filter(|one| !one.due.is_empty()) {
            kept.insert((one.subject.event.clone(), one.subject.entry), one.clone());
        }
    }

    /// What was concluded of those that are no longer open.
    pub(in crate::janitor) fn take_kept(&mut self, is_open: impl Fn(&EventId) -> bool) -> Vec<Judged> {
        let kept = self.kept.iter_mut().flat_map(|kept| kept.extract_if(.., |(event, _), _| !is_open(event)));
        kept.map(|(_, judged)| judged).collect()
    }

    /// From now on no sweep waits for the rest of a burst: there is no loop that would come back to it.
    pub(in crate::janitor) fn look_at_once(&mut self) {
        self.settle = Duration::ZERO;
    }

    /// Whether a room is to be looked at soon.
    pub(in crate::janitor) fn has_marked(&self) -> bool {
        self.wants_all || !self.dirty.is_empty()
    }

    /// A room is to be looked at soon.
    pub(in crate::janitor) fn mark(&mut self, room: &RoomId) {
        self.dirty.insert(room.clone());
    }

    /// Everything is to be looked at soon.
    pub(in crate::janitor) fn mark_all(&mut self) {
        self.wants_all = true;
    }

    /// An answer has come: the rooms in which something waits for one are to be looked at.
    pub(in crate::janitor) fn wake_waiting(&mut self) {
        self.dirty.append(&mut self.waiting);
    }

    /// When to look next, if nothing happens; `has_calls` when anything is open at all.
    pub(in crate::janitor) fn next_look(
        &self,
        interval: Duration,
        has_calls: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let soon = self.last.map_or(now, |last| last + self.settle);
        let marked = (self.wants_all || !self.dirty.is_empty()).then_some(soon);
        // What has fallen due since the last look was not seen by it.
        let due = self.ledger.next_due(self.last.unwrap_or(now)).map(|at| at.max(soon));
        let retry = self.retries.first().map(|(at, _)| (*at).max(soon));
        let regular = self.last_regular.map_or(now, |last| last + interval);
        let breaker = self.breakers.next_change(now);
        [marked, due, retry, has_calls.then_some(regular), breaker].into_iter().flatten().min()
    }

    /// What to look at now, if it is time to.
    pub(in crate::janitor) fn take_scope(
        &mut self,
        interval: Duration,
        has_calls: bool,
        now: Timestamp,
    ) -> Option<Scope> {
        let is_settled = self.last.is_none_or(|last| last + self.settle <= now);
        let is_regular = has_calls && self.last_regular.is_none_or(|last| last + interval <= now);
        if !is_settled && !is_regular {
            return None;
        }
        if self.wants_all || is_regular {
            return Some(self.take_all(interval, now));
        }
        let mut rooms = std::mem::take(&mut self.dirty);
        rooms.extend(self.ledger.take_due(now));
        while self.retries.first().is_some_and(|(at, _)| *at <= now) {
            rooms.extend(self.retries.pop_first().map(|(_, room)| room));
        }
        if rooms.is_empty() {
            return None;
        }
        self.last = Some(now);
        Some(Scope::Rooms(rooms))
    }

    /// Everything is looked at now. Time in which nobody looked does not count.
    pub(in crate::janitor) fn take_all(&mut self, interval: Duration, now: Timestamp) -> Scope {
        if self.last_regular.is_some_and(|last| now.since(last) > interval + LATE) {
            self.ledger.pause(None);
        }
        self.wants_all = false;
        self.dirty.clear();
        self.waiting.clear();
        self.ledger.take_due(now);
        (self.last, self.last_regular) = (Some(now), Some(now));
        Scope::All
    }

    /// When everything was last looked at.
    pub(in crate::janitor) fn last_regular(&self) -> Option<Timestamp> {
        self.last_regular
    }

    /// How many keys expired over 30 days ago.
    pub(in crate::janitor) fn long_expired(&self) -> usize {
        self.long_expired.values().sum()
    }

    /// An event was dealt with in one way.
    pub(in crate::janitor) fn is_dealt_with(&mut self, event: &EventId, kind: FindingKind) {
        self.dealt_with.insert((event.clone(), kind));
    }

    /// An event is no longer open.
    pub(in crate::janitor) fn forget(&mut self, room: &RoomId, key: &StateKey, event: &EventId) {
        for kind in
            [FindingKind::Cleared, FindingKind::WouldClear, FindingKind::Blocked, FindingKind::Refused]
        {
            self.dealt_with.remove(&(event.clone(), kind));
        }
        self.retry_at.remove(&(room.clone(), key.clone()));
        self.ledger.forget_key(room, key);
    }

    /// A room is gone.
    pub(in crate::janitor) fn forget_room(&mut self, room: &RoomId) {
        self.ledger.forget_room(room);
        self.dirty.remove(room);
        self.waiting.remove(room);
        self.long_expired.remove(room);
        self.tally.forget(room);
        self.retry_at.retain(|(other, _), _| other != room);
    }

    /// Who may write in a room has changed: what was refused there may be tried at once.
    pub(in crate::janitor) fn power_changed(&mut self, room: &RoomId) {
        self.retry_at.retain(|(other, _), _| other != room);
        self.mark(room);
    }

    /// The server refused a write; it is tried again after a pause that grows.
    pub(in crate::janitor) fn refused(
        &mut self,
        room: &RoomId,
        key: &StateKey,
        error: &NeighbourError,
        now: Timestamp,
    ) {
        let place = (room.clone(), key.clone());
        let mut backoff = self.retry_at.get(&place).map_or(RETRY, |(_, backoff)| *backoff);
        let again = now + backoff.after(error);
        self.retry_at.insert(place, (again, backoff));
        self.look_again(room, again);
    }

    /// A room is to be looked at at an instant, and not only when the regular sweep comes to it.
    fn look_again(&mut self, room: &RoomId, at: Timestamp) {
        self.retries.insert((at, room.clone()));
    }

    /// Closes the breaker of one source, or all of them; returns which were open. Everything is swept again.
    pub(in crate::janitor) fn close_breakers(&mut self, only: Option<Neighbour>) -> Vec<Neighbour> {
        self.mark_all();
        self.breakers.close(only)
    }

    /// Whether the clocks are to be compared before anything is written.
    fn wants_clock(&self, now: Timestamp) -> bool {
        let good_for = |check: ClockCheck| if check.is_skewed { SKEWED_CHECK } else { CLOCK_CHECK };
        self.clock.is_none_or(|check| now.since(check.at) >= good_for(check))
    }

    /// Whether the clocks are known to agree.
    fn clocks_agree(&self, now: Timestamp) -> bool {
        self.clock.is_some_and(|check| !check.is_skewed && now.since(check.at) < CLOCK_CHECK)
    }

    /// Takes in a comparison of the clocks; returns whether they agree, when that has changed.
    pub(in crate::janitor) fn compared(&mut self, ours: Timestamp, theirs: Timestamp) -> Option<bool> {
        let is_skewed = ours.since(theirs).max(theirs.since(ours)) > MOST_SKEW;
        let was_skewed = self.clock.replace(ClockCheck { at: ours, is_skewed }).is_some_and(|c| c.is_skewed);
        if !is_skewed {
            self.wake_waiting();
        }
        (is_skewed != was_skewed).then_some(!is_skewed)
    }
}
