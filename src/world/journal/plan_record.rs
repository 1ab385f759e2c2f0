//! A plan as it is kept and read back: as a whole, or not at all.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    command::PlanId,
    ids::{EventId, UserId},
    plan::Proposal,
    render::answer::PlanKind,
    time::Timestamp,
};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Result, Stored,
    statement::{Statements as _, maybe_text, maybe_time, time, to_json},
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

/// A kind of plan that the journal keeps. All kinds stand in one table, and their names are of one row.
pub trait KeptPlan: Sized {
    /// Which rows are of this kind.
    const ROWS: &'static str;

    /// Reads the rest of a row, whose parts are read.
    fn read(row: &Row<'_>) -> rusqlite::Result<Stored<Self>>;

    /// Writes down how far it came.
    fn save(&self, db: &Connection) -> Result<()>;

    /// The message that tells how far it came, by its transaction id.
    fn progress(&mut self) -> &mut Option<String>;
}

/// What any kind of plan reads of a row.
pub(super) const COLUMNS: &str =
    "id, kind, made_ms, proposals, approved_by, progress, outcomes, returned, ended_ms, closed";

/// The name of a plan, what was shown, and what came of it.
///
/// # Errors
///
/// Why one of them cannot be read: a plan is approved as a whole, so it is read as a whole or not at all.
pub(super) fn parts<P: DeserializeOwned, O: DeserializeOwned>(
    row: &Row<'_>,
) -> std::result::Result<(PlanId, P, O), String> {
    Ok((text(row, "id")?.parse()?, json(row, "proposals")?, json(row, "outcomes")?))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> std::result::Result<T, String> {
    serde_json::from_str(&text(row, column)?).map_err(|error| error.to_string())
}

fn text(row: &Row<'_>, column: &str) -> std::result::Result<String, String> {
    row.get(column).map_err(|error| error.to_string())
}

impl KeptPlan for StoredPlan {
    const ROWS: &'static str = "kind <> 'join'";

    fn read(row: &Row<'_>) -> rusqlite::Result<Stored<Self>> {
        let parsed = || -> std::result::Result<_, String> {
            let kind = text(row, "kind")?;
            let known =
                [PlanKind::Sweep, PlanKind::Clear].into_iter().find(|known| kind_name(*known) == kind);
            let kind = known.ok_or_else(|| format!("unknown kind {kind:?}"))?;
            Ok((parts(row)?, kind, json(row, "returned")?))
        };
        let ((id, proposals, outcomes), kind, returned) = match parsed() {
            Ok(parsed) => parsed,
            Err(why) => return Ok(Stored::Unreadable(why)),
        };
        Ok(Stored::Read(Self {
            id,
            kind,
            made: time(row, "made_ms")?,
            proposals,
            approved_by: maybe_text(row, "approved_by")?,
            progress: row.get("progress")?,
            outcomes,
            returned,
            ended: maybe_time(row, "ended_ms")?,
            closed: row.get("closed")?,
        }))
    }

    fn save(&self, db: &Connection) -> Result<()> {
        db.statement(
            "UPDATE plans SET outcomes = ?2, returned = ?3, ended_ms = ?4, closed = ?5, progress = ?6
             WHERE id = ?1",
        )?
        .execute(params![
            self.id.as_str(),
            to_json("what came of a plan", &self.outcomes)?,
            to_json("what came back after a plan", &self.returned)?,
            self.ended.map(Timestamp::as_millis),
            self.closed,
            self.progress
        ])?;
        Ok(())
    }

    fn progress(&mut self) -> &mut Option<String> {
        &mut self.progress
    }
}

pub(super) const fn kind_name(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Sweep => "sweep",
        PlanKind::Clear => "clear",
    }
}
