//! The breaker: when many living memberships turn stale at once by the word of one neighbour, it is
//! the neighbour that is wrong.
//!
//! One breaker per neighbour; of device lists, who turns stale is counted among all and for each kind of list by
//! itself. Closed, everything passes. Open, nothing passes that rests on this neighbour. Then one membership is cleared
//! as a probe: if it stays away, the breaker closes; if it comes back, the breaker opens for twice as long.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

mod living;

pub use living::Judged;
use living::{Living, Looks, Loss};

use crate::{
    ids::{RoomId, StateKey},
    judge::policy::Neighbour,
    rtc::membership::Owner,
    time::Timestamp,
};

/// The longest a breaker stays open before it probes again.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The share of living owners, 0 to 1, that must turn stale at once.
    pub share: f64,
    /// How many owners it must be at least.
    pub minimum: usize,
    /// What turns stale within less than this turns stale at once: the interval of the regular sweeps, for
    /// rooms are looked at one by one.
    pub at_once: Duration,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// How long a probe must stay away.
    pub probe_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            share: 0.5,
            minimum: 3,
            at_once: Duration::from_mins(1),
            open_for: Duration::from_mins(5),
            probe_for: Duration::from_mins(2),
        }
    }
}

/// Where one breaker stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Everything passes.
    #[default]
    Closed,
    /// Nothing passes before `until`; from then on, one probe.
    Open {
        /// Since when.
        since: Timestamp,
        /// When the first probe may be made.
        until: Timestamp,
        /// How long it was opened for, in milliseconds.
        wait_ms: u64,
    },
    /// A probe was cleared and is watched.
    Probing {
        /// Its room.
        room: RoomId,
        /// Its key.
        key: StateKey,
        /// When the breaker closes unless the probe comes back.
        until: Timestamp,
        /// How long the breaker had been opened for, in milliseconds.
        wait_ms: u64,
    },
}

/// May something that rests on a neighbour's word be written?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Yes.
    Free,
    /// One of them, as a probe.
    Probe,
    /// No.
    Barred,
}

/// Something that people should be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It opened: so many of so many living owners turned stale at once.
    Opened {
        /// The neighbour that is not believed.
        neighbour: Neighbour,
        /// How many owners turned stale.
        turned: usize,
        /// Of how many living ones.
        living: usize,
        /// When the first probe is made.
        until: Timestamp,
    },
    /// The probe came back; it stays open.
    StaysOpen {
        /// The neighbour.
        neighbour: Neighbour,
        /// When the next probe is made.
        until: Timestamp,
    },
    /// The probe stayed away; it closed.
    Closed {
        /// The neighbour.
        neighbour: Neighbour,
    },
}

/// All breakers. What is written down is how they stand; who was alive is known only while the janitor
/// runs, for meanwhile nobody looked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Breakers {
    states: BTreeMap<Neighbour, State>,
    #[serde(skip)]
    living: Living,
    #[serde(skip)]
    has_changed: bool,
}

impl Breakers {
    /// For when nobody knows how they stood: all are open from now on.
    pub fn unreadable(settings: &Settings, now: Timestamp) -> Self {
        let (until, wait_ms) = (now + settings.open_for, millis(settings.open_for));
        let open = State::Open { since: now, until, wait_ms };
        let states = Neighbour::ALL.into_iter().map(|neighbour| (neighbour, open.clone())).collect();
        Self { states, living: Living::default(), has_changed: true }
    }

    /// Whether how they stand has changed since the last call, so that it has to be written down.
    pub fn take_changes(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Takes in the judgements of all open memberships there are, and opens what must be opened. Whoever
    /// has none has left.
    pub fn observe<'a>(
        &mut self,
        judged: impl IntoIterator<Item = Judged<'a>>,
        settings: &Settings,
        now: Timestamp,
    ) -> Vec<Change> {
        let looks = Looks::gather(judged);
        for owner in self.living.here_without(&looks) {
            self.living.hung_up(&owner, now);
        }
        self.take_in(&looks, settings, now)
    }

    /// Takes in the judgements of one sweep, of whatever rooms it looked at, and opens what must be opened:
    /// where enough of those who were alive have turned stale by it and by those shortly before. The
    /// work is in proportion to what was judged.
    ///
    /// Whoever has no open membership any more has to be named by [`Self::hung_up`].
    pub fn observe_judged<'a>(
        &mut self,
        judged: impl IntoIterator<Item = Judged<'a>>,
        settings: &Settings,
        now: Timestamp,
    ) -> Vec<Change> {
        self.take_in(&Looks::gather(judged), settings, now)
    }

    /// Notes that an owner has no open membership any more: whoever left says nothing of a neighbour.
    pub fn hung_up(&mut self, owner: &Owner, now: Timestamp) {
        self.living.hung_up(owner, now);
    }

    fn take_in(&mut self, looks: &Looks<'_>, settings: &Settings, now: Timestamp) -> Vec<Change> {
        let losses = self.living.take_in(looks, settings.at_once, now);
        let is_too_much = |loss: &Loss| {
            loss.turned >= settings.minimum && at_least(loss.turned, loss.living, settings.share)
        };
        losses.into_iter().filter(is_too_much).filter_map(|loss| self.open(loss, settings, now)).collect()
    }

    fn open(
        &mut self,
        Loss { neighbour, turned, living }: Loss,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Change> {
        let state = self.states.entry(neighbour).or_default();
        let until = now + settings.open_for;
        match state {
            State::Closed => {
                self.has_changed = true;
                *state = State::Open { since: now, until, wait_ms: millis(settings.open_for) };
                Some(Change::Opened { neighbour, turned, living, until })
            }
            // It is not believed already; what was learned of it, and a probe under way, stay.
            State::Open { until: earlier, .. } => {
                self.has_changed |= until > *earlier;
                *earlier = until.max(*earlier);
                None
            }
            State::Probing { .. } => None,
        }
    }

    /// Whether something that rests on this neighbour's word may be written at `now`.
    pub fn passage(&self, neighbour: Neighbour, now: Timestamp) -> Passage {
        match self.state(neighbour) {
            State::Closed => Passage::Free,
            State::Open { until, .. } if now >= *until => Passage::Probe,
            State::Open { .. } | State::Probing { .. } => Passage::Barred,
        }
    }

    /// Where the breaker of a neighbour stands.
    pub fn state(&self, neighbour: Neighbour) -> &State {
        self.states.get(&neighbour).unwrap_or(&State::Closed)
    }

    /// Closes the breakers of a neighbour, or all, by a person's word; returns which were open.
    pub fn close(&mut self, only: Option<Neighbour>) -> Vec<Neighbour> {
        let mut closed = Vec::new();
        for (neighbour, state) in &mut self.states {
            if *state != State::Closed && only.is_none_or(|only| only == *neighbour) {
                *state = State::Closed;
                self.has_changed = true;
                closed.push(*neighbour);
            }
        }
        closed
    }

    /// Notes that the probe was cleared.
    pub fn probed(
        &mut self,
        neighbour: Neighbour,
        room: &RoomId,
        key: &StateKey,
        settings: &Settings,
        now: Timestamp,
    ) {
        let wait_ms = match self.state(neighbour) {
            State::Open { wait_ms, .. } => *wait_ms,
            _ => return,
        };
        let until = now + settings.probe_for;
        let (room, key) = (room.clone(), key.clone());
        self.states.insert(neighbour, State::Probing { room, key, until, wait_ms });
        self.has_changed = true;
    }

    /// Notes that a cleared key came back.
    pub fn returned(&mut self, room: &RoomId, key: &StateKey, now: Timestamp) -> Option<Change> {
        let (neighbour, wait_ms) = self.states.iter().find_map(|(neighbour, state)| match state {
            State::Probing { room: r, key: k, wait_ms, .. } if r == room && k == key => {
                Some((*neighbour, *wait_ms))
            }
            _ => None,
        })?;
        let wait = Duration::from_millis(wait_ms).saturating_mul(2).min(LONGEST_WAIT);
        let until = now + wait;
        self.states.insert(neighbour, State::Open { since: now, until, wait_ms: millis(wait) });
        self.has_changed = true;
        Some(Change::StaysOpen { neighbour, until })
    }

    /// Closes the breakers whose probes have stayed away.
    pub fn settle(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for (neighbour, state) in &mut self.states {
            if matches!(state, State::Probing { until, .. } if now >= *until) {
                *state = State::Closed;
                self.has_changed = true;
                changes.push(Change::Closed { neighbour: *neighbour });
            }
        }
        changes
    }

    /// The next instant after `now` at which a breaker changes by itself.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.states
            .values()
            .filter_map(|state| match state {
                State::Open { until, .. } | State::Probing { until, .. } => Some(*until),
                State::Closed => None,
            })
            .filter(|at| *at > now)
            .min()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of people in calls")]
fn at_least(turned: usize, living: usize, share: f64) -> bool {
    turned as f64 >= share * living as f64
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
