//! What nobody asked for and waits to be put into a message.

use rtc_janitor_core::{
    render::{Html, Message},
    time::Timestamp,
};
use rusqlite::{Connection, params};

use super::{Journal, Result, statement::Statements as _};

/// Something to be said that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its number.
    pub id: i64,
    /// The text.
    pub message: Message,
    /// Whether a person is needed at once.
    pub is_alarm: bool,
    /// Whether it is the first word after a start.
    pub is_hello: bool,
}

/// What the subject of the first word after a start begins with.
pub const HELLO: &str = "hello ";

impl Journal {
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
        self.write(|db| insert(db, message, subject, is_alarm, at))?;
        Ok(true)
    }

    /// What waits to be said, the oldest first.
    pub fn untold(&self) -> Result<Vec<Note>> {
        let mut query = self.db.statement(
            "SELECT id, subject, plain, html, alarm FROM notes WHERE message IS NULL ORDER BY id",
        )?;
        let rows = query.query_map([], |row| {
            let message = Message { plain: row.get("plain")?, html: Html::stored(row.get("html")?) };
            let subject: Option<String> = row.get("subject")?;
            let is_hello = subject.is_some_and(|subject| subject.starts_with(HELLO));
            Ok(Note { id: row.get("id")?, message, is_alarm: row.get("alarm")?, is_hello })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether something of this subject was said, or waits to be.
    pub fn has_said(&self, subject: &str) -> Result<bool> {
        let mut query = self.db.statement(
            "SELECT 1 FROM notes WHERE subject = ?1 UNION ALL SELECT 1 FROM messages WHERE subject = ?1",
        )?;
        Ok(query.exists([subject])?)
    }
}

fn insert(
    db: &Connection,
    message: &Message,
    subject: Option<&str>,
    is_alarm: bool,
    at: Timestamp,
) -> Result<()> {
    db.statement("INSERT INTO notes (subject, plain, html, alarm, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![subject, message.plain, message.html.as_str(), is_alarm, at.as_millis()])?;
    Ok(())
}
