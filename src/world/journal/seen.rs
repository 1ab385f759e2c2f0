//! When each open membership event was first seen, and whether it was seen to arrive.

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    rtc::membership::FirstSeen,
    time::Timestamp,
};
use rusqlite::{OptionalExtension, params};

use super::{Journal, Result};

impl Journal {
    /// Notes that an event was seen, unless it was before; returns the first time.
    pub fn see_event(
        &self,
        room: &RoomId,
        key: &StateKey,
        event: &EventId,
        seen: FirstSeen,
    ) -> Result<FirstSeen> {
        let mut query = self
            .db
            .prepare_cached("SELECT at_ms, live FROM seen WHERE room = ?1 AND key = ?2 AND event = ?3")?;
        let earlier = query
            .query_row([room.as_str(), key.as_str(), event.as_str()], |row| {
                Ok(FirstSeen { at: Timestamp::from_millis(row.get(0)?), live: row.get(1)? })
            })
            .optional()?;
        if let Some(earlier) = earlier {
            return Ok(earlier);
        }
        // One membership per key is open: what stood there before is over.
        self.db
            .prepare_cached("DELETE FROM seen WHERE room = ?1 AND key = ?2")?
            .execute([room.as_str(), key.as_str()])?;
        self.db.prepare_cached("INSERT INTO seen VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            room.as_str(),
            key.as_str(),
            event.as_str(),
            seen.at.as_millis(),
            seen.live
        ])?;
        Ok(seen)
    }

    /// Forgets a key that is no longer open.
    pub fn forget_key(&self, room: &RoomId, key: &StateKey) -> Result<()> {
        self.db
            .prepare_cached("DELETE FROM seen WHERE room = ?1 AND key = ?2")?
            .execute([room.as_str(), key.as_str()])?;
        Ok(())
    }
}
