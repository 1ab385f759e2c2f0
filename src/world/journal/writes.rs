//! What was to be cleared, before; and what came of it, after.

use rtc_janitor_core::{
    command::PlanId,
    ids::{EventId, RoomId, StateKey, UserId},
    judge::policy::Reason,
    rtc::membership::Owner,
    time::Timestamp,
};
use rusqlite::{Connection, params};
use serde_json::Value;

use super::{
    Finding, Journal, Result, WriteRecord,
    findings::insert_finding,
    record::{COLUMNS, REQUESTED},
    statement::{Statements as _, to_json},
};

/// What is about to be written. It is in the journal before the request is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The room.
    pub room: RoomId,
    /// The key.
    pub key: StateKey,
    /// The event that was judged.
    pub event: EventId,
    /// Whom it speaks for.
    pub owners: Vec<Owner>,
    /// The reason that it is cleared for; `None` when a person wants it cleared without one.
    pub reason: Option<Reason>,
    /// The plan that it belongs to, and who approved that.
    pub plan: Option<(PlanId, UserId)>,
    /// The route.
    pub route: &'static str,
    /// By what the write is known, where its sender does not tell.
    pub mark: Option<Mark>,
    /// What was known, as JSON, without addresses.
    pub evidence: Value,
    /// What stood there: there is no undo, but there is a record.
    pub old_content: Value,
    /// When it was decided.
    pub at: Timestamp,
}

/// By what an event that is sent as the owner of a key is known for an own write.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When it says that it was sent.
    pub sent: Timestamp,
    /// What is left of the event.
    pub content: Value,
}

/// What came of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The key is empty, by this event.
    Cleared(EventId),
    /// The key had changed by the time it was read again, so nothing was written.
    Changed,
    /// It was spared in a dry run.
    Spared,
    /// The server refused, or gave no answer and the key shows that nothing was written.
    NotWritten(String),
}

impl Journal {
    /// Writes down what is about to be done; returns a number for each.
    pub fn intend(&mut self, intents: &[Intent]) -> Result<Vec<i64>> {
        if intents.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|db| intents.iter().map(|intent| insert(db, intent)).collect())
    }

    /// The clear of an event, if it was cleared.
    pub fn clear_of(&self, room: &RoomId, key: &StateKey, event: &EventId) -> Result<Option<WriteRecord>> {
        let condition = "WHERE room = ?1 AND key = ?2 AND event = ?3 AND outcome = 'cleared'";
        Ok(self.records(condition, [room.as_str(), key.as_str(), event.as_str()])?.pop())
    }

    /// Writes down what came of an intent, and what is to be said of it, together.
    pub fn finish(
        &mut self,
        id: i64,
        outcome: &WriteOutcome,
        finding: Option<&Finding>,
        at: Timestamp,
    ) -> Result<()> {
        let (name, written, detail) = match outcome {
            WriteOutcome::Cleared(event) => ("cleared", Some(event.as_str()), None),
            WriteOutcome::Changed => ("changed", None, None),
            WriteOutcome::Spared => ("spared", None, None),
            WriteOutcome::NotWritten(detail) => ("not_written", None, Some(detail.as_str())),
        };
        self.write(|db| {
            db.statement(
                "UPDATE writes SET outcome = ?2, finished_ms = ?3, written_event = ?4, detail = ?5
                 WHERE id = ?1",
            )?
            .execute(params![id, name, at.as_millis(), written, detail])?;
            if let Some(finding) = finding {
                insert_finding(db, finding)?;
            }
            Ok(())
        })
    }

    /// Takes back intents that were never begun.
    pub fn withdraw(&mut self, ids: &[i64]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write(|db| {
            let mut query = db.statement("DELETE FROM writes WHERE id = ?1")?;
            for id in ids {
                query.execute([id])?;
            }
            Ok(())
        })
    }

    /// Intents of which nobody knows what came of them: the process ended, or no answer came.
    pub fn open_intents(&self) -> Result<Vec<WriteRecord>> {
        // The plus: the few are sorted, instead of all being read in order.
        self.records("WHERE outcome IS NULL ORDER BY +id", [])
    }

    /// The same for one key, the oldest first.
    pub fn open_intents_of(&self, room: &RoomId, key: &StateKey) -> Result<Vec<WriteRecord>> {
        let condition = "WHERE room = ?1 AND key = ?2 AND outcome IS NULL ORDER BY id";
        self.records(condition, [room.as_str(), key.as_str()])
    }

    /// What was cleared since `since`, to notice what comes back.
    pub fn cleared_since(&self, since: Timestamp) -> Result<Vec<WriteRecord>> {
        self.records("WHERE outcome = 'cleared' AND finished_ms >= ?1 ORDER BY +id", [since.as_millis()])
    }

    /// What was cleared under a key, the oldest first.
    pub fn cleared_under(&self, room: &RoomId, key: &StateKey) -> Result<Vec<WriteRecord>> {
        let condition = "WHERE room = ?1 AND key = ?2 AND outcome = 'cleared' ORDER BY id";
        self.records(condition, [room.as_str(), key.as_str()])
    }

    /// The clear that wrote an event, unless it was looked at before.
    pub fn unverified(&self, room: &RoomId, written: &EventId) -> Result<Option<WriteRecord>> {
        let condition = "WHERE written_event = ?1 AND verified = 0 AND room = ?2";
        Ok(self.records(condition, [written.as_str(), room.as_str()])?.pop())
    }

    /// The events of clears that were not seen again by sync.
    pub fn awaited(&self) -> Result<Vec<EventId>> {
        let mut query = self
            .db
            .statement("SELECT written_event FROM writes WHERE verified = 0 AND written_event IS NOT NULL")?;
        let rows = query.query_map([], |row| Ok(row.get::<_, String>(0)?.into()))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that a clear came back by sync and what it replaced was looked at.
    pub fn verified(&self, id: i64) -> Result<()> {
        self.write(|db| {
            db.statement("UPDATE writes SET verified = 1 WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
    }

    /// What was cleared by a plan, also before this start.
    pub fn cleared_by(&self, plan: &PlanId) -> Result<Vec<WriteRecord>> {
        self.records("WHERE plan = ?1 AND outcome = 'cleared' ORDER BY id", [plan.as_str()])
    }

    fn records<P: rusqlite::Params>(&self, condition: &str, params: P) -> Result<Vec<WriteRecord>> {
        let mut query = self.db.statement(&format!("SELECT {COLUMNS} FROM writes {condition}"))?;
        let rows = query.query_map(params, |row| self.record(row))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn insert(db: &Connection, intent: &Intent) -> Result<i64> {
    let pairs: Vec<_> = intent.owners.iter().map(|owner| (&owner.user, &owner.device)).collect();
    db.statement(
        "INSERT INTO writes
             (room, key, event, owners, reason, route, evidence, old_content, intended_ms, plan, asked_by,
              sent_ms, new_content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        intent.room.as_str(),
        intent.key.as_str(),
        intent.event.as_str(),
        to_json("the owners of a write", &pairs)?,
        intent.reason.map_or(REQUESTED, Reason::as_str),
        intent.route,
        intent.evidence.to_string(),
        intent.old_content.to_string(),
        intent.at.as_millis(),
        intent.plan.as_ref().map(|(plan, _)| plan.as_str()),
        intent.plan.as_ref().map(|(_, by)| by.as_str()),
        intent.mark.as_ref().map(|mark| mark.sent.as_millis()),
        intent.mark.as_ref().map(|mark| mark.content.to_string()),
    ])?;
    let id = db.last_insert_rowid();
    let mut query = db.statement("INSERT OR IGNORE INTO write_owners VALUES (?1, ?2)")?;
    for owner in &intent.owners {
        query.execute(params![id, owner.user.as_str()])?;
    }
    Ok(id)
}
