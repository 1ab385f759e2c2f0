//! Settings changed by command.

use rtc_janitor_core::{ids::UserId, time::Timestamp};
use rusqlite::params;

use super::{Journal, Result};

/// One setting, as text.
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
        let mut query =
            self.db.prepare_cached("SELECT key, value, set_by, at_ms FROM settings ORDER BY key")?;
        let rows = query.query_map([], |row| {
            Ok(StoredSetting {
                key: row.get(0)?,
                value: row.get(1)?,
                by: row.get::<_, String>(2)?.into(),
                at: Timestamp::from_millis(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Changes one.
    pub fn set(&self, setting: &StoredSetting) -> Result<()> {
        self.db
            .prepare_cached("INSERT OR REPLACE INTO settings VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![setting.key, setting.value, setting.by.as_str(), setting.at.as_millis()])?;
        Ok(())
    }

    /// Undoes one.
    pub fn unset(&self, key: &str) -> Result<()> {
        self.db.prepare_cached("DELETE FROM settings WHERE key = ?1")?.execute([key])?;
        Ok(())
    }
}
