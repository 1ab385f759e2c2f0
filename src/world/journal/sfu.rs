//! What was learned of the SFU: whom it has listed, what it is called, how its rooms are named.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rtc_janitor_core::{
    ids::{RoomId, StateKey},
    rtc::sfu_names::Recipe,
    time::Timestamp,
};
use rusqlite::params;

use super::{
    Journal, Result,
    statement::{Statements as _, text, time},
};

/// What earlier starts learned of an SFU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SfuMemory {
    /// Memberships that it has listed: where they stand and when they began.
    pub seen: HashSet<(RoomId, StateKey, Timestamp)>,
    /// Authorisation services that gave a token for it.
    pub services: BTreeSet<String>,
    /// Until when each way to name rooms is known to have been in use.
    pub recipes: BTreeMap<Recipe, Timestamp>,
}

impl Journal {
    /// What is known of the SFU at an address. A way to name rooms that this program does not know is none that
    /// it can use.
    pub fn sfu_memory(&self, sfu: &str) -> Result<SfuMemory> {
        let mut memory = SfuMemory::default();
        let mut query = self.db.statement("SELECT room, key, start_ms FROM sfu_seen WHERE sfu = ?1")?;
        let rows = query
            .query_map([sfu], |row| Ok((text(row, "room")?, text(row, "key")?, time(row, "start_ms")?)))?;
        memory.seen = rows.collect::<rusqlite::Result<_>>()?;
        let mut query = self.db.statement("SELECT service FROM sfu_services WHERE sfu = ?1")?;
        memory.services =
            query.query_map([sfu], |row| row.get("service"))?.collect::<rusqlite::Result<_>>()?;
        let mut query = self.db.statement("SELECT recipe, until_ms FROM sfu_recipes WHERE sfu = ?1")?;
        let rows = query.query_map([sfu], |row| {
            let recipe: String = row.get("recipe")?;
            Ok((recipe, time(row, "until_ms")?))
        })?;
        for row in rows {
            let (recipe, until) = row?;
            match Recipe::named(&recipe) {
                Some(recipe) => _ = memory.recipes.insert(recipe, until),
                None => self.met_unreadable("how the call server names its rooms".to_owned(), &recipe),
            }
        }
        Ok(memory)
    }

    /// Notes that the SFU has listed memberships.
    pub fn saw_on_sfu<'a>(
        &self,
        sfu: &str,
        seen: impl IntoIterator<Item = &'a (RoomId, StateKey, Timestamp)>,
        at: Timestamp,
    ) -> Result<()> {
        let mut seen = seen.into_iter().peekable();
        if seen.peek().is_none() {
            return Ok(());
        }
        self.write_behind(|db| {
            let mut query = db.statement(
                "INSERT OR IGNORE INTO sfu_seen (sfu, room, key, start_ms, seen_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for (room, key, start) in seen {
                query.execute(params![sfu, room.as_str(), key.as_str(), start.as_millis(), at.as_millis()])?;
            }
            Ok(())
        })
    }

    /// Keeps what the SFU is called and how its rooms are named.
    pub fn set_sfu_names(
        &self,
        sfu: &str,
        services: &BTreeSet<String>,
        recipes: &BTreeMap<Recipe, Timestamp>,
    ) -> Result<()> {
        self.write(|db| {
            db.statement("DELETE FROM sfu_services WHERE sfu = ?1")?.execute([sfu])?;
            db.statement("DELETE FROM sfu_recipes WHERE sfu = ?1")?.execute([sfu])?;
            let mut query = db.statement("INSERT INTO sfu_services (sfu, service) VALUES (?1, ?2)")?;
            for service in services {
                query.execute([sfu, service])?;
            }
            let mut query =
                db.statement("INSERT INTO sfu_recipes (sfu, recipe, until_ms) VALUES (?1, ?2, ?3)")?;
            for (recipe, until) in recipes {
                query.execute(params![sfu, recipe.as_str(), until.as_millis()])?;
            }
            Ok(())
        })
    }
}
