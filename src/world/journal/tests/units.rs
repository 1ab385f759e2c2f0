//! A unit of work is on disk as a whole, or not at all.

use super::*;

/// A journal in a folder, and what is in it when it is opened again.
fn on_disk() -> (tempfile::TempDir, Journal) {
    let store = tempfile::tempdir().expect("a folder");
    let journal = open(&store);
    (store, journal)
}

fn open(store: &tempfile::TempDir) -> Journal {
    Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("a journal")
}

#[test]
fn a_unit_that_is_not_committed_leaves_nothing() {
    let (store, mut journal) = on_disk();
    journal.begin_unit();
    see(&journal, 1);
    journal.intend(&[intent("!1", "k", "$1")]).expect("SQLite");
    journal.set_since("s1").expect("SQLite");
    assert_eq!(journal.since().expect("SQLite").as_deref(), Some("s1"), "seen from within");
    assert!(journal.has_uncommitted());
    drop(journal);

    let journal = open(&store);
    assert_eq!((count(&journal, "seen"), count(&journal, "writes")), (0, 0));
    assert_eq!(journal.since().expect("SQLite"), None);
}

#[test]
fn a_unit_that_is_committed_is_there_as_a_whole() {
    const MANY: usize = 10_000;
    let (store, mut journal) = on_disk();
    let rooms: Vec<RoomId> = (0..MANY).map(|number| format!("!{number}").into()).collect();
    journal.begin_unit();
    journal.add_rooms(&rooms).expect("SQLite");
    for (number, room) in rooms.iter().enumerate() {
        see(&journal, number);
        journal.name_room(room, Some("a name")).expect("SQLite");
    }
    // Another connection sees what is on disk.
    assert_eq!(count(&open(&store), "seen"), 0);
    journal.commit_unit().expect("SQLite");
    assert!(!journal.has_uncommitted());
    drop(journal);

    let journal = open(&store);
    assert_eq!(count(&journal, "seen"), 10_000);
    assert_eq!(journal.rooms().expect("SQLite").values().flatten().count(), MANY);
}

#[test]
fn a_unit_that_writes_nothing_takes_no_transaction() {
    let (store, journal) = on_disk();
    see(&journal, 1);
    journal.set_since("s1").expect("SQLite");
    let log = store.path().join("journal.sqlite3-wal");
    let length = || std::fs::metadata(&log).expect("a log").len();
    let before = length();

    journal.begin_unit();
    see(&journal, 1);
    journal.set_since("s1").expect("SQLite");
    let is_found = journal.was_found(&"$1".into(), FindingKind::Cleared).expect("SQLite");
    assert!(!is_found && journal.db.is_autocommit() && !journal.has_uncommitted());
    journal.commit_unit().expect("SQLite");
    assert_eq!(length(), before);
    // Without a unit there is nothing to commit.
    journal.commit_unit().expect("SQLite");
}

#[test]
fn a_write_that_fails_takes_the_whole_unit_back_and_what_follows_is_refused() {
    let (_store, journal) = on_disk();
    journal.begin_unit();
    see(&journal, 1);
    journal
        .write(|db| {
            db.execute("INSERT INTO rooms (room) VALUES ('!half')", [])?;
            Ok(db.execute("INSERT INTO no_such_table VALUES (1)", [])?)
        })
        .expect_err("no such table");
    let error = journal.set_since("s").expect_err("half a unit");
    assert!(matches!(error, JournalError::UnitFailed), "{error}");
    assert_eq!((count(&journal, "seen"), count(&journal, "rooms")), (0, 0));

    journal.begin_unit();
    see(&journal, 2);
    journal.commit_unit().expect("a new unit is not the old one");
    assert_eq!(count(&journal, "seen"), 1);
}

#[test]
fn without_a_unit_each_call_is_on_disk_as_a_whole_or_not_at_all() {
    let (store, mut journal) = on_disk();
    see(&journal, 1);
    assert_eq!(count(&open(&store), "seen"), 1);
    // The second step of each fails.
    let refuse = |table: &str, on: &str| {
        let sql = format!(
            "CREATE TRIGGER refused_{table} BEFORE {on} ON {table} BEGIN SELECT raise(ABORT, 'no'); END"
        );
        journal.db.execute_batch(&sql).expect("SQLite");
    };
    refuse("seen", "INSERT");
    refuse("notes", "INSERT");
    refuse("messages", "UPDATE");
    journal.set_admin_room("#a:hs", &"!a".into()).expect("SQLite");

    let seen = FirstSeen { at: NOW, live: false };
    journal.see_event(&"!1".into(), &"k".into(), &"$2".into(), NOW, seen).expect_err("refused");
    assert_eq!(count(&journal, "seen"), 1, "what was seen before is not lost");
    journal.move_admin_room(&"!b".into(), &message("moved"), NOW).expect_err("refused");
    let admin_room = journal.admin_room().expect("SQLite").read().expect("kept");
    assert_eq!(admin_room.1, "!a".into());
    journal.told_elsewhere(&message("told"), &[], NOW).expect_err("refused");
    assert_eq!(count(&journal, "messages"), 0);
    assert!(journal.db.is_autocommit());
}

#[test]
fn a_unit_whose_first_write_cannot_begin_has_failed_as_any_other() {
    let (store, journal) = on_disk();
    journal.db.busy_timeout(Duration::ZERO).expect("SQLite");
    let other = Connection::open(store.path().join("journal.sqlite3")).expect("SQLite");
    other.execute_batch("BEGIN IMMEDIATE").expect("SQLite");
    journal.begin_unit();
    journal.set_since("first").expect_err("it is locked");
    other.execute_batch("ROLLBACK").expect("SQLite");
    let error = journal.set_last_digest(NOW).expect_err("the first one is missing");
    assert!(matches!(error, JournalError::UnitFailed), "{error}");
    journal.commit_unit().expect_err("nothing to commit");
    assert_eq!(journal.last_digest().expect("SQLite"), None);
}

#[test]
fn a_unit_of_what_could_wait_is_put_off_and_goes_to_disk_with_the_next_that_cannot() {
    let (store, journal) = on_disk();
    for number in 1..=2 {
        journal.begin_unit();
        see(&journal, number);
        assert!(journal.put_off_unit() && journal.is_put_off());
    }
    journal.set_since("s1").expect("SQLite");
    assert!(!journal.is_put_off(), "a call outside of a unit is on disk when it returns");
    assert_eq!(count(&open(&store), "seen"), 2);

    journal.begin_unit();
    see(&journal, 3);
    assert!(journal.put_off_unit());
    assert_eq!(count(&open(&store), "seen"), 2);
    journal.begin_unit();
    journal.set_last_digest(NOW).expect("SQLite");
    see(&journal, 4);
    assert!(!journal.put_off_unit(), "that has to be on disk");
    journal.commit_unit().expect("SQLite");
    assert_eq!(count(&open(&store), "seen"), 4);
    assert!(journal.db.is_autocommit());
}

#[test]
fn that_an_event_came_long_after_it_was_sent_is_not_put_off() {
    let (_store, journal) = on_disk();
    let arrives = |number: u64, late: u64, live| {
        journal.begin_unit();
        let (room, event) = ("!1".into(), EventId::from(format!("${number}").as_str()));
        let seen = FirstSeen { at: NOW + Duration::from_secs(late), live };
        journal.see_event(&room, &"k".into(), &event, NOW, seen).expect("SQLite");
        let may_wait = journal.put_off_unit();
        journal.commit_unit().expect("SQLite");
        may_wait
    };
    assert!(arrives(1, 60, true));
    assert!(!arrives(2, 61, true));
    assert!(arrives(3, 3600, false), "it was not seen to come: its own word is all there is");
}

#[test]
fn what_was_put_off_is_lost_when_the_program_is_killed_and_nothing_else() {
    let (store, journal) = on_disk();
    journal.begin_unit();
    see(&journal, 1);
    journal.commit_unit().expect("SQLite");
    journal.begin_unit();
    see(&journal, 2);
    assert!(journal.put_off_unit());
    drop(journal);
    let journal = open(&store);
    assert_eq!(count(&journal, "seen"), 1);
    journal.begin_unit();
    assert!(journal.put_off_unit() && !journal.is_put_off(), "nothing was written");
}
