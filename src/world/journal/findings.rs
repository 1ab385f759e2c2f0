//! What was found, for the reports and for the limits.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    render::report::{FindingKind, Row},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Journal, Result,
    statement::{Statements as _, text, time},
};

/// A line of a report, before it is in one.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The room.
    pub room: RoomId,
    /// The key.
    pub key: StateKey,
    /// The event.
    pub event: EventId,
    /// What was found.
    pub kind: FindingKind,
    /// When.
    pub at: Timestamp,
    /// What the report shows of it.
    pub row: Row,
}

pub(super) const fn kind_name(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Cleared => "cleared",
        FindingKind::WouldClear => "would_clear",
        FindingKind::Blocked => "blocked",
        FindingKind::Refused => "refused",
    }
}

fn kind_named(name: &str) -> Option<FindingKind> {
    [FindingKind::Cleared, FindingKind::WouldClear, FindingKind::Blocked, FindingKind::Refused]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
}

/// Of a kind, later than an instant. A kind that this program does not know may have been a clear.
const OF_KIND_SINCE: &str = "at_ms > ?2
    AND (kind = ?1 OR kind NOT IN ('cleared', 'would_clear', 'blocked', 'refused'))";

pub(super) fn insert_finding(db: &Connection, finding: &Finding) -> Result<bool> {
    let details = serde_json::to_string(&finding.row)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let rows = db
        .statement(
            "INSERT OR IGNORE INTO findings (event, kind, room, key, at_ms, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            finding.event.as_str(),
            kind_name(finding.kind),
            finding.room.as_str(),
            finding.key.as_str(),
            finding.at.as_millis(),
            details
        ])?;
    Ok(rows > 0)
}

impl Journal {
    /// Notes a finding; false when this was found of this event before.
    pub fn find(&self, finding: &Finding) -> Result<bool> {
        if self.was_found(&finding.event, finding.kind)? {
            return Ok(false);
        }
        self.write(|db| insert_finding(db, finding))
    }

    /// Whether something was found of an event before.
    pub fn was_found(&self, event: &EventId, kind: FindingKind) -> Result<bool> {
        let mut query = self.db.statement("SELECT 1 FROM findings WHERE event = ?1 AND kind = ?2")?;
        Ok(query.exists([event.as_str(), kind_name(kind)])?)
    }

    /// How many keys were cleared, or would have been, since `since`.
    pub fn count_since(&self, kind: FindingKind, since: Timestamp) -> Result<u32> {
        let mut query = self.db.statement(&format!("SELECT count(*) FROM findings WHERE {OF_KIND_SINCE}"))?;
        Ok(query.query_row(params![kind_name(kind), since.as_millis()], |row| row.get(0))?)
    }

    /// The same, in all and for each room.
    pub fn counts_since(&self, kind: FindingKind, since: Timestamp) -> Result<(u32, BTreeMap<RoomId, u32>)> {
        let mut query = self.db.statement(&format!(
            "SELECT room, count(*) AS found FROM findings WHERE {OF_KIND_SINCE} GROUP BY room"
        ))?;
        let rows = query.query_map(params![kind_name(kind), since.as_millis()], |row| {
            Ok((text(row, "room")?, row.get("found")?))
        })?;
        let by_room: BTreeMap<RoomId, u32> = rows.collect::<rusqlite::Result<_>>()?;
        Ok((by_room.values().sum(), by_room))
    }

    /// What has been found and not yet been put into a message, the oldest first.
    pub fn unreported(&self) -> Result<Vec<Finding>> {
        self.findings("WHERE message IS NULL ORDER BY at_ms, room, key", [])
    }

    /// The findings of the last report, if that is no older than `since`, and the report.
    pub fn last_report(&self, since: Timestamp) -> Result<Option<(String, Vec<Finding>)>> {
        let txn: Option<String> = self
            .db
            .statement(
                "SELECT txn FROM messages WHERE created_ms >= ?1 AND target IS NULL AND state = 'sent'
                     AND EXISTS (SELECT 1 FROM findings WHERE message = messages.txn)
                 ORDER BY created_ms DESC, rowid DESC LIMIT 1",
            )?
            .query_row([since.as_millis()], |row| row.get("txn"))
            .optional()?;
        let Some(txn) = txn else { return Ok(None) };
        let findings = self.findings("WHERE message = ?1 ORDER BY at_ms, room, key", [&txn])?;
        Ok(Some((txn, findings)))
    }

    /// How often each reason was the cause, and for how long it was seen before the key went; since
    /// `since`.
    pub fn findings_since(&self, since: Timestamp) -> Result<Vec<Finding>> {
        self.findings("WHERE at_ms >= ?1 ORDER BY at_ms", [since.as_millis()])
    }

    fn findings(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<Finding>> {
        let mut query = self
            .db
            .statement(&format!("SELECT room, key, event, kind, at_ms, details FROM findings {condition}"))?;
        let rows = query.query_map(parameters, |row| self.finding(row))?;
        Ok(rows.filter_map(rusqlite::Result::transpose).collect::<rusqlite::Result<_>>()?)
    }

    /// `None` for a row that cannot be read.
    fn finding(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Finding>> {
        let (kind, details): (String, String) = (row.get("kind")?, row.get("details")?);
        let event: EventId = text(row, "event")?;
        let Some(kind) = kind_named(&kind) else {
            self.met_unreadable(format!("what was found of {event}"), &kind);
            return Ok(None);
        };
        let shown = match serde_json::from_str(&details) {
            Ok(shown) => shown,
            Err(error) => {
                self.met_unreadable(format!("what was found of {event}"), &error);
                return Ok(None);
            }
        };
        Ok(Some(Finding {
            room: text(row, "room")?,
            key: text(row, "key")?,
            event,
            kind,
            at: time(row, "at_ms")?,
            row: shown,
        }))
    }
}
