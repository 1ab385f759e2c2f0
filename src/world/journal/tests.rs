//! The journal's own promises: versions, ownership, and rights.

use std::os::unix::fs::PermissionsExt;

use rtc_janitor_core::{
    ids::EventId,
    plan::Proposal,
    render::{Message, answer::PlanKind},
    time::Timestamp,
};

use super::*;

#[test]
fn a_newer_journal_is_refused_and_left_as_it_is() {
    let store = tempfile::tempdir().expect("a folder");
    let account: UserId = "@bot:hs".into();
    let journal = Journal::open(store.path(), &account, NOW).expect("a journal");
    journal.db.pragma_update(None, "user_version", 99).expect("SQLite");
    drop(journal);
    let error = Journal::open(store.path(), &account, NOW).expect_err("it is newer");
    assert!(matches!(error, JournalError::Newer { found: 99, known: schema::VERSION, .. }), "{error}");
    let version: i64 = Connection::open(store.path().join("journal.sqlite3"))
        .expect("SQLite")
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("SQLite");
    assert_eq!(version, 99);
}

#[test]
fn the_journal_of_another_account_is_refused() {
    let store = tempfile::tempdir().expect("a folder");
    Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("a journal");
    Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("its own");
    let error = Journal::open(store.path(), &"@other:hs".into(), NOW).expect_err("another's");
    assert!(matches!(error, JournalError::OtherAccount { .. }), "{error}");
}

#[test]
fn nobody_else_may_read_it() {
    let store = tempfile::tempdir().expect("a folder");
    let _journal = Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("a journal");
    for entry in std::fs::read_dir(store.path()).expect("a folder") {
        let entry = entry.expect("a file");
        let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

fn message(text: &str) -> Message {
    Message { plain: text.into(), html: text.into() }
}

const NOW: Timestamp = Timestamp::from_millis(5);

#[test]
fn a_note_of_one_subject_is_taken_once_and_told_once() {
    let mut journal = Journal::in_memory(&"@bot:hs".into()).expect("a journal");
    assert!(journal.note(&message("x"), Some("s"), false, NOW).expect("SQLite"));
    assert!(!journal.note(&message("x"), Some("s"), false, NOW).expect("SQLite"));
    assert!(journal.note(&message("y"), None, true, NOW).expect("SQLite"));
    let untold = journal.untold().expect("SQLite");
    assert_eq!(untold.iter().map(|note| note.is_alarm).collect::<Vec<_>>(), [false, true]);
    let notes = untold.iter().map(|note| note.id).collect();
    let stored = journal.post(&Draft { notes, ..Draft::of(message("xy")) }, NOW).expect("SQLite");
    assert_eq!(journal.untold().expect("SQLite"), []);
    assert!(journal.has_said("s").expect("SQLite"));
    assert_eq!(journal.unsent().expect("SQLite"), std::slice::from_ref(&stored));
    journal.sent(&stored.txn, &"$e".into()).expect("SQLite");
    assert_eq!(journal.unsent().expect("SQLite"), []);
}

#[test]
fn a_command_is_taken_up_once_and_its_second_answer_takes_the_place_of_the_first() {
    let mut journal = Journal::in_memory(&"@bot:hs".into()).expect("a journal");
    let (command, alice): (EventId, UserId) = ("$command".into(), "@alice:hs".into());
    assert!(journal.take_up(&command, &alice, NOW).expect("SQLite"));
    assert!(!journal.take_up(&command, &alice, NOW).expect("SQLite"));
    assert_eq!(journal.unanswered().expect("SQLite"), std::slice::from_ref(&command));

    let first = journal.answer(&command, &message("working"), false, NOW).expect("SQLite");
    assert_eq!((first.reply_to.as_ref(), first.target.as_ref()), (Some(&command), None));
    assert_eq!(journal.unanswered().expect("SQLite").len(), 1, "not done");
    let second = journal.answer(&command, &message("done"), true, NOW).expect("SQLite");
    assert_eq!((second.reply_to, second.target), (Some(command), Some((first.txn, None))));
    assert_eq!(journal.unanswered().expect("SQLite"), []);
}

fn proposal() -> Proposal {
    Proposal {
        room: "!r:hs".into(),
        room_name: None,
        key: "_@a:hs_D".into(),
        event: "$e".into(),
        owners: Vec::new(),
        reason: None,
        since: NOW,
        is_shown: true,
        is_alive: true,
        is_unknown: false,
        why: String::new(),
        reservation: None,
    }
}

#[test]
fn a_plan_is_approved_once_and_found_by_the_message_that_shows_it() {
    let mut journal = Journal::in_memory(&"@bot:hs".into()).expect("a journal");
    journal.take_up(&"$command".into(), &"@alice:hs".into(), NOW).expect("SQLite");
    let (number, id) = journal.next_plan().expect("SQLite");
    let proposals = [proposal()];
    let plan = NewPlan { id: (number, id.clone()), kind: PlanKind::Clear, proposals: &proposals };
    let messages = journal.show(&"$command".into(), &message("plan"), &plan, NOW).expect("SQLite");
    let [shown, tick] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(tick.target.as_ref().map(|(txn, _)| txn), Some(&shown.txn));
    assert_eq!(journal.unanswered().expect("SQLite"), []);
    assert_ne!(journal.next_plan().expect("SQLite").1, id);
    assert_eq!(journal.plan_shown_in(&"$shown".into()).expect("SQLite"), None);
    journal.sent(&shown.txn, &"$shown".into()).expect("SQLite");
    let plan = journal.plan_shown_in(&"$shown".into()).expect("SQLite").expect("the plan");
    assert_eq!((&plan.id, plan.kind, plan.approved_by), (&id, PlanKind::Clear, None));

    assert_eq!(journal.plans_under_way().expect("SQLite"), []);
    for command in ["$one", "$two"] {
        journal.take_up(&command.into(), &"@alice:hs".into(), NOW).expect("SQLite");
    }
    assert!(journal.approve(&id, &"@alice:hs".into(), &"$one".into(), NOW).expect("SQLite"));
    assert!(!journal.approve(&id, &"@bob:hs".into(), &"$two".into(), NOW).expect("SQLite"), "two at once");
    assert_eq!(journal.unanswered().expect("SQLite"), ["$two".into()], "the plan itself is the answer");
    let under_way = journal.plans_under_way().expect("SQLite");
    assert_eq!(under_way[0].approved_by, Some("@alice:hs".into()));
}

#[test]
fn a_journal_of_the_first_version_is_brought_up_to_date() {
    let store = tempfile::tempdir().expect("a folder");
    let path = store.path().join("journal.sqlite3");
    let db = Connection::open(&path).expect("SQLite");
    db.execute_batch(schema::MIGRATIONS[0]).expect("SQLite");
    db.pragma_update(None, "user_version", 1).expect("SQLite");
    db.execute_batch(
        "INSERT INTO messages VALUES ('t', 's', 'p', 'h', 1, NULL);
         INSERT INTO writes (room, key, event, owners, reason, route, evidence, old_content, intended_ms, outcome)
             VALUES ('!r', 'k', '$e', '[[\"@a:hs\",\"D\"]]', 'expired', 'own_power', '[]', '{}', 1, 'cleared');",
    )
    .expect("SQLite");
    drop(db);
    let journal = Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("brought up to date");
    assert_eq!(journal.unsent().expect("SQLite")[0].txn, "t");
    assert!(journal.has_said("s").expect("SQLite"));
    let (past, total) = journal.history(None, Some(&"@a:hs".into()), 5).expect("SQLite");
    assert_eq!((past.len(), total, past[0].asked_by.clone()), (1, 1, None));
    assert_eq!(journal.history(None, Some(&"@a:h".into()), 5).expect("SQLite").1, 0, "whole ids only");
}
