//! Leave lag: how long a membership stands after its device has gone from the SFU, and who ends it.
//!
//! Clients empty their memberships when they leave a call. One that crashes cannot: a delayed leave (MSC4140) does it,
//! and where the authorisation service holds that leave, it is sent when the SFU's webhook tells of the departure.
//! Without that webhook it is renewed for ever, which shows here.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use crate::{
    ids::{RoomId, StateKey},
    time::Timestamp,
};

/// Leaves slower than this, by the median, are worth a word to whoever runs the server.
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
    /// By key; of each membership there, when it began and when its device went.
    since: HashMap<(RoomId, StateKey), BTreeMap<Timestamp, Timestamp>>,
}

impl LeftBehind {
    /// The device of a membership that began at `start` has gone from the SFU; the first time counts.
    pub fn gone(&mut self, room: &RoomId, key: &StateKey, start: Timestamp, at: Timestamp) {
        self.since.entry((room.clone(), key.clone())).or_default().entry(start).or_insert(at);
    }

    /// Since when the device of the membership that began at `start` is gone, where it was seen to go.
    pub fn since(&self, room: &RoomId, key: &StateKey, start: Timestamp) -> Option<Timestamp> {
        self.since.get(&(room.clone(), key.clone()))?.get(&start).copied()
    }

    /// The device of the membership that began at `start` is on the SFU.
    pub fn is_back(&mut self, room: &RoomId, key: &StateKey, start: Timestamp) {
        if let Some(of_key) = self.since.get_mut(&(room.clone(), key.clone())) {
            of_key.remove(&start);
        }
    }

    /// Nothing stands under the key any more of which it could be said.
    pub fn forget_key(&mut self, room: &RoomId, key: &StateKey) {
        self.since.remove(&(room.clone(), key.clone()));
    }

    /// Whatever was seen to go may have been the SFU's own doing.
    pub fn forget_all(&mut self) {
        self.since.clear();
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

    /// Those that an owner, or a leave in the owner's name, should have ended in time: where this program was quicker, it
    /// had not. Whoever left the call left nothing behind, and says nothing of that.
    fn owed(&self, by: Leaver) -> impl Iterator<Item = Duration> {
        self.by_leaver[by as usize].iter().copied().filter(|lag| !lag.is_zero())
    }

    /// How many of them that leaver has ended.
    pub fn count_owed(&self, by: Leaver) -> usize {
        self.owed(by).count()
    }

    /// The one in the middle of all of them, by owners and by this program. `None` for fewer than ten.
    pub fn median_of_owed(&self) -> Option<Duration> {
        let mut owed: Vec<_> = self.owed(Leaver::Owner).chain(self.owed(Leaver::Janitor)).collect();
        owed.sort_unstable();
        (owed.len() >= ENOUGH).then(|| owed[owed.len() / 2])
    }

    /// Whether leaves come late: after more than a minute, in the median of ten or more.
    pub fn are_slow(&self) -> bool {
        self.median_of_owed() > Some(SLOW)
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
    fn what_was_seen_to_go_is_known_until_it_is_back_or_its_key_is_empty() {
        let (room, key) = ("!r".into(), "_@a:hs_D_m.call".into());
        let mut left = LeftBehind::default();
        assert_eq!(left.since(&room, &key, NOW), None, "it was never seen to go");
        left.gone(&room, &key, NOW, after(10));
        left.gone(&room, &key, NOW, after(25));
        left.gone(&room, &key, after(5), after(30));
        assert_eq!(left.since(&room, &key, NOW), Some(after(10)), "the first time");
        assert_eq!(left.since(&room, &key, after(5)), Some(after(30)), "another one under the same key");
        assert_eq!(left.since(&room, &key, after(1)), None);
        left.is_back(&room, &key, NOW);
        assert_eq!(
            (left.since(&room, &key, NOW), left.since(&room, &key, after(5))),
            (None, Some(after(30)))
        );
        left.forget_key(&room, &key);
        assert_eq!(left.since(&room, &key, after(5)), None);
    }

    #[test]
    fn leaves_are_slow_when_half_of_ten_come_after_more_than_a_minute_or_not_at_all() {
        let lags = |owner: (usize, u64), janitor: usize| -> LeaveLags {
            let by_owner = std::iter::repeat_n((Leaver::Owner, Duration::from_secs(owner.1)), owner.0);
            by_owner.chain(std::iter::repeat_n((Leaver::Janitor, Duration::from_secs(95)), janitor)).collect()
        };
        assert!(lags((10, 61), 0).are_slow());
        assert!(!lags((10, 60), 0).are_slow());
        assert!(!lags((9, 61), 0).are_slow(), "too few to say");
        assert!(lags((0, 0), 10).are_slow(), "the janitor was quicker than the owners");
        assert!(lags((5, 1), 5).are_slow(), "of an even number, the later one");
        assert!(!lags((6, 1), 5).are_slow());
        assert!(lags((90, 0), 10).are_slow(), "whoever leaves hides nobody who does not");
        let mut by_others = LeaveLags::default();
        for seconds in [9, 3, 6, 900, 900, 900, 900, 900, 900, 900, 900, 900] {
            by_others.add(Leaver::Other, Duration::from_secs(seconds));
        }
        assert!(!by_others.are_slow(), "what moderators do says nothing of owners");
        assert_eq!(by_others.median(Leaver::Other), Some(Duration::from_mins(15)));
        assert_eq!(by_others.median(Leaver::Owner), None);
    }
}
