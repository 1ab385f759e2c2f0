//! Versions, whose it is, and who may read it.

use std::os::unix::fs::PermissionsExt as _;

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
fn the_journal_of_another_account_is_refused_once_that_one_has_signed_in() {
    let store = tempfile::tempdir().expect("a folder");
    let open = |account: &str| Journal::open(store.path(), &account.into(), NOW);
    open("@slip:hs").expect("a new journal");
    let journal = open("@bot:hs").expect("nobody has signed in");
    journal.bind_account(&"@bot:hs".into()).expect("SQLite");
    journal.bind_account(&"@bot:hs".into()).expect("its own");
    let error = journal.bind_account(&"@other:hs".into()).expect_err("another's");
    assert!(matches!(error, JournalError::OtherAccount { .. }), "{error}");
    drop(journal);
    open("@bot:hs").expect("its own");
    let error = open("@other:hs").expect_err("another's");
    assert!(matches!(error, JournalError::OtherAccount { .. }), "{error}");
}

#[test]
fn a_journal_says_when_it_was_begun_and_an_old_one_that_it_does_not_know() {
    let store = tempfile::tempdir().expect("a folder");
    let open = |now| Journal::open(store.path(), &"@bot:hs".into(), now).expect("a journal");
    assert_eq!(open(NOW).begun().expect("SQLite"), Some(NOW));
    let journal = open(NOW + DAY);
    assert_eq!(journal.begun().expect("SQLite"), Some(NOW), "an upgrade or a restart is no beginning");
    journal.db.execute("DELETE FROM meta WHERE key = 'begun'", []).expect("SQLite");
    drop(journal);
    assert_eq!(open(NOW + DAY).begun().expect("SQLite"), None);
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

/// A journal of an older version, with what `rows` puts into it.
fn of_version(version: usize, rows: &str) -> tempfile::TempDir {
    let store = tempfile::tempdir().expect("a folder");
    let db = Connection::open(store.path().join("journal.sqlite3")).expect("SQLite");
    for step in &schema::MIGRATIONS[..version] {
        db.execute_batch(step).expect("SQLite");
    }
    db.pragma_update(None, "user_version", version).expect("SQLite");
    db.execute_batch(rows).expect("SQLite");
    store
}

#[test]
fn a_journal_of_the_first_version_is_brought_up_to_date() {
    let store = of_version(
        1,
        "INSERT INTO messages VALUES ('t', 's', 'p', 'h', 1, NULL);
         INSERT INTO writes (room, key, event, owners, reason, route, evidence, old_content, intended_ms, outcome)
             VALUES ('!r', 'k', '$e', '[[\"@a:hs\",\"D\"]]', 'expired', 'own_power', '[]', '{}', 1, 'cleared');",
    );
    let journal = Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("brought up to date");
    assert_eq!(journal.unsent().expect("SQLite")[0].txn, "t");
    assert!(journal.has_said("s").expect("SQLite"));
    let (past, total) = journal
        .history(&HistoryOf { user: Some(&"@a:hs".into()), ..HistoryOf::default() }, 5)
        .expect("SQLite");
    assert_eq!((past.len(), total, past[0].asked_by.clone()), (1, 1, None));
    assert_eq!(
        journal
            .history(&HistoryOf { user: Some(&"@a:h".into()), ..HistoryOf::default() }, 5)
            .expect("SQLite")
            .1,
        0,
        "whole ids only"
    );
    assert_eq!(journal.begun().expect("SQLite"), None, "it is not new");
}

#[test]
fn a_journal_of_the_second_version_tells_what_became_of_its_messages() {
    let store = of_version(
        2,
        "INSERT INTO meta VALUES ('account', '@bot:hs');
         INSERT INTO messages (txn, plain, html, created_ms, event) VALUES
             ('waits', '', '', 1, NULL), ('gave up', '', '', 1, ''),
             ('terminal', '', '', 1, 'told on a terminal'), ('sent', '', '', 1, '$e');
         INSERT INTO writes (room, key, event, owners, reason, route, evidence, old_content, intended_ms)
             VALUES ('!r', 'k', '$1', '[[\"@a:hs\",\"D\"],[\"@a:hs\",\"E\"],[\"@b:hs\",\"F\"]]', 'expired', '', '[]', '{}', 1),
                    ('!r', 'k', '$2', 'not JSON', 'expired', '', '[]', '{}', 1),
                    ('!r', 'k', '$3', '[7, \"x\", {\"a\": 1}]', 'expired', '', '[]', '{}', 1);",
    );
    let error = Journal::open(store.path(), &"@other:hs".into(), NOW).expect_err("another's");
    assert!(matches!(error, JournalError::OtherAccount { .. }), "{error}");
    let journal = Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("brought up to date");
    let mut query =
        journal.db.prepare("SELECT txn, state, event FROM messages ORDER BY rowid").expect("SQLite");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("SQLite");
    let rows: Vec<(String, String, Option<String>)> = rows.collect::<rusqlite::Result<_>>().expect("SQLite");
    let told =
        |txn: &str, state: &str, event: Option<&str>| (txn.into(), state.into(), event.map(Into::into));
    assert_eq!(
        rows,
        [
            told("waits", "waiting", None),
            told("gave up", "given_up", None),
            told("terminal", "told_elsewhere", None),
            told("sent", "sent", Some("$e")),
        ]
    );
    assert_eq!(
        journal
            .history(&HistoryOf { user: Some(&"@a:hs".into()), ..HistoryOf::default() }, 5)
            .expect("SQLite")
            .1,
        1
    );
    assert_eq!(
        journal
            .history(&HistoryOf { user: Some(&"@b:hs".into()), ..HistoryOf::default() }, 5)
            .expect("SQLite")
            .1,
        1
    );
    assert_eq!(count(&journal, "write_owners"), 2);
}

#[test]
fn a_new_journal_does_not_know_of_an_earlier_one_and_keeps_what_it_is_told() {
    let store = tempfile::tempdir().expect("a folder");
    let open = || Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("a journal");
    assert_eq!(open().earlier_journal().expect("SQLite"), EarlierJournal::Unknown);
    let journal = open();
    for earlier in [EarlierJournal::Settled, EarlierJournal::Lost] {
        journal.set_earlier_journal(earlier).expect("SQLite");
        assert_eq!(open().earlier_journal().expect("SQLite"), earlier);
    }
}

#[test]
fn a_journal_that_has_had_a_message_posted_is_no_new_one_and_stays_so() {
    let store = tempfile::tempdir().expect("a folder");
    let open = || Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("a journal");
    let mut journal = open();
    let waiting = journal.post(&Draft::of(message("hello")), NOW).expect("SQLite");
    assert_eq!(open().earlier_journal().expect("SQLite"), EarlierJournal::Unknown, "not posted yet");
    journal.sent(&waiting.txn, &"$hello".into()).expect("SQLite");
    assert_eq!(open().earlier_journal().expect("SQLite"), EarlierJournal::Settled);
    journal.db.execute("DELETE FROM messages", []).expect("SQLite");
    assert_eq!(open().earlier_journal().expect("SQLite"), EarlierJournal::Settled);
}
