//! How many memberships look how, kept room by room as rooms are looked at.

use std::collections::{BTreeMap, BTreeSet};

use rtc_janitor_core::{
    ids::RoomId,
    judge::{policy::Reason, verdict::Verdict},
};

use super::Judged;
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

    /// Some rooms, or all, were looked at.
    pub(in crate::janitor) fn take_in(&mut self, only: Option<&BTreeSet<RoomId>>, judged: &[Judged]) {
        match only {
            None => {
                self.rooms.clear();
                self.total = Memberships::default();
            }
            Some(rooms) => rooms.iter().for_each(|room| self.forget(room)),
        }
        for one in judged {
            let room = self.rooms.entry(one.subject.room.clone()).or_default();
            for counts in [room, &mut self.total] {
                *slot(counts, one.judgement.verdict) += 1;
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
