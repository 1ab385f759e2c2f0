//! No search reads a table that grows with what was done: SQLite is asked how it would look.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    panic::Location,
    path::Path,
};

use rtc_janitor_core::{command::PlanId, judge::evidence::ListKind};

use super::*;

thread_local! {
    /// Every statement that this test has made, by the line that made it.
    static MADE: RefCell<BTreeMap<(String, u32), BTreeSet<String>>> = RefCell::default();
}

/// Called for every statement that is made.
pub(in super::super) fn record(sql: &str, at: &Location<'_>) {
    let file = Path::new(at.file()).file_name().expect("a file").to_string_lossy().into_owned();
    MADE.with_borrow_mut(|made| made.entry((file, at.line())).or_default().insert(sql.to_owned()));
}

/// What is read whole where all of it is wanted: once, at the start.
const READ_AT_THE_START: &[&str] = &["SCAN settings", "SCAN rooms", "SCAN devices", "SCAN quarantine"];

/// What may be read whole.
const MAY_BE_READ_WHOLE: &[&str] = &[
    // No more than what is open now.
    "SCAN sightings",
    "SCAN seen",
    // Indexes of what is still to be done, empty most of the time.
    "SCAN writes USING INDEX writes_open",
    "SCAN notes USING INDEX notes_untold",
    "SCAN messages USING INDEX messages_waiting",
    "SCAN plans USING INDEX plans_under_way",
    "SCAN commands USING INDEX commands_unfinished",
];

/// How much there is in all, and the newest lines of it: a person asks for everything.
const IS_ASKED_FOR: &str = "FROM writes WHERE ?1 IS NULL AND ?2 IS NULL";

/// Makes every statement that the journal has.
fn make_every_statement(journal: &mut Journal) {
    journal.bind_account(&"@bot:hs".into()).expect("SQLite");
    journal.forget_since().expect("SQLite");
    journal.set_alias_room("#a:hs", &"!1".into()).expect("SQLite");
    journal.alias_room("#a:hs").expect("SQLite");
    see(journal, 1);
    journal.forget_key(&"!1".into(), &"k".into()).expect("SQLite");
    journal.add_rooms([&"!1".into()]).expect("SQLite");
    journal.name_room(&"!1".into(), None).expect("SQLite");
    journal.knows_room(&"!1".into()).expect("SQLite");
    journal.rooms().expect("SQLite");
    journal.remove_room(&"!1".into()).expect("SQLite");
    journal.list_devices([(&owner(), ListKind::KeysQuery)], NOW).expect("SQLite");
    journal.device_came_back(&owner()).expect("SQLite");
    journal.devices().expect("SQLite");
    let seen = ("!1".into(), "k".into(), NOW);
    journal.saw_on_sfu("https://sfu", [&seen], NOW).expect("SQLite");
    let recipes = [(Recipe::Json, NOW)].into();
    journal.set_sfu_names("https://sfu", &["https://jwt".to_owned()].into(), &recipes).expect("SQLite");
    journal.sfu_memory("https://sfu").expect("SQLite");
    journal.add_leave_lag(Leaver::Owner, Duration::from_secs(1), NOW).expect("SQLite");
    journal.leave_lags_since(NOW).expect("SQLite");
    journal.set_last_slow_leaves(NOW).expect("SQLite");
    journal.last_slow_leaves().expect("SQLite");
    let setting = StoredSetting { key: "k".into(), value: "v".into(), by: "@a:hs".into(), at: NOW };
    journal.set(&setting).expect("SQLite");
    journal.settings().expect("SQLite");
    journal.plan::<JoinPlan>(&PlanId::numbered(1)).expect("SQLite");
    journal.plan_shown_in::<JoinPlan>(&"$1".into()).expect("SQLite");
    journal.plans_under_way::<JoinPlan>().expect("SQLite");
    let mut joins = JoinPlan {
        id: PlanId::numbered(1),
        made: NOW,
        rooms: Vec::new(),
        approved_by: None,
        progress: None,
        outcomes: BTreeMap::new(),
        closed: false,
    };
    journal.tell_progress(&mut joins, Draft::default(), NOW).expect("SQLite");
    journal.unset("k").expect("SQLite");
    let subject = rtc_janitor_core::ledger::Subject {
        room: "!1".into(),
        key: "k".into(),
        event: "$1".into(),
        entry: 0,
    };
    journal.save_sightings(&[(subject, Vec::new())]).expect("SQLite");
    journal.ledger(NOW, DAY).expect("SQLite");
    let entry = rtc_janitor_core::guard::quarantine::Entry { reason: Reason::Silent, until: NOW, returns: 1 };
    journal.save_quarantine(&"!1".into(), &"k".into(), &entry).expect("SQLite");
    journal.quarantine().expect("SQLite");

    let ids = journal.intend(&[intent("!1", "k", "$1")]).expect("SQLite");
    let cleared = finding("!1", "$1", FindingKind::Cleared, NOW);
    journal.finish(ids[0], &WriteOutcome::Cleared("$2".into()), Some(&cleared), NOW).expect("SQLite");
    journal.verified(ids[0]).expect("SQLite");
    journal.was_found(&"$1".into(), FindingKind::Cleared).expect("SQLite");
    journal.withdraw(&[99]).expect("SQLite");
    journal.open_intents().expect("SQLite");
    journal.open_intents_of(&"!1".into(), &"k".into()).expect("SQLite");
    journal.cleared_since(NOW).expect("SQLite");
    journal.cleared_under(&"!1".into(), &"k".into()).expect("SQLite");
    journal.unverified(&"!1".into(), &"$2".into()).expect("SQLite");
    journal.awaited().expect("SQLite");
    let (room, user) = ("!1".into(), "@a:hs".into());
    for (room, user) in [(None, None), (Some(&room), None), (None, Some(&user)), (Some(&room), Some(&user))] {
        for within in [None, Some(NOW..NOW)] {
            journal.history(&HistoryOf { room, user, within }, 5).expect("SQLite");
        }
    }
    journal.owners_of_writes("a").expect("SQLite");
    journal.count_since(FindingKind::Cleared, NOW).expect("SQLite");
    journal.counts_since(FindingKind::Cleared, NOW).expect("SQLite");
    journal.unreported().expect("SQLite");
    journal.findings_since(NOW).expect("SQLite");
    journal.note(&message("n"), Some("s"), false, NOW).expect("SQLite");
    let notes = journal.untold().expect("SQLite").iter().map(|note| note.id).collect();
    let draft = Draft { findings: vec![cleared.clone()], notes, ..Draft::of(message("m")) };
    let report = journal.post(&draft, NOW).expect("SQLite");
    journal.sent(&report.txn, &"$report".into()).expect("SQLite");
    journal.last_report(NOW).expect("SQLite").expect("a report");
    journal.give_up("txn").expect("SQLite");
    journal.unsent().expect("SQLite");
    journal.told_elsewhere(&message("m"), &[cleared], NOW).expect("SQLite");

    journal.take_up(&"$adopted".into(), &"@a:hs".into(), NOW).expect("SQLite");
    journal.adopt(&"$adopted".into(), "t", &message("m"), &"$a".into(), NOW).expect("SQLite");
    journal.answer(&"$adopted".into(), &message("m"), true, NOW).expect("SQLite");
    journal.unanswered().expect("SQLite");
    let id = shown_plan(journal);
    journal.plan_shown_in::<StoredPlan>(&"$shown".into()).expect("SQLite");
    journal.event_showing(&id).expect("SQLite");
    journal.approve(&id, &"@a:hs".into(), &"$approve".into(), NOW).expect("SQLite");
    journal.plans_under_way::<StoredPlan>().expect("SQLite");
    journal.clear_of(&"!1".into(), &"k".into(), &"$1".into()).expect("SQLite");
    journal.cleared_by(&id).expect("SQLite");
    let plan: StoredPlan = journal.plan(&id).expect("SQLite").read().expect("the plan");
    journal.save_plan(&plan).expect("SQLite");
    journal.close_plan("xxxx").expect("SQLite");
    journal.prune(NOW).expect("SQLite");
}

/// How SQLite would look for what a statement needs.
fn query_plan(db: &Connection, sql: &str) -> Vec<String> {
    let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
    let mut rows = query.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().expect("SQLite") {
        steps.push(row.get("detail").expect("a text"));
    }
    steps
}

#[test]
fn no_search_reads_a_table_of_what_was_done() {
    let mut journal = journal();
    make_every_statement(&mut journal);
    let made = MADE.take();

    // Nothing is left out: every line of the journal that makes a statement was reached.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(file!());
    let folder = folder.parent().and_then(Path::parent).expect("the journal's folder");
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        if !path.is_file() || file == "statement.rs" || file == "tests.rs" {
            continue;
        }
        for (number, line) in (1..).zip(std::fs::read_to_string(&path).expect("a file").lines()) {
            let is_made = made.contains_key(&(file.clone(), number));
            assert!(is_made || !line.contains(".statement("), "{file}:{number} was not reached");
        }
    }

    let mut wrong = Vec::new();
    for sql in made.values().flatten().filter(|sql| !sql.contains(IS_ASKED_FOR)) {
        for step in query_plan(&journal.db, sql) {
            let is_scan = step.starts_with("SCAN ") && step != "SCAN CONSTANT ROW";
            let may_be = |allowed: &&str| step == *allowed || step.starts_with(&format!("{allowed} "));
            let is_read = !sql.contains("WHERE") && READ_AT_THE_START.iter().any(may_be);
            if is_scan && !is_read && !MAY_BE_READ_WHOLE.iter().any(may_be) {
                wrong.push(format!("{step}: {sql}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_reference_has_an_index_so_that_what_is_deleted_is_not_looked_for_everywhere() {
    let db = journal().db;
    let mut query = db
        .prepare(
            "SELECT tables.name, keys.\"from\" FROM sqlite_schema AS tables
             JOIN pragma_foreign_key_list(tables.name) AS keys WHERE tables.type = 'table'",
        )
        .expect("SQLite");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("SQLite");
    let references: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>().expect("SQLite");
    assert_eq!(references.len(), 7, "{references:?}");
    for (table, column) in references {
        // As SQLite itself asks for children of a row that goes.
        let steps = query_plan(&db, &format!("SELECT 1 FROM {table} WHERE {column} = ?1"));
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{table}.{column}: {steps:?}");
    }
}
