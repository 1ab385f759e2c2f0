//! By what an own write is known. Its sender does not tell: a key may be written as its owner, and a
//! redaction is no event of the key at all.

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    plan::Route,
    rtc::state_event::StateEvent,
    time::Timestamp,
};

use super::MOST_SKEW;
use crate::{
    janitor::{Janitor, memory::is_empty},
    world::journal::{JournalError, WriteRecord},
};

/// Whether an event is what a write made that nobody saw the answer of; `me` is the bot.
pub(super) fn made(write: &WriteRecord, event: &StateEvent, me: &UserId) -> bool {
    match write.route {
        Some(Route::Appservice) => {
            let is_owner = write.owners.known().first().is_some_and(|owner| owner.user == event.sender);
            let is_left = write.mark.as_ref().is_some_and(|mark| event.content == mark.content);
            is_owner && is_left && event.event_id != write.event && may_be(write, event)
        }
        Some(Route::Redaction) => {
            event.event_id == write.event && event.redacted_by.as_ref() == Some(me) && is_empty(event)
        }
        Some(Route::OwnPower) | None => event.sender == *me && is_empty(event),
    }
}

/// Whether an event that a write may have made is not one of an earlier write, which may come late: where it leaves no
/// mark, its time tells.
pub(super) fn is_of(write: &WriteRecord, event: &StateEvent) -> bool {
    write.mark.is_some() || event.origin_server_ts + MOST_SKEW >= write.intended
}

/// Whether an event was sent after a moment, as its server says. Before a redaction it was lost by nobody, and after
/// it somebody came back.
pub(in crate::janitor) fn is_after(event: &StateEvent, moment: Timestamp) -> bool {
    event.origin_server_ts > moment
}

/// Whether an event has the mark of the write, where there is one: only the bot gives events a time of its
/// choosing.
pub(super) fn may_be(write: &WriteRecord, event: &StateEvent) -> bool {
    write.mark.as_ref().is_none_or(|mark| event.origin_server_ts == mark.sent)
}

impl Janitor {
    /// Whether an event is the bot's own, whoever it says has sent it.
    pub(in crate::janitor) fn is_own_write(
        &self,
        room: &RoomId,
        event: &StateEvent,
    ) -> Result<bool, JournalError> {
        let (key, me) = (&event.state_key, &self.settings.user_id);
        if !self.settings.acts_for(&event.sender) {
            return Ok(event.sender == *me && is_empty(event));
        }
        let is_made = |write: &WriteRecord| made(write, event, me);
        if self.journal.open_intents_of(room, key)?.iter().any(is_made) {
            return Ok(true);
        }
        let cleared = self.journal.cleared_under(room, key)?;
        Ok(cleared
            .iter()
            .any(|write| write.written.as_ref() == Some(&event.event_id) && may_be(write, event)))
    }
}
