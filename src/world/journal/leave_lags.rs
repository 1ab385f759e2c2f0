//! How long memberships stood after their device had gone from the SFU.

use std::time::Duration;

use rtc_janitor_core::{
    leave_lag::{LeaveLags, Leaver},
    time::Timestamp,
};
use rusqlite::params;

use super::{Journal, Result, statement::Statements as _};

impl Journal {
    /// Keeps one.
    pub fn add_leave_lag(&self, by: Leaver, lag: Duration, at: Timestamp) -> Result<()> {
        let lag = i64::try_from(lag.as_millis()).unwrap_or(i64::MAX);
        self.write_behind(|db| {
            db.statement("INSERT INTO leave_lags (at_ms, lag_ms, leaver) VALUES (?1, ?2, ?3)")?
                .execute(params![at.as_millis(), lag, by.as_str()])?;
            Ok(())
        })
    }

    /// Those since then. One by a leaver that this program does not know counts for nobody.
    pub fn leave_lags_since(&self, since: Timestamp) -> Result<LeaveLags> {
        let mut query = self.db.statement("SELECT lag_ms, leaver FROM leave_lags WHERE at_ms >= ?1")?;
        let rows = query.query_map([since.as_millis()], |row| {
            Ok((row.get::<_, String>("leaver")?, row.get::<_, i64>("lag_ms")?))
        })?;
        let mut lags = Vec::new();
        for row in rows {
            let (leaver, lag) = row?;
            let lag = Duration::from_millis(u64::try_from(lag).unwrap_or(0));
            match Leaver::of_name(&leaver) {
                Some(by) => lags.push((by, lag)),
                None => self.met_unreadable("who ended a membership".to_owned(), &leaver),
            }
        }
        Ok(lags.into_iter().collect())
    }
}
