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
    Journal, Result, Stored, StoredMessage,
    plan_record::{KeptPlan, parts},
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
}

impl KeptPlan for JoinPlan {
    const ROWS: &'static str = "kind = 'join'";

    fn read(row: &Row<'_>) -> rusqlite::Result<Stored<Self>> {
        let (id, rooms, outcomes) = match parts(row) {
            Ok(parts) => parts,
            Err(why) => return Ok(Stored::Unreadable(why)),
        };
        Ok(Stored::Read(Self {
            id,
            made: time(row, "made_ms")?,
            rooms,
            approved_by: maybe_text(row, "approved_by")?,
            progress: row.get("progress")?,
            outcomes,
            closed: row.get("closed")?,
        }))
    }

    fn save(&self, db: &Connection) -> Result<()> {
        db.statement("UPDATE plans SET outcomes = ?2, closed = ?3, progress = ?4 WHERE id = ?1")?.execute(
            params![
                self.id.as_str(),
                to_json("what came of a plan", &self.outcomes)?,
                self.closed,
                self.progress
            ],
        )?;
        Ok(())
    }

    fn progress(&mut self) -> &mut Option<String> {
        &mut self.progress
    }
}
