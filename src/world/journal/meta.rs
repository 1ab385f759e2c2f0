//! Single values, and the rooms the bot is in.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    guard::breaker::Breakers,
    ids::{RoomId, UserId},
    render::Message,
    time::Timestamp,
};
use rusqlite::{OptionalExtension, params};

use super::{Journal, Result};

pub(super) const ACCOUNT: &str = "account";
const BEGUN: &str = "begun";
const SINCE: &str = "since";
const ADMIN_ROOM: &str = "admin_room";
const BREAKERS: &str = "breakers";
const DIGEST: &str = "digest";

impl Journal {
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>> {
        let mut query = self.db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        self.db
            .prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")?
            .execute([key, value])?;
        Ok(())
    }

    /// Begins a new journal.
    pub(super) fn begin(&self, account: &UserId, now: Timestamp) -> Result<()> {
        self.set_meta(BEGUN, &now.as_millis().to_string())?;
        self.set_meta(ACCOUNT, account.as_str())
    }

    /// When this journal was begun, where it says so: of what was said before, nobody knows whether it
    /// was heard.
    pub fn begun(&self) -> Result<Option<Timestamp>> {
        Ok(self.meta(BEGUN)?.and_then(|ms| ms.parse().ok()).map(Timestamp::from_millis))
    }

    /// Where the watch goes on (`next_batch` of the last answer that was taken in).
    pub fn since(&self) -> Result<Option<String>> {
        self.meta(SINCE)
    }

    /// Notes where the watch goes on.
    pub fn set_since(&self, token: &str) -> Result<()> {
        self.set_meta(SINCE, token)
    }

    /// The id that the configured admin room was resolved to, with what was configured.
    pub fn admin_room(&self) -> Result<Option<(String, RoomId)>> {
        let stored = self.meta(ADMIN_ROOM)?;
        Ok(stored.and_then(|s| s.split_once('\n').map(|(configured, id)| (configured.to_owned(), id.into()))))
    }

    /// Keeps the id of the admin room: an alias is resolved once.
    pub fn set_admin_room(&self, configured: &str, id: &RoomId) -> Result<()> {
        self.set_meta(ADMIN_ROOM, &format!("{configured}\n{id}"))
    }

    /// Keeps that the admin room goes on elsewhere, and what is to be said of it there, both or neither.
    pub fn move_admin_room(&self, to: &RoomId, message: &Message, at: Timestamp) -> Result<()> {
        let transaction = self.db.unchecked_transaction()?;
        if let Some((configured, _)) = self.admin_room()? {
            self.set_admin_room(&configured, to)?;
        }
        self.note(message, Some(&format!("moved to {to}")), false, at)?;
        Ok(transaction.commit()?)
    }

    /// The breakers as they were last saved; all closed when never, or when they cannot be read.
    pub fn breakers(&self) -> Result<Breakers> {
        let saved = self.meta(BREAKERS)?;
        Ok(saved.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
    }

    /// Saves the breakers.
    pub fn save_breakers(&self, breakers: &Breakers) -> Result<()> {
        self.set_meta(BREAKERS, &serde_json::to_string(breakers).unwrap_or_default())
    }

    /// When the last digest was due.
    pub fn last_digest(&self) -> Result<Option<Timestamp>> {
        Ok(self.meta(DIGEST)?.and_then(|ms| ms.parse().ok()).map(Timestamp::from_millis))
    }

    /// Notes when a digest was due.
    pub fn set_last_digest(&self, at: Timestamp) -> Result<()> {
        self.set_meta(DIGEST, &at.as_millis().to_string())
    }

    /// The rooms the bot was in when it last looked, with the names it knew them by.
    pub fn rooms(&self) -> Result<BTreeMap<RoomId, Option<String>>> {
        let mut query = self.db.prepare("SELECT room, name FROM rooms")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?.into(), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that the bot is in a room, keeping a name that is known.
    pub fn add_rooms<'a>(&mut self, rooms: impl IntoIterator<Item = &'a RoomId>) -> Result<()> {
        let transaction = self.db.transaction()?;
        for room in rooms {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO rooms (room) VALUES (?1)")?
                .execute([room.as_str()])?;
        }
        Ok(transaction.commit()?)
    }

    /// Notes a room's name.
    pub fn name_room(&self, room: &RoomId, name: Option<&str>) -> Result<()> {
        self.db
            .prepare_cached("UPDATE rooms SET name = ?2 WHERE room = ?1")?
            .execute(params![room.as_str(), name])?;
        Ok(())
    }

    /// Forgets a room that the bot is no longer in.
    pub fn remove_room(&self, room: &RoomId) -> Result<()> {
        self.db.execute("DELETE FROM rooms WHERE room = ?1", [room.as_str()])?;
        Ok(())
    }
}
