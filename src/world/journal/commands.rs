//! Commands that were taken up, each once, and what was answered.

use rtc_janitor_core::{
    ids::{EventId, UserId},
    render::Message,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Draft, Journal, Result, StoredMessage,
    messages::insert,
    statement::{Statements as _, text},
};

impl Journal {
    /// Takes up a command; false when it was taken up before.
    pub fn take_up(&self, event: &EventId, sender: &UserId, at: Timestamp) -> Result<bool> {
        self.write(|db| {
            let rows = db
                .statement("INSERT OR IGNORE INTO commands (event, sender, at_ms) VALUES (?1, ?2, ?3)")?
                .execute(params![event.as_str(), sender.as_str(), at.as_millis()])?;
            Ok(rows > 0)
        })
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
        self.write(|db| {
            db.statement(
                "INSERT OR IGNORE INTO messages (txn, plain, html, created_ms, reply_to, event, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'sent')",
            )?
            .execute(params![
                txn,
                message.plain,
                message.html.as_str(),
                at.as_millis(),
                command.as_str(),
                event.as_str()
            ])?;
            db.statement("UPDATE commands SET message = ?2 WHERE event = ?1")?
                .execute([command.as_str(), txn])?;
            Ok(())
        })
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
        self.write(|db| answer(db, command, message, is_done, at))
    }

    /// Notes that a command needs no answer.
    pub fn done(&self, command: &EventId) -> Result<()> {
        self.write(|db| done(db, command))
    }

    /// Commands that were taken up and not answered: the process ended in between.
    pub fn unanswered(&self) -> Result<Vec<EventId>> {
        let mut query = self.db.statement("SELECT event FROM commands WHERE done = 0 ORDER BY at_ms")?;
        let rows = query.query_map([], |row| text(row, "event"))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

pub(super) fn done(db: &Connection, command: &EventId) -> Result<()> {
    db.statement("UPDATE commands SET done = 1 WHERE event = ?1")?.execute([command.as_str()])?;
    Ok(())
}

pub(super) fn answer(
    db: &Connection,
    command: &EventId,
    message: &Message,
    is_done: bool,
    at: Timestamp,
) -> Result<StoredMessage> {
    let earlier: Option<String> = db
        .statement("SELECT message FROM commands WHERE event = ?1")?
        .query_row([command.as_str()], |row| row.get("message"))
        .optional()?
        .flatten();
    let draft = Draft {
        message: message.clone(),
        reply_to: Some(command.clone()),
        target: earlier,
        ..Draft::default()
    };
    let stored = insert(db, &draft, at)?;
    db.statement("UPDATE commands SET message = coalesce(message, ?2), done = ?3 WHERE event = ?1")?
        .execute(params![command.as_str(), stored.txn, is_done])?;
    Ok(stored)
}
