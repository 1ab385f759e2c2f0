//! Overrides: settings changed by command.

use rtc_janitor_core::{ids::UserId, time::Timestamp};
use rusqlite::params;

use super::{
    Journal, Result,
    statement::{Statements as _, text, time},
};

/// One override, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSetting {
    /// What it is about.
    pub key: String,
    /// What was said.
    pub value: String,
    /// Who said so.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}

impl Journal {
    /// Everything that was changed by command.
    pub fn settings(&self) -> Result<Vec<StoredSetting>> {
        let mut query = self.db.statement("SELECT key, value, set_by, at_ms FROM settings ORDER BY key")?;
        let rows = query.query_map([], |row| {
            Ok(StoredSetting {
                key: row.get("key")?,
                value: row.get("value")?,
                by: text(row, "set_by")?,
                at: time(row, "at_ms")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps one, in place of an earlier one of the same key.
    pub fn set(&self, setting: &StoredSetting) -> Result<()> {
        self.write(|db| {
            db.statement(
                "INSERT OR REPLACE INTO settings (key, value, set_by, at_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                setting.key,
                setting.value,
                setting.by.as_str(),
                setting.at.as_millis()
            ])?;
            Ok(())
        })
    }

    /// Drops one.
    pub fn unset(&self, key: &str) -> Result<()> {
        self.write(|db| {
            db.statement("DELETE FROM settings WHERE key = ?1")?.execute([key])?;
            Ok(())
        })
    }
}
