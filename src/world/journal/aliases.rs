//! Aliases that the configuration names, and the rooms that they led to. An alias can be moved to another
//! room, so each is resolved once and the id kept.

use rtc_janitor_core::ids::RoomId;
use rusqlite::OptionalExtension as _;

use super::{
    Journal, Result,
    statement::{Statements as _, text},
};

impl Journal {
    /// The room that an alias led to when it was resolved at an earlier start.
    pub fn alias_room(&self, configured: &str) -> Result<Option<RoomId>> {
        let mut query = self.db.statement("SELECT room FROM aliases WHERE alias = ?1")?;
        Ok(query.query_row([configured], |row| text(row, "room")).optional()?)
    }

    /// Keeps the room that an alias leads to.
    pub fn set_alias_room(&self, configured: &str, room: &RoomId) -> Result<()> {
        self.write(|db| {
            db.statement(
                "INSERT INTO aliases (alias, room) VALUES (?1, ?2)
                 ON CONFLICT (alias) DO UPDATE SET room = ?2 WHERE room <> ?2",
            )?
            .execute([configured, room.as_str()])?;
            Ok(())
        })
    }
}
