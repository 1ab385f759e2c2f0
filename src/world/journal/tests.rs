//! The journal's own promises: versions, ownership, and rights.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_newer_journal_is_refused_and_left_as_it_is() {
    let store = tempfile::tempdir().expect("a folder");
    let account: UserId = "@bot:hs".into();
    let journal = Journal::open(store.path(), &account).expect("a journal");
    journal.db.pragma_update(None, "user_version", 99).expect("SQLite");
    drop(journal);
    let error = Journal::open(store.path(), &account).expect_err("it is newer");
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
    Journal::open(store.path(), &"@bot:hs".into()).expect("a journal");
    Journal::open(store.path(), &"@bot:hs".into()).expect("its own");
    let error = Journal::open(store.path(), &"@other:hs".into()).expect_err("another's");
    assert!(matches!(error, JournalError::OtherAccount { .. }), "{error}");
}

#[test]
fn nobody_else_may_read_it() {
    let store = tempfile::tempdir().expect("a folder");
    let _journal = Journal::open(store.path(), &"@bot:hs".into()).expect("a journal");
    for entry in std::fs::read_dir(store.path()).expect("a folder") {
        let entry = entry.expect("a file");
        let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_message_of_one_subject_is_taken_once() {
    let mut journal = Journal::in_memory(&"@bot:hs".into()).expect("a journal");
    let message = rtc_janitor_core::render::Message { plain: "x".into(), html: "x".into() };
    let now = rtc_janitor_core::time::Timestamp::from_millis(5);
    let first = journal.say(&message, Some("s"), &[], now).expect("SQLite").expect("taken");
    assert_eq!(journal.say(&message, Some("s"), &[], now).expect("SQLite"), None);
    let other = journal.say(&message, None, &[], now).expect("SQLite").expect("taken");
    assert_ne!(first.txn, other.txn);
    assert_eq!(journal.unsent().expect("SQLite"), [first.clone(), other]);
    journal.sent(&first.txn, &"$e".into()).expect("SQLite");
    assert_eq!(journal.unsent().expect("SQLite").len(), 1);
}
