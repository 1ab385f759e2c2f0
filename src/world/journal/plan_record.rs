//! A plan as it is read back: as a whole, or not at all.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    command::PlanId,
    ids::{EventId, UserId},
    plan::Proposal,
    render::answer::PlanKind,
    time::Timestamp,
};
use rusqlite::Row;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Stored,
    statement::{maybe_text, maybe_time, time},
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

/// What [`read`] reads.
pub(super) const COLUMNS: &str =
    "id, kind, made_ms, proposals, approved_by, progress, outcomes, returned, ended_ms, closed";

/// A plan is approved as a whole, so it is read as a whole or not at all.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Stored<StoredPlan>> {
    let json = (row.get::<_, String>("proposals")?, row.get("outcomes")?, row.get("returned")?);
    let (proposals, outcomes, returned) = match parse(&json) {
        Ok(parsed) => parsed,
        Err(why) => return Ok(Stored::Unreadable(why)),
    };
    let id = match row.get::<_, String>("id")?.parse() {
        Ok(id) => id,
        Err(why) => return Ok(Stored::Unreadable(why)),
    };
    let kind = row.get::<_, String>("kind")?;
    let Some(kind) = [PlanKind::Sweep, PlanKind::Clear].into_iter().find(|known| kind_name(*known) == kind)
    else {
        return Ok(Stored::Unreadable(format!("unknown kind {kind:?}")));
    };
    Ok(Stored::Read(StoredPlan {
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

type Parts<P, O, R> = (P, O, R);

fn parse<P: DeserializeOwned, O: DeserializeOwned, R: DeserializeOwned>(
    (proposals, outcomes, returned): &Parts<String, String, String>,
) -> std::result::Result<Parts<P, O, R>, String> {
    let parts = || {
        Ok((
            serde_json::from_str(proposals)?,
            serde_json::from_str(outcomes)?,
            serde_json::from_str(returned)?,
        ))
    };
    parts().map_err(|error: serde_json::Error| error.to_string())
}

pub(super) const fn kind_name(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Sweep => "sweep",
        PlanKind::Clear => "clear",
    }
}
