//! The ledger's clocks and the quarantine, as they stood.

use std::{collections::BTreeMap, time::Duration};

use rtc_janitor_core::{
    guard::quarantine::{Entry, Quarantine},
    ids::{RoomId, StateKey},
    judge::policy::Reason,
    ledger::{Ledger, ReasonClock, Subject},
    time::Timestamp,
};
use rusqlite::params;

use super::{
    Journal, Result,
    statement::{Statements as _, text, time},
};

impl Journal {
    /// The ledger as it stood. Clocks whose last sighting is at most `bridge` ago run on, all others
    /// are paused. A reason that this program does not know is passed over: its clock begins anew.
    pub fn ledger(&self, now: Timestamp, bridge: Duration) -> Result<Ledger> {
        let mut ledger = Ledger::default();
        let mut query = self.db.statement(
            "SELECT room, key, event, entry, reason, held_ms, sightings, first_ms, last_ms, running
             FROM sightings",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let subject = Subject {
                room: text(row, "room")?,
                key: text(row, "key")?,
                event: text(row, "event")?,
                entry: row.get("entry")?,
            };
            let reason: String = row.get("reason")?;
            let Ok(reason) = reason.parse::<Reason>() else {
                self.met_unreadable(format!("a sighting of {} in {}", subject.key, subject.room), &reason);
                continue;
            };
            let clock = ReasonClock::restored(
                Duration::from_millis(u64::try_from(row.get::<_, i64>("held_ms")?).unwrap_or(0)),
                u32::try_from(row.get::<_, i64>("sightings")?).unwrap_or(0),
                time(row, "first_ms")?,
                time(row, "last_ms")?,
                row.get("running")?,
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
        self.write(|db| {
            let mut delete = db.statement(
                "DELETE FROM sightings WHERE room = ?1 AND key = ?2 AND event = ?3 AND entry = ?4",
            )?;
            let mut insert = db.statement(
                "INSERT INTO sightings
                     (room, key, event, entry, reason, held_ms, sightings, first_ms, last_ms, running)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            for (subject, clocks) in changes {
                let Subject { room, key, event, entry } = subject;
                delete.execute(params![room.as_str(), key.as_str(), event.as_str(), entry])?;
                for (reason, clock) in clocks {
                    insert.execute(params![
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
            Ok(())
        })
    }

    /// The keys that are left alone. Where the reason cannot be read, no reason is believed for the key.
    pub fn quarantine(&self) -> Result<Quarantine> {
        let mut entries: BTreeMap<(RoomId, StateKey, Reason), Entry> = BTreeMap::new();
        let mut query = self.db.statement("SELECT room, key, reason, until_ms, returns FROM quarantine")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (room, key): (RoomId, StateKey) = (text(row, "room")?, text(row, "key")?);
            let until = time(row, "until_ms")?;
            let returns = u32::try_from(row.get::<_, i64>("returns")?).unwrap_or(1);
            let reason: String = row.get("reason")?;
            let reasons = reason.parse().map_or_else(
                |_| {
                    self.met_unreadable(format!("the quarantine of {key} in {room}"), &reason);
                    Reason::ALL.to_vec()
                },
                |reason| vec![reason],
            );
            for reason in reasons {
                let entry = Entry { reason, until, returns };
                let kept = entries.entry((room.clone(), key.clone(), reason)).or_insert(entry);
                if kept.until < until {
                    *kept = entry;
                }
            }
        }
        let mut quarantine = Quarantine::default();
        for ((room, key, _), entry) in entries {
            quarantine.restore(room, key, entry);
        }
        Ok(quarantine)
    }

    /// Saves one entry of the quarantine.
    pub fn save_quarantine(&self, room: &RoomId, key: &StateKey, entry: &Entry) -> Result<()> {
        self.write(|db| {
            db.statement(
                "INSERT INTO quarantine (room, key, reason, until_ms, returns) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (room, key, reason) DO UPDATE SET until_ms = ?4, returns = ?5",
            )?
            .execute(params![
                room.as_str(),
                key.as_str(),
                entry.reason.as_str(),
                entry.until.as_millis(),
                entry.returns
            ])?;
            Ok(())
        })
    }
}
