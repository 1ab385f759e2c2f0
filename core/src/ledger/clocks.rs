//! The clocks of one membership, each with the grace that it was last given.

use super::{Due, ObservedAt, ReasonClock};
use crate::{
    judge::{
        policy::{Grace, Reason},
        verdict::Finding,
    },
    time::Timestamp,
};

/// The clocks of one subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    /// In the order of the reasons.
    pub(super) running: Vec<Timed>,
    /// When they were last reported as changed.
    pub(super) written: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pub(super) reason: Reason,
    pub(super) clock: ReasonClock,
    pub(super) grace: Grace,
}

impl Timed {
    pub(super) fn ends(&self) -> Option<Timestamp> {
        match self.grace {
            Grace::After(grace) if self.clock.running => self.clock.grace_ends(grace),
            _ => None,
        }
    }

    pub(super) fn due(&self, now: Timestamp) -> Option<Due> {
        let ends = self.ends().filter(|ends| *ends <= now)?;
        let ReasonClock { sightings, first, last, .. } = self.clock;
        Some(Due { reason: self.reason, sightings, first, refreshed: last >= ends })
    }

    /// Takes in a finding; `false` where the clock is over by it.
    pub(super) fn see(&mut self, finding: Finding, at: ObservedAt, grace: impl Fn(Reason) -> Grace) -> bool {
        match finding {
            Finding::No => return false,
            Finding::Unknown => self.clock.running = false,
            Finding::Holds { .. } => {
                self.clock.sight(at.of(self.reason), at.now);
                self.grace = grace(self.reason);
            }
        }
        true
    }
}

impl Clocks {
    pub(super) fn get(&self, reason: Reason) -> Option<&Timed> {
        self.running.iter().find(|clock| clock.reason == reason)
    }

    pub(super) fn insert(&mut self, clock: Timed) {
        self.running.retain(|other| other.reason != clock.reason);
        let at = self.running.partition_point(|other| other.reason < clock.reason);
        self.running.insert(at, clock);
    }
}
