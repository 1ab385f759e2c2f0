//! Own writes seen again, and memberships that come back.
//!
//! There is no compare-and-set in Matrix: a write can overwrite what came in the instant before it.
//! So each write is looked at again when it comes by sync, where the server says what it replaced.

use std::time::Duration;

use rtc_janitor_core::{
    guard::quarantine::RETURN_WINDOW,
    ids::RoomId,
    judge::policy::Reason,
    render::{
        Message,
        report::{self, Row, Whose},
    },
    rtc::{
        membership::Membership,
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};

use super::{Janitor, act, sweep::MOST_SKEW, tracker::OpenEvent};
use crate::world::{
    NeighbourError,
    journal::{Finding, FindingKind, JournalError, WriteOutcome, WriteRecord},
};

/// How long after a clear it is still noticed that somebody came back right after it: sync may have been
/// down, or the janitor.
const SEEN_LATE: Duration = Duration::from_hours(24);

impl Janitor {
    /// When `event` is a write of ours: did it replace what was judged?
    pub(super) fn verify(&mut self, room: &RoomId, event: &StateEvent) -> Result<(), JournalError> {
        if event.sender != self.settings.user_id {
            return Ok(());
        }
        let write = match self.journal.unverified(room, &event.event_id)? {
            Some(write) => write,
            None => match self.unanswered(room, event)? {
                Some(write) => write,
                None => return Ok(()),
            },
        };
        self.journal.verified(write.id)?;
        let is_another = event.replaces_state.as_ref().is_some_and(|replaced| *replaced != write.event);
        // Somebody who hung up in that instant lost nothing.
        if is_another && !event.replaces_leave {
            tracing::warn!(%room, key = %write.key, "a write overwrote a newer membership");
            if let Some(reason) = write.reason {
                self.was_alive(&write, reason, |whose, _, _| report::overwrote(whose, true))?;
            } else {
                // A person wanted it cleared, so no reason was wrong; what was shown was another one.
                let message = report::overwrote(&self.whose(&write), false);
                self.say(&message, Some(&subject(&write)), self.now())?;
            }
        }
        Ok(())
    }

    /// The write that `event` is when its answer was lost: then this is how its outcome is known.
    fn unanswered(&mut self, room: &RoomId, event: &StateEvent) -> Result<Option<WriteRecord>, JournalError> {
        if !act::is_empty(event) {
            return Ok(None);
        }
        let is_it = |write: &WriteRecord| {
            write.room == *room
                && write.key == event.state_key
                && event.origin_server_ts + MOST_SKEW >= write.intended
        };
        let Some(write) = self.journal.open_intents()?.into_iter().rfind(is_it) else { return Ok(None) };
        self.settle(&write, Some(event))?;
        Ok(Some(write))
    }

    /// When `open` stands where something was cleared a moment ago: it was alive.
    pub(super) fn notice_return(&mut self, room: &RoomId, open: &OpenEvent) -> Result<(), JournalError> {
        let now = self.now();
        let key = &open.event.state_key;
        let is_same_owner = |write: &WriteRecord| {
            open.memberships().any(|membership| write.owners.contains(&membership.owner))
        };
        let mut cleared = self.journal.cleared_under(room, key)?;
        cleared.retain(|write| {
            write.event != open.event.event_id
                // What replaced the judged event itself came before the write, which overwrote it.
                && open.event.replaces_state.as_ref() != Some(&write.event)
                && is_same_owner(write)
        });
        // A device that writes is there, however late it does, and whatever a list says.
        let gone = cleared.iter().filter(|write| write.reason == Some(Reason::DeviceGone));
        for owner in gone.flat_map(|write| &write.owners) {
            if open.memberships().any(|membership| membership.owner == *owner) {
                self.journal.device_came_back(owner)?;
                self.devices.entry(owner.clone()).or_default().came_back = true;
            }
        }
        // Sync may tell of it long after it happened. A client that wakes up much later refreshes what it
        // began before: then only the event says when that was.
        let in_time = |write: &WriteRecord| {
            let cleared = write.finished.unwrap_or(write.intended);
            let came = |membership: &Membership| {
                if membership.start >= cleared { membership.start } else { membership.sent }
            };
            let came = open.memberships().map(came).min().unwrap_or(now);
            came.min(now) <= cleared + RETURN_WINDOW && cleared >= now - SEEN_LATE
        };
        let Some(write) = cleared.into_iter().rfind(in_time) else { return Ok(()) };
        if self.returned_from_plan(&write)? {
            return Ok(());
        }
        tracing::warn!(%room, %key, reason = ?write.reason, "a cleared membership came back: it was alive");
        if let Some(change) = self.breakers.returned(room, key, now) {
            self.journal.save_breakers(&self.breakers)?;
            self.alarm(&report::breaker(&change, now), None, now)?;
        }
        // Cleared because a person wanted it: no reason was wrong.
        let Some(reason) = write.reason else { return Ok(()) };
        self.was_alive(&write, reason, |whose, until, now| report::came_back(whose, reason, until, now))
    }

    /// Leaves a key alone for a while and says so, once for each membership that was cleared wrongly.
    fn was_alive(
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
        let entry = self.quarantine.returned(&write.room, &write.key, reason, now);
        self.journal.save_quarantine(&write.room, &write.key, &entry)?;
        self.alarm(&message(&self.whose(write), entry.until, now), Some(&subject), now)
    }

    fn whose(&self, write: &WriteRecord) -> Whose {
        Whose {
            room: write.room.clone(),
            room_name: self.name_of(&write.room),
            user: write.owners.first().map_or_else(|| "?".into(), |owner| owner.user.clone()),
            devices: write.owners.iter().map(|owner| owner.device.to_string()).collect(),
        }
    }

    fn row(&self, write: &WriteRecord, reason: Reason) -> Row {
        let Whose { room, room_name, user, devices } = self.whose(write);
        Row {
            room,
            room_name,
            user,
            devices,
            reason,
            since: write.intended,
            is_shown: true,
            obstacle: None,
            times: 1,
        }
    }

    /// Finds out what came of writes that nobody saw the end of: the process was killed, or the
    /// server's answer was lost. Nothing new is written before that is known.
    pub(super) async fn settle_open_intents(&mut self) -> Result<Result<(), NeighbourError>, JournalError> {
        self.is_unsettled = true;
        for write in self.journal.open_intents()? {
            let read = self.ports.rooms.state_event(&write.room, CALL_MEMBER, write.key.as_str()).await;
            let current = match read {
                Ok(current) => current,
                // Not in the room any more: it can never be known, and there is nothing left to do.
                Err(NeighbourError::Refused { .. }) => None,
                Err(error) => return Ok(Err(error)),
            };
            self.settle(&write, current.as_ref())?;
            if let Some(event) = &current {
                self.verify(&write.room, event)?;
            }
        }
        self.is_unsettled = false;
        Ok(Ok(()))
    }

    /// Writes down what came of a write, by what stands under its key.
    fn settle(&mut self, write: &WriteRecord, current: Option<&StateEvent>) -> Result<(), JournalError> {
        let now = self.now();
        let outcome = match current {
            Some(event) if event.event_id == write.event => {
                WriteOutcome::NotWritten("no answer, and nothing was written".into())
            }
            Some(event) if event.sender == self.settings.user_id && act::is_empty(event) => {
                WriteOutcome::Cleared(event.event_id.clone())
            }
            _ => WriteOutcome::Changed,
        };
        let is_cleared = matches!(outcome, WriteOutcome::Cleared(_));
        // What a plan did is told with the plan.
        let reason = write.reason.filter(|_| is_cleared && write.plan.is_none());
        let finding = reason.map(|reason| Finding {
            room: write.room.clone(),
            key: write.key.clone(),
            event: write.event.clone(),
            kind: FindingKind::Cleared,
            at: now,
            details: serde_json::to_value(self.row(write, reason)).unwrap_or_default(),
        });
        self.journal.finish(write.id, &outcome, finding.as_ref(), now)?;
        self.has_more_to_say |= finding.is_some();
        if is_cleared {
            self.close(&write.room, &write.key)?;
        }
        Ok(())
    }
}

/// What is said of a membership that was cleared wrongly, so that it is said once.
fn subject(write: &WriteRecord) -> String {
    format!("alive {}", write.event)
}
