//! Plans: what was shown, who approved it, and how far it came.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    command::PlanId,
    ids::{EventId, UserId},
    plan::Proposal,
    render::{Message, answer::PlanKind},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{
    Draft, Journal, Result, StoredMessage,
    messages::{answer, insert},
};

/// What came of one key of a plan that is not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum PlanOutcome {
    /// It was emptied.
    Cleared,
    /// It was no longer what was shown.
    Changed,
    /// Somebody else had emptied it.
    Gone,
    /// It was held back all the same, in a sentence.
    Held(String),
    /// The server said no.
    Refused(String),
}

/// A plan that is about to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPlan<'a> {
    /// Its number and its name.
    pub id: (u64, PlanId),
    /// What it is for.
    pub kind: PlanKind,
    /// What is shown.
    pub proposals: &'a [Proposal],
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPlan {
    /// Its name.
    pub id: PlanId,
    /// What it is for.
    pub kind: PlanKind,
    /// When it was made.
    pub made: Timestamp,
    /// What was shown.
    pub proposals: Vec<Proposal>,
    /// Who approved it.
    pub approved_by: Option<UserId>,
    /// The message that tells how far it came, by its transaction id.
    pub progress: Option<String>,
    /// What came of each key so far, by the event that was shown.
    pub outcomes: BTreeMap<EventId, PlanOutcome>,
    /// The events whose owners came back after they were cleared.
    pub returned: Vec<EventId>,
    /// When the last key was dealt with.
    pub ended: Option<Timestamp>,
    /// Whether the last word is said.
    pub closed: bool,
}

const COLUMNS: &str =
    "id, kind, made_ms, proposals, approved_by, progress, outcomes, returned, ended_ms, closed";

impl Journal {
    /// The name of the next plan.
    pub fn next_plan(&self) -> Result<(u64, PlanId)> {
        let last: i64 =
            self.db.query_row("SELECT coalesce(max(number), 0) FROM plans", [], |row| row.get(0))?;
        let number = u64::try_from(last).unwrap_or(0) + 1;
        Ok((number, PlanId::numbered(number)))
    }

    /// Answers a command with a plan, all or nothing: the message that shows it, the plan, and the ✅ to
    /// be pressed. A plan of nothing is only shown.
    pub fn show(
        &mut self,
        command: &EventId,
        message: &Message,
        plan: &NewPlan<'_>,
        at: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        let transaction = self.db.transaction()?;
        let answer = answer(&transaction, command, message, true, at)?;
        let mut messages = vec![answer];
        if !plan.proposals.is_empty() {
            let answer = &messages[0];
            let shown = answer.target.as_ref().map_or(&answer.txn, |(txn, _)| txn).clone();
            let (number, id) = &plan.id;
            transaction.execute(
                "INSERT INTO plans (id, number, kind, made_ms, proposals, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    id.as_str(),
                    i64::try_from(*number).unwrap_or(i64::MAX),
                    kind_name(plan.kind),
                    at.as_millis(),
                    serde_json::to_string(plan.proposals).unwrap_or_default(),
                    shown
                ],
            )?;
            let tick = Draft { target: Some(shown), reaction: Some("✅".to_owned()), ..Draft::default() };
            messages.push(insert(&transaction, &tick, at)?);
        }
        transaction.commit()?;
        Ok(messages)
    }

    /// A plan by its name.
    pub fn plan(&self, id: &PlanId) -> Result<Option<StoredPlan>> {
        self.plans("WHERE id = ?1", [id.as_str()]).map(|plans| plans.into_iter().next())
    }

    /// The plan that a message shows.
    pub fn plan_shown_in(&self, event: &EventId) -> Result<Option<StoredPlan>> {
        let condition = "WHERE message = (SELECT txn FROM messages WHERE event = ?1 AND target IS NULL)";
        self.plans(condition, [event.as_str()]).map(|plans| plans.into_iter().next())
    }

    /// The event that shows a plan, where the server has it.
    pub fn event_showing(&self, id: &PlanId) -> Result<Option<EventId>> {
        let mut query = self.db.prepare_cached(
            "SELECT messages.event FROM plans JOIN messages ON messages.txn = plans.message WHERE plans.id = ?1",
        )?;
        let event: Option<Option<String>> = query.query_row([id.as_str()], |row| row.get(0)).optional()?;
        Ok(event.flatten().map(Into::into))
    }

    /// Approves a plan; false when somebody else did before. It is on disk before the first write. The
    /// plan itself says what comes of it: the command that approved it needs no other answer.
    pub fn approve(&mut self, id: &PlanId, by: &UserId, command: &EventId, at: Timestamp) -> Result<bool> {
        let transaction = self.db.transaction()?;
        let rows = transaction.execute(
            "UPDATE plans SET approved_by = ?2, approved_ms = ?3 WHERE id = ?1 AND approved_by IS NULL",
            params![id.as_str(), by.as_str(), at.as_millis()],
        )?;
        if rows > 0 {
            transaction.execute("UPDATE commands SET done = 1 WHERE event = ?1", [command.as_str()])?;
        }
        transaction.commit()?;
        Ok(rows > 0)
    }

    /// Approved plans of which the last word is not said.
    pub fn plans_under_way(&self) -> Result<Vec<StoredPlan>> {
        self.plans("WHERE approved_by IS NOT NULL AND closed = 0 ORDER BY approved_ms", [])
    }

    /// Writes down how far a plan came.
    pub fn save_plan(&self, plan: &StoredPlan) -> Result<()> {
        save(&self.db, plan)
    }

    /// Writes down how far a plan came, and says so: in a new message, or in place of the last.
    pub fn tell_progress(
        &mut self,
        plan: &mut StoredPlan,
        draft: Draft,
        at: Timestamp,
    ) -> Result<StoredMessage> {
        let transaction = self.db.transaction()?;
        let draft = Draft { target: plan.progress.clone(), ..draft };
        let stored = insert(&transaction, &draft, at)?;
        plan.progress.get_or_insert_with(|| stored.txn.clone());
        save(&transaction, plan)?;
        transaction.commit()?;
        Ok(stored)
    }

    fn plans(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<StoredPlan>> {
        let mut query = self.db.prepare_cached(&format!("SELECT {COLUMNS} FROM plans {condition}"))?;
        let rows = query.query_map(parameters, read)?;
        Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

fn save(db: &Connection, plan: &StoredPlan) -> Result<()> {
    db.prepare_cached(
        "UPDATE plans SET outcomes = ?2, returned = ?3, ended_ms = ?4, closed = ?5, progress = ?6
         WHERE id = ?1",
    )?
    .execute(params![
        plan.id.as_str(),
        serde_json::to_string(&plan.outcomes).unwrap_or_default(),
        serde_json::to_string(&plan.returned).unwrap_or_default(),
        plan.ended.map(Timestamp::as_millis),
        plan.closed,
        plan.progress
    ])?;
    Ok(())
}

/// `None` for a row that this program did not write.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<StoredPlan>> {
    let text = |index| row.get::<_, String>(index);
    let (id, kind) = (text(0)?.parse::<PlanId>(), text(1)?);
    let Ok(id) = id else { return Ok(None) };
    Ok(Some(StoredPlan {
        id,
        kind: if kind == kind_name(PlanKind::Clear) { PlanKind::Clear } else { PlanKind::Sweep },
        made: Timestamp::from_millis(row.get(2)?),
        proposals: serde_json::from_str(&text(3)?).unwrap_or_default(),
        approved_by: row.get::<_, Option<String>>(4)?.map(Into::into),
        progress: row.get(5)?,
        outcomes: serde_json::from_str(&text(6)?).unwrap_or_default(),
        returned: serde_json::from_str(&text(7)?).unwrap_or_default(),
        ended: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis),
        closed: row.get(9)?,
    }))
}

const fn kind_name(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Sweep => "sweep",
        PlanKind::Clear => "clear",
    }
}
