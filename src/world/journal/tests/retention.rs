//! What is over is forgotten in time, and what is not over is kept.

use rtc_janitor_core::judge::evidence::ListKind;

use super::*;

const RETENTION: Duration = Duration::from_hours(90 * 24);

#[test]
fn pruning_is_due_at_once_and_then_daily_also_over_restarts() {
    let store = tempfile::tempdir().expect("a folder");
    let open = || Journal::open(store.path(), &"@bot:hs".into(), NOW).expect("a journal");
    let long_ago = NOW - RETENTION - DAY;
    let mut journal = open();
    let note = |journal: &mut Journal, at| {
        journal.note(&message("x"), None, false, at).expect("SQLite");
        let notes = journal.untold().expect("SQLite").iter().map(|note| note.id).collect();
        journal.post(&Draft { notes, ..Draft::of(message("x")) }, at).expect("SQLite");
    };
    note(&mut journal, long_ago);
    assert_eq!(journal.next_prune().expect("SQLite"), None, "never yet");
    assert!(!journal.prune_if_due(NOW, RETENTION).expect("SQLite"));
    assert_eq!(count(&journal, "notes"), 0);
    assert_eq!(journal.next_prune().expect("SQLite"), Some(NOW + DAY));

    drop(journal);
    let mut journal = open();
    note(&mut journal, long_ago);
    let almost = NOW + DAY - Duration::from_millis(1);
    assert!(!journal.prune_if_due(almost, RETENTION).expect("SQLite"));
    assert_eq!(count(&journal, "notes"), 1, "not due");
    assert!(!journal.prune_if_due(NOW + DAY, RETENTION).expect("SQLite"));
    assert_eq!(count(&journal, "notes"), 0);

    note(&mut journal, long_ago - DAY);
    assert!(!journal.prune_if_due(NOW, RETENTION).expect("SQLite"));
    assert_eq!(count(&journal, "notes"), 0, "a clock that was set back puts nothing off");
}

#[test]
fn a_slice_has_a_bound_and_says_whether_more_is_left() {
    const MESSAGES: usize = 300;
    const FINDINGS: usize = 3;
    let mut journal = journal();
    let long_ago = NOW - RETENTION - DAY;
    journal.begin_unit();
    for number in 0..MESSAGES {
        let findings: Vec<_> = (0..FINDINGS)
            .map(|part| finding("!r", &format!("${number}-{part}"), FindingKind::Cleared, long_ago))
            .collect();
        for finding in &findings {
            journal.find(finding).expect("SQLite");
        }
        let draft = Draft { findings, ..Draft::of(message("report")) };
        let stored = journal.post(&draft, long_ago).expect("SQLite");
        journal.sent(&stored.txn, &"$e".into()).expect("SQLite");
    }
    journal.commit_unit().expect("SQLite");

    let left = |journal: &Journal| count(journal, "findings") + count(journal, "messages");
    let mut before = left(&journal);
    assert_eq!(before, 1_200);
    let mut slices = 0;
    while journal.prune_if_due(NOW, RETENTION).expect("SQLite") {
        let now = left(&journal);
        assert!(now < before && before - now <= 500, "{before} to {now}");
        (before, slices) = (now, slices + 1);
        assert_eq!(journal.next_prune().expect("SQLite"), None, "not done");
    }
    assert_eq!((left(&journal), slices), (0, 2));
    assert_eq!(journal.next_prune().expect("SQLite"), Some(NOW + DAY));
}

/// One of each that is old, and one of each that is old and not over.
fn old_things(journal: &mut Journal, at: Timestamp) {
    journal.add_rooms([&"!here".into()]).expect("SQLite");
    for (room, event) in [("!here", "$here"), ("!gone", "$gone")] {
        let seen = FirstSeen { at, live: true };
        journal.see_event(&room.into(), &"k".into(), &event.into(), seen.at, seen).expect("SQLite");
        let subject = rtc_janitor_core::ledger::Subject {
            room: room.into(),
            key: "k".into(),
            event: event.into(),
            entry: 0,
        };
        let clock = rtc_janitor_core::ledger::ReasonClock::restored(DAY, 2, at, at, true);
        journal.save_sightings(&[(subject, vec![(Reason::Expired, clock)])]).expect("SQLite");
    }
    let mut came_back = owner();
    journal.list_devices([(&came_back, ListKind::KeysQuery)], at).expect("SQLite");
    came_back.device = "CAME BACK".into();
    journal.list_devices([(&came_back, ListKind::KeysQuery)], at).expect("SQLite");
    journal.device_came_back(&came_back).expect("SQLite");
    let entry = rtc_janitor_core::guard::quarantine::Entry { reason: Reason::Silent, until: at, returns: 1 };
    journal.save_quarantine(&"!here".into(), &"k".into(), &entry).expect("SQLite");

    let writes =
        [Intent { at, ..intent("!here", "k", "$1") }, Intent { at, ..intent("!here", "k", "$open") }];
    let ids = journal.intend(&writes).expect("SQLite");
    journal.finish(ids[0], &WriteOutcome::Changed, None, at).expect("SQLite");
    for event in ["$reported", "$unreported"] {
        journal.find(&finding("!here", event, FindingKind::Cleared, at)).expect("SQLite");
    }
    let findings = vec![finding("!here", "$reported", FindingKind::Cleared, at)];
    let report = journal.post(&Draft { findings, ..Draft::of(message("report")) }, at).expect("SQLite");
    journal.sent(&report.txn, &"$report".into()).expect("SQLite");
    let given_up = journal.post(&Draft::of(message("given up")), at).expect("SQLite");
    journal.give_up(&given_up.txn).expect("SQLite");
    journal.post(&Draft::of(message("waits")), at).expect("SQLite");
    for event in ["$done", "$unanswered"] {
        journal.take_up(&event.into(), &"@a:hs".into(), at).expect("SQLite");
    }
    journal.done(&"$done".into()).expect("SQLite");
    journal.note(&message("told"), None, false, at).expect("SQLite");
    let notes = journal.untold().expect("SQLite").iter().map(|note| note.id).collect();
    let told = journal.post(&Draft { notes, ..Draft::of(message("told")) }, at).expect("SQLite");
    journal.sent(&told.txn, &"$told".into()).expect("SQLite");
    journal.note(&message("untold"), None, false, at).expect("SQLite");
}

#[test]
fn what_is_over_goes_and_what_is_not_over_stays_however_old_it_is() {
    let mut journal = journal();
    old_things(&mut journal, NOW - RETENTION - DAY);
    journal.prune(NOW - RETENTION).expect("SQLite");
    for (table, left) in [
        ("seen", 1),
        ("sightings", 1),
        ("devices", 1),
        ("quarantine", 0),
        ("writes", 1),
        ("write_owners", 1),
        ("findings", 1),
        ("messages", 1),
        ("commands", 1),
        ("notes", 1),
        ("rooms", 1),
    ] {
        assert_eq!(count(&journal, table), left, "{table}");
    }
    for table in ["seen", "sightings"] {
        let sql = format!("SELECT room FROM {table}");
        let room: String = journal.db.query_row(&sql, [], |row| row.get(0)).expect("SQLite");
        assert_eq!(room, "!here", "{table}");
    }
    assert_eq!(journal.open_intents().expect("SQLite")[0].event, "$open".into());
    assert_eq!(journal.unreported().expect("SQLite")[0].event, "$unreported".into());
    assert_eq!(journal.unsent().expect("SQLite")[0].message, message("waits"));
    assert_eq!(journal.unanswered().expect("SQLite"), ["$unanswered".into()]);
    assert_eq!(journal.untold().expect("SQLite")[0].message, message("untold"));
    assert!(journal.devices().expect("SQLite").into_values().all(|device| device.came_back));
}

#[test]
fn what_is_younger_than_the_retention_stays() {
    let mut journal = journal();
    old_things(&mut journal, NOW - RETENTION);
    let tables = ["seen", "sightings", "devices", "quarantine", "writes", "findings", "messages", "notes"];
    let counts = |journal: &Journal| tables.map(|table| count(journal, table));
    let before = counts(&journal);
    journal.prune(NOW - RETENTION).expect("SQLite");
    assert_eq!(counts(&journal), before);
}

#[test]
fn old_plans_go_but_not_one_under_way_nor_the_number_of_the_last() {
    let mut journal = journal();
    let mut plans = Vec::new();
    for number in 0..4 {
        let command: EventId = format!("${number}").into();
        journal.take_up(&command, &"@a:hs".into(), NOW).expect("SQLite");
        let proposals = [proposal()];
        let id = journal.next_plan().expect("SQLite");
        let plan = NewPlan { id: id.clone(), kind: PlanKind::Sweep, proposals: &proposals };
        journal.show(&command, &message("plan"), &plan, NOW).expect("SQLite");
        plans.push(id.1);
    }
    journal.approve(&plans[1], &"@a:hs".into(), &"$1".into(), NOW).expect("SQLite");
    journal
        .intend(&[Intent { plan: Some((plans[2].clone(), "@a:hs".into())), ..intent("!r", "k", "$e") }])
        .expect("SQLite");
    let next = journal.next_plan().expect("SQLite");
    journal.prune(NOW + DAY).expect("SQLite");
    let kept: Vec<_> =
        plans.iter().map(|id| journal.plan::<StoredPlan>(id).expect("SQLite").is_kept()).collect();
    assert_eq!(kept, [false, true, true, true]);
    assert_eq!(journal.next_plan().expect("SQLite"), next);
}

#[test]
fn an_old_message_stays_as_long_as_something_younger_or_unfinished_refers_to_it() {
    let mut journal = journal();
    let long_ago = NOW - RETENTION - DAY;
    let post = |journal: &mut Journal, draft: Draft| {
        let stored = journal.post(&draft, long_ago).expect("SQLite");
        journal.sent(&stored.txn, &"$e".into()).expect("SQLite");
        stored.txn
    };
    // An old report that what is new was edited into.
    let report = post(&mut journal, Draft::of(message("report")));
    let new = finding("!r", "$new", FindingKind::Cleared, NOW);
    journal.find(&new).expect("SQLite");
    let target = Some(report.clone());
    let edit = Draft { target, findings: vec![new], ..Draft::of(message("edited")) };
    journal.post(&edit, NOW).expect("SQLite");
    // By a clock that was ahead.
    journal.note(&message("note"), None, false, NOW).expect("SQLite");
    let notes = journal.untold().expect("SQLite").iter().map(|note| note.id).collect();
    let said = post(&mut journal, Draft { notes, ..Draft::of(message("note")) });
    journal.take_up(&"$c".into(), &"@a:hs".into(), long_ago).expect("SQLite");
    let working = journal.answer(&"$c".into(), &message("working"), false, long_ago).expect("SQLite").txn;
    journal.sent(&working, &"$working".into()).expect("SQLite");
    journal.take_up(&"$plan".into(), &"@a:hs".into(), long_ago).expect("SQLite");
    let proposals = [proposal()];
    let id = journal.next_plan().expect("SQLite");
    let plan = NewPlan { id: id.clone(), kind: PlanKind::Sweep, proposals: &proposals };
    let shown = journal.show(&"$plan".into(), &message("plan"), &plan, long_ago).expect("SQLite");
    for stored in &shown {
        journal.sent(&stored.txn, &"$shown".into()).expect("SQLite");
    }
    let mut plan = journal.plan::<StoredPlan>(&id.1).expect("SQLite").read().expect("the plan");
    let told = journal.tell_progress(&mut plan, Draft::of(message("done")), long_ago).expect("SQLite").txn;
    journal.sent(&told, &"$told".into()).expect("SQLite");
    post(&mut journal, Draft::of(message("nothing refers to it")));

    journal.prune(NOW - RETENTION).expect("SQLite");
    let mut query = journal.db.prepare("SELECT txn FROM messages WHERE created_ms < ?1").expect("SQLite");
    let rows = query.query_map([NOW.as_millis()], |row| row.get(0)).expect("SQLite");
    let mut kept: Vec<String> = rows.collect::<rusqlite::Result<_>>().expect("SQLite");
    kept.sort();
    let mut expected = vec![report, said, working, shown[0].txn.clone(), told];
    expected.sort();
    assert_eq!(kept, expected);
}
