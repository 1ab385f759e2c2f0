//! What was done, for people.

use std::ops::Range;

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    time::Timestamp,
};
use rusqlite::params;

use super::{
    Journal, Result, WriteRecord,
    record::COLUMNS,
    statement::{Statements as _, maybe_text},
};

/// Which part of the history.
#[derive(Clone, Debug, Default)]
pub struct HistoryOf<'a> {
    /// Only in this room.
    pub room: Option<&'a RoomId>,
    /// Only of this user.
    pub user: Option<&'a UserId>,
    /// Only what was begun within.
    pub within: Option<Range<Timestamp>>,
}

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
    /// What was done, the newest first, and how much there is in all.
    pub fn history(&self, about: &HistoryOf<'_>, lines: usize) -> Result<(Vec<Past>, usize)> {
        let HistoryOf { room, user, within } = about;
        // One statement each, so that each is looked up by its own index.
        let condition = match (room, user) {
            (None, None) => "?1 IS NULL AND ?2 IS NULL",
            (Some(_), None) => "room = ?1 AND ?2 IS NULL",
            (None, Some(_)) => "?1 IS NULL AND id IN (SELECT write FROM write_owners WHERE user = ?2)",
            (Some(_), Some(_)) => "room = ?1 AND id IN (SELECT write FROM write_owners WHERE user = ?2)",
        };
        let condition = match within {
            None => format!("{condition} AND ?3 IS NULL AND ?4 IS NULL"),
            Some(_) => format!("{condition} AND intended_ms >= ?3 AND intended_ms < ?4"),
        };
        let (room, user) = (room.map(RoomId::as_str), user.map(UserId::as_str));
        let (from, to) =
            within.as_ref().map(|within| (within.start.as_millis(), within.end.as_millis())).unzip();
        let total: i64 = self
            .db
            .statement(&format!("SELECT count(*) FROM writes WHERE {condition}"))?
            .query_row(params![room, user, from, to], |row| row.get(0))?;
        let mut query = self.db.statement(&format!(
            "SELECT {COLUMNS}, outcome, detail, asked_by FROM writes WHERE {condition} ORDER BY id DESC LIMIT ?5"
        ))?;
        let lines = i64::try_from(lines).unwrap_or(i64::MAX);
        let rows = query.query_map(params![room, user, from, to, lines], |row| {
            Ok(Past {
                write: self.record(row)?,
                outcome: row.get("outcome")?,
                detail: row.get("detail")?,
                asked_by: maybe_text(row, "asked_by")?,
            })
        })?;
        Ok((rows.collect::<rusqlite::Result<_>>()?, usize::try_from(total).unwrap_or(0)))
    }

    /// Whose keys were ever written, or would have been, of those whose local part begins so.
    pub fn owners_of_writes(&self, localpart: &str) -> Result<Vec<UserId>> {
        let mut query =
            self.db.statement("SELECT DISTINCT user FROM write_owners WHERE user >= ?1 AND user < ?2")?;
        let (from, to) = (format!("@{localpart}"), format!("@{localpart}\u{10ffff}"));
        let users = query.query_map([from, to], |row| row.get::<_, String>(0))?;
        Ok(users.map(|user| user.map(UserId::from)).collect::<rusqlite::Result<_>>()?)
    }
}
