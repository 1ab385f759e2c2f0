//! Findings and notes into messages: what the janitor says without being asked.
//!
//! At most one such message in [`PACE`]; what comes in between is said together.

use std::time::Duration;

use rtc_janitor_core::{
    ids::RoomId,
    plan::PlannedWrite,
    render::{
        Message,
        message::{and_more, together},
        report::{Digest, Report, Row},
    },
    time::Timestamp,
};
use serde_json::Value;

use super::{AdminRoomState, Janitor, Judged, judged::naming_reason};
use crate::world::journal::{Draft, Finding, JournalError};

/// The least time between two messages that nobody asked for.
const PACE: Duration = Duration::from_secs(10);

/// How long a report may wait for the writes that the server puts off.
const LONGEST_UNTOLD: Duration = Duration::from_mins(1);

/// For how long a report takes in what is found again.
const OPEN_REPORT: Duration = Duration::from_hours(24);

impl Janitor {
    /// Notes something to be said; one of the same subject is said once.
    pub(super) fn say(
        &mut self,
        message: &Message,
        subject: Option<&str>,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.has_more_to_say |= self.journal.note(message, subject, false, now)?;
        Ok(())
    }

    /// Notes something that needs a person at once: those who are to be alerted are mentioned.
    pub(super) fn alarm(
        &mut self,
        message: &Message,
        subject: Option<&str>,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.has_more_to_say |= self.journal.note(message, subject, true, now)?;
        Ok(())
    }

    /// When something may be said unasked, if there is something to say.
    pub(super) fn next_word(&self) -> Option<Timestamp> {
        let may = self.has_more_to_say && self.admin_room == AdminRoomState::Reachable;
        let at = self.last_word.map_or(self.now(), |last| last + PACE);
        // A report waits while writes do.
        let held = self.hold_writes_until.map_or(at, |_| self.now() + Duration::from_secs(1));
        may.then_some(at.max(held))
    }

    /// Says what is to be said, if it may now. While nobody can be told, it gathers in the journal and
    /// is summed up afterwards.
    pub(super) fn speak(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        if self.admin_room != AdminRoomState::Reachable
            || self.last_word.is_some_and(|last| now < last + PACE)
        {
            return Ok(());
        }
        let (alarms, notes): (Vec<_>, Vec<_>) =
            self.journal.untold()?.into_iter().partition(|note| note.is_alarm);
        // What needs a person at once is said first and by itself, and none of it is cut.
        let (notes, mentions) = match (alarms.first(), notes.is_empty()) {
            (Some(_), _) => (alarms, self.settings.alert.clone()),
            (None, false) => (notes, Vec::new()),
            (None, true) => return self.report(),
        };
        let texts: Vec<_> = notes.iter().map(|note| &note.message).collect();
        let (text, shown) = together(&texts);
        let is_alarm = notes.first().is_some_and(|note| note.is_alarm);
        let told = if is_alarm { shown } else { notes.len() };
        let text = if shown < told { and_more(text, told - shown) } else { text };
        let draft =
            Draft { notes: notes[..told].iter().map(|note| note.id).collect(), mentions, ..Draft::of(text) };
        self.post(&draft)?;
        self.last_word = Some(now);
        // There may be findings, too.
        self.has_more_to_say = true;
        Ok(())
    }

    /// Puts a message into the journal and on its way.
    pub(super) fn post(&mut self, draft: &Draft) -> Result<(), JournalError> {
        let stored = self.journal.post(draft, self.now())?;
        self.outbox.put(stored);
        Ok(())
    }

    /// Says what was found since the last report, in one message; what was all found before is edited
    /// into that report.
    fn report(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        let findings = self.journal.unreported()?;
        let Some(first) = findings.first() else {
            self.has_more_to_say = false;
            return Ok(());
        };
        // A server that takes few events at a time is to take the clears first: one message tells of all.
        if self.hold_writes_until.is_some() && now.since(first.at) < LONGEST_UNTOLD {
            return Ok(());
        }
        let last = self.journal.last_report(now - OPEN_REPORT)?;
        let repeated =
            last.filter(|(_, told)| findings.iter().all(|new| told.iter().any(|old| same(old, new))));
        let draft = match repeated {
            Some((report, told)) => {
                let all: Vec<_> = told.iter().chain(&findings).collect();
                Draft { target: Some(report), ..Draft::of(self.report_of(&all).message(now)) }
            }
            None => Draft::of(self.report_of(&findings.iter().collect::<Vec<_>>()).message(now)),
        };
        self.post(&Draft { findings, ..draft })?;
        self.last_word = Some(now);
        self.has_more_to_say = false;
        Ok(())
    }

    pub(super) fn report_of(&self, findings: &[&Finding]) -> Report {
        let mut report = Report { long_expired: self.long_expired, ..Report::default() };
        for finding in findings {
            let Some(mut row) = Self::row_of(finding) else { continue };
            row.room_name = self.name_of(&finding.room);
            report.add(finding.kind, row);
        }
        report
    }

    pub(super) fn row_of(finding: &Finding) -> Option<Row> {
        serde_json::from_value(finding.details.clone())
            .inspect_err(|error| tracing::error!(event = %finding.event, "unreadable finding: {error}"))
            .ok()
    }

    /// A name for people, where there is one.
    pub(crate) fn name_of(&self, room: &RoomId) -> Option<String> {
        self.room_names.get(room).cloned().flatten()
    }

    /// When the next digest is due; `None` when none is wanted.
    pub(super) fn next_digest(&self) -> Result<Option<Timestamp>, JournalError> {
        let Some(time) = self.settings.digest else { return Ok(None) };
        let Some(last) = self.journal.last_digest()? else {
            // The first one tells of a whole day.
            self.journal.set_last_digest(self.now())?;
            return Ok(Some(time.next_after(self.now())));
        };
        Ok(Some(time.next_after(last)))
    }

    /// Sums up the time since the last digest, when it is time to; nothing to tell is not told.
    pub(super) fn digest(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        if self.next_digest()?.is_none_or(|due| now < due) {
            return Ok(());
        }
        let since = self.journal.last_digest()?.unwrap_or(now);
        let mut digest = Digest { since, now, problems: self.rooms_answer(true), ..Digest::default_at(now) };
        for finding in self.journal.findings_since(since)? {
            let Some(row) = Self::row_of(&finding) else { continue };
            digest.add(finding.kind, row.reason, finding.at.since(row.since));
        }
        let cleared = self.journal.cleared_since(since)?;
        digest.by_plan = cleared.iter().filter(|write| write.plan.is_some()).count();
        self.journal.set_last_digest(now)?;
        if let Some(message) = digest.message(&self.settings.command_prefix) {
            self.say(&message, None, now)?;
        }
        Ok(())
    }

    pub(super) fn details(write: &PlannedWrite, judged: &[Judged], obstacle: Option<String>) -> Value {
        let about: Vec<_> = judged.iter().filter(|one| one.is_about(write)).collect();
        let mut row = Self::row_about(&about, obstacle);
        row.reason = write.reason().unwrap_or(row.reason);
        row.since = write.since();
        serde_json::to_value(row).unwrap_or_default()
    }

    pub(super) fn details_of(about: &[&Judged], since: Option<Timestamp>, obstacle: Option<String>) -> Value {
        let mut row = Self::row_about(about, obstacle);
        row.since = since.unwrap_or(row.since);
        serde_json::to_value(row).unwrap_or_default()
    }

    fn row_about(about: &[&Judged], obstacle: Option<String>) -> Row {
        let first = about.first();
        Row {
            room: first.map_or_else(|| "?".into(), |one| one.subject.room.clone()),
            room_name: None,
            user: first.map_or_else(|| "?".into(), |one| one.membership.owner.user.clone()),
            devices: about.iter().map(|one| one.membership.owner.device.to_string()).collect(),
            reason: naming_reason(about),
            since: about
                .iter()
                .flat_map(|one| one.due.iter().map(|due| due.first))
                .min()
                .unwrap_or(Timestamp::from_millis(0)),
            is_shown: first.is_some_and(|one| !one.judgement.reasons().any(|(r, _)| r.as_str() == "expired")),
            obstacle,
            times: 1,
        }
    }
}

/// Whether the same was found of the same key.
fn same(one: &Finding, other: &Finding) -> bool {
    (one.kind, &one.room, &one.key) == (other.kind, &other.room, &other.key)
}
