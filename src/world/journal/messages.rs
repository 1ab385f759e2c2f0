//! What is said in the admin room: messages on their way, edits and reactions.

use rtc_janitor_core::{
    ids::{EventId, UserId},
    render::{Html, Message},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Finding, Journal, Result,
    findings::kind_name,
    statement::{Statements as _, maybe_text},
};

/// A message before it is in the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The text; empty for a reaction.
    pub message: Message,
    /// The event that it answers.
    pub reply_to: Option<EventId>,
    /// The message (by its transaction id) that it edits, or that it reacts to.
    pub target: Option<String>,
    /// The reaction, where it is one.
    pub reaction: Option<String>,
    /// Whom it mentions.
    pub mentions: Vec<UserId>,
    /// The findings that it reports.
    pub findings: Vec<Finding>,
    /// The notes that it says.
    pub notes: Vec<i64>,
    /// Whether it needs a person at once.
    pub is_alarm: bool,
}

impl Draft {
    /// A message that stands alone.
    pub fn of(message: Message) -> Self {
        Self { message, ..Self::default() }
    }
}

/// A message on its way to the admin room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The transaction id under which it is sent, also when sent again.
    pub txn: String,
    /// The text; empty for a reaction.
    pub message: Message,
    /// The event that it answers.
    pub reply_to: Option<EventId>,
    /// The message that it edits or reacts to: its transaction id, and its event where that is known.
    pub target: Option<(String, Option<EventId>)>,
    /// The reaction, where it is one.
    pub reaction: Option<String>,
    /// Whom it mentions.
    pub mentions: Vec<UserId>,
    /// Whether it needs a person at once.
    pub is_alarm: bool,
}

impl StoredMessage {
    /// Whether somebody waits for it.
    pub fn is_answer(&self) -> bool {
        self.reply_to.is_some()
    }
}

impl Journal {
    /// Puts a message on its way, with what it reports, all or nothing.
    pub fn post(&mut self, draft: &Draft, at: Timestamp) -> Result<StoredMessage> {
        self.write(|db| insert(db, draft, at))
    }

    /// Notes that the server has a message.
    pub fn sent(&self, txn: &str, event: &EventId) -> Result<()> {
        self.write(|db| {
            db.statement("UPDATE messages SET state = 'sent', event = ?2 WHERE txn = ?1")?
                .execute([txn, event.as_str()])?;
            Ok(())
        })
    }

    /// Notes that a message is not tried again: the server will never take it.
    pub fn give_up(&self, txn: &str) -> Result<()> {
        self.write(|db| {
            db.statement("UPDATE messages SET state = 'given_up' WHERE txn = ?1")?.execute([txn])?;
            Ok(())
        })
    }

    /// Messages that the server does not have yet, the oldest first.
    pub fn unsent(&self) -> Result<Vec<StoredMessage>> {
        let mut query = self.db.statement(
            "SELECT txn, plain, html, reply_to, target, reaction, mentions, alarm,
                 (SELECT event FROM messages AS other WHERE other.txn = messages.target) AS target_event
             FROM messages WHERE state = 'waiting' ORDER BY created_ms, rowid",
        )?;
        let rows = query.query_map([], |row| {
            let target: Option<String> = row.get("target")?;
            let event = maybe_text(row, "target_event")?;
            let mentions: String = row.get("mentions")?;
            Ok(StoredMessage {
                txn: row.get("txn")?,
                message: Message { plain: row.get("plain")?, html: Html::stored(row.get("html")?) },
                reply_to: maybe_text(row, "reply_to")?,
                target: target.map(|txn| (txn, event)),
                reaction: row.get("reaction")?,
                mentions: mentions.split_whitespace().map(UserId::from).collect(),
                is_alarm: row.get("alarm")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that findings were told on a terminal and need not be told again.
    pub fn told_elsewhere(&mut self, message: &Message, findings: &[Finding], at: Timestamp) -> Result<()> {
        let draft = Draft { findings: findings.to_vec(), ..Draft::of(message.clone()) };
        self.write(|db| {
            let stored = insert(db, &draft, at)?;
            db.statement("UPDATE messages SET state = 'told_elsewhere' WHERE txn = ?1")?
                .execute([&stored.txn])?;
            Ok(())
        })
    }
}

pub(super) fn insert(db: &Connection, draft: &Draft, at: Timestamp) -> Result<StoredMessage> {
    // Unique for the device that sends it: the journal belongs to one account and is never reset
    // alone, and the time tells a new journal's first message from an old one's.
    let number: i64 =
        db.statement("SELECT coalesce(max(rowid), 0) FROM messages")?.query_row([], |row| row.get(0))?;
    let txn = format!("rtc-janitor-{}-{number}", at.as_millis());
    let Draft { message, reply_to, target, reaction, mentions, findings, notes, is_alarm } = draft;
    let mentioned: Vec<_> = mentions.iter().map(UserId::as_str).collect();
    db.statement(
        "INSERT INTO messages (txn, plain, html, created_ms, reply_to, target, reaction, mentions, alarm)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        txn,
        message.plain,
        message.html.as_str(),
        at.as_millis(),
        reply_to.as_ref().map(EventId::as_str),
        target,
        reaction,
        mentioned.join(" "),
        is_alarm,
    ])?;
    // An edited report is still the report of what it said before.
    let told_in = target.as_ref().unwrap_or(&txn);
    for finding in findings {
        db.statement("UPDATE findings SET message = ?3 WHERE event = ?1 AND kind = ?2")?.execute([
            finding.event.as_str(),
            kind_name(finding.kind),
            told_in,
        ])?;
    }
    for note in notes {
        db.statement("UPDATE notes SET message = ?2 WHERE id = ?1")?.execute(params![note, txn])?;
    }
    let event: Option<EventId> = match target {
        Some(target) => db
            .statement("SELECT event FROM messages WHERE txn = ?1")?
            .query_row([target], |row| maybe_text(row, "event"))
            .optional()?
            .flatten(),
        None => None,
    };
    Ok(StoredMessage {
        txn,
        message: message.clone(),
        reply_to: reply_to.clone(),
        target: target.clone().map(|txn| (txn, event)),
        reaction: reaction.clone(),
        mentions: mentions.clone(),
        is_alarm: *is_alarm,
    })
}
