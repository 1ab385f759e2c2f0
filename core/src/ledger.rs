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

/// How long a reason has been seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonClock {
    /// Time between sightings, without the pauses.
    pub held: Duration,
    /// How many observations said so, each made at another time.
    pub sightings: u32,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// Whether time counts on from [`Self::last`].
    pub running: bool,
    /// Time before this look does not count, however old the observation is that it was made by.
    counts_from: Timestamp,
}

impl ReasonClock {
    /// A clock as it was written down. It is paused until the reason is seen again; `was_running`
    /// says whether it was when it was written.
    pub const fn restored(
        held: Duration,
        sightings: u32,
        first: Timestamp,
        last: Timestamp,
        was_running: bool,
    ) -> Self {
        Self { held, sightings, first, last, running: was_running, counts_from: last }
    }

    const fn started(at: Timestamp, look: Timestamp) -> Self {
        Self { held: Duration::ZERO, sightings: 1, first: at, last: at, running: true, counts_from: look }
    }

    fn sight(&mut self, at: Timestamp, look: Timestamp) {
        if at <= self.last {
            return; // the same observation, looked at twice
        }
        if self.running {
            self.held += at.since(self.last.max(self.counts_from));
        } else {
            self.counts_from = look;
        }
        self.sightings += 1;
        self.last = at;
        self.running = true;
    }

    /// When the grace is over if nothing changes, `None` while the clock is paused.
    pub fn grace_ends(&self, grace: Duration) -> Option<Timestamp> {
        let from = if self.held >= grace { self.last } else { self.last.max(self.counts_from) };
        (self.running || self.held >= grace).then(|| from + grace.saturating_sub(self.held))
    }
}

/// A reason whose grace is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The reason.
    pub reason: Reason,
    /// How often it was seen.
    pub sightings: u32,
    /// Since when it has been seen.
    pub first: Timestamp,
    /// Whether it was seen again after its grace ended.
    pub refreshed: bool,
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

type Clocks = BTreeMap<Reason, (ReasonClock, Grace)>;

/// All clocks.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    clocks: BTreeMap<Subject, Clocks>,
    changed: BTreeSet<Subject>,
}

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
        clock.running &= now.since(clock.last) <= bridge && !bridge.is_zero();
        self.clocks.entry(subject).or_default().insert(reason, (clock, Grace::Never));
    }

    /// Notes what one judgement says. `grace` gives the grace of each reason for this membership.
    pub fn observe(
        &mut self,
        subject: &Subject,
        judgement: &Judgement,
        at: ObservedAt,
        grace: impl Fn(Reason) -> Grace,
    ) {
        let clocks = self.clocks.entry(subject.clone()).or_default();
        let before = clocks.clone();
        for reason in Reason::ALL {
            match judgement.finding(reason) {
                Finding::No => {
                    clocks.remove(&reason);
                }
                Finding::Unknown => {
                    if let Some((clock, _)) = clocks.get_mut(&reason) {
                        clock.running = false;
                    }
                }
                Finding::Holds { .. } => {
                    let (seen, look) = (at.of(reason), at.now);
                    let slot = clocks
                        .entry(reason)
                        .and_modify(|(clock, _)| clock.sight(seen, look))
                        .or_insert_with(|| (ReasonClock::started(seen, look), Grace::Never));
                    slot.1 = grace(reason);
                }
            }
        }
        if *clocks != before {
            self.changed.insert(subject.clone());
        }
        if clocks.is_empty() {
            self.clocks.remove(subject);
        }
    }

    /// Stops all clocks, or those of one neighbour, until their reasons are seen again.
    pub fn pause(&mut self, neighbour: Option<Neighbour>) {
        for (subject, clocks) in &mut self.clocks {
            for (reason, (clock, _)) in clocks {
                if clock.running && (neighbour.is_none() || reason.neighbour() == neighbour) {
                    clock.running = false;
                    self.changed.insert(subject.clone());
                }
            }
        }
    }

    /// Drops what is no longer there.
    pub fn retain(&mut self, mut is_open: impl FnMut(&Subject) -> bool) {
        let changed = &mut self.changed;
        self.clocks.retain(|subject, _| {
            let keep = is_open(subject);
            if !keep {
                changed.insert(subject.clone());
            }
            keep
        });
    }

    /// The reasons of a membership whose grace is over at `now`, the strongest first.
    pub fn due(&self, subject: &Subject, now: Timestamp) -> Vec<Due> {
        let Some(clocks) = self.clocks.get(subject) else { return Vec::new() };
        clocks
            .iter()
            .filter_map(|(reason, (clock, grace))| {
                let Grace::After(grace) = grace else { return None };
                let ends = clock.grace_ends(*grace).filter(|ends| clock.running && *ends <= now)?;
                Some(Due {
                    reason: *reason,
                    sightings: clock.sightings,
                    first: clock.first,
                    refreshed: clock.last >= ends,
                })
            })
            .collect()
    }

    /// When the first grace of a membership is over if nothing changes.
    pub fn due_at(&self, subject: &Subject) -> Option<Timestamp> {
        self.clocks.get(subject)?.values().filter_map(ends).min()
    }

    /// The next instant after `now` at which something falls due.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.clocks.values().flat_map(BTreeMap::values).filter_map(ends).filter(|at| *at > now).min()
    }

    /// The clock of one reason.
    pub fn clock(&self, subject: &Subject, reason: Reason) -> Option<&ReasonClock> {
        self.clocks.get(subject)?.get(&reason).map(|(clock, _)| clock)
    }

    /// What changed since the last call, with all clocks of each subject; none means it is gone.
    pub fn take_changes(&mut self) -> Vec<(Subject, Vec<(Reason, ReasonClock)>)> {
        std::mem::take(&mut self.changed)
            .into_iter()
            .map(|subject| {
                let clocks = self.clocks.get(&subject).into_iter().flatten();
                let clocks = clocks.map(|(reason, (clock, _))| (*reason, *clock)).collect();
                (subject, clocks)
            })
            .collect()
    }
}

fn ends((clock, grace): &(ReasonClock, Grace)) -> Option<Timestamp> {
    match grace {
        Grace::After(grace) if clock.running => clock.grace_ends(*grace),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
