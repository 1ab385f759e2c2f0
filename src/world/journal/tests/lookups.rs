//! Looked up where it is needed, not all read and filtered.

use std::collections::BTreeMap;

use rtc_janitor_core::judge::evidence::ListKind;

use super::*;

#[test]
fn open_intents_are_found_by_their_key_until_their_outcome_is_known() {
    let mut journal = journal();
    let intents =
        [intent("!1", "a", "$1"), intent("!1", "a", "$2"), intent("!1", "b", "$3"), intent("!2", "a", "$4")];
    let ids = journal.intend(&intents).expect("SQLite");
    journal.finish(ids[0], &WriteOutcome::Changed, None, NOW).expect("SQLite");
    let open = journal.open_intents_of(&"!1".into(), &"a".into()).expect("SQLite");
    assert_eq!(open.iter().map(|write| write.id).collect::<Vec<_>>(), [ids[1]]);
    assert_eq!(journal.open_intents().expect("SQLite").len(), 3);
    journal.withdraw(&ids[1..2]).expect("SQLite");
    assert_eq!(journal.open_intents_of(&"!1".into(), &"a".into()).expect("SQLite"), []);
    assert_eq!(count(&journal, "write_owners"), 3, "an intent that is withdrawn speaks for nobody");
}

#[test]
fn a_clear_is_found_by_the_event_that_it_wrote_once() {
    let mut journal = journal();
    let ids = journal.intend(&[intent("!1", "a", "$1")]).expect("SQLite");
    journal.finish(ids[0], &WriteOutcome::Cleared("$empty".into()), None, NOW).expect("SQLite");
    let find = |room: &str| journal.unverified(&room.into(), &"$empty".into()).expect("SQLite");
    assert_eq!(find("!2"), None);
    let write = find("!1").expect("the clear");
    assert_eq!((write.id, &write.owners), (ids[0], &Owners::Known(vec![owner()])));
    journal.verified(write.id).expect("SQLite");
    assert_eq!(find("!1"), None);
}

#[test]
fn a_clear_knows_which_created_ts_it_took() {
    let mut journal = journal();
    let array = Intent {
        old_content: json!({"memberships": [{"created_ts": 5}, {"created_ts": 6}]}),
        ..intent("!1", "a", "$2")
    };
    let ids = journal.intend(&[intent("!1", "a", "$1"), array]).expect("SQLite");
    for id in ids {
        journal.finish(id, &WriteOutcome::Cleared("$empty".into()), None, NOW).expect("SQLite");
    }
    let cleared = journal.cleared_under(&"!1".into(), &"a".into()).expect("SQLite");
    let had = |created| cleared.iter().map(move |write| write.may_have_had(Timestamp::from_millis(created)));
    assert_eq!(had(77).collect::<Vec<_>>(), [true, false]);
    assert_eq!(had(6).collect::<Vec<_>>(), [false, true]);
    assert_eq!(had(7).collect::<Vec<_>>(), [false, false]);
}

#[test]
fn what_was_cleared_lately_is_counted_in_all_and_for_each_room() {
    let journal = journal();
    let earlier = NOW - Duration::from_secs(1);
    for (room, event, kind, at) in [
        ("!1", "$1", FindingKind::Cleared, NOW),
        ("!1", "$2", FindingKind::Cleared, NOW),
        ("!2", "$3", FindingKind::Cleared, NOW),
        ("!2", "$3", FindingKind::Blocked, NOW),
        ("!2", "$4", FindingKind::Cleared, earlier),
    ] {
        assert!(journal.find(&finding(room, event, kind, at)).expect("SQLite"));
    }
    assert!(!journal.find(&finding("!1", "$1", FindingKind::Cleared, NOW)).expect("SQLite"), "once");
    let expected: BTreeMap<RoomId, u32> = [("!1".into(), 2), ("!2".into(), 1)].into();
    assert_eq!(journal.counts_since(FindingKind::Cleared, earlier).expect("SQLite"), (3, expected));
    assert_eq!(journal.count_since(FindingKind::Cleared, earlier).expect("SQLite"), 3);
    assert_eq!(journal.counts_since(FindingKind::Cleared, NOW).expect("SQLite"), (0, BTreeMap::new()));
}

#[test]
fn a_room_is_known_as_long_as_the_bot_is_in_it() {
    let mut journal = journal();
    let (one, two): (RoomId, RoomId) = ("!1".into(), "!2".into());
    journal.add_rooms([&one]).expect("SQLite");
    let knows = |journal: &Journal, room| journal.knows_room(room).expect("SQLite");
    assert_eq!((knows(&journal, &one), knows(&journal, &two)), (true, false));
    journal.remove_room(&one).expect("SQLite");
    assert!(!knows(&journal, &one));
}

#[test]
fn an_alias_keeps_the_room_that_it_led_to() {
    let journal = journal();
    let room = || journal.alias_room("#calls:hs").expect("SQLite");
    assert_eq!(room(), None);
    journal.set_alias_room("#calls:hs", &"!1".into()).expect("SQLite");
    assert_eq!(room(), Some("!1".into()));
    journal.set_alias_room("#calls:hs", &"!2".into()).expect("SQLite");
    assert_eq!(room(), Some("!2".into()));
}

#[test]
fn a_device_that_is_listed_every_few_minutes_is_written_once_a_day() {
    let mut journal = journal();
    let mut list = |at| {
        let before = journal.db.total_changes();
        journal.list_devices([(&owner(), ListKind::KeysQuery)], at).expect("SQLite");
        journal.db.total_changes() - before
    };
    assert_eq!((list(NOW), list(NOW + Duration::from_mins(5)), list(NOW + DAY)), (1, 0, 1));
    journal.device_came_back(&owner()).expect("SQLite");
    let history = journal.devices().expect("SQLite")[&owner()];
    assert!(history.seen_with_keys && !history.seen_in_own_list && history.came_back);
    let before = journal.db.total_changes();
    journal.list_devices([(&owner(), ListKind::OwnList)], NOW + DAY).expect("SQLite");
    assert_eq!(journal.db.total_changes() - before, 1, "another list has it");
    let history = journal.devices().expect("SQLite")[&owner()];
    assert!(history.seen_with_keys && history.seen_in_own_list && history.came_back);
}
