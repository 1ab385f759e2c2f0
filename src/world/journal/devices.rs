//! Which devices were ever in a list, and which a list was wrong about.

use std::collections::HashMap;

use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    judge::evidence::DeviceHistory,
    rtc::membership::Owner,
    time::Timestamp,
};
use rusqlite::params;

use super::{Journal, Result};

impl Journal {
    /// Everything known of devices.
    pub fn devices(&self) -> Result<HashMap<Owner, DeviceHistory>> {
        let mut query =
            self.db.prepare("SELECT user, device, last_listed_ms IS NOT NULL, came_back FROM devices")?;
        let rows = query.query_map([], |row| {
            let owner = Owner {
                user: UserId::from(row.get::<_, String>(0)?),
                device: DeviceId::from(row.get::<_, String>(1)?),
            };
            Ok((owner, DeviceHistory { seen_in_list: row.get(2)?, came_back: row.get(3)? }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that devices were in a list.
    pub fn list_devices<'a>(
        &mut self,
        owners: impl IntoIterator<Item = &'a Owner>,
        at: Timestamp,
    ) -> Result<()> {
        let transaction = self.db.transaction()?;
        for owner in owners {
            transaction
                .prepare_cached(
                    "INSERT INTO devices (user, device, last_listed_ms) VALUES (?1, ?2, ?3)
                     ON CONFLICT (user, device) DO UPDATE SET last_listed_ms = ?3",
                )?
                .execute(params![owner.user.as_str(), owner.device.as_str(), at.as_millis()])?;
        }
        Ok(transaction.commit()?)
    }

    /// Notes that a device came back after it was cleared because no list had it.
    pub fn device_came_back(&self, owner: &Owner) -> Result<()> {
        self.db.execute(
            "INSERT INTO devices (user, device, came_back) VALUES (?1, ?2, 1)
             ON CONFLICT (user, device) DO UPDATE SET came_back = 1",
            [owner.user.as_str(), owner.device.as_str()],
        )?;
        Ok(())
    }
}
