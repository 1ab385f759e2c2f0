//! How much may be written: in one sweep, in one room of a sweep, and in an hour.

use std::collections::BTreeMap;

use crate::ids::RoomId;

/// The configured limits, in keys cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In one sweep.
    pub per_sweep: u32,
    /// In one room and sweep.
    pub per_room: u32,
    /// In any hour.
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
    /// Of this sweep.
    Sweep,
    /// Of this room in this sweep.
    Room,
    /// Of the last hour.
    Hour,
}

/// What is left of the limits for one sweep.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    planned: u32,
    planned_by_room: BTreeMap<RoomId, u32>,
    in_last_hour: u32,
}

impl Budget {
    /// The budget of a new sweep, `in_last_hour` keys having been cleared in the hour before it.
    pub const fn new(limits: Limits, in_last_hour: u32) -> Self {
        Self { limits, planned: 0, planned_by_room: BTreeMap::new(), in_last_hour }
    }

    /// Takes one key in a room, or says which limit forbids it.
    ///
    /// # Errors
    ///
    /// The limit that is reached.
    pub fn take(&mut self, room: &RoomId) -> Result<(), Limit> {
        let in_room = self.planned_by_room.get(room).copied().unwrap_or(0);
        if self.in_last_hour.saturating_add(self.planned) >= self.limits.per_hour {
            return Err(Limit::Hour);
        }
        if self.planned >= self.limits.per_sweep {
            return Err(Limit::Sweep);
        }
        if in_room >= self.limits.per_room {
            return Err(Limit::Room);
        }
        self.planned += 1;
        self.planned_by_room.insert(room.clone(), in_room + 1);
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
}
