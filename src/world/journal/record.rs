//! A clear as it is read back, with what may be unreadable of it.

use rtc_janitor_core::{
    command::PlanId,
    ids::{DeviceId, EventId, RoomId, StateKey, UserId},
    judge::policy::Reason,
    plan::Route,
    rtc::membership::Owner,
    time::Timestamp,
};
use rusqlite::Row;
use serde_json::Value;

use super::{
    Journal, Mark, Stored,
    statement::{maybe_text, maybe_time, text, time},
};

/// Whom a clear spoke for, as far as that can still be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// These.
    Known(Vec<Owner>),
    /// It was kept and cannot be read: it may have been anybody.
    Unreadable,
}

impl Owners {
    /// Whether somebody may be one of them.
    pub fn may_include(&self, owner: &Owner) -> bool {
        match self {
            Self::Known(owners) => owners.contains(owner),
            Self::Unreadable => true,
        }
    }

    /// Those that are known; none when it cannot be read.
    pub fn known(&self) -> &[Owner] {
        match self {
            Self::Known(owners) => owners,
            Self::Unreadable => &[],
        }
    }
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
    pub owners: Owners,
    /// The reason, where there was one that can be read.
    pub reason: Option<Reason>,
    /// Whether there was a reason that cannot be read.
    pub is_reason_unreadable: bool,
    /// What stood under the key.
    pub old_content: Stored<Value>,
    /// By which route, where that is one that this program knows.
    pub route: Option<Route>,
    /// By what it is known, where its sender does not tell and that can be read.
    pub mark: Option<Mark>,
    /// The plan that it belongs to.
    pub plan: Option<PlanId>,
    /// When it was decided.
    pub intended: Timestamp,
    /// When the outcome was known.
    pub finished: Option<Timestamp>,
    /// The event that emptied the key.
    pub written: Option<EventId>,
}

impl WriteRecord {
    /// The reasons that were wrong when the membership turns out to have been alive: none when a person
    /// asked for the clear, any when it cannot be read.
    pub fn reasons_in_doubt(&self) -> Vec<Reason> {
        if self.is_reason_unreadable { Reason::ALL.to_vec() } else { self.reason.into_iter().collect() }
    }

    /// Whether a membership that was cleared may have had this `created_ts`: a client that puts its old
    /// content back at its next refresh keeps it.
    pub fn may_have_had(&self, created: Timestamp) -> bool {
        let Stored::Read(content) = &self.old_content else { return true };
        let entries = content.get("memberships").and_then(Value::as_array).into_iter().flatten();
        let created_ts = |entry: &Value| entry.get("created_ts").and_then(Value::as_i64);
        std::iter::once(content).chain(entries).any(|entry| created_ts(entry) == Some(created.as_millis()))
    }
}

/// What [`Journal::record`] reads.
pub(super) const COLUMNS: &str = "id, room, key, event, owners, reason, old_content, route, plan, intended_ms, finished_ms, \
                                  written_event, sent_ms, new_content";

/// What stands in place of a reason where there is none.
pub(super) const REQUESTED: &str = "by_wish";

impl Journal {
    pub(super) fn record(&self, row: &Row<'_>) -> rusqlite::Result<WriteRecord> {
        let id = row.get("id")?;
        let reason: String = row.get("reason")?;
        let parsed: Option<Reason> = reason.parse().ok();
        let is_reason_unreadable = parsed.is_none() && reason != REQUESTED;
        if is_reason_unreadable {
            self.met_unreadable(format!("the reason of write {id}"), &reason);
        }
        let owners = match serde_json::from_str::<Vec<(UserId, DeviceId)>>(&row.get::<_, String>("owners")?) {
            Ok(pairs) => {
                Owners::Known(pairs.into_iter().map(|(user, device)| Owner { user, device }).collect())
            }
            Err(error) => {
                self.met_unreadable(format!("the owners of write {id}"), &error);
                Owners::Unreadable
            }
        };
        let old_content = match serde_json::from_str(&row.get::<_, String>("old_content")?) {
            Ok(content) => Stored::Read(content),
            Err(error) => {
                self.met_unreadable(format!("the old content of write {id}"), &error);
                Stored::Unreadable(error.to_string())
            }
        };
        Ok(WriteRecord {
            id,
            room: text(row, "room")?,
            key: text(row, "key")?,
            event: text(row, "event")?,
            owners,
            reason: parsed,
            is_reason_unreadable,
            old_content,
            route: Route::of_name(&row.get::<_, String>("route")?),
            mark: self.mark(id, row)?,
            // It refers to a plan, whose name was written by this program.
            plan: row.get::<_, Option<String>>("plan")?.and_then(|plan| plan.parse().ok()),
            intended: time(row, "intended_ms")?,
            finished: maybe_time(row, "finished_ms")?,
            written: maybe_text(row, "written_event")?,
        })
    }

    fn mark(&self, id: i64, row: &Row<'_>) -> rusqlite::Result<Option<Mark>> {
        let (Some(sent), Some(content)) =
            (maybe_time(row, "sent_ms")?, row.get::<_, Option<String>>("new_content")?)
        else {
            return Ok(None);
        };
        match serde_json::from_str(&content) {
            Ok(content) => Ok(Some(Mark { sent, content })),
            Err(error) => {
                self.met_unreadable(format!("the new content of write {id}"), &error);
                Ok(None)
            }
        }
    }
}
