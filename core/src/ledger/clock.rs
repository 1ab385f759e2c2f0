//! How long one reason of one membership has been seen to hold.

use std::time::Duration;

use crate::{judge::policy::Reason, time::Timestamp};

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

    pub(super) const fn started(at: Timestamp, look: Timestamp) -> Self {
        Self { held: Duration::ZERO, sightings: 1, first: at, last: at, running: true, counts_from: look }
    }

    pub(super) fn sight(&mut self, at: Timestamp, look: Timestamp) {
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

    /// When the grace is over if nothing changes, or was; `None` while the clock is paused. What is over
    /// stays over at the same instant, however often it is looked at.
    pub fn grace_ends(&self, grace: Duration) -> Option<Timestamp> {
        let beyond = self.held.saturating_sub(grace);
        if self.held >= grace {
            return Some(self.last.offset_millis(-i64::try_from(beyond.as_millis()).unwrap_or(i64::MAX)));
        }
        self.running.then(|| self.last.max(self.counts_from) + grace.saturating_sub(self.held))
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
