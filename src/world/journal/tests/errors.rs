//! What the disk does is told apart, each with what to do.

use std::io::{Seek as _, SeekFrom, Write as _};

use super::*;

fn open(store: &tempfile::TempDir) -> Result<Journal> {
    Journal::open(store.path(), &"@bot:hs".into(), NOW)
}

#[test]
fn a_full_disk_is_named_and_leaves_no_half_unit() {
    let store = tempfile::tempdir().expect("a folder");
    let journal = open(&store).expect("a journal");
    let pages: i64 = journal.db.pragma_query_value(None, "page_count", |row| row.get(0)).expect("SQLite");
    journal.db.pragma_query_value(None, "max_page_count", |row| row.get::<_, i64>(0)).expect("SQLite");
    journal.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).expect("SQLite");

    journal.begin_unit();
    let error = (0..10_000)
        .find_map(|number| {
            journal.note(&message(&"x".repeat(100)), Some(&number.to_string()), false, NOW).err()
        })
        .expect("no space is left");
    assert!(matches!(error, JournalError::Full), "{error:?}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    journal.commit_unit().expect_err("nothing to commit");
    assert_eq!(count(&journal, "notes"), 0);
    drop(journal);
    let journal = open(&store).expect("it is whole");
    assert!(journal.note(&message("x"), None, false, NOW).expect("there is space again"));
}

#[test]
fn a_file_that_is_no_journal_is_named_as_damaged() {
    let store = tempfile::tempdir().expect("a folder");
    std::fs::write(store.path().join("journal.sqlite3"), [b'x'; 8192]).expect("a file");
    let error = open(&store).expect_err("it is no database");
    assert!(matches!(error, JournalError::Damaged(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("damaged") && text.contains("put a copy of journal.sqlite3 back"), "{text}");
}

#[test]
fn a_page_that_was_overwritten_is_named_as_damaged_when_it_is_read() {
    let store = tempfile::tempdir().expect("a folder");
    let path = store.path().join("journal.sqlite3");
    let journal = open(&store).expect("a journal");
    let root: u64 = journal
        .db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'rooms'", [], |row| row.get(0))
        .expect("SQLite");
    let size: u64 = journal.db.pragma_query_value(None, "page_size", |row| row.get(0)).expect("SQLite");
    drop(journal);
    let mut file = OpenOptions::new().write(true).open(&path).expect("a file");
    file.seek(SeekFrom::Start((root - 1) * size)).expect("a file");
    file.write_all(&vec![0xff; usize::try_from(size).expect("small")]).expect("a file");

    let error = open(&store).expect("the rest is whole").rooms().expect_err("damaged");
    assert!(matches!(error, JournalError::Damaged(_)), "{error:?}");
}

#[test]
fn another_program_that_writes_is_named() {
    let store = tempfile::tempdir().expect("a folder");
    let journal = open(&store).expect("a journal");
    journal.db.busy_timeout(Duration::ZERO).expect("SQLite");
    let other = Connection::open(store.path().join("journal.sqlite3")).expect("SQLite");
    other.execute_batch("BEGIN IMMEDIATE").expect("SQLite");
    let error = journal.set_since("s").expect_err("it is locked");
    assert!(matches!(error, JournalError::Locked), "{error:?}");
}

#[test]
fn a_folder_that_cannot_hold_it_is_named() {
    let store = tempfile::tempdir().expect("a folder");
    let error = Journal::open(&store.path().join("missing"), &"@bot:hs".into(), NOW).expect_err("no folder");
    assert!(matches!(error, JournalError::File { .. }), "{error:?}");
    let full = JournalError::of_file(store.path(), std::io::ErrorKind::StorageFull.into());
    assert!(matches!(full, JournalError::Full), "{full:?}");
    let journal = open(&store).expect("a journal");
    journal.db.pragma_update(None, "query_only", true).expect("SQLite");
    let error = journal.set_since("s").expect_err("read only");
    assert!(matches!(error, JournalError::NotWritable(_)), "{error:?}");
}
