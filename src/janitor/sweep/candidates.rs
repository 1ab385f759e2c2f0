//! What could be written: events with something due, and what a plan needs to know of each.

use std::collections::BTreeSet;

use rtc_janitor_core::{
    ids::{RoomId, StateKey},
    judge::evidence::Sfu,
    plan::{Candidate, Entry},
};

use super::{Index, Judged};
use crate::janitor::{Janitor, evidence::SfuEvidence, memory::OpenEvent};

impl Janitor {
    /// Events with something due that was not dealt with before and is not being written.
    pub(super) fn candidates(&self, judged: &[Judged], index: &Index<'_>) -> Vec<Candidate> {
        let now = self.now();
        let done = self.finding_kind();
        let mut candidates = self.due_candidates(judged, index);
        candidates.retain(|candidate| {
            let place = (candidate.room.clone(), candidate.key.clone());
            let waits = self.sweep.retry_at.get(&place).is_some_and(|(at, _)| now < *at);
            !waits
                && !self.sweep.dealt_with.contains(&(candidate.event.clone(), done))
                && !self.writes.is_under_way(&candidate.room, &candidate.key)
                && !self.unsettled.contains_key(&place)
                && self.memory.may_judge(&candidate.room)
        });
        candidates
    }

    /// Events with something due.
    pub(in crate::janitor) fn due_candidates(&self, judged: &[Judged], index: &Index<'_>) -> Vec<Candidate> {
        let due: BTreeSet<_> = judged
            .iter()
            .filter(|judged| !judged.due.is_empty())
            .map(|judged| (judged.subject.room.clone(), judged.subject.key.clone()))
            .collect();
        due.iter().filter_map(|(room, key)| self.candidate(room, key, index)).collect()
    }

    /// Every open event that was looked at, with what was concluded of it.
    pub(in crate::janitor) fn open_candidates(&self, judged: &[Judged], index: &Index<'_>) -> Vec<Candidate> {
        let open: BTreeSet<_> =
            judged.iter().map(|judged| (judged.subject.room.clone(), judged.subject.key.clone())).collect();
        open.iter().filter_map(|(room, key)| self.candidate(room, key, index)).collect()
    }

    fn candidate(&self, room: &RoomId, key: &StateKey, index: &Index<'_>) -> Option<Candidate> {
        let now = self.now();
        let open: &OpenEvent = self.memory.get(room, key)?;
        let judged = index.for_event(room, &open.event_id);
        if judged.is_empty() {
            return None;
        }
        let entries = (0..open.entries.len())
            .map(|place| judged.iter().find(|judged| judged.subject.entry as usize == place))
            .map(|judged| judged.map(|judged| self.entry(judged)))
            .collect();
        Some(Candidate {
            room: room.clone(),
            key: key.clone(),
            event: open.event_id.clone(),
            entries,
            is_shown: judged.iter().any(|judged| judged.membership.expires > now),
            ends_call: !judged.iter().any(|judged| index.has_life(judged)),
            is_excluded: judged.iter().any(|judged| self.is_excluded(judged)),
            is_divisible: open.is_divisible(),
            route: None,
        })
    }

    /// Whether the room or the owner is excluded.
    pub(in crate::janitor) fn is_excluded(&self, judged: &Judged) -> bool {
        !self.settings.covers(&judged.subject.room)
            || self.settings.leaves_alone(&judged.membership.owner.user)
    }

    /// Whether our SFU has not answered since something about a membership on it fell due: it may be listed by now.
    pub(super) fn sfu_answer_is_old(&self, judged: &Judged) -> bool {
        matches!(judged.evidence.sfu, Sfu::Absent { .. })
            && self.evidence.sfu.as_ref().and_then(SfuEvidence::observed_at)
                < self.sweep.ledger.due_at(&judged.subject)
    }

    fn entry(&self, judged: &Judged) -> Entry {
        let owner = &judged.membership.owner;
        Entry {
            owner: owner.clone(),
            index: judged.subject.entry,
            due: judged.due.clone(),
            expires: judged.membership.expires,
            was_expired_when_sent: judged.membership.was_expired_when_sent(),
            last_sign: judged.membership.last_sign,
            is_remote: owner.user.server_name() != self.settings.user_id.server_name(),
            sfu_is_silent: judged.evidence.sfu == Sfu::Unknown || self.sfu_answer_is_old(judged),
        }
    }
}
