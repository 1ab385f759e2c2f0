//! What follows when the journal is new: either the account is, too, or an earlier journal was lost.

use rtc_janitor_core::render::report;

use super::Janitor;
use crate::world::journal::{EarlierJournal, JournalError};

impl Janitor {
    /// Whether somebody has to find out if this account has spoken in the admin room before. Nothing is
    /// written until then.
    pub(crate) fn asks_for_earlier_journal(&self) -> bool {
        self.overrides.may_be_forgotten()
    }

    /// Takes in whether this account has spoken in the admin room before, unless somebody was quicker to
    /// say which mode holds.
    pub(crate) fn take_in_past(&mut self, has_spoken: bool) -> Result<(), JournalError> {
        if !self.overrides.may_be_forgotten() {
            return Ok(());
        }
        if has_spoken {
            tracing::warn!(
                "the journal is new, and this account is not: mode report until somebody says otherwise"
            );
            self.alarm(&report::journal_is_new(&self.settings.command_prefix), None)?;
        }
        let earlier = if has_spoken { EarlierJournal::Lost } else { EarlierJournal::Settled };
        self.journal.set_earlier_journal(earlier)?;
        self.apply_overrides()
    }
}
