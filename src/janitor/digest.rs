//! The digest: once a day or a week, what was done and what is wrong.

use rtc_janitor_core::{render::report::Digest, time::Timestamp};

use super::Janitor;
use crate::world::journal::JournalError;

impl Janitor {
    /// When the next digest is due; `None` when none is wanted.
    pub(super) fn next_digest(&self) -> Option<Timestamp> {
        Some(self.settings.digest?.next_after(self.last_digest))
    }

    /// Posts the digest when it is due; none when there is nothing to tell.
    pub(super) fn digest(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        if self.next_digest().is_none_or(|due| now < due) || !self.first_sync_is_over() {
            return Ok(());
        }
        let since = self.last_digest;
        let mut digest = Digest { since, now, problems: self.rooms_answer(true), ..Digest::default_at(now) };
        for finding in self.journal.findings_since(since)? {
            digest.add(finding.kind, finding.row.reason, finding.at.since(finding.row.since));
        }
        digest.leave_lags = self.journal.leave_lags_since(since)?;
        let cleared = self.journal.cleared_since(since)?;
        digest.by_plan = cleared.iter().filter(|write| write.plan.is_some()).count();
        self.journal.set_last_digest(now)?;
        self.last_digest = now;
        match digest.message(&self.settings.command_prefix) {
            Some(message) => self.say(&message, None),
            None => Ok(()),
        }
    }
}
