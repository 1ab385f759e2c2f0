//! What was to be cleared, before; and what came of it, after.

use rtc_janitor_core::{
    command::PlanId,
    ids::{DeviceId, EventId, RoomId, StateKey, UserId},
    judge::policy::Reason,
    rtc::membership::Owner,
    time::Timestamp,
};
use rusqlite::{Row, params};
use serde_json::Value;

use super::{Finding, Journal, Result, findings::insert_finding};

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
    /// What was known, as JSON, without addresses.
    pub evidence: Value,
    /// What stood there: there is no undo, but there is a record.
    pub old_content: Value,
    /// When it was decided.
    pub at: Timestamp,
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

/// A clear as the journal remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteRecord {
    /// Its number.
    pub id: i64,
    /// The room.
    pub room: RoomId,
    /// The key.
    pub key: StateKey,
    /// The event that was judged.
    pub event: EventId,
    /// Whom it spoke for.
    pub owners: Vec<Owner>,
    /// The reason, where there was one.
    pub reason: Option<Reason>,
    /// The plan that it belongs to.
    pub plan: Option<PlanId>,
    /// When it was decided.
    pub intended: Timestamp,
    /// When the outcome was known.
    pub finished: Option<Timestamp>,
    /// The event that emptied the key.
    pub written: Option<EventId>,
}

const COLUMNS: &str = "id, room, key, event, owners, reason, intended_ms, finished_ms, written_event, plan";

/// What stands in place of a reason where there is none.
const BY_WISH: &str = "by_wish";

/// A line of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The clear.
    pub write: WriteRecord,
    /// What came of it: `cleared`, `changed`, `spared` or `not_written`.
    pub outcome: Option<String>,
    /// What the server said.
    pub detail: Option<String>,
    /// Who approved it.
    pub asked_by: Option<UserId>,
}

impl Journal {
    /// Writes down what is about to be done; returns a number for each.
    pub fn intend(&mut self, intents: &[Intent]) -> Result<Vec<i64>> {
        let transaction = self.db.transaction()?;
        let mut ids = Vec::with_capacity(intents.len());
        for intent in intents {
            transaction
                .prepare_cached(
                    "INSERT INTO writes
                         (room, key, event, owners, reason, route, evidence, old_content, intended_ms,
                          plan, asked_by)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                )?
                .execute(params![
                    intent.room.as_str(),
                    intent.key.as_str(),
                    intent.event.as_str(),
                    owners_to_json(&intent.owners),
                    intent.reason.map_or(BY_WISH, Reason::as_str),
                    intent.route,
                    intent.evidence.to_string(),
                    intent.old_content.to_string(),
                    intent.at.as_millis(),
                    intent.plan.as_ref().map(|(plan, _)| plan.as_str()),
                    intent.plan.as_ref().map(|(_, by)| by.as_str()),
                ])?;
            ids.push(transaction.last_insert_rowid());
        }
        transaction.commit()?;
        Ok(ids)
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
        let transaction = self.db.transaction()?;
        transaction
            .prepare_cached(
                "UPDATE writes SET outcome = ?2, finished_ms = ?3, written_event = ?4, detail = ?5
                 WHERE id = ?1",
            )?
            .execute(params![id, name, at.as_millis(), written, detail])?;
        if let Some(finding) = finding {
            insert_finding(&transaction, finding)?;
        }
        Ok(transaction.commit()?)
    }

    /// Takes back intents that were never begun.
    pub fn withdraw(&mut self, ids: &[i64]) -> Result<()> {
        let transaction = self.db.transaction()?;
        for id in ids {
            transaction.prepare_cached("DELETE FROM writes WHERE id = ?1")?.execute([id])?;
        }
        Ok(transaction.commit()?)
    }

    /// Intents of which nobody knows what came of them: the process ended, or no answer came.
    pub fn open_intents(&self) -> Result<Vec<WriteRecord>> {
        self.records("WHERE outcome IS NULL ORDER BY id", [])
    }

    /// What was cleared since `since`, to notice what comes back.
    pub fn cleared_since(&self, since: Timestamp) -> Result<Vec<WriteRecord>> {
        self.records("WHERE outcome = 'cleared' AND finished_ms >= ?1 ORDER BY id", [since.as_millis()])
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

    /// Notes that a clear came back by sync and what it replaced was looked at.
    pub fn verified(&self, id: i64) -> Result<()> {
        self.db.prepare_cached("UPDATE writes SET verified = 1 WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// What was cleared by a plan, also before this start.
    pub fn cleared_by(&self, plan: &PlanId) -> Result<Vec<WriteRecord>> {
        self.records("WHERE plan = ?1 AND outcome = 'cleared' ORDER BY id", [plan.as_str()])
    }

    /// What was done, the newest first: in one room, of one user, or all; and how much there is in all.
    pub fn history(
        &self,
        room: Option<&RoomId>,
        user: Option<&UserId>,
        lines: usize,
    ) -> Result<(Vec<Past>, usize)> {
        // Owners are kept as [["@user:server", "DEVICE"], …].
        let owner = user.map(|user| format!("[{},", serde_json::json!(user)));
        let condition = "WHERE (?1 IS NULL OR room = ?1) AND (?2 IS NULL OR instr(owners, ?2) > 0)";
        let filter = params![room.map(RoomId::as_str), owner];
        let total: i64 =
            self.db
                .query_row(&format!("SELECT count(*) FROM writes {condition}"), filter, |row| row.get(0))?;
        let lines = i64::try_from(lines).unwrap_or(i64::MAX);
        let mut query = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS}, outcome, detail, asked_by FROM writes {condition} ORDER BY id DESC LIMIT ?3"
        ))?;
        let rows = query.query_map(params![room.map(RoomId::as_str), owner, lines], |row| {
            Ok(Past {
                write: record(row)?,
                outcome: row.get(10)?,
                detail: row.get(11)?,
                asked_by: row.get::<_, Option<String>>(12)?.map(Into::into),
            })
        })?;
        Ok((rows.collect::<rusqlite::Result<_>>()?, usize::try_from(total).unwrap_or(0)))
    }

    fn records<P: rusqlite::Params>(&self, condition: &str, params: P) -> Result<Vec<WriteRecord>> {
        let mut query = self.db.prepare_cached(&format!("SELECT {COLUMNS} FROM writes {condition}"))?;
        let rows = query.query_map(params, record)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<WriteRecord> {
    let reason: String = row.get(5)?;
    Ok(WriteRecord {
        id: row.get(0)?,
        room: row.get::<_, String>(1)?.into(),
        key: row.get::<_, String>(2)?.into(),
        event: row.get::<_, String>(3)?.into(),
        owners: owners_from_json(&row.get::<_, String>(4)?),
        // Anything else than a reason is none: by wish.
        reason: reason.parse().ok(),
        intended: Timestamp::from_millis(row.get(6)?),
        finished: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_millis),
        written: row.get::<_, Option<String>>(8)?.map(Into::into),
        plan: row.get::<_, Option<String>>(9)?.and_then(|plan| plan.parse().ok()),
    })
}

fn owners_to_json(owners: &[Owner]) -> String {
    let pairs: Vec<_> = owners.iter().map(|owner| (&owner.user, &owner.device)).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

fn owners_from_json(json: &str) -> Vec<Owner> {
    let pairs: Vec<(UserId, DeviceId)> = serde_json::from_str(json).unwrap_or_default();
    pairs.into_iter().map(|(user, device)| Owner { user, device }).collect()
}
