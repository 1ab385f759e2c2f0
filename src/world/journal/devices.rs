//! Which devices were ever in a list, and which a list was wrong about.

use std::{collections::HashMap, time::Duration};

use rtc_janitor_core::{
    judge::evidence::{DeviceHistory, ListKind},
    rtc::membership::Owner,
    time::Timestamp,
};
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
        let mut query =
            self.db.statement("SELECT user, device, own_list, with_keys, came_back FROM devices")?;
        let rows = query.query_map([], |row| {
            let owner = Owner { user: text(row, "user")?, device: text(row, "device")? };
            let history = DeviceHistory {
                seen_in_own_list: row.get("own_list")?,
                seen_with_keys: row.get("with_keys")?,
                came_back: row.get("came_back")?,
            };
            Ok((owner, history))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that devices were in a list.
    pub fn list_devices<'a>(
        &mut self,
        owners: impl IntoIterator<Item = (&'a Owner, ListKind)>,
        at: Timestamp,
    ) -> Result<()> {
        let mut owners = owners.into_iter().peekable();
        if owners.peek().is_none() {
            return Ok(());
        }
        self.write_behind(|db| {
            let mut query = db.statement(
                "INSERT INTO devices (user, device, last_listed_ms, own_list, with_keys)
                 VALUES (?1, ?2, ?3, ?5, ?6)
                 ON CONFLICT (user, device) DO UPDATE
                 SET last_listed_ms = ?3, own_list = own_list OR ?5, with_keys = with_keys OR ?6
                 WHERE last_listed_ms IS NULL OR last_listed_ms <= ?4 OR own_list < ?5 OR with_keys < ?6",
            )?;
            let stale = (at - LISTED_EVERY).as_millis();
            for (owner, by) in owners {
                let (user, device) = (owner.user.as_str(), owner.device.as_str());
                let (own, keys) = (by == ListKind::OwnList, by == ListKind::KeysQuery);
                query.execute(params![user, device, at.as_millis(), stale, own, keys])?;
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
