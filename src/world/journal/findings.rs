//! What was found, for the reports.

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    render::{Message, report::FindingKind},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Draft, Journal, Result};

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
    /// What the report shows of it, as JSON.
    pub details: serde_json::Value,
}

pub(super) const fn kind_name(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Cleared => "cleared",
        FindingKind::WouldClear => "would_clear",
        FindingKind::Blocked => "blocked",
        FindingKind::Refused => "refused",
    }
}

pub(super) fn insert_finding(db: &Connection, finding: &Finding) -> Result<bool> {
    let rows = db
        .prepare_cached(
            "INSERT OR IGNORE INTO findings (event, kind, room, key, at_ms, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            finding.event.as_str(),
            kind_name(finding.kind),
            finding.room.as_str(),
            finding.key.as_str(),
            finding.at.as_millis(),
            finding.details.to_string()
        ])?;
    Ok(rows > 0)
}

impl Journal {
    /// Notes a finding; false when this was found of this event before.
    pub fn find(&self, finding: &Finding) -> Result<bool> {
        insert_finding(&self.db, finding)
    }

    /// Whether something was found of an event before.
    pub fn was_found(&self, event: &EventId, kind: FindingKind) -> Result<bool> {
        let mut query = self.db.prepare_cached("SELECT 1 FROM findings WHERE event = ?1 AND kind = ?2")?;
        Ok(query.exists([event.as_str(), kind_name(kind)])?)
    }

    /// How many keys were cleared, or would have been, since `since`.
    pub fn count_since(&self, kind: FindingKind, since: Timestamp) -> Result<u32> {
        let mut query =
            self.db.prepare_cached("SELECT count(*) FROM findings WHERE kind = ?1 AND at_ms > ?2")?;
        Ok(query.query_row(params![kind_name(kind), since.as_millis()], |row| row.get(0))?)
    }

    /// What has been found and not yet been put into a message, the oldest first.
    pub fn unreported(&self) -> Result<Vec<Finding>> {
        self.findings("WHERE message IS NULL ORDER BY at_ms, room, key", [])
    }

    /// Notes that findings were told on a terminal and need not be told again.
    pub fn told_elsewhere(&mut self, message: &Message, findings: &[Finding], at: Timestamp) -> Result<()> {
        let draft = Draft { findings: findings.to_vec(), ..Draft::of(message.clone()) };
        let stored = self.post(&draft, at)?;
        self.sent(&stored.txn, &"told on a terminal".into())
    }

    /// The findings of the last report, if that is no older than `since`, and the report.
    pub fn last_report(&self, since: Timestamp) -> Result<Option<(String, Vec<Finding>)>> {
        let mut query = self.db.prepare_cached(
            "SELECT txn FROM messages WHERE created_ms >= ?1 AND target IS NULL AND event <> 'told on a terminal'
                 AND txn IN (SELECT message FROM findings) ORDER BY created_ms DESC, rowid DESC LIMIT 1",
        )?;
        let txn: Option<String> = query.query_row([since.as_millis()], |row| row.get(0)).optional()?;
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
        let mut query = self.db.prepare_cached(&format!(
            "SELECT room, key, event, kind, at_ms, details FROM findings {condition}"
        ))?;
        let rows = query.query_map(parameters, |row| {
            let (kind, details): (String, String) = (row.get(3)?, row.get(5)?);
            Ok(Finding {
                room: row.get::<_, String>(0)?.into(),
                key: row.get::<_, String>(1)?.into(),
                event: row.get::<_, String>(2)?.into(),
                kind: serde_json::from_value(kind.into()).unwrap_or(FindingKind::Refused),
                at: Timestamp::from_millis(row.get(4)?),
                details: serde_json::from_str(&details).unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets what is older than the retention: finished writes, reported findings, sent messages.
    pub fn prune(&mut self, before: Timestamp) -> Result<()> {
        let before = before.as_millis();
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM writes WHERE finished_ms < ?1", [before])?;
        transaction.execute("DELETE FROM notes WHERE at_ms < ?1 AND message IS NOT NULL", [before])?;
        transaction.execute("DELETE FROM commands WHERE at_ms < ?1 AND done = 1", [before])?;
        transaction.execute(
            "DELETE FROM plans WHERE made_ms < ?1 AND id NOT IN (SELECT plan FROM writes WHERE plan IS NOT NULL)
                 AND number < (SELECT max(number) FROM plans)",
            [before],
        )?;
        transaction.execute("DELETE FROM findings WHERE at_ms < ?1 AND message IS NOT NULL", [before])?;
        transaction.execute(
            "DELETE FROM messages WHERE created_ms < ?1 AND event IS NOT NULL
                 AND txn NOT IN (SELECT message FROM findings WHERE message IS NOT NULL)
                 AND txn NOT IN (SELECT message FROM notes WHERE message IS NOT NULL)
                 AND txn NOT IN (SELECT message FROM commands WHERE message IS NOT NULL)
                 AND txn NOT IN (SELECT message FROM plans WHERE message IS NOT NULL)
                 AND txn NOT IN (SELECT progress FROM plans WHERE progress IS NOT NULL)",
            [before],
        )?;
        transaction.execute("DELETE FROM quarantine WHERE until_ms < ?1", [before])?;
        transaction.execute("DELETE FROM devices WHERE last_listed_ms < ?1 AND came_back = 0", [before])?;
        Ok(transaction.commit()?)
    }
}
