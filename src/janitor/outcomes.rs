//! Takes in what came back from the neighbours: reads, device lists and joins here, writes beside it.

mod written;

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    judge::evidence::{ListKind, RoomMember},
    render::report,
    rtc::{membership::FirstSeen, state_event::StateEvent},
    time::Timestamp,
};

use super::{
    Janitor,
    background::{Outcome, PowerRead},
    evidence::{ListsTaken, OwnNews},
    joins::JoinFor,
    reads::{Read, Urgency},
};
use crate::world::{
    NeighbourError, RoomView,
    device_lists::{DeviceAnswers, UnknownDevices},
    journal::JournalError,
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
                match self.settled(id, read)? {
                    Some((room, standing)) => self.take_in_standing(&room, &standing),
                    None => Ok(()),
                }
            }
            Outcome::Resolved(alias, read) => self.alias_resolved(&alias, read),
            Outcome::Written(event, attempt) => self.written(&event, attempt),
            Outcome::Appservice(answer) => self.appservice_answered(answer),
            Outcome::Joined(room, joined) => self.joined(&room, joined.err()),
        }
    }

    /// A read came back.
    fn read_is_done(&mut self, read: Read, error: Option<&NeighbourError>) {
        let now = self.now();
        // One thing that cannot be read says nothing of the homeserver: sync does.
        match error {
            Some(error) => tracing::debug!(?read, "not readable: {error}"),
            None => self.homeserver_answered(),
        }
        self.reads.done(read, error, now);
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

    /// Takes in who stands under a key after a write of which nobody knew what came of it.
    fn take_in_standing(&mut self, room: &RoomId, current: &StateEvent) -> Result<(), JournalError> {
        if self.memory.is_open(room, &current.state_key, &current.event_id) {
            return self.notice_quick_return(room, &current.state_key);
        }
        if self.memory.knows(room) {
            self.take_in_membership(room, current, FirstSeen { at: self.now(), live: false })?;
        }
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
        if let Some(UnknownDevices::NoAnswer(error @ NeighbourError::AppserviceRefused(_))) =
            self.evidence.lists.own_failure()
        {
            let (me, error) = (self.settings.user_id.clone(), error.clone());
            return self.appservice_refused(&me, &error);
        }
        match self.evidence.lists.own_news(self.now()) {
            None => Ok(()),
            Some(OwnNews::Back) => self.say(&report::own_lists_back(), None),
            Some(OwnNews::Away { why, needs_a_person }) => {
                let message = report::own_lists_away(&why, needs_a_person, self.reads_lists_by_appservice());
                if needs_a_person { self.alarm(&message, None) } else { self.say(&message, None) }
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
