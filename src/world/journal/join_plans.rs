//! Plans to get into rooms: what was shown, who approved it, and what came of each room. They stand beside the plans to
//! clear, and their names are of the same row.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    command::PlanId,
    ids::{EventId, RoomId, UserId},
    render::Message,
    survey::{JoinOutcome, JoinProposal},
    time::Timestamp,
};
use rusqlite::{Connection, Row, params};

use super::{
    Draft, Journal, Result, Stored, StoredMessage,
    messages::insert,
    plans::show,
    statement::{Statements as _, maybe_text, time, to_json},
};

/// Their kind in the journal.
const KIND: &str = "join";

/// A plan to get into rooms.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinPlan {
    /// Its name.
    pub id: PlanId,
    /// When it was made.
    pub made: Timestamp,
    /// What was shown.
    pub rooms: Vec<JoinProposal>,
    /// Who approved it.
    pub approved_by: Option<UserId>,
    /// The message that tells how far it came, by its transaction id.
    pub progress: Option<String>,
    /// What came of each room so far.
    pub outcomes: BTreeMap<RoomId, JoinOutcome>,
    /// Whether the last word is said.
    pub closed: bool,
}

impl Journal {
    /// Answers a command with a plan to get into rooms, all or nothing. A plan of nothing is only shown.
    pub fn show_joins(
        &mut self,
        command: &EventId,
        message: &Message,
        id: &(u64, PlanId),
        rooms: &[JoinProposal],
        at: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        let proposals = to_json("a plan", rooms)?;
        let plan = (!rooms.is_empty()).then_some((KIND, proposals, true));
        self.write(|db| show(db, command, message, id, plan, at))
    }

    /// A plan to get into rooms by its name.
    pub fn join_plan(&self, id: &PlanId) -> Result<Stored<JoinPlan>> {
        self.one_join_plan("WHERE id = ?1 AND kind = 'join'", id.as_str())
    }

    /// The plan to get into rooms that a message shows.
    pub fn join_plan_shown_in(&self, event: &EventId) -> Result<Stored<JoinPlan>> {
        let condition = "WHERE message = (SELECT txn FROM messages WHERE event = ?1 AND target IS NULL)
             AND kind = 'join'";
        self.one_join_plan(condition, event.as_str())
    }

    /// Approved plans to get into rooms of which the last word is not said, as far as they can be read.
    pub fn joins_under_way(&self) -> Result<Vec<JoinPlan>> {
        Ok(self.approved_joins()?.into_iter().filter_map(|(_, plan)| plan.read()).collect())
    }

    /// Writes down what came of the rooms of a plan so far.
    pub fn save_joins(&self, plan: &JoinPlan) -> Result<()> {
        self.write(|db| save(db, plan))
    }

    /// The same, and says so: in a new message, or in place of the last.
    pub fn tell_joins(&mut self, plan: &mut JoinPlan, draft: Draft, at: Timestamp) -> Result<StoredMessage> {
        self.write(|db| {
            let draft = Draft { target: plan.progress.clone(), ..draft };
            let stored = insert(db, &draft, at)?;
            plan.progress.get_or_insert_with(|| stored.txn.clone());
            save(db, plan)?;
            Ok(stored)
        })
    }

    pub(super) fn approved_joins(&self) -> Result<Vec<(String, Stored<JoinPlan>)>> {
        self.join_plans(
            "WHERE approved_by IS NOT NULL AND closed = 0 AND kind = 'join' ORDER BY approved_ms",
            [],
        )
    }

    fn one_join_plan(&self, condition: &str, parameter: &str) -> Result<Stored<JoinPlan>> {
        let plan = self.join_plans(condition, [parameter])?.into_iter().next();
        Ok(plan.map_or(Stored::Never, |(_, plan)| plan))
    }

    fn join_plans(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(String, Stored<JoinPlan>)>> {
        let mut query = self.db.statement(&format!(
            "SELECT id, made_ms, proposals, approved_by, progress, outcomes, closed FROM plans {condition}"
        ))?;
        let rows = query.query_map(parameters, |row| {
            let name: String = row.get("id")?;
            let plan = read(row)?;
            if let Stored::Unreadable(why) = &plan {
                self.met_unreadable(format!("plan {name}"), why);
            }
            Ok((name, plan))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// A plan is approved as a whole, so it is read as a whole or not at all.
fn read(row: &Row<'_>) -> rusqlite::Result<Stored<JoinPlan>> {
    let parsed = || -> std::result::Result<_, String> {
        let json = |error: serde_json::Error| error.to_string();
        let text = |column| row.get::<_, String>(column).map_err(|error| error.to_string());
        Ok((
            text("id")?.parse()?,
            serde_json::from_str(&text("proposals")?).map_err(json)?,
            serde_json::from_str(&text("outcomes")?).map_err(json)?,
        ))
    };
    let (id, rooms, outcomes) = match parsed() {
        Ok(parsed) => parsed,
        Err(why) => return Ok(Stored::Unreadable(why)),
    };
    Ok(Stored::Read(JoinPlan {
        id,
        made: time(row, "made_ms")?,
        rooms,
        approved_by: maybe_text(row, "approved_by")?,
        progress: row.get("progress")?,
        outcomes,
        closed: row.get("closed")?,
    }))
}

fn save(db: &Connection, plan: &JoinPlan) -> Result<()> {
    db.statement("UPDATE plans SET outcomes = ?2, closed = ?3, progress = ?4 WHERE id = ?1")?.execute(
        params![
            plan.id.as_str(),
            to_json("what came of a plan", &plan.outcomes)?,
            plan.closed,
            plan.progress
        ],
    )?;
    Ok(())
}
