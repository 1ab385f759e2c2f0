//! When each open membership event was first seen, and whether it was seen to arrive.

use std::time::Duration;

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    rtc::membership::FirstSeen,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Journal, Result,
    statement::{Statements as _, time},
};

/// An event that comes this long after it says that it was sent is from a server with a slow clock, or was on
/// its way for long.
const LATE: Duration = Duration::from_mins(1);

impl Journal {
    /// Notes that an event was seen, unless it was before; returns the first time. `sent` is what the event
    /// itself says: where it came much later, and nobody but this journal would know, that is on disk with
    /// the unit of work and not put off.
    pub fn see_event(
        &self,
        room: &RoomId,
        key: &StateKey,
        event: &EventId,
        sent: Timestamp,
        seen: FirstSeen,
    ) -> Result<FirstSeen> {
        let earlier = self
            .db
            .statement("SELECT at_ms, live FROM seen WHERE room = ?1 AND key = ?2 AND event = ?3")?
            .query_row([room.as_str(), key.as_str(), event.as_str()], |row| {
                Ok(FirstSeen { at: time(row, "at_ms")?, live: row.get("live")? })
            })
            .optional()?;
        if let Some(earlier) = earlier {
            return Ok(earlier);
        }
        let note = |db: &Connection| {
            // One membership per key is open: what stood there before is over.
            db.statement("DELETE FROM seen WHERE room = ?1 AND key = ?2")?
                .execute([room.as_str(), key.as_str()])?;
            db.statement("INSERT INTO seen (room, key, event, at_ms, live) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    room.as_str(),
                    key.as_str(),
                    event.as_str(),
                    seen.at.as_millis(),
                    seen.live
                ])?;
            Ok(seen)
        };
        let is_late = seen.live && seen.at.since(sent) > LATE;
        if is_late { self.write(note) } else { self.write_behind(note) }
    }

    /// Forgets a key that is no longer open.
    pub fn forget_key(&self, room: &RoomId, key: &StateKey) -> Result<()> {
        self.write_behind(|db| {
            db.statement("DELETE FROM seen WHERE room = ?1 AND key = ?2")?
                .execute([room.as_str(), key.as_str()])?;
            db.statement("DELETE FROM sfu_seen WHERE room = ?1 AND key = ?2")?
                .execute([room.as_str(), key.as_str()])?;
            Ok(())
        })
    }
}
