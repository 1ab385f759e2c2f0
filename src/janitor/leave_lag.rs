//! Leave lag: who has gone from the SFU and stands in the room all the same, and who ends that.

use std::time::Duration;

use rtc_janitor_core::{
    ids::{RoomId, StateKey, UserId},
    leave_lag::{LeaveLags, Leaver},
    render::report,
    rtc::sfu_names,
    time::Timestamp,
};

use super::{Janitor, memory::OpenEvent};
use crate::world::journal::JournalError;

/// Over which time it is told.
const DAY: Duration = Duration::from_hours(24);

/// How often it is looked whether it is worth a word.
const LOOK: Duration = Duration::from_mins(10);

impl Janitor {
    /// What stands under a key is being ended by `sender`: how long was its device gone from the SFU? Whoever leaves the call,
    /// or is quicker than the SFU's word, has a lag of nothing.
    pub(super) fn note_leave(
        &mut self,
        room: &RoomId,
        key: &StateKey,
        sender: &UserId,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let mut lags = Vec::new();
        for membership in self.memory.get(room, key).into_iter().flat_map(OpenEvent::memberships) {
            let by = match sender {
                sender if *sender == self.settings.user_id => Leaver::Janitor,
                sender if *sender == membership.owner.user => Leaver::Owner,
                _ => Leaver::Other,
            };
            let identity = sfu_names::identity(&membership.owner);
            let sfu = self.evidence.sfu.as_ref().filter(|sfu| sfu.failure().is_none());
            let seen_to_go = self.left_behind.since(room, key, membership.start);
            let since = seen_to_go.or_else(|| sfu?.announced_at(room, &identity));
            match since {
                Some(since) => lags.push((by, now.since(since))),
                None if by == Leaver::Owner && sfu.is_some_and(|sfu| sfu.lists(room, &identity)) => {
                    lags.push((by, Duration::ZERO));
                }
                None => {}
            }
        }
        self.left_behind.forget_key(room, key);
        for (by, lag) in &lags {
            tracing::debug!(%room, %key, %by, ?lag, "left");
            self.ports.metrics.left(*by, *lag);
            self.journal.add_leave_lag(*by, *lag, now)?;
        }
        if lags.is_empty() { Ok(()) } else { self.tell_slow_leaves(now) }
    }

    /// The lags of the last day.
    pub(super) fn leave_lags(&self) -> Result<LeaveLags, JournalError> {
        self.journal.leave_lags_since(self.now() - DAY)
    }

    /// Once a day it is said that leaves come late.
    fn tell_slow_leaves(&mut self, now: Timestamp) -> Result<(), JournalError> {
        if self.next_look_at_lags.is_some_and(|at| now < at) {
            return Ok(());
        }
        self.next_look_at_lags = Some(now + LOOK);
        let lags = self.leave_lags()?;
        if !lags.are_slow() {
            return Ok(());
        }
        if let Some(last) = self.journal.last_slow_leaves()?.filter(|last| now < *last + DAY) {
            self.next_look_at_lags = Some(last + DAY);
            return Ok(());
        }
        self.journal.set_last_slow_leaves(now)?;
        self.say(&report::slow_leaves(&lags), None)
    }
}
