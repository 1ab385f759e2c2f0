//! `history`: what was done.

use std::{ops::Range, time::Duration};

use chrono::NaiveDate;
use rtc_janitor_core::{
    command::UserName,
    ids::{RoomId, UserId},
    render::{
        Message,
        answer::{History, Past},
    },
    time::Timestamp,
};

use super::calls::one_of;
use crate::{
    janitor::Janitor,
    world::journal::{HistoryOf, JournalError},
};

impl Janitor {
    /// `history`
    pub(crate) fn history(
        &self,
        room: Option<&RoomId>,
        user: Option<&UserId>,
        day: Option<NaiveDate>,
        lines: usize,
    ) -> Result<History, JournalError> {
        let about = HistoryOf { room, user, within: day.map(whole_day) };
        let (lines, total) = self.journal.history(&about, lines)?;
        let lines = lines.into_iter().map(|past| Past {
            at: past.write.finished.unwrap_or(past.write.intended),
            room_name: self.name_of(&past.write.room),
            room: past.write.room,
            owners: past.write.owners.known().to_vec(),
            reason: past.write.reason,
            outcome: past.outcome,
            detail: past.detail,
            asked_by: past.asked_by,
        });
        Ok(History { lines: lines.collect(), total, prefix: self.settings.command_prefix.clone() })
    }

    /// The users of the history that a name fits.
    pub(crate) fn users_of_history(&self, name: &UserName) -> Result<Result<UserId, Message>, JournalError> {
        let known = match name {
            UserName::Id(_) => Vec::new(),
            UserName::Local(localpart) => self.journal.owners_of_writes(&localpart.to_lowercase())?,
        };
        Ok(one_of(name, &known))
    }
}

/// From the first to the last instant of a day, by UTC.
fn whole_day(day: NaiveDate) -> Range<Timestamp> {
    let start = Timestamp::start_of_day(day);
    start..start + Duration::from_hours(24)
}
