//! The rooms the bot is in.

use std::collections::BTreeMap;

use rtc_janitor_core::ids::RoomId;
use rusqlite::params;

use super::{
    Journal, Result,
    statement::{Statements as _, text},
};

impl Journal {
    /// The rooms the bot was in when it last looked, with the names it knew them by. To be read once, at
    /// the start.
    pub fn rooms(&self) -> Result<BTreeMap<RoomId, Option<String>>> {
        let mut query = self.db.statement("SELECT room, name FROM rooms")?;
        let rows = query.query_map([], |row| Ok((text(row, "room")?, row.get("name")?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether the bot was in a room when it last looked.
    pub fn knows_room(&self, room: &RoomId) -> Result<bool> {
        Ok(self.db.statement("SELECT 1 FROM rooms WHERE room = ?1")?.exists([room.as_str()])?)
    }

    /// Notes that the bot is in a room, keeping a name that is known.
    pub fn add_rooms<'a>(&mut self, rooms: impl IntoIterator<Item = &'a RoomId>) -> Result<()> {
        let mut rooms = rooms.into_iter().peekable();
        if rooms.peek().is_none() {
            return Ok(());
        }
        self.write_behind(|db| {
            let mut query = db.statement("INSERT OR IGNORE INTO rooms (room) VALUES (?1)")?;
            for room in rooms {
                query.execute([room.as_str()])?;
            }
            Ok(())
        })
    }

    /// Notes a room's name.
    pub fn name_room(&self, room: &RoomId, name: Option<&str>) -> Result<()> {
        self.write_behind(|db| {
            db.statement("UPDATE rooms SET name = ?2 WHERE room = ?1 AND name IS NOT ?2")?
                .execute(params![room.as_str(), name])?;
            Ok(())
        })
    }

    /// Forgets a room that the bot is no longer in.
    pub fn remove_room(&self, room: &RoomId) -> Result<()> {
        self.write(|db| {
            db.statement("DELETE FROM rooms WHERE room = ?1")?.execute([room.as_str()])?;
            Ok(())
        })
    }
}
