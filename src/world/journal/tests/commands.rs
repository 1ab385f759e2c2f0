//! What is said in the admin room.

use super::*;

#[test]
fn a_note_of_one_subject_is_taken_once_and_told_once() {
    let mut journal = journal();
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
    let mut journal = journal();
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

#[test]
fn an_answer_that_was_posted_already_is_not_posted_again_and_is_edited_by_the_next() {
    let mut journal = journal();
    let command: EventId = "$command".into();
    journal.take_up(&command, &"@alice:hs".into(), NOW).expect("SQLite");
    journal.adopt(&command, "txn", &message("working"), &"$working".into(), NOW).expect("SQLite");
    assert_eq!(journal.unsent().expect("SQLite"), []);
    let answer = journal.answer(&command, &message("done"), true, NOW).expect("SQLite");
    assert_eq!(answer.target, Some(("txn".into(), Some("$working".into()))));
}

#[test]
fn what_is_given_up_or_told_elsewhere_is_not_sent_and_is_no_report_to_be_edited() {
    let mut journal = journal();
    let tell = |journal: &mut Journal, event: &str| {
        let finding = finding("!r", event, FindingKind::Cleared, NOW);
        journal.find(&finding).expect("SQLite");
        finding
    };
    let given_up = tell(&mut journal, "$1");
    let draft = Draft { findings: vec![given_up], ..Draft::of(message("one")) };
    let stored = journal.post(&draft, NOW).expect("SQLite");
    journal.give_up(&stored.txn).expect("SQLite");
    let elsewhere = tell(&mut journal, "$2");
    journal.told_elsewhere(&message("two"), &[elsewhere], NOW).expect("SQLite");
    assert_eq!(journal.unsent().expect("SQLite"), []);
    assert_eq!(journal.unreported().expect("SQLite"), []);
    assert_eq!(journal.last_report(NOW).expect("SQLite"), None);

    let reported = tell(&mut journal, "$3");
    let draft = Draft { findings: vec![reported.clone()], ..Draft::of(message("three")) };
    let stored = journal.post(&draft, NOW).expect("SQLite");
    journal.sent(&stored.txn, &"$report".into()).expect("SQLite");
    assert_eq!(journal.last_report(NOW).expect("SQLite"), Some((stored.txn, vec![reported])));
    assert_eq!(journal.last_report(NOW + DAY).expect("SQLite"), None, "too old");
}
