//! The breaker: when many living memberships turn stale at once by the word of one neighbour, it is
//! the neighbour that is wrong.
//!
//! One breaker per neighbour. Closed, everything passes. Open, nothing passes that rests on this
//! neighbour. Then one membership is cleared as a probe: if it stays away, the breaker closes; if it
//! comes back, the breaker opens for twice as long.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{DeviceId, RoomId, StateKey, UserId},
    judge::{
        policy::Neighbour,
        verdict::{Judgement, Verdict},
    },
    rtc::membership::Owner,
    time::Timestamp,
};

/// Owners count as living for this long after they were last judged active.
const LIVING: Duration = Duration::from_mins(10);
/// The longest a breaker stays open before it probes again.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The share of living owners, 0 to 1, that must turn stale in one sweep.
    pub share: f64,
    /// How many owners it must be at least.
    pub minimum: usize,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// How long a probe must stay away.
    pub probe_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { share: 0.5, minimum: 3, open_for: Duration::from_mins(5), probe_for: Duration::from_mins(2) }
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

/// What the last judgement of an owner was, as far as the breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Living {
    Active(Timestamp),
    Turned,
}

/// All breakers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Breakers {
    states: BTreeMap<Neighbour, State>,
    #[serde(with = "owners_as_list")]
    owners: BTreeMap<Owner, Living>,
    /// When the last sweep was: time in which nobody looked makes nobody less alive.
    last_sweep: Option<Timestamp>,
}

impl Breakers {
    /// Takes in all judgements of one sweep and opens what must be opened.
    pub fn observe<'a>(
        &mut self,
        judged: impl IntoIterator<Item = (&'a Owner, &'a Judgement)>,
        settings: &Settings,
        now: Timestamp,
    ) -> Vec<Change> {
        // One owner may have several memberships; any that is active makes it living.
        let mut latest: BTreeMap<&Owner, (bool, Vec<Neighbour>)> = BTreeMap::new();
        let mut unknown = Vec::new();
        for (owner, judgement) in judged {
            let slot = latest.entry(owner).or_default();
            if matches!(judgement.verdict, Verdict::Unknown(_)) {
                unknown.push(owner);
            }
            let neighbours: Vec<_> =
                judgement.reasons().filter_map(|(reason, _)| reason.neighbour()).collect();
            slot.0 |= judgement.verdict == Verdict::Active;
            slot.1.extend(neighbours);
        }
        let looked = self.last_sweep.replace(now).map_or(now, |last| last.min(now));
        let is_living =
            |state: Option<&Living>| matches!(state, Some(Living::Active(at)) if looked.since(*at) <= LIVING);
        // Those who have hung up since say nothing about the neighbour.
        let living = latest.keys().filter(|owner| is_living(self.owners.get(**owner))).count();
        let mut turned: BTreeMap<Neighbour, usize> = BTreeMap::new();
        for (owner, (active, neighbours)) in &latest {
            if *active {
                self.owners.insert((*owner).clone(), Living::Active(now));
            } else if !neighbours.is_empty() {
                if is_living(self.owners.get(owner)) {
                    for neighbour in Neighbour::ALL.iter().filter(|n| neighbours.contains(n)) {
                        *turned.entry(*neighbour).or_default() += 1;
                    }
                }
                self.owners.insert((*owner).clone(), Living::Turned);
            }
        }
        // While a neighbour cannot be asked, whoever was alive is taken to be.
        for owner in unknown {
            if let Some(Living::Active(at)) = self.owners.get_mut(owner) {
                *at = now;
            }
        }
        self.owners.retain(|owner, state| latest.contains_key(owner) || is_living(Some(state)));
        turned
            .into_iter()
            .filter(|(_, turned)| *turned >= settings.minimum && at_least(*turned, living, settings.share))
            .filter_map(|(neighbour, turned)| self.open(neighbour, turned, living, settings, now))
            .collect()
    }

    fn open(
        &mut self,
        neighbour: Neighbour,
        turned: usize,
        living: usize,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Change> {
        let state = self.states.entry(neighbour).or_default();
        let until = now + settings.open_for;
        match state {
            State::Closed => {
                *state = State::Open { since: now, until, wait_ms: millis(settings.open_for) };
                Some(Change::Opened { neighbour, turned, living, until })
            }
            // It is not believed already; what was learned of it, and a probe under way, stay.
            State::Open { until: earlier, .. } => {
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
        Some(Change::StaysOpen { neighbour, until })
    }

    /// Closes the breakers whose probes have stayed away.
    pub fn settle(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for (neighbour, state) in &mut self.states {
            if matches!(state, State::Probing { until, .. } if now >= *until) {
                *state = State::Closed;
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

/// JSON has no maps with structured keys.
mod owners_as_list {
    use serde::{Deserializer, Serializer};

    use super::{BTreeMap, Deserialize, DeviceId, Living, Owner, Serialize, UserId};

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<Owner, Living>, to: S) -> Result<S::Ok, S::Error> {
        let list: Vec<_> = map.iter().map(|(owner, state)| (&owner.user, &owner.device, state)).collect();
        list.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Owner, Living>, D::Error> {
        let list = Vec::<(UserId, DeviceId, Living)>::deserialize(from)?;
        Ok(list.into_iter().map(|(user, device, state)| (Owner { user, device }, state)).collect())
    }
}

#[cfg(test)]
pub(crate) mod tests;
