//! The journal's own promises, a file for each kind.

mod commands;
mod errors;
mod lookups;
mod opening;
mod plans;
mod retention;
pub(super) mod searches;
mod units;
mod unreadable;

use std::time::Duration;

use rtc_janitor_core::{
    finding::Row,
    ids::{EventId, RoomId, StateKey},
    judge::policy::Reason,
    leave_lag::Leaver,
    plan::Proposal,
    render::{Html, Message, answer::PlanKind},
    rtc::{
        membership::{FirstSeen, Owner},
        sfu_names::Recipe,
    },
};
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);
const DAY: Duration = Duration::from_hours(24);

fn journal() -> Journal {
    Journal::in_memory(&"@bot:hs".into()).expect("a journal")
}

fn message(text: &str) -> Message {
    Message { plain: text.into(), html: Html::escaped(text) }
}

fn owner() -> Owner {
    Owner { user: "@a:hs".into(), device: "D".into() }
}

fn intent(room: &str, key: &str, event: &str) -> Intent {
    Intent {
        room: room.into(),
        key: key.into(),
        event: event.into(),
        owners: vec![owner()],
        reason: Some(Reason::DeviceGone),
        plan: None,
        route: "own_power",
        mark: None,
        evidence: json!([]),
        old_content: json!({"created_ts": 77}),
        at: NOW,
    }
}

fn finding(room: &str, event: &str, kind: FindingKind, at: Timestamp) -> Finding {
    let row = Row {
        room: room.into(),
        room_name: None,
        user: owner().user,
        devices: Vec::new(),
        reason: Reason::Expired,
        missing_from: None,
        since: at,
        is_shown: true,
        obstacle: None,
        route: None,
        times: 1,
    };
    Finding { room: room.into(), key: "k".into(), event: event.into(), kind, at, row }
}

fn proposal() -> Proposal {
    Proposal {
        room: "!r:hs".into(),
        room_name: None,
        key: "_@a:hs_D".into(),
        event: "$e".into(),
        owners: Vec::new(),
        part: None,
        route: None,
        reason: None,
        since: NOW,
        is_shown: true,
        is_alive: true,
        is_unknown: false,
        why: String::new(),
        reservation: None,
    }
}

/// A plan of one key, shown in `$shown`.
fn shown_plan(journal: &mut Journal) -> rtc_janitor_core::command::PlanId {
    journal.take_up(&"$command".into(), &"@alice:hs".into(), NOW).expect("SQLite");
    let (number, id) = journal.next_plan().expect("SQLite");
    let proposals = [proposal()];
    let plan = NewPlan { id: (number, id.clone()), kind: PlanKind::Clear, proposals: &proposals };
    let messages = journal.show(&"$command".into(), &message("plan"), &plan, NOW).expect("SQLite");
    journal.sent(&messages[0].txn, &"$shown".into()).expect("SQLite");
    id
}

/// How many rows a table has.
fn count(journal: &Journal, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    journal.db.query_row(&sql, [], |row| row.get(0)).expect("SQLite")
}

fn see(journal: &Journal, number: usize) {
    let (room, key): (RoomId, StateKey) = (format!("!{number}").into(), "k".into());
    let seen = FirstSeen { at: NOW, live: true };
    journal.see_event(&room, &key, &EventId::from(format!("${number}")), NOW, seen).expect("SQLite");
}
