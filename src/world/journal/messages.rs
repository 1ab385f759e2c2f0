//! What is said in the admin room: messages on their way, edits, reactions, and notes that wait to be
//! put into a message.

use rtc_janitor_core::{
    ids::{EventId, UserId},
    render::Message,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Finding, Journal, Result, findings::kind_name};

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
}

impl StoredMessage {
    /// Whether somebody waits for it.
    pub fn is_answer(&self) -> bool {
        self.reply_to.is_some()
    }
}

/// Something to be said that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its number.
    pub id: i64,
    /// The text.
    pub message: Message,
    /// Whether a person is needed at once.
    pub is_alarm: bool,
}

impl Journal {
    /// Puts a message on its way, with what it reports, all or nothing.
    pub fn post(&mut self, draft: &Draft, at: Timestamp) -> Result<StoredMessage> {
        let transaction = self.db.transaction()?;
        let stored = insert(&transaction, draft, at)?;
        transaction.commit()?;
        Ok(stored)
    }

    /// Notes that the server has a message.
    pub fn sent(&self, txn: &str, event: &EventId) -> Result<()> {
        self.db
            .prepare_cached("UPDATE messages SET event = ?2 WHERE txn = ?1")?
            .execute([txn, event.as_str()])?;
        Ok(())
    }

    /// Messages that the server does not have yet, the oldest first.
    pub fn unsent(&self) -> Result<Vec<StoredMessage>> {
        let mut query = self.db.prepare_cached(
            "SELECT txn, plain, html, reply_to, target, reaction, mentions,
                 (SELECT event FROM messages AS other WHERE other.txn = messages.target)
             FROM messages WHERE event IS NULL ORDER BY created_ms, rowid",
        )?;
        let rows = query.query_map([], |row| {
            let (target, event): (Option<String>, Option<String>) = (row.get(4)?, row.get(7)?);
            let mentions: String = row.get(6)?;
            Ok(StoredMessage {
                txn: row.get(0)?,
                message: Message { plain: row.get(1)?, html: row.get(2)? },
                reply_to: row.get::<_, Option<String>>(3)?.map(Into::into),
                target: target.map(|txn| (txn, event.map(Into::into))),
                reaction: row.get(5)?,
                mentions: mentions.split_whitespace().map(UserId::from).collect(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes something that is to be said; false when this subject was noted before.
    pub fn note(
        &self,
        message: &Message,
        subject: Option<&str>,
        is_alarm: bool,
        at: Timestamp,
    ) -> Result<bool> {
        if let Some(subject) = subject
            && self.has_said(subject)?
        {
            return Ok(false);
        }
        self.db
            .prepare_cached(
                "INSERT INTO notes (subject, plain, html, alarm, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![subject, message.plain, message.html, is_alarm, at.as_millis()])?;
        Ok(true)
    }

    /// What waits to be said, the oldest first.
    pub fn untold(&self) -> Result<Vec<Note>> {
        let mut query = self
            .db
            .prepare_cached("SELECT id, plain, html, alarm FROM notes WHERE message IS NULL ORDER BY id")?;
        let rows = query.query_map([], |row| {
            let message = Message { plain: row.get(1)?, html: row.get(2)? };
            Ok(Note { id: row.get(0)?, message, is_alarm: row.get(3)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether something of this subject was said, or waits to be.
    pub fn has_said(&self, subject: &str) -> Result<bool> {
        let mut query = self.db.prepare_cached(
            "SELECT 1 FROM notes WHERE subject = ?1 UNION SELECT 1 FROM messages WHERE subject = ?1",
        )?;
        Ok(query.exists([subject])?)
    }

    /// Takes up a command; false when it was taken up before.
    pub fn take_up(&self, event: &EventId, sender: &UserId, at: Timestamp) -> Result<bool> {
        let rows = self
            .db
            .prepare_cached("INSERT OR IGNORE INTO commands (event, sender, at_ms) VALUES (?1, ?2, ?3)")?
            .execute(params![event.as_str(), sender.as_str(), at.as_millis()])?;
        Ok(rows > 0)
    }

    /// Takes in a first answer to a command that was posted already; the next one takes its place.
    pub fn adopt(
        &mut self,
        command: &EventId,
        txn: &str,
        message: &Message,
        event: &EventId,
        at: Timestamp,
    ) -> Result<()> {
        let transaction = self.db.transaction()?;
        transaction.execute(
            "INSERT OR IGNORE INTO messages (txn, plain, html, created_ms, reply_to, event)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![txn, message.plain, message.html, at.as_millis(), command.as_str(), event.as_str()],
        )?;
        transaction.execute("UPDATE commands SET message = ?2 WHERE event = ?1", [command.as_str(), txn])?;
        Ok(transaction.commit()?)
    }

    /// Answers a command: as a reply, or in place of what was answered before. `is_done` when that is
    /// the last word.
    pub fn answer(
        &mut self,
        command: &EventId,
        message: &Message,
        is_done: bool,
        at: Timestamp,
    ) -> Result<StoredMessage> {
        let transaction = self.db.transaction()?;
        let stored = answer(&transaction, command, message, is_done, at)?;
        transaction.commit()?;
        Ok(stored)
    }

    /// Notes that a command needs no answer.
    pub fn done(&self, command: &EventId) -> Result<()> {
        self.db.execute("UPDATE commands SET done = 1 WHERE event = ?1", [command.as_str()])?;
        Ok(())
    }

    /// Commands that were taken up and not answered: the process ended in between.
    pub fn unanswered(&self) -> Result<Vec<EventId>> {
        let mut query = self.db.prepare_cached("SELECT event FROM commands WHERE done = 0 ORDER BY at_ms")?;
        let rows = query.query_map([], |row| Ok(row.get::<_, String>(0)?.into()))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

pub(super) fn answer(
    db: &Connection,
    command: &EventId,
    message: &Message,
    is_done: bool,
    at: Timestamp,
) -> Result<StoredMessage> {
    let earlier: Option<String> = db
        .query_row("SELECT message FROM commands WHERE event = ?1", [command.as_str()], |row| row.get(0))
        .optional()?
        .flatten();
    let draft = Draft {
        message: message.clone(),
        reply_to: Some(command.clone()),
        target: earlier,
        ..Draft::default()
    };
    let stored = insert(db, &draft, at)?;
    db.execute(
        "UPDATE commands SET message = coalesce(message, ?2), done = ?3 WHERE event = ?1",
        params![command.as_str(), stored.txn, is_done],
    )?;
    Ok(stored)
}

pub(super) fn insert(db: &Connection, draft: &Draft, at: Timestamp) -> Result<StoredMessage> {
    // Unique for the device that sends it: the journal belongs to one account and is never reset
    // alone, and the time tells a new journal's first message from an old one's.
    let number: i64 = db.query_row("SELECT coalesce(max(rowid), 0) FROM messages", [], |row| row.get(0))?;
    let txn = format!("rtc-janitor-{}-{number}", at.as_millis());
    let Draft { message, reply_to, target, reaction, mentions, findings, notes } = draft;
    let mentioned: Vec<_> = mentions.iter().map(UserId::as_str).collect();
    db.prepare_cached(
        "INSERT INTO messages (txn, plain, html, created_ms, reply_to, target, reaction, mentions)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        txn,
        message.plain,
        message.html,
        at.as_millis(),
        reply_to.as_ref().map(EventId::as_str),
        target,
        reaction,
        mentioned.join(" "),
    ])?;
    // An edited report is still the report of what it said before.
    let told_in = target.as_ref().unwrap_or(&txn);
    for finding in findings {
        db.prepare_cached("UPDATE findings SET message = ?3 WHERE event = ?1 AND kind = ?2")?.execute([
            finding.event.as_str(),
            kind_name(finding.kind),
            told_in,
        ])?;
    }
    for note in notes {
        db.prepare_cached("UPDATE notes SET message = ?2 WHERE id = ?1")?.execute(params![note, txn])?;
    }
    let event: Option<String> = match target {
        Some(target) => db
            .query_row("SELECT event FROM messages WHERE txn = ?1", [target], |row| row.get(0))
            .optional()?
            .flatten(),
        None => None,
    };
    Ok(StoredMessage {
        txn,
        message: message.clone(),
        reply_to: reply_to.clone(),
        target: target.clone().map(|txn| (txn, event.map(Into::into))),
        reaction: reaction.clone(),
        mentions: mentions.clone(),
    })
}
