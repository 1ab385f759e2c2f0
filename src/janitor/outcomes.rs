//! Takes in what came back from the neighbours.

use rtc_janitor_core::{
    finding::Row,
    ids::{EventId, RoomId, StateKey, UserId},
    judge::evidence::{ListKind, RoomMember},
    plan::{PlannedWrite, Route},
    render::{message::harmless, report},
    rtc::{membership::FirstSeen, state_event::StateEvent},
    time::Timestamp,
};

use super::{
    Janitor,
    background::{Outcome, PowerRead},
    evidence::{ListsTaken, OwnNews},
    joins::JoinFor,
    memory::is_empty,
    reads::{Read, Urgency},
    sweep::{Attempt, Outgoing, Trigger},
};
use crate::world::{
    NeighbourError, RoomView, Written,
    device_lists::DeviceAnswers,
    journal::{Finding, FindingKind, JournalError, PlanOutcome, WriteOutcome},
};

impl Janitor {
    /// Takes in one answer.
    pub(super) fn take_in_outcome(&mut self, outcome: Outcome) -> Result<(), JournalError> {
        match outcome {
            Outcome::Viewed(room, read) => self.viewed(&room, read),
            Outcome::Member(room, user, read) => {
                self.member_read(&room, &user, &read);
                Ok(())
            }
            Outcome::Power(room, read) => {
                self.power_read(&room, read);
                Ok(())
            }
            Outcome::Lists(by, asked, answers) => self.lists_answered(by, answers, asked),
            Outcome::Sfu { asked, names, answer } => self.sfu_answered(asked, names, answer),
            Outcome::SfuNames { asked, room, proofs } => self.sfu_proved(asked, &room, proofs),
            Outcome::ServerTime(read) => self.clock_read(read),
            Outcome::Settled(id, read) => {
                self.read_is_done(Read::Intent(id), read.as_ref().err());
                self.settled(id, read)
            }
            Outcome::Resolved(alias, read) => self.alias_resolved(&alias, read),
            Outcome::Written(event, attempt) => self.written(&event, attempt),
            Outcome::Joined(room, joined) => self.joined(&room, joined.err()),
        }
    }

    /// A read came back.
    fn read_is_done(&mut self, read: Read, error: Option<&NeighbourError>) {
        let now = self.now();
        // One thing that cannot be read says nothing of the homeserver: sync does.
        match error {
            Some(error) => tracing::debug!(?read, "not readable: {error}"),
            None => self.source_answered(),
        }
        self.reads.done(read, error, now);
    }

    /// The homeserver did not answer: no grace runs until it does.
    pub(super) fn source_failed(&mut self) {
        self.evidence.homeserver.failed(self.ports.clock.now());
        self.sweep.ledger.pause(None);
    }

    /// The homeserver answered.
    pub(super) fn source_answered(&mut self) {
        if self.evidence.homeserver.answered(self.ports.clock.now()) {
            tracing::warn!("the homeserver is back after a gap; its word counts again in 5 min");
        }
    }

    fn viewed(&mut self, room: &RoomId, read: Result<RoomView, NeighbourError>) -> Result<(), JournalError> {
        let error = read.as_ref().err();
        self.read_is_done(
            Read::View(room.clone()),
            error.filter(|error| !matches!(error, NeighbourError::TooLarge { .. })),
        );
        if read.is_ok() && self.reads.is_wanted(&Read::View(room.clone())) {
            // It is older than what sync has brought meanwhile.
            return Ok(());
        }
        match read {
            Ok(view) => {
                self.lookups.viewed(room, &view.events);
                self.take_in_view(room, &view)?;
            }
            Err(NeighbourError::TooLarge { .. }) => {
                // From now on it is read key by key.
                self.memory.is_too_large(room);
                self.reads.want(Read::View(room.clone()), Urgency::Needed);
                return Ok(());
            }
            Err(NeighbourError::RateLimited { .. }) => return Ok(()),
            Err(error) => self.lookups.failed(room, &error.to_string()),
        }
        self.first_views.remove(room);
        Ok(())
    }

    fn member_read(&mut self, room: &RoomId, user: &UserId, read: &Result<RoomMember, NeighbourError>) {
        let now = self.now();
        self.read_is_done(Read::Member(room.clone(), user.clone()), read.as_ref().err());
        let member = match read {
            Ok(member) => *member,
            Err(NeighbourError::RateLimited { .. }) => return,
            Err(_) => RoomMember::Unknown,
        };
        if self.memory.owns(room, user) {
            self.evidence.members.take_in(room, user, member, now);
            self.sweep.mark(room);
        }
    }

    fn power_read(&mut self, room: &RoomId, read: Result<PowerRead, NeighbourError>) {
        let now = self.now();
        self.read_is_done(Read::Power(room.clone()), read.as_ref().err());
        let Ok(PowerRead { create, levels }) = read else { return };
        let who = self.settings.writers();
        let Some(info) = self.memory.info_mut(room) else { return };
        if let Some(create) = create {
            info.take_in(&create, &who, true, now);
        }
        if !info.knows_creation() {
            tracing::warn!(%room, "the room has no create event");
        }
        let is_known = info.knows_creation();
        info.take_in_power(levels.as_ref(), &who, true, now);
        if is_known {
            self.sweep.mark(room);
        }
    }

    fn lists_answered(
        &mut self,
        by: ListKind,
        answers: DeviceAnswers,
        asked: Timestamp,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let ListsTaken { listed, users } = match self.evidence.lists.take_in(by, answers, asked, now) {
            Ok(taken) => taken,
            Err(question) => {
                self.ask_for_lists(question);
                return Ok(());
            }
        };
        if by == ListKind::OwnList {
            self.tell_of_own_lists()?;
        }
        self.journal.list_devices(listed.iter().map(|(owner, by)| (owner, *by)), now)?;
        // All at once: only then the breaker can tell a wrong list from dead devices.
        let touched: Vec<_> = self
            .memory
            .open()
            .filter(|(.., open)| open.memberships().any(|m| users.contains(&m.owner.user)))
            .map(|(room, ..)| room.clone())
            .collect();
        for room in touched {
            self.sweep.mark(&room);
        }
        Ok(())
    }

    /// Says that the server's own lists cannot be had, and that they can again: each once.
    fn tell_of_own_lists(&mut self) -> Result<(), JournalError> {
        match self.evidence.lists.own_news(self.now()) {
            None => Ok(()),
            Some(OwnNews::Back) => self.say(&report::own_lists_back(), None),
            Some(OwnNews::Away { why, needs_a_person: false }) => {
                self.say(&report::own_lists_away(&why, false), None)
            }
            Some(OwnNews::Away { why, needs_a_person: true }) => {
                self.alarm(&report::own_lists_away(&why, true), None)
            }
        }
    }

    fn clock_read(&mut self, read: Result<Timestamp, NeighbourError>) -> Result<(), JournalError> {
        let ours = self.now();
        self.read_is_done(Read::Clock, read.as_ref().err());
        let theirs = match read {
            Ok(theirs) => theirs,
            Err(error) => {
                tracing::warn!("the homeserver's clock could not be read: {error}");
                return Ok(());
            }
        };
        match self.sweep.compared(ours, theirs) {
            Some(false) => self.say(&report::clock_skew(ours, theirs), None),
            Some(true) => self.say(&report::clock_agrees(), None),
            None => Ok(()),
        }
    }

    fn alias_resolved(
        &mut self,
        alias: &str,
        read: Result<RoomId, NeighbourError>,
    ) -> Result<(), JournalError> {
        self.read_is_done(Read::Alias(alias.to_owned()), read.as_ref().err());
        let Ok(room) = read else { return Ok(()) };
        tracing::info!(alias, %room, "an alias of the configuration leads somewhere now");
        self.journal.set_alias_room(alias, &room)?;
        let was_forbidden = self.settings.writes_forbidden_because().is_some();
        self.file.resolved(alias, &room);
        self.apply_overrides()?;
        if was_forbidden && self.settings.writes_forbidden_because().is_none() {
            return self.say(&report::writes_allowed(alias), None);
        }
        Ok(())
    }

    /// A write came back, or how far it came.
    fn written(&mut self, event: &EventId, attempt: Attempt) -> Result<(), JournalError> {
        let now = self.now();
        let was_taken = matches!(attempt, Attempt::Written(_));
        let Some(done) = self.writes.done(event, was_taken, now) else { return Ok(()) };
        let (Outgoing { write, trigger, evidence: _ }, id) = (done.outgoing, done.id);
        let (room, key) = (write.room(), write.key());
        let span = tracing::info_span!("write", %room, %key);
        let _entered = span.enter();
        self.sweep.mark(room);
        let finding = |kind, obstacle: Option<String>| match &trigger {
            // What a plan does is told with the plan.
            Trigger::Plan(..) => None,
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
                tracing::info!(
                    reason = write.reason().map_or("asked for", |reason| reason.as_str()),
                    "cleared"
                );
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
                self.ports.metrics.cleared(write.reason(), write.route().as_str());
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
                tracing::info!(
                    reason = write.reason().map_or("asked for", |reason| reason.as_str()),
                    "would clear"
                );
                let finding = finding(FindingKind::WouldClear, None);
                self.journal.finish(id, &WriteOutcome::Spared, finding.as_ref(), now)?;
                self.voice.has_more_to_say(finding.is_some());
                self.sweep.is_dealt_with(event, FindingKind::WouldClear);
            }
            Attempt::AnothersEvent(current) => {
                self.server.answers_with_others();
                self.changed_by_others(id, &write, &trigger, Some(current))?;
            }
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
                self.settle_by_reading(room, key)?;
                self.plans.put_off(&trigger, event, now);
            }
        }
        Ok(())
    }

    /// Nobody knows what came of a write: its intent stays open until the key is read.
    fn settle_by_reading(&mut self, room: &RoomId, key: &StateKey) -> Result<(), JournalError> {
        if let Some(intent) = self.journal.open_intents_of(room, key)?.pop() {
            self.reads.want(Read::Intent(intent.id), Urgency::Due);
            self.unsettled.insert((room.clone(), key.clone()), intent);
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
        } else if matches!(error, NeighbourError::RateLimited { .. } | NeighbourError::Unreachable(_)) {
            // The owner is to wait, or the appservice's requests go astray: that is nothing to the other routes.
            self.sweep.refused(room, key, error, now);
        }
        match error {
            NeighbourError::Unreachable(_) if was_sent => {
                if !is_as_owner {
                    self.source_failed();
                }
                self.settle_by_reading(room, key)?;
                self.plans.put_off(trigger, write.event(), now);
            }
            NeighbourError::Unreachable(_) => {
                self.source_failed();
                self.journal.finish(id, &WriteOutcome::NotWritten(error.to_string()), None, now)?;
                self.plans.put_off(trigger, write.event(), now);
            }
            NeighbourError::RateLimited { .. } | NeighbourError::SignedOut(_) => {
                self.journal.finish(id, &WriteOutcome::NotWritten(error.to_string()), None, now)?;
                self.plans.put_off(trigger, write.event(), now);
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

    /// A join came back.
    fn joined(&mut self, room: &RoomId, error: Option<NeighbourError>) -> Result<(), JournalError> {
        let now = self.now();
        let why_not = error.clone();
        let Some(reason) = self.joins.done(room, error, now) else { return Ok(()) };
        match (&reason, why_not) {
            (JoinFor::Invitation(inviter), None) => {
                tracing::info!(%room, inviter = inviter.as_ref().map(tracing::field::display), "invitation accepted");
                Ok(())
            }
            (JoinFor::Invitation(inviter), Some(error)) => {
                tracing::warn!(%room, inviter = inviter.as_ref().map(tracing::field::display), "cannot accept the invitation, will try again: {error}");
                Ok(())
            }
            (JoinFor::UpgradeOf(old), None) => self.say_upgraded(old, room, true),
            (JoinFor::UpgradeOf(old), Some(error)) => {
                tracing::warn!(%old, %room, "cannot join the successor of an upgraded room: {error}");
                // What the server only puts off, or did not answer, needs no person.
                let needs_person = matches!(error, NeighbourError::Refused { .. });
                if needs_person { self.say_upgraded(old, room, false) } else { Ok(()) }
            }
        }
    }

    fn say_upgraded(&mut self, old: &RoomId, new: &RoomId, has_joined: bool) -> Result<(), JournalError> {
        let message = report::upgraded(old, self.name_of(old).as_deref(), new, has_joined);
        let outcome = if has_joined { "joined" } else { "asked" };
        self.say(&message, Some(&format!("upgraded {old} {new} {outcome}")))
    }
}
