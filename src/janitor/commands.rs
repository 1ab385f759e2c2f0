//! What is written down of commands: each is taken up once, and answered once, over restarts.

use rtc_janitor_core::{
    ids::{EventId, UserId},
    render::{Message, answer},
    time::Timestamp,
};

use super::Janitor;
use crate::world::journal::{JoinPlan, JournalError, StoredPlan};

impl Janitor {
    /// When the journal was begun: it knows of no command from before.
    pub(crate) fn begun(&self) -> Result<Option<Timestamp>, JournalError> {
        self.journal.begun()
    }

    /// Writes down that an event of the admin room was taken up; false when it was before.
    pub(crate) fn take_up(&self, event: &EventId, sender: &UserId) -> Result<bool, JournalError> {
        self.journal.take_up(event, sender, self.now())
    }

    /// What an earlier run took up and did not answer.
    pub(crate) fn unanswered_commands(&self) -> Result<Vec<EventId>, JournalError> {
        self.journal.unanswered()
    }

    /// Notes that an event that was taken up needs no answer.
    pub(crate) fn ignore(&self, event: &EventId) -> Result<(), JournalError> {
        self.journal.done(event)
    }

    /// Takes in the interim answer that was posted while a command was being worked on.
    pub(crate) fn adopt(
        &mut self,
        command: &EventId,
        interim: Option<(String, EventId)>,
    ) -> Result<(), JournalError> {
        let now = self.now();
        interim
            .map_or(Ok(()), |(txn, event)| self.journal.adopt(command, &txn, &answer::working(), &event, now))
    }

    /// Answers a command.
    pub(crate) fn answer(&mut self, command: &EventId, message: &Message) -> Result<(), JournalError> {
        let stored = self.journal.answer(command, message, true, self.now())?;
        self.voice.send(stored);
        Ok(())
    }

    /// Whether a message shows a plan.
    pub(crate) fn is_plan(&self, message: &EventId) -> Result<bool, JournalError> {
        let clears = self.journal.plan_shown_in::<StoredPlan>(message)?.is_kept();
        Ok(clears || self.journal.plan_shown_in::<JoinPlan>(message)?.is_kept())
    }
}
