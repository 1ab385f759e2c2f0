//! When each running clock is over, in order, so that nobody looks through all of them.

use std::{collections::BTreeSet, ops::Bound};

use super::Subject;
use crate::{judge::policy::Reason, time::Timestamp};

type End = (Timestamp, Subject, Reason);

#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    pub(super) all: BTreeSet<End>,
    /// Up to when [`Self::take_until`] has told.
    told_until: Option<Timestamp>,
    /// What is over since before that, and is not told yet.
    pub(super) late: BTreeSet<End>,
}

impl Ends {
    pub(super) fn change(
        &mut self,
        subject: &Subject,
        reason: Reason,
        old: Option<Timestamp>,
        new: Option<Timestamp>,
    ) {
        if let Some(old) = old {
            let end = (old, subject.clone(), reason);
            self.all.remove(&end);
            self.late.remove(&end);
        }
        if let Some(new) = new {
            let end = (new, subject.clone(), reason);
            if self.told_until.is_some_and(|told| new <= told) {
                self.late.insert(end.clone());
            }
            self.all.insert(end);
        }
    }

    pub(super) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.all.range(first_after(now)..).next().map(|(at, ..)| *at)
    }

    /// Whatever is over by `now` and was not told by an earlier call.
    pub(super) fn take_until(&mut self, now: Timestamp) -> impl Iterator<Item = Subject> {
        let from = self.told_until.map_or(Bound::Unbounded, |told| Bound::Included(first_after(told)));
        let over = self.all.range((from, Bound::Unbounded)).take_while(|(at, ..)| *at <= now).cloned();
        let over: Vec<_> = over.chain(std::mem::take(&mut self.late)).collect();
        self.told_until = self.told_until.max(Some(now));
        over.into_iter().map(|(_, subject, _)| subject)
    }
}

/// The least that may end after an instant.
fn first_after(at: Timestamp) -> End {
    let nothing = Subject { room: "".into(), key: "".into(), event: "".into(), entry: 0 };
    (at.offset_millis(1), nothing, Reason::ALL[0])
}
