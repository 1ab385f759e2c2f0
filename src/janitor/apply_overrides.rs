//! Overrides take effect: in the journal first, and then in the settings and all that was planned under others.

use rtc_janitor_core::{
    command::GraceKey,
    ids::UserId,
    judge::policy::{Grace, Reason},
    mode::Mode,
};

use super::{
    Janitor, Settings,
    overrides::{Override, Overrides},
};
use crate::world::journal::{EarlierJournal, JournalError, StoredSetting};

impl Janitor {
    /// Writes an override down; it applies from now on.
    pub(crate) fn set_override(&mut self, set: &Override, by: &UserId) -> Result<(), JournalError> {
        let (by, at) = (by.clone(), self.now());
        // Only whoever asks for it has it write again on a journal that has forgotten what was set before.
        if matches!(set, Override::Mode(Mode::Clean)) {
            self.journal.set_earlier_journal(EarlierJournal::Settled)?;
        }
        self.journal.set(&StoredSetting { key: set.key(), value: set.value(), by, at })?;
        self.apply_overrides()
    }

    /// Takes an override back.
    pub(crate) fn clear_override(&mut self, set: &Override) -> Result<(), JournalError> {
        self.journal.unset(&set.key())?;
        self.apply_overrides()
    }

    /// Brings the settings in effect in line with the journal.
    pub(super) fn apply_overrides(&mut self) -> Result<(), JournalError> {
        self.overrides = Overrides::read(&self.journal)?;
        let before = std::mem::replace(&mut self.settings, self.overrides.over(&self.file));
        self.count_owners(&before);
        self.evidence.sfu.iter_mut().for_each(super::evidence::SfuEvidence::doubt);
        // What waits was planned under other settings; and a room may be looked at from now on.
        self.writes.withdraw(|_, _| true);
        self.sweep.mark_all();
        for room in self.memory.hearsay() {
            self.want_view(&room);
        }
        Ok(())
    }

    /// Counts the owners of what is open in rooms that are looked at from now on, and no longer those in
    /// rooms that are looked at no more.
    fn count_owners(&mut self, before: &Settings) {
        let now = self.now();
        for (room, _, open) in self.memory.open() {
            match (before.looks_at(room), self.settings.looks_at(room)) {
                (false, true) => {
                    open.memberships()
                        .for_each(|membership| self.evidence.lists.opened(&membership.owner, now));
                }
                (true, false) => open.memberships().for_each(|membership| {
                    self.evidence.lists.closed(&membership.owner);
                }),
                _ => {}
            }
        }
    }

    /// What was set by command.
    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The settings of the configuration, without overrides.
    pub(crate) fn file(&self) -> &Settings {
        &self.file
    }

    /// The grace in effect.
    pub(crate) fn grace_now(&self, key: GraceKey) -> Grace {
        match key {
            GraceKey::Reason(reason) => self.settings.policy.grace[reason as usize],
            GraceKey::DeviceGoneUnseen => {
                let seen = self.settings.policy.grace[Reason::DeviceGone as usize];
                self.settings.policy.device_gone_unseen.longer(seen)
            }
        }
    }
}
