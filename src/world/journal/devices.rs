//! Which devices were ever in a list, and which a list was wrong about.

use std::{collections::HashMap, time::Duration};

use rtc_janitor_core::{judge::evidence::DeviceHistory, rtc::membership::Owner, time::Timestamp};
use rusqlite::params;

use super::{
    Journal, Result,
    statement::{Statements as _, text},
};

/// How exactly it is kept when a device was last listed. Only retention asks for it, and counts in days;
/// lists are read every few minutes.
const LISTED_EVERY: Duration = Duration::from_hours(24);

impl Journal {
    /// Everything known of devices.
    pub fn devices(&self) -> Result<HashMap<Owner, DeviceHistory>> {
        let mut query = self
            .db
            .statement("SELECT user, device, last_listed_ms IS NOT NULL AS listed, came_back FROM devices")?;
        let rows = query.query_map([], |row| {
            let owner = Owner { user: text(row, "user")?, device: text(row, "device")? };
            Ok((owner, DeviceHistory { seen_in_list: row.get("listed")?, came_back: row.get("came_back")? }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that devices were in a list.
    pub fn list_devices<'a>(
        &mut self,
        owners: impl IntoIterator<Item = &'a Owner>,
        at: Timestamp,
    ) -> Result<()> {
        let mut owners = owners.into_iter().peekable();
        if owners.peek().is_none() {
            return Ok(());
        }
        self.write_behind(|db| {
            let mut query = db.statement(
                "INSERT INTO devices (user, device, last_listed_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user, device) DO UPDATE SET last_listed_ms = ?3
                 WHERE last_listed_ms IS NULL OR last_listed_ms <= ?4",
            )?;
            let stale = (at - LISTED_EVERY).as_millis();
            for owner in owners {
                query.execute(params![owner.user.as_str(), owner.device.as_str(), at.as_millis(), stale])?;
            }
            Ok(())
        })
    }

    /// Notes that a device came back after it was cleared because no list had it.
    pub fn device_came_back(&self, owner: &Owner) -> Result<()> {
        self.write(|db| {
            db.statement(
                "INSERT INTO devices (user, device, came_back) VALUES (?1, ?2, 1)
                 ON CONFLICT (user, device) DO UPDATE SET came_back = 1",
            )?
            .execute([owner.user.as_str(), owner.device.as_str()])?;
            Ok(())
        })
    }
}
