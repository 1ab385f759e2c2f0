//! What was done, for people.

use rtc_janitor_core::ids::{RoomId, UserId};
use rusqlite::params;

use super::{
    Journal, Result, WriteRecord,
    record::COLUMNS,
    statement::{Statements as _, maybe_text},
};

/// A line of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The clear.
    pub write: WriteRecord,
    /// What came of it: `cleared`, `changed`, `spared` or `not_written`.
    pub outcome: Option<String>,
    /// What the server said.
    pub detail: Option<String>,
    /// Who approved it.
    pub asked_by: Option<UserId>,
}

impl Journal {
    /// What was done, the newest first: in one room, of one user, or all; and how much there is in all.
    pub fn history(
        &self,
        room: Option<&RoomId>,
        user: Option<&UserId>,
        lines: usize,
    ) -> Result<(Vec<Past>, usize)> {
        // One statement each, so that each is looked up by its own index.
        let condition = match (room, user) {
            (None, None) => "?1 IS NULL AND ?2 IS NULL",
            (Some(_), None) => "room = ?1 AND ?2 IS NULL",
            (None, Some(_)) => "?1 IS NULL AND id IN (SELECT write FROM write_owners WHERE user = ?2)",
            (Some(_), Some(_)) => "room = ?1 AND id IN (SELECT write FROM write_owners WHERE user = ?2)",
        };
        let (room, user) = (room.map(RoomId::as_str), user.map(UserId::as_str));
        let total: i64 = self
            .db
            .statement(&format!("SELECT count(*) FROM writes WHERE {condition}"))?
            .query_row([room, user], |row| row.get(0))?;
        let mut query = self.db.statement(&format!(
            "SELECT {COLUMNS}, outcome, detail, asked_by FROM writes WHERE {condition} ORDER BY id DESC LIMIT ?3"
        ))?;
        let lines = i64::try_from(lines).unwrap_or(i64::MAX);
        let rows = query.query_map(params![room, user, lines], |row| {
            Ok(Past {
                write: self.record(row)?,
                outcome: row.get("outcome")?,
                detail: row.get("detail")?,
                asked_by: maybe_text(row, "asked_by")?,
            })
        })?;
        Ok((rows.collect::<rusqlite::Result<_>>()?, usize::try_from(total).unwrap_or(0)))
    }
}
