//! How statements are prepared and rows are read.

use rtc_janitor_core::time::Timestamp;
use rusqlite::{CachedStatement, Connection, Row};
use serde::Serialize;

use super::{JournalError, Result};

/// More than there are statements, so that none is parsed twice.
pub(super) const CACHE: usize = 128;

pub(super) trait Statements {
    /// A prepared statement, kept for the next time. All statements of the journal are made here, so that
    /// a test can ask SQLite how it would look for each.
    #[track_caller]
    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>>;
}

impl Statements for Connection {
    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>> {
        #[cfg(test)]
        super::tests::searches::record(sql, std::panic::Location::caller());
        Ok(self.prepare_cached(sql)?)
    }
}

/// An identifier or a text in a column.
pub(super) fn text<T: From<String>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    Ok(row.get::<_, String>(column)?.into())
}

/// The same where it may be missing.
pub(super) fn maybe_text<T: From<String>>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, Option<String>>(column)?.map(Into::into))
}

/// An instant in a column of milliseconds.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millis(row.get(column)?))
}

/// The same where it may be missing.
pub(super) fn maybe_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// As JSON, or not at all: an empty text in its place would be read as something else.
pub(super) fn to_json<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|source| JournalError::Unwritable { what, source })
}
