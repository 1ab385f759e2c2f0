//! What cannot be read in the journal is unknown; people are told, each thing once.

use rtc_janitor_core::{render::report, time::Timestamp};

use super::Voice;
use crate::world::journal::{Journal, JournalError};

fn subject(what: &str) -> String {
    format!("unreadable: {what}")
}

/// Ends plans that were approved and cannot be read, and notes that; they are not carried out.
pub(in crate::janitor) fn give_up_unreadable_plans(
    journal: &Journal,
    prefix: &str,
    now: Timestamp,
) -> Result<(), JournalError> {
    for plan in journal.unreadable_plans()? {
        // As the journal names it, so that it is not told a second time.
        let subject = subject(&format!("plan {plan}"));
        journal.note(&report::unreadable_plan(&plan, prefix), Some(&subject), true, now)?;
        journal.close_plan(&plan)?;
    }
    Ok(())
}

impl Voice {
    /// Notes what could not be read in the journal since this was last called.
    pub(in crate::janitor) fn tell_damage(
        &mut self,
        journal: &Journal,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let unreadable = journal.unreadable();
        if unreadable.len() > self.damage_told {
            for what in &unreadable {
                self.note(journal, &report::unreadable(what), Some(&subject(what)), true, now)?;
            }
            self.damage_told = unreadable.len();
        }
        Ok(())
    }
}
