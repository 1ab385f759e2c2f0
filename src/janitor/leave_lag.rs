//! Leave lag: who has gone from the SFU and stands in the room all the same, and who ends that.

use std::time::Duration;

use rtc_janitor_core::{
    ids::{RoomId, StateKey, UserId},
    leave_lag::{LeaveLags, Leaver},
    render::report,
    rtc::sfu_names,
    time::Timestamp,
};

use super::{Janitor, evidence::SfuEvidence, memory::OpenEvent};
use crate::world::journal::JournalError;

/// Over which time it is told.
const DAY: Duration = Duration::from_hours(24);

/// How often it is looked whether it is worth a word.
const LOOK: Duration = Duration::from_mins(10);

impl Janitor {
    /// What stands under a key is being ended by `sender`: how long was its device gone from the SFU?
    pub(super) fn note_leave(
        &mut self,
        room: &RoomId,
        key: &StateKey,
        sender: &UserId,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let Some(sfu) = &self.evidence.sfu else { return Ok(()) };
        let mut lags = Vec::new();
        for membership in self.memory.get(room, key).into_iter().flat_map(OpenEvent::memberships) {
            let by = match sender {
                sender if *sender == membership.owner.user => Leaver::Owner,
                sender if *sender == self.settings.user_id => Leaver::Janitor,
                _ => Leaver::Other,
            };
            let lag = match self.left_behind.ended(room, key, membership.start, now) {
                Some(lag) => lag,
                // Who hangs up is out of the room before anybody has looked at the SFU.
                None if by == Leaver::Owner && has_just_left(sfu, room, key, membership) => Duration::ZERO,
                None => continue,
            };
            lags.push((by, lag));
        }
        for (by, lag) in lags {
            tracing::debug!(%room, %key, %by, ?lag, "left");
            self.ports.metrics.left(by, lag);
            self.journal.add_leave_lag(by, lag, now)?;
            if by == Leaver::Owner {
                self.tell_slow_leaves(now)?;
            }
        }
        Ok(())
    }

    /// The lags of the last day.
    pub(super) fn leave_lags(&self) -> Result<LeaveLags, JournalError> {
        self.journal.leave_lags_since(self.now() - DAY)
    }

    /// Once a day it is said that owners, or whoever sends their leaves, are slow.
    fn tell_slow_leaves(&mut self, now: Timestamp) -> Result<(), JournalError> {
        if self.looked_at_lags.is_some_and(|last| now.since(last) < LOOK) {
            return Ok(());
        }
        self.looked_at_lags = Some(now);
        let lags = self.leave_lags()?;
        if !lags.owners_are_slow() {
            return Ok(());
        }
        let day = now.as_millis() / i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
        self.say(&report::slow_leaves(&lags), Some(&format!("slow leaves {day}")))
    }
}

/// Whether, by all that is known, the device of a membership was on the SFU a moment ago.
fn has_just_left(
    sfu: &SfuEvidence,
    room: &RoomId,
    key: &StateKey,
    membership: &rtc_janitor_core::rtc::membership::Membership,
) -> bool {
    let identity = sfu_names::identity(&membership.owner);
    sfu.failure().is_none()
        && sfu.has_seen(room, key, membership)
        && sfu.rooms_with(&identity).next().is_some()
}
