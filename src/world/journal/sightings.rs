//! The ledger's clocks and the quarantine, as they stood.

use std::time::Duration;

use rtc_janitor_core::{
    guard::quarantine::{Entry, Quarantine},
    ids::{RoomId, StateKey},
    judge::policy::Reason,
    ledger::{Ledger, ReasonClock, Subject},
    time::Timestamp,
};
use rusqlite::params;

use super::{Journal, Result};

impl Journal {
    /// The ledger as it stood. Clocks whose last sighting is at most `bridge` ago run on, all others
    /// are paused. A reason that this program does not know is passed over.
    pub fn ledger(&self, now: Timestamp, bridge: Duration) -> Result<Ledger> {
        let mut ledger = Ledger::default();
        let mut query = self.db.prepare(
            "SELECT room, key, event, entry, reason, held_ms, sightings, first_ms, last_ms, running
             FROM sightings",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let Ok(reason) = row.get::<_, String>(4)?.parse::<Reason>() else { continue };
            let subject = Subject {
                room: row.get::<_, String>(0)?.into(),
                key: row.get::<_, String>(1)?.into(),
                event: row.get::<_, String>(2)?.into(),
                entry: row.get(3)?,
            };
            let clock = ReasonClock::restored(
                Duration::from_millis(u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0)),
                row.get(6)?,
                Timestamp::from_millis(row.get(7)?),
                Timestamp::from_millis(row.get(8)?),
                row.get(9)?,
            );
            ledger.restore(subject, reason, clock, now, bridge);
        }
        Ok(ledger)
    }

    /// Saves what changed in the ledger.
    pub fn save_sightings(&mut self, changes: &[(Subject, Vec<(Reason, ReasonClock)>)]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let transaction = self.db.transaction()?;
        for (subject, clocks) in changes {
            let Subject { room, key, event, entry } = subject;
            transaction
                .prepare_cached(
                    "DELETE FROM sightings WHERE room = ?1 AND key = ?2 AND event = ?3 AND entry = ?4",
                )?
                .execute(params![room.as_str(), key.as_str(), event.as_str(), entry])?;
            for (reason, clock) in clocks {
                transaction
                    .prepare_cached("INSERT INTO sightings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?
                    .execute(params![
                        room.as_str(),
                        key.as_str(),
                        event.as_str(),
                        entry,
                        reason.as_str(),
                        i64::try_from(clock.held.as_millis()).unwrap_or(i64::MAX),
                        clock.sightings,
                        clock.first.as_millis(),
                        clock.last.as_millis(),
                        clock.running,
                    ])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// The keys that are left alone.
    pub fn quarantine(&self) -> Result<Quarantine> {
        let mut quarantine = Quarantine::default();
        let mut query = self.db.prepare("SELECT room, key, reason, until_ms, returns FROM quarantine")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let Ok(reason) = row.get::<_, String>(2)?.parse() else { continue };
            let entry = Entry { reason, until: Timestamp::from_millis(row.get(3)?), returns: row.get(4)? };
            quarantine.restore(row.get::<_, String>(0)?.into(), row.get::<_, String>(1)?.into(), entry);
        }
        Ok(quarantine)
    }

    /// Saves one entry of the quarantine.
    pub fn save_quarantine(&self, room: &RoomId, key: &StateKey, entry: &Entry) -> Result<()> {
        self.db.execute(
            "INSERT INTO quarantine VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (room, key, reason) DO UPDATE SET until_ms = ?4, returns = ?5",
            params![
                room.as_str(),
                key.as_str(),
                entry.reason.as_str(),
                entry.until.as_millis(),
                entry.returns
            ],
        )?;
        Ok(())
    }
}
