//! Leave lag: how long a membership stands after its device has gone from the SFU, and who ends it.
//!
//! Clients empty their memberships when they hang up. One that crashes cannot: a delayed leave (MSC4140) does it,
//! and where the authorisation service holds that leave, it is sent when the SFU's webhook tells of the departure.
//! Without that webhook it is renewed for ever, which shows here.

use std::{collections::HashMap, fmt, time::Duration};

use crate::{
    ids::{RoomId, StateKey},
    time::Timestamp,
};

/// Owners slower than this, by the median, are worth a word to whoever runs the server.
const SLOW: Duration = Duration::from_mins(1);

/// The least number of leaves that says anything.
const ENOUGH: usize = 10;

/// Who ended a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaver {
    /// Its owner, or a delayed leave in the owner's name.
    Owner,
    /// This program.
    Janitor,
    /// Somebody else with the power to.
    Other,
}

impl Leaver {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Janitor, Self::Other];

    /// The name in the journal and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Janitor => "janitor",
            Self::Other => "other",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|leaver| leaver.as_str() == name)
    }
}

impl fmt::Display for Leaver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Memberships whose device has gone from the SFU, and which stand all the same.
#[derive(Debug, Default)]
pub struct LeftBehind {
    since: HashMap<(RoomId, StateKey), (Timestamp, Timestamp)>,
}

impl LeftBehind {
    /// The device of a membership that began at `start` has gone from the SFU; the first time counts.
    pub fn gone(&mut self, room: &RoomId, key: &StateKey, start: Timestamp, at: Timestamp) {
        let place = (room.clone(), key.clone());
        match self.since.get(&place) {
            Some((of, _)) if *of == start => {}
            _ => {
                self.since.insert(place, (start, at));
            }
        }
    }

    /// Since when the device of the membership that began at `start` is gone, where it was seen to go.
    pub fn since(&self, room: &RoomId, key: &StateKey, start: Timestamp) -> Option<Timestamp> {
        let (of, since) = self.since.get(&(room.clone(), key.clone()))?;
        (*of == start).then_some(*since)
    }

    /// It is there, or there is nothing under the key any more of which it could be said.
    pub fn forget(&mut self, room: &RoomId, key: &StateKey) {
        self.since.remove(&(room.clone(), key.clone()));
    }

    /// Whatever was seen to go may have been the SFU's own doing.
    pub fn forget_all(&mut self) {
        self.since.clear();
    }

    /// The membership that began at `start` is ended: how long that took, where it was seen to go.
    pub fn ended(
        &mut self,
        room: &RoomId,
        key: &StateKey,
        start: Timestamp,
        now: Timestamp,
    ) -> Option<Duration> {
        let (of, since) = self.since.remove(&(room.clone(), key.clone()))?;
        (of == start).then(|| now.since(since))
    }
}

/// The lags of some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaveLags {
    by_leaver: [Vec<Duration>; Leaver::ALL.len()],
}

impl LeaveLags {
    /// Adds one.
    pub fn add(&mut self, by: Leaver, lag: Duration) {
        let lags = &mut self.by_leaver[by as usize];
        let place = lags.partition_point(|other| *other <= lag);
        lags.insert(place, lag);
    }

    /// How many there are.
    pub fn count(&self, by: Leaver) -> usize {
        self.by_leaver[by as usize].len()
    }

    /// The one in the middle.
    pub fn median(&self, by: Leaver) -> Option<Duration> {
        let lags = &self.by_leaver[by as usize];
        lags.get(lags.len() / 2).copied()
    }

    /// Whether owners, or whoever sends their leaves, are slow: more than a minute in the median of ten or more.
    pub fn owners_are_slow(&self) -> bool {
        self.count(Leaver::Owner) >= ENOUGH && self.median(Leaver::Owner) > Some(SLOW)
    }
}

impl FromIterator<(Leaver, Duration)> for LeaveLags {
    fn from_iter<I: IntoIterator<Item = (Leaver, Duration)>>(lags: I) -> Self {
        let mut all = Self::default();
        for (by, lag) in lags {
            all.by_leaver[by as usize].push(lag);
        }
        all.by_leaver.iter_mut().for_each(|lags| lags.sort_unstable());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_lag_is_that_of_the_membership_that_was_seen_to_go() {
        let (room, key) = ("!r".into(), "_@a:hs_D_m.call".into());
        let mut left = LeftBehind::default();
        assert_eq!(left.ended(&room, &key, NOW, after(5)), None, "it was never seen to go");
        left.gone(&room, &key, NOW, after(10));
        left.gone(&room, &key, NOW, after(25));
        assert_eq!(left.ended(&room, &key, NOW, after(40)), Some(Duration::from_secs(30)));
        assert_eq!(left.ended(&room, &key, NOW, after(41)), None, "once");
        left.gone(&room, &key, NOW, after(50));
        left.gone(&room, &key, after(60), after(70));
        assert_eq!(left.ended(&room, &key, after(60), after(71)), Some(Duration::from_secs(1)));
        left.gone(&room, &key, NOW, after(80));
        assert_eq!(left.ended(&room, &key, after(1), after(90)), None, "another membership");
        left.gone(&room, &key, NOW, after(80));
        left.forget(&room, &key);
        assert_eq!(left.ended(&room, &key, NOW, after(90)), None, "it came back");
    }

    #[test]
    fn owners_are_slow_when_half_of_ten_take_more_than_a_minute() {
        let lags = |slow: usize, quick: usize| -> LeaveLags {
            let slow = std::iter::repeat_n((Leaver::Owner, Duration::from_secs(61)), slow);
            slow.chain(std::iter::repeat_n((Leaver::Owner, Duration::ZERO), quick)).collect()
        };
        assert!(lags(6, 5).owners_are_slow());
        assert!(lags(5, 5).owners_are_slow(), "of an even number, the later one");
        assert!(!lags(4, 6).owners_are_slow());
        assert!(!lags(9, 0).owners_are_slow(), "too few to say");
        let mut by_others: LeaveLags =
            std::iter::repeat_n((Leaver::Janitor, Duration::from_hours(1)), 20).collect();
        assert!(!by_others.owners_are_slow());
        by_others.add(Leaver::Other, Duration::from_secs(9));
        by_others.add(Leaver::Other, Duration::from_secs(3));
        by_others.add(Leaver::Other, Duration::from_secs(6));
        assert_eq!(by_others.median(Leaver::Other), Some(Duration::from_secs(6)));
        assert_eq!(by_others.median(Leaver::Owner), None);
    }
}
