//! Memberships that were cleared and turn out to have been alive.

use rtc_janitor_core::{
    ids::UserId,
    judge::policy::Reason,
    render::{Message, report::Whose},
    rtc::state_key,
    time::Timestamp,
};

use crate::{
    janitor::Janitor,
    world::journal::{JournalError, WriteRecord},
};

impl Janitor {
    /// Leaves a key alone for a while and says so, once for each membership that was cleared wrongly.
    pub(super) fn was_alive(
        &mut self,
        write: &WriteRecord,
        reason: Reason,
        message: impl FnOnce(&Whose, Timestamp, Timestamp) -> Message,
    ) -> Result<(), JournalError> {
        let subject = subject(write);
        if self.journal.has_said(&subject)? {
            return Ok(());
        }
        let now = self.now();
        let entry = self.sweep.quarantine.returned(&write.room, &write.key, reason, now);
        self.journal.save_quarantine(&write.room, &write.key, &entry)?;
        self.alarm(&message(&self.whose(write), entry.until, now), Some(&subject))
    }

    pub(super) fn whose(&self, write: &WriteRecord) -> Whose {
        Whose {
            room: write.room.clone(),
            room_name: self.name_of(&write.room),
            user: owner_of(write),
            devices: write.owners.known().iter().map(|owner| owner.device.to_string()).collect(),
        }
    }
}

/// Whom a write was about; of several, the first.
fn owner_of(write: &WriteRecord) -> UserId {
    let in_key = || state_key::user(&write.key).map(Into::into);
    let owner = write.owners.known().first().map(|owner| owner.user.clone()).or_else(in_key);
    owner.unwrap_or_else(|| write.key.as_str().into())
}

/// What is said of a membership that was cleared wrongly, so that it is said once.
pub(super) fn subject(write: &WriteRecord) -> String {
    format!("alive {}", write.event)
}
