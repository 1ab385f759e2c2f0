//! How many memberships look how, kept room by room as rooms are looked at.

use std::collections::{BTreeMap, BTreeSet};

use rtc_janitor_core::{
    ids::RoomId,
    judge::{policy::Reason, verdict::Verdict},
};

use crate::metrics::Memberships;

/// The counts of every room that was looked at.
#[derive(Debug, Default)]
pub(in crate::janitor) struct Tally {
    rooms: BTreeMap<RoomId, Memberships>,
    total: Memberships,
}

impl Tally {
    /// Of all rooms together.
    pub(in crate::janitor) fn total(&self) -> &Memberships {
        &self.total
    }

    /// Some rooms, or all, were looked at: each membership there, with its room.
    pub(in crate::janitor) fn take_in<'a>(
        &mut self,
        only: Option<&BTreeSet<RoomId>>,
        judged: impl IntoIterator<Item = (&'a RoomId, Verdict)>,
    ) {
        match only {
            None => {
                self.rooms.clear();
                self.total = Memberships::default();
            }
            Some(rooms) => rooms.iter().for_each(|room| self.forget(room)),
        }
        for (room, verdict) in judged {
            let room = self.rooms.entry(room.clone()).or_default();
            for counts in [room, &mut self.total] {
                *slot(counts, verdict) += 1;
            }
        }
    }

    /// A room is gone.
    pub(in crate::janitor) fn forget(&mut self, room: &RoomId) {
        let Some(counts) = self.rooms.remove(room) else { return };
        self.total.active -= counts.active;
        self.total.unknown -= counts.unknown;
        for (total, count) in self.total.stale.iter_mut().zip(counts.stale) {
            *total -= count;
        }
    }
}

fn slot(counts: &mut Memberships, verdict: Verdict) -> &mut usize {
    match verdict {
        Verdict::Active => &mut counts.active,
        Verdict::Unknown(_) => &mut counts.unknown,
        Verdict::Stale(reason) => {
            let place = Reason::ALL.iter().position(|other| *other == reason);
            &mut counts.stale[place.unwrap_or_default()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_looked_at_again_counts_as_it_is_now() {
        let (one, other): (RoomId, RoomId) = ("!one".into(), "!other".into());
        let stale = Verdict::Stale(Reason::Silent);
        let mut tally = Tally::default();
        tally.take_in(None, [(&one, Verdict::Active), (&one, stale), (&other, stale)]);
        let silent = |tally: &Tally| tally.total().stale[Reason::Silent as usize];
        assert_eq!((tally.total().active, silent(&tally)), (1, 2));
        tally.take_in(Some(&[one.clone()].into()), [(&one, Verdict::Active)]);
        assert_eq!((tally.total().active, silent(&tally)), (1, 1), "the other room is as it was");
        tally.forget(&other);
        tally.forget(&other);
        assert_eq!((tally.total().active, silent(&tally)), (1, 0));
        tally.take_in(Some(&[one].into()), []);
        assert_eq!(*tally.total(), Memberships::default());
        tally.take_in(Some(&[other.clone()].into()), [(&other, stale)]);
        tally.take_in(None, []);
        assert_eq!(*tally.total(), Memberships::default());
    }
}
