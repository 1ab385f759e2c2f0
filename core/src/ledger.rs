//! What is stale since when, what is due, and when to look next.
//!
//! Each reason of each membership has its own clock. A clock runs from one sighting to the next; it
//! pauses while the reason cannot be told, while its neighbour is away and while the janitor is not
//! running, and it is gone when the reason no longer holds or the event is replaced. So a grace can
//! become longer than configured by the wall clock, and never shorter.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

mod clock;
mod clocks;
mod ends;

pub use clock::{Due, ReasonClock};
use clocks::{Clocks, Timed};
use ends::Ends;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{EventId, RoomId, StateKey},
    judge::{
        policy::{Grace, Neighbour, Reason},
        verdict::{Finding, Judgement},
    },
    time::Timestamp,
};

/// One membership in one event: what can be stale. A new event under the same key is another subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The room.
    pub room: RoomId,
    /// The key of the event.
    pub key: StateKey,
    /// The event.
    pub event: EventId,
    /// Which entry of an array-form event; 0 in the session form.
    pub entry: u32,
}

/// When the evidence of each kind was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedAt {
    /// Now: what follows from the event itself.
    pub now: Timestamp,
    /// When the owner's room membership was read.
    pub homeserver: Timestamp,
    /// When the owner's device list was answered.
    pub device_lists: Timestamp,
    /// When the SFU answered.
    pub sfu: Timestamp,
}

impl ObservedAt {
    /// Everything at one moment.
    pub const fn all(now: Timestamp) -> Self {
        Self { now, homeserver: now, device_lists: now, sfu: now }
    }

    fn of(&self, reason: Reason) -> Timestamp {
        match reason.neighbour() {
            None => self.now,
            Some(Neighbour::Homeserver) => self.homeserver,
            Some(Neighbour::DeviceLists) => self.device_lists,
            Some(Neighbour::Sfu) => self.sfu,
        }
    }
}

/// All clocks.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    clocks: BTreeMap<Subject, Clocks>,
    ends: Ends,
    changed: BTreeSet<Subject>,
}

/// How long a clock that only runs on need not be written down.
const WRITE_AGAIN: Duration = Duration::from_mins(1);

impl Ledger {
    /// Puts back a clock from the journal. Time runs on from its last sighting only where that is at
    /// most `bridge` ago: zero for a janitor that was not running meanwhile, more for sweeps that are
    /// repeated from outside and are the janitor's looks in that case.
    pub fn restore(
        &mut self,
        subject: Subject,
        reason: Reason,
        mut clock: ReasonClock,
        now: Timestamp,
        bridge: Duration,
    ) {
        // Who is in a call comes and goes: that somebody was not there twice says nothing of the time between.
        let is_bridged = !bridge.is_zero() && reason.neighbour() != Some(Neighbour::Sfu);
        clock.running &= now.since(clock.last) <= bridge && is_bridged;
        self.clocks.entry(subject).or_default().insert(Timed { reason, clock, grace: Grace::Never });
    }

    /// Notes what one judgement says. `grace` gives the grace of each reason for this membership.
    pub fn observe(
        &mut self,
        subject: &Subject,
        judgement: &Judgement,
        at: ObservedAt,
        grace: impl Fn(Reason) -> Grace,
    ) {
        let is_known = self.clocks.contains_key(subject);
        if !is_known && judgement.reasons().next().is_none() {
            return;
        }
        let clocks = self.clocks.entry(subject.clone()).or_default();
        let (mut moved, mut must_be_written) = (false, false);
        for reason in Reason::ALL {
            let finding = judgement.finding(reason);
            let before = clocks.get(reason).copied();
            let after = match (before, finding) {
                (Some(mut clock), _) => clock.see(finding, at, &grace).then_some(clock),
                (None, Finding::Holds { .. }) => {
                    let clock = ReasonClock::started(at.of(reason), at.now);
                    Some(Timed { reason, clock, grace: grace(reason) })
                }
                (None, Finding::No | Finding::Unknown) => None,
            };
            match after {
                Some(clock) => clocks.insert(clock),
                None => clocks.running.retain(|clock| clock.reason != reason),
            }
            let state = |clock: Option<Timed>| {
                clock.map(|clock| (clock.clock.running, clock.due(at.now).is_some_and(|due| due.refreshed)))
            };
            must_be_written |= state(before) != state(after);
            moved |= before.map(|clock| clock.clock) != after.map(|clock| clock.clock);
            let (old, new) = (before.and_then(|clock| clock.ends()), after.and_then(|clock| clock.ends()));
            if old != new {
                self.ends.change(subject, reason, old, new);
            }
        }
        let is_old = clocks.written.is_none_or(|written| at.now.since(written) >= WRITE_AGAIN);
        if must_be_written || (moved && is_old) {
            clocks.written = Some(at.now);
            self.changed.insert(subject.clone());
        }
        if clocks.running.is_empty() {
            self.clocks.remove(subject);
        }
    }

    /// Stops all clocks, or those of one neighbour, until their reasons are seen again.
    pub fn pause(&mut self, neighbour: Option<Neighbour>) {
        for (subject, clocks) in &mut self.clocks {
            for clock in &mut clocks.running {
                if clock.clock.running && (neighbour.is_none() || clock.reason.neighbour() == neighbour) {
                    let old = clock.ends();
                    clock.clock.running = false;
                    self.changed.insert(subject.clone());
                    self.ends.change(subject, clock.reason, old, None);
                }
            }
        }
    }

    /// Drops the clocks of one neighbour: it was away, so every grace by its word begins anew.
    pub fn reset(&mut self, neighbour: Neighbour) {
        for (subject, clocks) in &mut self.clocks {
            let is_its = |clock: &Timed| clock.reason.neighbour() == Some(neighbour);
            for clock in clocks.running.iter().filter(|clock| is_its(clock)) {
                self.changed.insert(subject.clone());
                self.ends.change(subject, clock.reason, clock.ends(), None);
            }
            clocks.running.retain(|clock| !is_its(clock));
        }
        self.clocks.retain(|_, clocks| !clocks.running.is_empty());
    }

    /// Drops what is no longer there. Looks at everything; for what is known to have ended there is
    /// [`Self::forget_key`].
    pub fn retain(&mut self, mut is_open: impl FnMut(&Subject) -> bool) {
        let over: Vec<_> = self.clocks.keys().filter(|subject| !is_open(subject)).cloned().collect();
        for subject in over {
            self.forget(&subject);
        }
    }

    /// Drops all of a key: it was emptied, or another event stands there.
    pub fn forget_key(&mut self, room: &RoomId, key: &StateKey) {
        let first = Subject { room: room.clone(), key: key.clone(), event: "".into(), entry: 0 };
        let of_key = self.clocks.range(first..).map(|(subject, _)| subject);
        let over: Vec<_> =
            of_key.take_while(|subject| subject.room == *room && subject.key == *key).cloned().collect();
        for subject in over {
            self.forget(&subject);
        }
    }

    /// Drops all of a room: the janitor has left it.
    pub fn forget_room(&mut self, room: &RoomId) {
        let first = Subject { room: room.clone(), key: "".into(), event: "".into(), entry: 0 };
        let of_room = self.clocks.range(first..).map(|(subject, _)| subject);
        let over: Vec<_> = of_room.take_while(|subject| subject.room == *room).cloned().collect();
        for subject in over {
            self.forget(&subject);
        }
    }

    /// Drops one membership.
    pub fn forget(&mut self, subject: &Subject) {
        let Some(clocks) = self.clocks.remove(subject) else { return };
        for clock in clocks.running {
            self.ends.change(subject, clock.reason, clock.ends(), None);
        }
        self.changed.insert(subject.clone());
    }

    /// The reasons of a membership whose grace is over at `now`, the strongest first.
    pub fn due(&self, subject: &Subject, now: Timestamp) -> Vec<Due> {
        let clocks = self.clocks.get(subject);
        clocks.into_iter().flat_map(|clocks| &clocks.running).filter_map(|clock| clock.due(now)).collect()
    }

    /// When the first grace of a membership is over if nothing changes.
    pub fn due_at(&self, subject: &Subject) -> Option<Timestamp> {
        self.clocks.get(subject)?.running.iter().filter_map(Timed::ends).min()
    }

    /// When the grace of each running reason of a membership is over if nothing changes, or was.
    pub fn ends(&self, subject: &Subject) -> impl Iterator<Item = (Reason, Timestamp)> {
        let clocks = self.clocks.get(subject).into_iter().flat_map(|clocks| &clocks.running);
        clocks.filter_map(|clock| clock.ends().map(|at| (clock.reason, at)))
    }

    /// The next instant after `now` at which something falls due.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.ends.next_after(now)
    }

    /// The rooms in which something has fallen due by `now` of which the last call did not tell. What is
    /// due and held back is told once, and again when its clock has stopped and runs again.
    pub fn take_due(&mut self, now: Timestamp) -> BTreeSet<RoomId> {
        self.ends.take_until(now).map(|subject| subject.room).collect()
    }

    /// The clock of one reason.
    pub fn clock(&self, subject: &Subject, reason: Reason) -> Option<&ReasonClock> {
        self.clocks.get(subject)?.get(reason).map(|clock| &clock.clock)
    }

    /// What has to be written down, with all clocks of each subject; none means that it is gone.
    ///
    /// A clock that starts, stops or falls due is told at once, one that only runs on once a minute: what
    /// is lost of it when the janitor ends makes a grace longer and never shorter.
    pub fn take_changes(&mut self) -> Vec<(Subject, Vec<(Reason, ReasonClock)>)> {
        std::mem::take(&mut self.changed)
            .into_iter()
            .map(|subject| {
                let clocks = self.clocks.get(&subject).into_iter().flat_map(|clocks| &clocks.running);
                let clocks = clocks.map(|clock| (clock.reason, clock.clock)).collect();
                (subject, clocks)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
