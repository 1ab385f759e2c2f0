//! How much may be written: within any sweep interval, in all and in one room, and within any hour.
//!
//! Sweeps come as often as something changes, so no limit is of one sweep: each holds in time.

use std::collections::BTreeMap;

use crate::ids::RoomId;

/// The configured limits, in keys cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Within any `janitor.sweep_interval`.
    pub per_sweep: u32,
    /// In one room within any `janitor.sweep_interval`.
    pub per_room: u32,
    /// Within any hour.
    pub per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_sweep: 20, per_room: 10, per_hour: 120 }
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Of the last sweep interval.
    Sweep,
    /// Of this room in the last sweep interval.
    Room,
    /// Of the last hour.
    Hour,
}

/// What has been cleared lately, by the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Keys cleared in the last hour.
    pub in_hour: u32,
    /// Keys cleared in the last `janitor.sweep_interval`.
    pub in_interval: u32,
    /// The same, by room; rooms in which none was are left out.
    pub in_interval_by_room: BTreeMap<RoomId, u32>,
}

/// What was cleared in the last hour, all of it before the last sweep interval.
impl From<u32> for Used {
    fn from(in_hour: u32) -> Self {
        Self { in_hour, ..Self::default() }
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    used: Used,
}

impl Budget {
    /// What is left beside what has been `used`.
    pub fn new(limits: Limits, used: impl Into<Used>) -> Self {
        Self { limits, used: used.into() }
    }

    /// Takes one key in a room, or says which limit forbids it. The widest is named where several do: it
    /// is the one to wait for.
    ///
    /// # Errors
    ///
    /// The limit that is reached.
    pub fn take(&mut self, room: &RoomId) -> Result<(), Limit> {
        let Used { in_hour, in_interval, in_interval_by_room } = &mut self.used;
        let in_room = in_interval_by_room.get(room).copied().unwrap_or(0);
        if *in_hour >= self.limits.per_hour {
            return Err(Limit::Hour);
        }
        if *in_interval >= self.limits.per_sweep {
            return Err(Limit::Sweep);
        }
        if in_room >= self.limits.per_room {
            return Err(Limit::Room);
        }
        *in_hour += 1;
        *in_interval += 1;
        in_interval_by_room.insert(room.clone(), in_room + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_by_itself() {
        let (a, b): (RoomId, RoomId) = ("!a".into(), "!b".into());
        let limits = Limits { per_sweep: 3, per_room: 2, per_hour: 10 };
        let mut budget = Budget::new(limits, 0);
        assert_eq!([budget.take(&a), budget.take(&a), budget.take(&a)], [Ok(()), Ok(()), Err(Limit::Room)]);
        assert_eq!([budget.take(&b), budget.take(&b)], [Ok(()), Err(Limit::Sweep)]);
        assert_eq!(Budget::new(limits, 9).take(&a), Ok(()));
        assert_eq!(Budget::new(limits, 10).take(&a), Err(Limit::Hour));
    }

    #[test]
    fn what_an_earlier_sweep_cleared_in_the_same_interval_counts() {
        let (a, b, c): (RoomId, RoomId, RoomId) = ("!a".into(), "!b".into(), "!c".into());
        let limits = Limits { per_sweep: 4, per_room: 2, per_hour: 10 };
        let used = Used { in_hour: 6, in_interval: 2, in_interval_by_room: [(a.clone(), 2)].into() };
        let mut budget = Budget::new(limits, used.clone());
        assert_eq!(
            [&a, &b, &c, &b].map(|room| budget.take(room)),
            [Err(Limit::Room), Ok(()), Ok(()), Err(Limit::Sweep)]
        );
        let mut budget = Budget::new(limits, Used { in_hour: 9, ..used });
        assert_eq!([&b, &c].map(|room| budget.take(room)), [Ok(()), Err(Limit::Hour)]);
    }
}
