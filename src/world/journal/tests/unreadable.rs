//! What cannot be read is unknown, opens no door, and is named: a test for each line of the table.

use rtc_janitor_core::guard::{breaker::Breakers, quarantine::Entry};

use super::*;

/// Changes what is on disk behind the journal's back.
fn damage(journal: &Journal, sql: &str) {
    let rows = journal.db.execute(sql, []).expect("SQLite");
    assert!(rows > 0, "{sql} changed nothing");
}

#[test]
fn breakers_that_cannot_be_read_are_not_closed() {
    let journal = journal();
    assert!(matches!(journal.breakers().expect("SQLite"), Stored::Never));
    journal.save_breakers(&Breakers::default()).expect("SQLite");
    assert!(matches!(journal.breakers().expect("SQLite"), Stored::Read(_)));
    for text in ["", "{", "[]", r#"{"states": {"homeserver": {"state": "ajar"}}}"#] {
        damage(&journal, &format!("UPDATE meta SET value = '{text}' WHERE key = 'breakers'"));
        let breakers = journal.breakers().expect("SQLite");
        assert!(matches!(breakers, Stored::Unreadable(_)), "{text}: {breakers:?}");
    }
    assert_eq!(journal.unreadable(), ["the breakers"]);
}

#[test]
fn where_it_cannot_be_read_whether_an_earlier_journal_was_lost_it_was() {
    let journal = journal();
    journal.set_earlier_journal(EarlierJournal::Settled).expect("SQLite");
    damage(&journal, "UPDATE meta SET value = 'settle' WHERE key = 'earlier_journal'");
    assert_eq!(journal.earlier_journal().expect("SQLite"), EarlierJournal::Lost);
    assert_eq!(journal.unreadable(), ["whether an earlier journal was lost"]);
}

#[test]
fn breakers_are_written_when_they_change() {
    let journal = journal();
    let save = || {
        let before = journal.db.total_changes();
        journal.save_breakers(&Breakers::default()).expect("SQLite");
        journal.db.total_changes() - before
    };
    assert_eq!((save(), save()), (1, 0));
}

#[test]
fn a_plan_that_cannot_be_read_is_refused_as_a_whole_and_can_be_ended() {
    for change in
        ["proposals = '[{}]'", "outcomes = ''", "returned = '{}'", "kind = 'burn'", "proposals = '[' || '{'"]
    {
        let mut journal = journal();
        let id = shown_plan(&mut journal);
        assert!(journal.approve(&id, &"@a:hs".into(), &"$c".into(), NOW).expect("SQLite"));
        assert_eq!(journal.plans_under_way::<StoredPlan>().expect("SQLite").len(), 1);
        assert_eq!(journal.unreadable_plans().expect("SQLite"), [""; 0]);

        damage(&journal, &format!("UPDATE plans SET {change}"));
        let plan = journal.plan::<StoredPlan>(&id).expect("SQLite");
        assert!(matches!(plan, Stored::Unreadable(_)) && plan.is_kept(), "{change}: {plan:?}");
        let plan = journal.plan_shown_in::<StoredPlan>(&"$shown".into()).expect("SQLite");
        assert!(matches!(plan, Stored::Unreadable(_)), "{change}: {plan:?}");
        assert_eq!(journal.plans_under_way::<StoredPlan>().expect("SQLite"), [], "{change}");
        assert_eq!(journal.unreadable_plans().expect("SQLite"), [id.as_str()], "{change}");
        assert_eq!(journal.unreadable(), [format!("plan {id}")]);
        journal.close_plan(id.as_str()).expect("SQLite");
        assert_eq!(journal.unreadable_plans().expect("SQLite"), [""; 0], "{change}");
    }
}

/// The clear of `$1`, after a change behind the journal's back.
fn cleared_after(change: &str) -> (Journal, WriteRecord) {
    let mut journal = journal();
    let ids = journal.intend(&[intent("!1", "a", "$1")]).expect("SQLite");
    journal.finish(ids[0], &WriteOutcome::Cleared("$empty".into()), None, NOW).expect("SQLite");
    damage(&journal, &format!("UPDATE writes SET {change}"));
    let write = journal.cleared_under(&"!1".into(), &"a".into()).expect("SQLite").remove(0);
    (journal, write)
}

#[test]
fn a_clear_whose_owners_cannot_be_read_may_have_been_anybodys() {
    let stranger = Owner { user: "@b:hs".into(), device: "E".into() };
    let (_, write) = cleared_after("verified = 0");
    assert!(write.owners.may_include(&owner()) && !write.owners.may_include(&stranger));
    for owners in ["", "{}", "[[\"@a:hs\"]]"] {
        let (journal, write) = cleared_after(&format!("owners = '{owners}'"));
        assert!(write.owners.may_include(&stranger), "{owners}");
        assert_eq!(write.owners.known(), []);
        assert_eq!(journal.unreadable(), [format!("the owners of write {}", write.id)]);
    }
}

#[test]
fn a_clear_whose_old_content_cannot_be_read_may_have_had_any_created_ts() {
    let (journal, write) = cleared_after("old_content = '{'");
    assert!(write.may_have_had(NOW));
    assert_eq!(journal.unreadable(), [format!("the old content of write {}", write.id)]);
}

#[test]
fn a_clear_whose_reason_cannot_be_read_puts_all_reasons_in_doubt_and_a_wish_none() {
    let (_, write) = cleared_after("verified = 0");
    assert_eq!(write.reasons_in_doubt(), [Reason::DeviceGone]);
    let (journal, write) = cleared_after("reason = 'by_wish'");
    assert_eq!((write.reasons_in_doubt(), journal.unreadable()), (Vec::new(), Vec::new()));
    let (journal, write) = cleared_after("reason = 'tired'");
    assert_eq!(write.reasons_in_doubt(), Reason::ALL);
    assert_eq!(journal.unreadable(), [format!("the reason of write {}", write.id)]);
}

#[test]
fn a_quarantine_whose_reason_cannot_be_read_holds_for_every_reason() {
    let journal = journal();
    let (room, key): (RoomId, StateKey) = ("!1".into(), "k".into());
    let until = NOW + DAY;
    let longer = Entry { reason: Reason::Silent, until: until + DAY, returns: 2 };
    journal.save_quarantine(&room, &key, &longer).expect("SQLite");
    let entry = Entry { reason: Reason::DeviceGone, until, returns: 1 };
    journal.save_quarantine(&room, &key, &entry).expect("SQLite");
    assert!(journal.quarantine().expect("SQLite").believes(&room, &key, Reason::Expired, NOW));

    damage(&journal, "UPDATE quarantine SET reason = 'tired' WHERE reason = 'device_gone'");
    let quarantine = journal.quarantine().expect("SQLite");
    for reason in Reason::ALL {
        assert!(!quarantine.believes(&room, &key, reason, NOW), "{reason:?}");
    }
    assert!(quarantine.believes(&room, &key, Reason::Expired, until), "as long as it lasts");
    assert!(!quarantine.believes(&room, &key, Reason::Silent, until), "what can be read holds longer");
    assert_eq!(journal.unreadable(), ["the quarantine of k in !1"]);
}

#[test]
fn a_sighting_whose_reason_cannot_be_read_begins_anew() {
    let mut journal = journal();
    let subject = rtc_janitor_core::ledger::Subject {
        room: "!1".into(),
        key: "k".into(),
        event: "$1".into(),
        entry: 0,
    };
    let clock = rtc_janitor_core::ledger::ReasonClock::restored(DAY, 9, NOW, NOW, true);
    let clocks = vec![(Reason::Expired, clock), (Reason::Silent, clock)];
    journal.save_sightings(&[(subject.clone(), clocks)]).expect("SQLite");
    damage(&journal, "UPDATE sightings SET reason = 'tired' WHERE reason = 'silent'");
    let ledger = journal.ledger(NOW, DAY).expect("SQLite");
    let known: Vec<_> =
        Reason::ALL.into_iter().filter(|reason| ledger.clock(&subject, *reason).is_some()).collect();
    assert_eq!(known, [Reason::Expired]);
    assert_eq!(journal.unreadable(), ["a sighting of k in !1"]);
}

#[test]
fn a_finding_that_cannot_be_read_is_in_no_report_and_counts_as_a_clear() {
    let journal = journal();
    for event in ["$1", "$2", "$3"] {
        journal.find(&finding("!1", event, FindingKind::Blocked, NOW)).expect("SQLite");
    }
    damage(&journal, "UPDATE findings SET kind = 'lost' WHERE event = '$1'");
    damage(&journal, "UPDATE findings SET details = '{' WHERE event = '$2'");
    let events: Vec<_> = journal.unreported().expect("SQLite").into_iter().map(|one| one.event).collect();
    assert_eq!(events, ["$3".into()]);
    let since = NOW - DAY;
    assert_eq!(journal.count_since(FindingKind::Cleared, since).expect("SQLite"), 1);
    assert_eq!(journal.counts_since(FindingKind::Cleared, since).expect("SQLite").0, 1);
    assert_eq!(journal.unreadable(), ["what was found of $1", "what was found of $2"]);
}

#[test]
fn an_admin_room_that_cannot_be_read_is_not_as_if_none_was_ever_resolved() {
    let journal = journal();
    assert_eq!(journal.admin_room().expect("SQLite"), Stored::Never);
    journal.set_admin_room("#a:hs", &"!a".into()).expect("SQLite");
    assert_eq!(journal.admin_room().expect("SQLite").read(), Some(("#a:hs".into(), "!a".into())));
    for text in ["", "#a:hs", "#a:hs\n"] {
        damage(&journal, &format!("UPDATE meta SET value = '{text}' WHERE key = 'admin_room'"));
        let room = journal.admin_room().expect("SQLite");
        assert!(matches!(room, Stored::Unreadable(_)), "{text}: {room:?}");
    }
    assert_eq!(journal.unreadable(), ["which room the admin room is"]);
}

#[test]
fn times_that_cannot_be_read_are_now_or_never() {
    let store = tempfile::tempdir().expect("a folder");
    let open = |now| Journal::open(store.path(), &"@bot:hs".into(), now).expect("a journal");
    let journal = open(NOW);
    journal.set_last_digest(NOW).expect("SQLite");
    journal.prune_if_due(NOW, DAY).expect("SQLite");
    damage(&journal, "UPDATE meta SET value = 'soon' WHERE key IN ('begun', 'digest', 'last_pruned')");
    drop(journal);

    let journal = open(NOW + DAY);
    assert_eq!(journal.begun().expect("SQLite"), Some(NOW + DAY));
    assert_eq!(journal.last_digest().expect("SQLite"), None);
    assert_eq!(journal.next_prune().expect("SQLite"), None);
    let named = ["when it was begun", "when it was last pruned", "when the last digest was"];
    assert_eq!(journal.unreadable(), named);
}

#[test]
fn what_was_learned_of_an_sfu_is_kept_and_a_way_to_name_rooms_that_cannot_be_read_is_none() {
    let journal = journal();
    let seen = ("!1".into(), "k".into(), NOW);
    journal.saw_on_sfu("https://sfu", [&seen], NOW).expect("SQLite");
    let services = ["https://jwt".to_owned()].into();
    let recipes = [(Recipe::Json, NOW), (Recipe::Pipe, NOW - DAY)].into();
    journal.set_sfu_names("https://sfu", &services, &recipes).expect("SQLite");
    let kept = journal.sfu_memory("https://sfu").expect("SQLite");
    assert_eq!(kept, SfuMemory { seen: [seen].into(), services, recipes });
    assert_eq!(journal.sfu_memory("https://other").expect("SQLite"), SfuMemory::default());

    damage(&journal, "UPDATE sfu_recipes SET recipe = 'by heart' WHERE recipe = 'json'");
    let kept = journal.sfu_memory("https://sfu").expect("SQLite").recipes;
    assert_eq!(kept.keys().collect::<Vec<_>>(), [&Recipe::Pipe]);
    assert_eq!(journal.unreadable(), ["how the call server names its rooms"]);
    // Whoever begins anew there has to be seen anew.
    journal.forget_key(&"!1".into(), &"k".into()).expect("SQLite");
    assert!(journal.sfu_memory("https://sfu").expect("SQLite").seen.is_empty());
}
