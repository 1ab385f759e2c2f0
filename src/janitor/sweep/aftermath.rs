//! Own writes seen again, writes of which nobody saw the end, and memberships that come back.
//!
//! There is no compare-and-set in Matrix: a write can overwrite what came in the instant before it. So
//! each write is looked at again when its event comes by sync, where the server says what it replaced, or the
//! order of events does (`passing`). It is known by its event id, and not by its sender: a key may be written on
//! behalf of its owner.

mod alive;
mod kept;
mod order;
mod overwritten;
mod passing;
mod settling;

use std::{collections::HashSet, time::Duration};

use rtc_janitor_core::{
    guard::quarantine::cleared::{Cleared, RETURN_WINDOW, SAME_WINDOW},
    ids::{EventId, RoomId, StateKey},
    judge::policy::Reason,
    plan::Route,
    render::report,
    rtc::{membership::Membership, state_event::StateEvent},
    time::Timestamp,
};

use crate::{
    janitor::{
        Janitor,
        evidence::SfuEvidence,
        memory::{OpenEvent, is_empty},
    },
    world::journal::{JournalError, Stored, WriteRecord},
};

use alive::subject;
use kept::Kept;
use passing::{Passing, Replaced};
pub(in crate::janitor) use settling::read_standing;

/// How long after a clear it is still noticed that somebody came back right after it: sync may have been
/// down, or the janitor.
const SEEN_LATE: Duration = Duration::from_hours(24);

/// Own writes that are awaited.
#[derive(Debug, Default)]
pub(in crate::janitor) struct Aftermath {
    /// The events of writes that were not seen again so far.
    awaited: HashSet<EventId>,
    /// Events that came before the answers, and writes of which no event has come.
    kept: Kept,
    /// What else comes by sync under keys that are being written.
    passing: Passing,
    /// Whose memberships have come back, since the start: each is counted once.
    returned: HashSet<i64>,
}

impl Aftermath {
    /// `written` are the events of earlier writes that were not seen again.
    pub(in crate::janitor) fn new(written: impl IntoIterator<Item = EventId>) -> Self {
        Self { awaited: written.into_iter().collect(), ..Self::default() }
    }

    /// A write begins under a key.
    pub(in crate::janitor) fn begin(&mut self, room: &RoomId, key: &StateKey) {
        self.passing.begin(room, key);
    }

    /// A write was answered with this event. Returns whether it has come by sync before.
    pub(in crate::janitor) fn await_event(&mut self, room: &RoomId, key: &StateKey, event: &EventId) -> bool {
        let has_come = self.kept.has_early(event);
        if !has_come {
            self.awaited.insert(event.clone());
        }
        self.passing.answer(room, key, event, has_come);
        has_come
    }
}

impl Janitor {
    /// When `event` is a write of ours: did it replace what was judged?
    pub(in crate::janitor) fn verify(
        &mut self,
        room: &RoomId,
        event: &StateEvent,
    ) -> Result<(), JournalError> {
        if !self.aftermath.awaited.contains(&event.event_id) {
            if !is_empty(event) && !self.settings.acts_for(&event.sender) {
                return Ok(());
            }
            if self.writes.is_under_way(room, &event.state_key) {
                let replaced = self.aftermath.passing.own(room, &event.state_key);
                self.aftermath.kept.keep_early(room, event, replaced);
            }
            return self.settle_by_sync(room, event);
        }
        self.aftermath.awaited.remove(&event.event_id);
        let replaced = self.aftermath.passing.own(room, &event.state_key);
        let Some(write) = self.journal.unverified(room, &event.event_id)? else { return Ok(()) };
        self.verified(&write, event, replaced)
    }

    /// The event of a write that was answered just now has come by sync before.
    pub(in crate::janitor) fn verify_early(
        &mut self,
        room: &RoomId,
        written: &EventId,
    ) -> Result<(), JournalError> {
        let Some((event, replaced)) = self.aftermath.kept.take_early(written) else { return Ok(()) };
        let Some(write) = self.journal.unverified(room, written)? else { return Ok(()) };
        self.verified(&write, &event, replaced)
    }

    /// When `open` stands where something was cleared a moment ago: it was alive.
    pub(in crate::janitor) fn notice_return(
        &mut self,
        room: &RoomId,
        key: &StateKey,
        event: Option<&StateEvent>,
        open: &OpenEvent,
    ) -> Result<(), JournalError> {
        let now = self.now();
        // Whose owners cannot be read any more may be anybody.
        let is_same_owner = |write: &WriteRecord| {
            open.memberships().any(|membership| write.owners.may_include(&membership.owner))
        };
        let mut cleared = self.journal.cleared_under(room, key)?;
        cleared.retain(|write| {
            // What only mended an own write took nobody for gone.
            let is_mend = write.reasons_in_doubt().is_empty() && write.plan.is_none();
            !is_mend
                && write.event != open.event_id
                // What it left itself.
                && write.written.as_ref() != Some(&open.event_id)
                // What replaced the judged event itself came before the write, which overwrote it.
                // A redacted one stands there for whoever comes next.
                && (open.replaces.as_ref() != Some(&write.event) || write.route == Some(Route::Redaction))
                && !self.is_before(write, open)
                && is_same_owner(write)
        });
        // A device that writes is there, however late it does, and whatever a list says.
        let gone = cleared.iter().filter(|write| write.reason == Some(Reason::DeviceGone));
        for owner in gone.flat_map(|write| write.owners.known()) {
            if open.memberships().any(|membership| membership.owner == *owner) {
                self.journal.device_came_back(owner)?;
                self.evidence.lists.came_back(owner);
            }
        }
        // Sync may tell of it long after it happened. A client that wakes up much later refreshes what it
        // began before: then only the event says when that was.
        let in_time = |write: &WriteRecord| {
            let cleared = write.finished.unwrap_or(write.intended);
            let came = |membership: &Membership| {
                if membership.start >= cleared { membership.start } else { membership.sent }
            };
            let came = open.memberships().map(came).min().unwrap_or(now).min(now);
            is_back(write, cleared, event, came) && cleared >= now - SEEN_LATE
        };
        let Some(write) = cleared.into_iter().rfind(in_time) else { return Ok(()) };
        if self.plans.returned(&mut self.journal, &write, now)? {
            return Ok(());
        }
        let cause = write.reason.map_or("asked for", Reason::as_str);
        tracing::warn!(%room, %key, reason = cause, "a cleared membership came back: it was active");
        if self.aftermath.returned.insert(write.id) {
            self.ports.metrics.returned();
        }
        if let Some(change) = self.sweep.breakers.returned(room, key, now) {
            self.alarm(&report::breaker(&change, &self.settings.command_prefix, now), None)?;
        }
        // Cleared because a person wanted it: no reason was wrong.
        let doubted = write.reasons_in_doubt();
        let Some(reason) = doubted.first().copied() else { return Ok(()) };
        let sfu = self.evidence.sfu.as_mut().filter(|_| doubted.contains(&Reason::NotOnSfu));
        let is_told = !self.journal.has_said(&subject(&write))?;
        let lost_sfu = is_told && sfu.is_some_and(SfuEvidence::is_first_return);
        for other in doubted.into_iter().skip(1) {
            let entry = self.sweep.quarantine.returned(room, key, other, now);
            self.journal.save_quarantine(room, key, &entry)?;
        }
        self.was_alive(&write, reason, |whose, until, now| {
            report::came_back(whose, reason, until, lost_sfu, now)
        })
    }

    /// Whether an event came before the own one that emptied its key, where the server does not tell.
    fn is_before(&self, write: &WriteRecord, open: &OpenEvent) -> bool {
        open.replaces.is_none()
            && write.written.as_ref().is_some_and(|written| {
                self.aftermath.passing.is_before(&write.room, &write.key, &open.event_id, written)
            })
    }

    /// A key was cleared, and by the time that was known somebody stood there again.
    pub(in crate::janitor) fn notice_quick_return(
        &mut self,
        room: &RoomId,
        key: &StateKey,
    ) -> Result<(), JournalError> {
        let Some(open) = self.memory.get(room, key).cloned() else { return Ok(()) };
        self.notice_return(room, key, None, &open)
    }
}

/// Whether an event that came then puts back what a write cleared.
fn is_back(write: &WriteRecord, cleared: Timestamp, event: Option<&StateEvent>, came: Timestamp) -> bool {
    let Some(event) = event else { return came.since(cleared) <= RETURN_WINDOW };
    match &write.old_content {
        Stored::Read(content) => Cleared::new(cleared, content).is_back(event, came),
        // It may have held any `created_ts`.
        Stored::Never | Stored::Unreadable(_) => came.since(cleared) <= SAME_WINDOW,
    }
}
