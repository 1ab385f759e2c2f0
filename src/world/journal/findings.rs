//! What is to be said, what has been said, and the messages on their way.

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    render::{Message, report::FindingKind},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Journal, Result};

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

/// A message on its way to the admin room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The transaction id under which it is sent, also when sent again.
    pub txn: String,
    /// The text.
    pub message: Message,
}

const fn kind_name(kind: FindingKind) -> &'static str {
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
        let mut query = self.db.prepare_cached(
            "SELECT room, key, event, kind, at_ms, details FROM findings
             WHERE message IS NULL ORDER BY at_ms, room, key",
        )?;
        let rows = query.query_map([], |row| {
            let kind: String = row.get(3)?;
            let details: String = row.get(5)?;
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

    /// Puts a message on its way, with the findings that it reports, all or nothing. With a `subject`,
    /// a second message of that subject is not taken; then `None` is returned.
    pub fn say(
        &mut self,
        message: &Message,
        subject: Option<&str>,
        reports: &[Finding],
        at: Timestamp,
    ) -> Result<Option<StoredMessage>> {
        let transaction = self.db.transaction()?;
        let taken = match subject {
            Some(subject) => transaction
                .query_row("SELECT 1 FROM messages WHERE subject = ?1", [subject], |_| Ok(()))
                .optional()?
                .is_some(),
            None => false,
        };
        if taken {
            return Ok(None);
        }
        // Unique for the device that sends it: the journal belongs to one account and is never reset
        // alone, and the time tells a new journal's first message from an old one's.
        let number: i64 = transaction.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
        let txn = format!("rtc-janitor-{}-{number}", at.as_millis());
        transaction.execute(
            "INSERT INTO messages (txn, subject, plain, html, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![txn, subject, message.plain, message.html, at.as_millis()],
        )?;
        for finding in reports {
            transaction
                .prepare_cached("UPDATE findings SET message = ?3 WHERE event = ?1 AND kind = ?2")?
                .execute([finding.event.as_str(), kind_name(finding.kind), txn.as_str()])?;
        }
        transaction.commit()?;
        Ok(Some(StoredMessage { txn, message: message.clone() }))
    }

    /// Whether a message of this subject is on its way or has been sent.
    pub fn has_said(&self, subject: &str) -> Result<bool> {
        let mut query = self.db.prepare_cached("SELECT 1 FROM messages WHERE subject = ?1")?;
        Ok(query.exists([subject])?)
    }

    /// Messages that the server does not have yet, the oldest first.
    pub fn unsent(&self) -> Result<Vec<StoredMessage>> {
        let mut query = self.db.prepare_cached(
            "SELECT txn, plain, html FROM messages WHERE event IS NULL ORDER BY created_ms, rowid",
        )?;
        let rows = query.query_map([], |row| {
            let message = Message { plain: row.get(1)?, html: row.get(2)? };
            Ok(StoredMessage { txn: row.get(0)?, message })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that the server has a message.
    pub fn sent(&self, txn: &str, event: &EventId) -> Result<()> {
        self.db.execute("UPDATE messages SET event = ?2 WHERE txn = ?1", [txn, event.as_str()])?;
        Ok(())
    }

    /// Notes that findings were told on a terminal and need not be told again.
    pub fn told_elsewhere(&mut self, message: &Message, findings: &[Finding], at: Timestamp) -> Result<()> {
        if let Some(stored) = self.say(message, None, findings, at)? {
            self.sent(&stored.txn, &"told on a terminal".into())?;
        }
        Ok(())
    }

    /// Forgets what is older than the retention: finished writes, reported findings, sent messages.
    pub fn prune(&mut self, before: Timestamp) -> Result<()> {
        let before = before.as_millis();
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM writes WHERE finished_ms < ?1", [before])?;
        transaction.execute("DELETE FROM findings WHERE at_ms < ?1 AND message IS NOT NULL", [before])?;
        transaction.execute(
            "DELETE FROM messages WHERE created_ms < ?1 AND event IS NOT NULL
                 AND txn NOT IN (SELECT message FROM findings WHERE message IS NOT NULL)",
            [before],
        )?;
        transaction.execute("DELETE FROM quarantine WHERE until_ms < ?1", [before])?;
        transaction.execute("DELETE FROM devices WHERE last_listed_ms < ?1 AND came_back = 0", [before])?;
        Ok(transaction.commit()?)
    }
}
