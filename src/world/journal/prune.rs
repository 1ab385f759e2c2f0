//! What is older than the retention goes: at every opening and daily, a bounded number of rows at a time,
//! so that the janitor's loop never waits for it.

use std::time::Duration;

use rtc_janitor_core::time::Timestamp;
use rusqlite::{Connection, params};

use super::{Journal, Result, statement::Statements as _};

/// How often it is done.
const EVERY: Duration = Duration::from_hours(24);

/// How many rows go at once: a few milliseconds.
const SLICE: usize = 500;

/// What goes, in this order: what refers to others before what is referred to. `?1` is the instant before
/// which it is old, `?2` how many rows go at most.
///
/// Open intents, unanswered commands, unsent messages and unreported findings stay, however old they are:
/// something is still to be done about them.
const STEPS: [&str; 12] = [
    "DELETE FROM writes WHERE id IN (SELECT id FROM writes WHERE finished_ms < ?1 LIMIT ?2)",
    "DELETE FROM notes WHERE id IN
         (SELECT id FROM notes WHERE at_ms < ?1 AND message IS NOT NULL LIMIT ?2)",
    "DELETE FROM commands WHERE event IN
         (SELECT event FROM commands WHERE at_ms < ?1 AND done = 1 LIMIT ?2)",
    // The last one stays, so that its number is not given again.
    "DELETE FROM plans WHERE id IN (SELECT id FROM plans WHERE made_ms < ?1
             AND (approved_by IS NULL OR closed = 1)
             AND NOT EXISTS (SELECT 1 FROM writes WHERE plan = plans.id)
             AND number < (SELECT max(number) FROM plans) LIMIT ?2)",
    "DELETE FROM findings WHERE (event, kind) IN
         (SELECT event, kind FROM findings WHERE at_ms < ?1 AND message IS NOT NULL LIMIT ?2)",
    "DELETE FROM messages WHERE txn IN (SELECT txn FROM messages WHERE created_ms < ?1
             AND state <> 'waiting'
             AND NOT EXISTS (SELECT 1 FROM findings WHERE message = messages.txn)
             AND NOT EXISTS (SELECT 1 FROM notes WHERE message = messages.txn)
             AND NOT EXISTS (SELECT 1 FROM commands WHERE message = messages.txn)
             AND NOT EXISTS (SELECT 1 FROM plans WHERE message = messages.txn)
             AND NOT EXISTS (SELECT 1 FROM plans WHERE progress = messages.txn) LIMIT ?2)",
    "DELETE FROM leave_lags WHERE id IN (SELECT id FROM leave_lags WHERE at_ms < ?1 LIMIT ?2)",
    "DELETE FROM quarantine WHERE (room, key, reason) IN
         (SELECT room, key, reason FROM quarantine WHERE until_ms < ?1 LIMIT ?2)",
    // A device that a list was wrong about stays: the list is never believed against it again.
    "DELETE FROM devices WHERE (user, device) IN
         (SELECT user, device FROM devices WHERE last_listed_ms < ?1 AND came_back = 0 LIMIT ?2)",
    // Of rooms that the bot is no longer in; only what is open there was kept.
    "DELETE FROM seen WHERE (room, key, event) IN (SELECT room, key, event FROM seen
         WHERE at_ms < ?1 AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room = seen.room) LIMIT ?2)",
    "DELETE FROM sfu_seen WHERE (sfu, room, key, start_ms) IN (SELECT sfu, room, key, start_ms FROM sfu_seen
         WHERE seen_ms < ?1 AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room = sfu_seen.room) LIMIT ?2)",
    "DELETE FROM sightings WHERE (room, key, event, entry, reason) IN
         (SELECT room, key, event, entry, reason FROM sightings
          WHERE last_ms < ?1 AND NOT EXISTS (SELECT 1 FROM rooms WHERE rooms.room = sightings.room) LIMIT ?2)",
];

impl Journal {
    /// Forgets a slice of what is older than `retention`, unless that was done within the last day. To be
    /// called at every opening, and daily; true when more is left, and then again soon.
    pub fn prune_if_due(&self, now: Timestamp, retention: Duration) -> Result<bool> {
        // A clock that was set back must not put it off.
        if self.last_pruned()?.is_some_and(|last| last <= now && now < last + EVERY) {
            return Ok(false);
        }
        let is_more_left = self.prune_slice(now - retention, SLICE)?;
        if !is_more_left {
            self.set_last_pruned(now)?;
        }
        Ok(is_more_left)
    }

    /// When [`Journal::prune_if_due`] has something to do next; `None` when it was never done.
    pub fn next_prune(&self) -> Result<Option<Timestamp>> {
        Ok(self.last_pruned()?.map(|last| last + EVERY))
    }

    /// Forgets everything that is older than `before` at once, however long it takes.
    pub fn prune(&mut self, before: Timestamp) -> Result<()> {
        while self.prune_slice(before, SLICE)? {}
        Ok(())
    }

    /// True when more is left.
    fn prune_slice(&self, before: Timestamp, rows: usize) -> Result<bool> {
        self.write(|db| {
            let mut left = rows;
            for step in STEPS {
                left -= delete(db, step, before, left)?.min(left);
                if left == 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

fn delete(db: &Connection, step: &str, before: Timestamp, rows: usize) -> Result<usize> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    Ok(db.statement(step)?.execute(params![before.as_millis(), rows])?)
}
