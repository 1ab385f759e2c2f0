//! Memberships that came back after being cleared: their clients were alive, so the reason that was
//! used was wrong about them. [`cleared`] tells a return from a new join.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{RoomId, StateKey},
    judge::policy::Reason,
    time::Timestamp,
};

pub mod cleared;

pub use cleared::{Cleared, RETURN_WINDOW};

/// For how long a reason is not believed after the first return; each further one doubles it.
const FIRST: Duration = Duration::from_hours(1);
/// The longest it gets.
const LONGEST: Duration = Duration::from_hours(6);

/// Why one key is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The reason that was wrong.
    pub reason: Reason,
    /// Until when it is not believed alone.
    pub until: Timestamp,
    /// How often the key came back.
    pub returns: u32,
}

/// For how long a reason is not believed after so many returns.
fn span(returns: u32) -> Duration {
    FIRST.saturating_mul(1 << (returns.max(1) - 1).min(8)).min(LONGEST)
}

impl Entry {
    /// When the key came back.
    fn began(&self) -> Timestamp {
        self.until - span(self.returns)
    }
}

/// All keys that are left alone, with each reason that was wrong about them.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    entries: BTreeMap<(RoomId, StateKey), BTreeMap<Reason, Entry>>,
}

impl Quarantine {
    /// Puts back an entry from the journal.
    pub fn restore(&mut self, room: RoomId, key: StateKey, entry: Entry) {
        self.entries.entry((room, key)).or_default().insert(entry.reason, entry);
    }

    /// Notes that a key came back after it was cleared for `reason`. Returns the entry; the first
    /// return (`returns == 1`) is the one to tell people about.
    pub fn returned(&mut self, room: &RoomId, key: &StateKey, reason: Reason, now: Timestamp) -> Entry {
        let entries = self.entries.entry((room.clone(), key.clone())).or_default();
        let recent = entries.values().filter(|entry| now < entry.until + LONGEST);
        let returns = recent.map(|entry| entry.returns).max().unwrap_or(0) + 1;
        let entry = Entry { reason, until: now + span(returns), returns };
        entries.insert(reason, entry);
        entry
    }

    /// There is new evidence about a key: the SFU has seen a membership that began at `start`, and lost it. Where that
    /// began after a return, it is another stay than the one that was judged wrongly, and what was wrong about that may
    /// be right about this. Returns the entries that end by it; how often the key came back stays known.
    pub fn lift(&mut self, room: &RoomId, key: &StateKey, start: Timestamp, now: Timestamp) -> Vec<Entry> {
        let entries =
            self.entries.get_mut(&(room.clone(), key.clone())).into_iter().flat_map(BTreeMap::values_mut);
        let held = entries.filter(|entry| now < entry.until && entry.began() < start);
        held.map(|entry| {
            entry.until = now;
            *entry
        })
        .collect()
    }

    /// How many keys are left alone.
    pub fn count(&self, now: Timestamp) -> usize {
        self.entries.values().filter(|reasons| reasons.values().any(|entry| now < entry.until)).count()
    }

    /// The next instant after `now` at which a reason is believed again about a key.
    pub fn next_end(&self, room: &RoomId, key: &StateKey, now: Timestamp) -> Option<Timestamp> {
        let entries = self.entries.get(&(room.clone(), key.clone()))?.values();
        entries.map(|entry| entry.until).filter(|until| *until > now).min()
    }

    /// Whether nothing is remembered, not even what is over.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets what no longer matters, also not for how long the next return would count.
    pub fn prune(&mut self, now: Timestamp) {
        self.entries.retain(|_, reasons| {
            reasons.retain(|_, entry| now < entry.until + LONGEST);
            !reasons.is_empty()
        });
    }

    /// Whether `reason` may be used against a key at `now`. Another reason may be, unless it rests on
    /// the same neighbour's word.
    pub fn believes(&self, room: &RoomId, key: &StateKey, reason: Reason, now: Timestamp) -> bool {
        let Some(entries) = self.entries.get(&(room.clone(), key.clone())) else { return true };
        let same_source = |wrong: Reason| {
            wrong == reason || (wrong.neighbour().is_some() && wrong.neighbour() == reason.neighbour())
        };
        !entries.values().any(|entry| now < entry.until && same_source(entry.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_reason_is_not_believed_for_an_hour_and_longer_each_time_up_to_six() {
        let (room, key): (RoomId, StateKey) = ("!r".into(), "_@a:b_D".into());
        let mut quarantine = Quarantine::default();
        let mut now = Timestamp::from_millis(0);
        for hours in [1, 2, 4, 6, 6] {
            assert!(quarantine.believes(&room, &key, Reason::DeviceGone, now));
            quarantine.returned(&room, &key, Reason::DeviceGone, now);
            let end = now + Duration::from_hours(hours);
            assert!(!quarantine.believes(&room, &key, Reason::DeviceGone, end - Duration::from_millis(1)));
            now = end;
        }
    }

    #[test]
    fn what_no_longer_matters_is_forgotten_and_what_counts_for_the_next_return_is_not() {
        let (room, key): (RoomId, StateKey) = ("!r".into(), "_@a:b_D".into());
        let mut quarantine = Quarantine::default();
        let until = quarantine.returned(&room, &key, Reason::DeviceGone, Timestamp::from_millis(0)).until;
        let next = |quarantine: &Quarantine, now| quarantine.next_end(&room, &key, now);
        assert_eq!(next(&quarantine, Timestamp::from_millis(0)), Some(until));
        quarantine.prune(until + LONGEST - Duration::from_millis(1));
        assert_eq!(quarantine.returned(&room, &key, Reason::DeviceGone, until).returns, 2);
        quarantine.prune(until + LONGEST * 2);
        assert!(quarantine.entries.is_empty());
    }

    #[test]
    fn a_second_wrong_reason_does_not_make_the_first_believed_again() {
        let (room, key): (RoomId, StateKey) = ("!r".into(), "_@a:b_D".into());
        let mut quarantine = Quarantine::default();
        let now = Timestamp::from_millis(0);
        quarantine.returned(&room, &key, Reason::DeviceGone, now);
        quarantine.returned(&room, &key, Reason::NotOnSfu, now);
        assert!(!quarantine.believes(&room, &key, Reason::DeviceGone, now));
        assert!(!quarantine.believes(&room, &key, Reason::NotOnSfu, now));
    }

    #[test]
    fn an_independent_reason_is_believed_and_one_of_the_same_source_is_not() {
        let (room, key): (RoomId, StateKey) = ("!r".into(), "_@a:b_D".into());
        let mut quarantine = Quarantine::default();
        let now = Timestamp::from_millis(0);
        quarantine.returned(&room, &key, Reason::DeviceGone, now);
        assert!(quarantine.believes(&room, &key, Reason::NotJoined, now));
        assert!(quarantine.believes(&room, &key, Reason::Expired, now));
        assert!(!quarantine.believes(&room, &key, Reason::DeviceIdle, now));
        assert!(quarantine.believes(&room, &"_@a:b_E".into(), Reason::DeviceGone, now), "another key");
    }

    #[test]
    fn another_stay_that_the_sfu_has_lost_ends_it_and_the_one_that_came_back_does_not() {
        let (room, key) = ("!r".into(), "k".into());
        let mut quarantine = Quarantine::default();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let minute = |minutes| now + Duration::from_mins(minutes);
        quarantine.returned(&room, &key, Reason::NotOnSfu, now);
        assert!(quarantine.lift(&room, &key, now, minute(5)).is_empty(), "it is what came back");
        assert!(!quarantine.believes(&room, &key, Reason::NotOnSfu, minute(5)));
        let ended = quarantine.lift(&room, &key, minute(1), minute(5));
        assert_eq!(ended, [Entry { reason: Reason::NotOnSfu, until: minute(5), returns: 1 }]);
        assert!(quarantine.believes(&room, &key, Reason::NotOnSfu, minute(5)));
        assert!(quarantine.lift(&room, &key, minute(1), minute(6)).is_empty(), "once");
        assert_eq!(
            quarantine.returned(&room, &key, Reason::NotOnSfu, minute(7)).returns,
            2,
            "it is remembered"
        );
    }
}
