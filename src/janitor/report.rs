//! Findings into messages, and messages on their way.

use std::time::Duration;

use rtc_janitor_core::{
    plan::PlannedWrite,
    render::{
        Message,
        report::{Report, Row},
    },
    time::Timestamp,
};
use serde_json::Value;

use super::{AdminRoomState, Janitor, Judged, sweep::naming_reason};
use crate::world::journal::{Finding, JournalError};

/// How long a report may wait for the writes that the server puts off.
const LONGEST_UNTOLD: Duration = Duration::from_mins(1);

impl Janitor {
    /// Puts a message on its way to the admin room; one of the same subject is said once.
    pub(super) fn say(
        &mut self,
        message: &Message,
        subject: Option<&str>,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        if let Some(stored) = self.journal.say(message, subject, &[], now)? {
            // The receiver lives as long as the program.
            let _ = self.outbox.send(stored);
        }
        Ok(())
    }

    /// Says what was found since the last report, in one message. While nobody can be told, findings
    /// gather in the journal and are summed up afterwards.
    pub(super) async fn report(&mut self, long_expired: usize) -> Result<(), JournalError> {
        if self.admin_room != AdminRoomState::Reachable {
            return Ok(());
        }
        let findings = self.journal.unreported()?;
        let Some(first) = findings.first() else { return Ok(()) };
        // A server that takes few events at a time is to take the clears first: one message tells of all.
        if self.hold_writes_until.is_some() && self.now().since(first.at) < LONGEST_UNTOLD {
            return Ok(());
        }
        let mut report = Report { long_expired, ..Report::default() };
        for finding in &findings {
            let Some(mut row) = Self::row_of(finding) else { continue };
            row.room_name = self.name_of(&finding.room).await?;
            report.add(finding.kind, row);
        }
        let now = self.now();
        if let Some(stored) = self.journal.say(&report.message(now), None, &findings, now)? {
            let _ = self.outbox.send(stored);
        }
        Ok(())
    }

    pub(super) fn row_of(finding: &Finding) -> Option<Row> {
        serde_json::from_value(finding.details.clone())
            .inspect_err(|error| tracing::error!(event = %finding.event, "unreadable finding: {error}"))
            .ok()
    }

    /// A name for people, asked for once.
    async fn name_of(
        &mut self,
        room: &rtc_janitor_core::ids::RoomId,
    ) -> Result<Option<String>, JournalError> {
        if let Some(Some(name)) = self.room_names.get(room) {
            return Ok(Some(name.clone()));
        }
        let name = match self.ports.rooms.room_name(room).await {
            Ok(name) => name,
            Err(error) => {
                tracing::debug!(%room, "no name: {error}");
                None
            }
        };
        self.journal.name_room(room, name.as_deref())?;
        self.room_names.insert(room.clone(), name.clone());
        Ok(name)
    }

    pub(super) fn details(write: &PlannedWrite, judged: &[Judged], obstacle: Option<String>) -> Value {
        let about: Vec<_> = judged.iter().filter(|one| one.is_about(write)).collect();
        let mut row = Self::row_about(&about, obstacle);
        row.reason = write.due().reason;
        row.since = write.due().first;
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
        }
    }
}
