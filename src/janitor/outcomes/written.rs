//! Takes in what came of a write.

use rtc_janitor_core::{
    finding::Row,
    ids::EventId,
    plan::{PlannedWrite, Route},
    render::message::harmless,
    rtc::{membership::FirstSeen, state_event::StateEvent},
};

use crate::{
    janitor::{
        Janitor,
        memory::is_empty,
        reads::{Read, Urgency},
        sweep::{Attempt, Outgoing, Trigger, is_after},
    },
    world::{
        NeighbourError, Written,
        journal::{Finding, FindingKind, JournalError, PlanOutcome, WriteOutcome},
    },
};

impl Janitor {
    /// A write came back, or how far it came.
    pub(super) fn written(&mut self, event: &EventId, attempt: Attempt) -> Result<(), JournalError> {
        let now = self.now();
        let was_taken = matches!(attempt, Attempt::Written(_) | Attempt::Followed(..));
        let Some(done) = self.writes.done(event, was_taken, now) else { return Ok(()) };
        let attempt = match attempt {
            // Who came after a redaction was alive; before it, it took nothing from anybody.
            Attempt::Followed(written, newer) if is_after(&newer, done.began()) => {
                self.want_view(done.outgoing.write.room());
                Attempt::Written(written)
            }
            Attempt::Followed(_, newer) => Attempt::Replaced(Some(newer)),
            attempt => attempt,
        };
        let (Outgoing { write, trigger, evidence: _ }, id) = (done.outgoing, done.id);
        let (room, key) = (write.room(), write.key());
        let span = tracing::info_span!("write", %room, %key);
        let _entered = span.enter();
        self.sweep.mark(room);
        let finding = |kind, obstacle: Option<String>| match &trigger {
            // What a plan does is told with the plan; what mends an own write was done by nobody's wish.
            Trigger::Plan(..) | Trigger::TakeBack => None,
            Trigger::Sweep { row, .. } => Some(Finding {
                room: room.clone(),
                key: key.clone(),
                event: event.clone(),
                kind,
                at: now,
                row: Row { obstacle: obstacle.or_else(|| row.obstacle.clone()), ..row.clone() },
            }),
        };
        match attempt {
            Attempt::Written(Written::Event(written)) => {
                tracing::info!(reason = reason(&write, &trigger), "cleared");
                let finding = finding(FindingKind::Cleared, None);
                self.journal.finish(id, &WriteOutcome::Cleared(written.clone()), finding.as_ref(), now)?;
                self.voice.has_more_to_say(finding.is_some());
                if write.part().is_some() {
                    // Who is left in it stands there by another event now.
                    self.want_view(room);
                }
                for source in write.probes() {
                    self.sweep.breakers.probed(*source, room, key, &self.settings.breaker, now);
                }
                let me = self.settings.user_id.clone();
                self.note_leave(room, key, &me)?;
                if trigger != Trigger::TakeBack {
                    self.ports.metrics.cleared(write.reason(), write.route().as_str());
                }
                self.end_event(room, key, event, now)?;
                // A redaction was looked at right afterwards, and could overwrite nothing.
                let is_redaction = write.route() == Route::Redaction;
                let has_come = !is_redaction && self.aftermath.await_event(room, key, &written);
                self.notice_quick_return(room, key)?;
                self.plans.dealt_with(&trigger, event, PlanOutcome::Cleared);
                if is_redaction {
                    self.journal.verified(id)?;
                } else if has_come {
                    self.verify_early(room, &written)?;
                }
            }
            Attempt::Written(Written::Nothing) => {
                tracing::info!(reason = reason(&write, &trigger), "would clear");
                let finding = finding(FindingKind::WouldClear, None);
                self.journal.finish(id, &WriteOutcome::Spared, finding.as_ref(), now)?;
                self.voice.has_more_to_say(finding.is_some());
                self.sweep.is_dealt_with(event, FindingKind::WouldClear);
            }
            Attempt::AnothersEvent(current) => {
                self.server.answers_with_others();
                self.changed_by_others(id, &write, &trigger, Some(current))?;
            }
            Attempt::Followed(_, newer) => self.changed_by_others(id, &write, &trigger, Some(newer))?,
            Attempt::Replaced(current) => self.changed_by_others(id, &write, &trigger, current)?,
            Attempt::OwnerIsBack => {
                tracing::info!("its owner is back in the room: left alone");
                self.journal.finish(id, &WriteOutcome::Changed, None, now)?;
                for owner in write.owners() {
                    self.evidence.members.doubt(room, &owner.user);
                    self.reads.want(Read::Member(room.clone(), owner.user.clone()), Urgency::Due);
                }
                self.plans.dealt_with(&trigger, event, PlanOutcome::Changed);
            }
            Attempt::Withheld => {
                tracing::info!("not written: told to stop before the last step");
                self.journal.withdraw(&[id])?;
                self.plans.put_off(&trigger, event, now);
            }
            Attempt::NotTried(error) => self.not_written(id, &write, &trigger, &error, false, finding)?,
            Attempt::Failed(error) => self.not_written(id, &write, &trigger, &error, true, finding)?,
            Attempt::Unseen(error) => {
                tracing::warn!("redacted, and not seen to be: {error}");
                self.sweep.refused(room, key, &error, now);
                if self.await_settling(room, key)? {
                    self.notice_quick_return(room, key)?;
                }
                self.plans.put_off(&trigger, event, now);
            }
        }
        Ok(())
    }

    /// The key holds something else than what was judged, so nothing was written.
    fn changed_by_others(
        &mut self,
        id: i64,
        write: &PlannedWrite,
        trigger: &Trigger,
        current: Option<StateEvent>,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let (room, key, event) = (write.room(), write.key(), write.event());
        tracing::info!("changed since it was judged: left alone");
        self.journal.finish(id, &WriteOutcome::Changed, None, now)?;
        let is_gone = current.as_ref().is_none_or(is_empty);
        self.plans.dealt_with(trigger, event, if is_gone { PlanOutcome::Gone } else { PlanOutcome::Changed });
        if let Some(empty) = current.as_ref().filter(|current| is_empty(current)) {
            self.note_leave(room, key, &empty.sender)?;
        }
        // Sync may be late with it, or never say so, and may be wrong about the rest of the room.
        self.end_event(room, key, event, now)?;
        if let Some(current) = current.filter(|_| self.memory.get(room, key).is_none()) {
            self.take_in_membership(room, &current, FirstSeen { at: now, live: true })?;
        }
        self.memory.doubt(room);
        self.want_view(room);
        Ok(())
    }

    /// A write failed, or (`was_sent` is false) was not reached.
    fn not_written(
        &mut self,
        id: i64,
        write: &PlannedWrite,
        trigger: &Trigger,
        error: &NeighbourError,
        was_sent: bool,
        finding: impl Fn(FindingKind, Option<String>) -> Option<Finding>,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let (room, key) = (write.room(), write.key());
        tracing::warn!("not cleared: {error}");
        if was_sent {
            self.ports.metrics.clear_failed(error.errcode());
        }
        let is_as_owner = was_sent && write.route() == Route::Appservice;
        if !is_as_owner {
            self.writes.slow_down(error, now);
        } else if matches!(error, NeighbourError::RateLimited { .. }) {
            // The owner is to wait: that is nothing to the other routes.
            self.sweep.refused(room, key, error, now);
        }
        match error {
            NeighbourError::Unreachable(_) if was_sent => {
                if !is_as_owner {
                    self.homeserver_failed();
                }
                if self.await_settling(room, key)? {
                    self.notice_quick_return(room, key)?;
                }
                self.plans.put_off(trigger, write.event(), now);
            }
            NeighbourError::Unreachable(_) => {
                self.homeserver_failed();
                self.journal.finish(id, &WriteOutcome::NotWritten(error.to_string()), None, now)?;
                self.plans.put_off(trigger, write.event(), now);
            }
            NeighbourError::RateLimited { .. } | NeighbourError::SignedOut(_) => {
                self.journal.finish(id, &WriteOutcome::NotWritten(error.to_string()), None, now)?;
                self.plans.put_off(trigger, write.event(), now);
            }
            NeighbourError::AppserviceRefused(_) => {
                self.journal.finish(id, &WriteOutcome::NotWritten(error.to_string()), None, now)?;
                self.plans.put_off(trigger, write.event(), now);
                if let Some(owner) = write.owners().first() {
                    self.appservice_refused(&owner.user, error)?;
                }
            }
            // What may not be read will not be written either, and asking in each sweep helps nobody.
            refused => {
                let said = match refused {
                    NeighbourError::Refused { errcode, message, .. } => {
                        harmless(&format!("{errcode}: {message}"))
                    }
                    other => harmless(&other.to_string()),
                };
                let finding = finding(FindingKind::Refused, Some(said.clone()));
                let outcome = WriteOutcome::NotWritten(error.to_string());
                self.journal.finish(id, &outcome, finding.as_ref(), now)?;
                self.voice.has_more_to_say(finding.is_some());
                self.sweep.refused(room, key, error, now);
                if let Some(info) = self.memory.info_mut(room) {
                    info.doubt_power();
                }
                self.plans.dealt_with(trigger, write.event(), PlanOutcome::Refused(said));
            }
        }
        Ok(())
    }
}

/// What a write was made for, for the log.
fn reason(write: &PlannedWrite, trigger: &Trigger) -> &'static str {
    match (write.reason(), trigger) {
        (Some(reason), _) => reason.as_str(),
        (None, Trigger::TakeBack) => "put back by the last write",
        (None, _) => "asked for",
    }
}
