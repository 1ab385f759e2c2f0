//! What an own write overwrote, when its event is seen again.

use rtc_janitor_core::{
    plan::{PlannedWrite, Route},
    render::report,
    rtc::state_event::StateEvent,
};
use serde_json::json;

use super::{alive::subject, passing::Replaced};
use crate::{
    janitor::{
        Janitor,
        sweep::{Outgoing, Trigger, own::may_be},
    },
    world::journal::{JournalError, WriteRecord},
};

impl Janitor {
    /// `seen` is what the event replaced by the order of events, where that is newer than what was judged: it
    /// counts where the server does not tell.
    pub(super) fn verified(
        &mut self,
        write: &WriteRecord,
        event: &StateEvent,
        seen: Option<Replaced>,
    ) -> Result<(), JournalError> {
        self.journal.verified(write.id)?;
        if write.route == Some(Route::OwnPower) && event.sender != self.settings.user_id {
            // It was empty before we wrote, and the server made no event of that. Writes are read back from now on.
            tracing::warn!(room = %write.room, key = %write.key, "the answer to a write named another's event");
            self.server.answers_with_others();
            return Ok(());
        }
        if write.route == Some(Route::Redaction) {
            // It overwrites nothing.
            return Ok(());
        }
        if write.mark.is_some() {
            // An event without the mark is the owner's, who was quicker with the same content, so that the server had
            // nothing to write; or it is ours, and the server gives events no other time than its own.
            self.server.takes_times(may_be(write, event));
        }
        let told = Replaced::told_by(event);
        let agrees = |seen: &Replaced| told.as_ref().is_none_or(|told| told.event == seen.event);
        let Some(replaced) = seen.filter(agrees).or(told).filter(|replaced| replaced.event != write.event)
        else {
            return Ok(());
        };
        // Somebody who left the call in that instant lost nothing.
        if !replaced.is_leave {
            self.overwrote(write)?;
        }
        self.take_back(write, event, &replaced);
        Ok(())
    }

    /// What was left in an event of ours may have put somebody back into the call who had left in that instant.
    fn take_back(&mut self, write: &WriteRecord, own: &StateEvent, replaced: &Replaced) {
        let Some(content) = replaced.content.as_ref().filter(|_| write.route == Some(Route::Appservice))
        else {
            return;
        };
        let Some(again) = PlannedWrite::taking_back(&write.room, own, content) else { return };
        tracing::warn!(room = %write.room, key = %write.key, "a write put somebody back who had left: taken out again");
        let evidence = json!({"takes_back": replaced.event});
        self.writes.put(Outgoing { write: again, trigger: Trigger::TakeBack, evidence });
    }

    pub(super) fn overwrote(&mut self, write: &WriteRecord) -> Result<(), JournalError> {
        tracing::warn!(room = %write.room, key = %write.key, "a write overwrote a newer membership");
        self.ports.metrics.overwrote();
        if let Some(reason) = write.reason {
            return self.was_alive(write, reason, |whose, _, _| report::overwrote(whose, true));
        }
        // A person wanted it cleared, so no reason was wrong; what was shown was another one.
        let message = report::overwrote(&self.whose(write), false);
        self.say(&message, Some(&subject(write)))
    }
}
