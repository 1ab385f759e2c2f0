//! The breaker's life: closed, open, probing, and back.

mod kinds_of_lists;
mod whole_views;

use super::*;
use crate::{
    judge::{
        evidence::{Device, Evidence, ListKind, RoomMember},
        policy::Policy,
        verdict::{Judgement, Verdict, judge},
    },
    rtc::{
        membership::{Content, FirstSeen, Membership, read},
        state_event::StateEvent,
    },
};

/// Which kind of list tells of everybody's devices, where that is all one.
pub(crate) const LIST: ListKind = ListKind::KeysQuery;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn membership() -> Membership {
    let event = StateEvent::from_json(serde_json::json!({
        "type": "org.matrix.msc3401.call.member", "state_key": "_@a:hs_D_m.call", "event_id": "$e",
        "sender": "@a:hs", "origin_server_ts": START.as_millis(),
        "content": {"application": "m.call", "call_id": "", "device_id": "D", "focus_active": {"type": "livekit"}},
    }))
    .expect("an event");
    let Content::Entries(entries) = read(&event, FirstSeen { at: START, live: true }) else { unreachable!() };
    entries[0].clone().expect("a membership")
}

/// An active judgement, and one that is stale because the device list lacks the device.
pub(crate) fn judgements() -> (Judgement, Judgement) {
    let membership = membership();
    let joined = Evidence { room_member: RoomMember::Joined, ..Evidence::NONE };
    let missing = Device::Missing { by: ListKind::KeysQuery, seen_before: true };
    let gone = Evidence { device: missing, ..joined.clone() };
    let judge = |evidence| judge(&membership, evidence, &Policy::default(), START);
    (judge(&joined), judge(&gone))
}

/// A judgement that a device list could not be read for.
fn unknown() -> Judgement {
    let evidence = Evidence { room_member: RoomMember::Joined, device: Device::Unknown, ..Evidence::NONE };
    let verdict = judge(&membership(), &evidence, &Policy::default(), START);
    assert!(matches!(verdict.verdict, Verdict::Unknown(_)));
    verdict
}

fn owners(count: usize) -> Vec<Owner> {
    (0..count)
        .map(|n| Owner { user: format!("@u{n}:hs").as_str().into(), device: format!("D{n}").as_str().into() })
        .collect()
}

/// All owners active at the start; `gone` of them vanish a minute later.
fn vanish(all: usize, gone: usize) -> (Breakers, Vec<Change>) {
    let (active, stale) = judgements();
    let owners = owners(all);
    let mut breakers = Breakers::default();
    let settings = Settings::default();
    breakers.observe(owners.iter().map(|o| (o, LIST, &active)), &settings, START);
    let judged = owners.iter().enumerate().map(|(n, o)| (o, LIST, if n < gone { &stale } else { &active }));
    let changes = breakers.observe(judged, &settings, START + Duration::from_mins(1));
    (breakers, changes)
}

#[test]
fn it_opens_when_half_of_the_living_and_at_least_three_vanish_at_once() {
    for (all, gone, opens) in
        [(10, 6, true), (10, 5, true), (10, 4, false), (3, 3, true), (2, 2, false), (4, 2, false)]
    {
        let (breakers, changes) = vanish(all, gone);
        assert_eq!(!changes.is_empty(), opens, "{gone} of {all}");
        let barred = breakers.passage(Neighbour::DeviceLists, START + Duration::from_mins(2));
        assert_eq!(barred == Passage::Barred, opens);
        assert_eq!(breakers.passage(Neighbour::Homeserver, START), Passage::Free, "only its own neighbour");
    }
}

#[test]
fn those_who_vanish_one_after_the_other_open_nothing() {
    let (active, stale) = judgements();
    let owners = owners(10);
    let mut breakers = Breakers::default();
    for gone in 0..=10 {
        let judged =
            owners.iter().enumerate().map(|(n, o)| (o, LIST, if n < gone { &stale } else { &active }));
        let now = START + Duration::from_mins(gone as u64);
        assert_eq!(breakers.observe(judged, &Settings::default(), now), []);
    }
}

#[test]
fn those_last_seen_active_over_ten_minutes_ago_do_not_count() {
    let (active, stale) = judgements();
    let owners = owners(10);
    let mut breakers = Breakers::default();
    breakers.observe(owners.iter().map(|o| (o, LIST, &active)), &Settings::default(), START);
    let late = START + living::LIVING + Duration::from_millis(1);
    // Somebody looked meanwhile, and they were neither active nor unknown then.
    breakers.observe([], &Settings::default(), late);
    assert_eq!(breakers.observe(owners.iter().map(|o| (o, LIST, &stale)), &Settings::default(), late), []);
}

#[test]
fn time_in_which_nobody_looked_makes_nobody_less_alive() {
    let (active, stale) = judgements();
    let owners = owners(10);
    let mut breakers = Breakers::default();
    breakers.observe(owners.iter().map(|o| (o, LIST, &active)), &Settings::default(), START);
    let late = START + Duration::from_hours(3);
    let changes = breakers.observe(owners.iter().map(|o| (o, LIST, &stale)), &Settings::default(), late);
    assert_eq!(changes.len(), 1);
}

#[test]
fn those_who_hung_up_do_not_hide_that_all_others_vanish() {
    let (active, stale) = judgements();
    let owners = owners(28);
    let mut breakers = Breakers::default();
    let settings = Settings::default();
    breakers.observe(owners.iter().map(|o| (o, LIST, &active)), &settings, START);
    let rest = &owners[20..];
    let changes =
        breakers.observe(rest.iter().map(|o| (o, LIST, &stale)), &settings, START + Duration::from_mins(1));
    assert!(matches!(changes[..], [Change::Opened { turned: 8, living: 8, .. }]), "{changes:?}");
}

#[test]
fn more_losses_shorten_no_wait_and_forget_no_probe() {
    let (mut breakers, _) = vanish(10, 6);
    let (active, stale) = judgements();
    let settings = Settings::default();
    let (room, key): (RoomId, StateKey) = ("!r".into(), "k".into());
    let now = START + Duration::from_mins(6);
    breakers.probed(Neighbour::DeviceLists, &room, &key, &settings, now);
    let others: Vec<_> = owners(30).split_off(20);
    breakers.observe(others.iter().map(|o| (o, LIST, &active)), &settings, now);
    assert_eq!(breakers.observe(others.iter().map(|o| (o, LIST, &stale)), &settings, now), []);
    assert!(breakers.returned(&room, &key, now).is_some(), "the probe is still known");
    let until = now + Duration::from_mins(10);
    breakers.observe(others.iter().map(|o| (o, LIST, &active)), &settings, now);
    breakers.observe(others.iter().map(|o| (o, LIST, &stale)), &settings, now);
    assert_eq!(breakers.passage(Neighbour::DeviceLists, until - Duration::from_millis(1)), Passage::Barred);
}

#[test]
fn looks_in_which_nobody_turns_do_not_put_the_probe_off() {
    let (mut breakers, _) = vanish(10, 6);
    let (_, stale) = judgements();
    let settings = Settings::default();
    let until = match breakers.state(Neighbour::DeviceLists) {
        State::Open { until, .. } => *until,
        other => panic!("{other:?}"),
    };
    breakers.take_changes();
    let owners = owners(10);
    for later in [1, 30, 59].map(Duration::from_secs) {
        let now = until + later - settings.open_for;
        breakers.observe_judged(owners[..6].iter().map(|owner| (owner, LIST, &stale)), &settings, now);
    }
    assert_eq!(breakers.passage(Neighbour::DeviceLists, until), Passage::Probe);
    assert!(!breakers.take_changes(), "nothing to write down");
}

#[test]
fn a_probe_that_stays_away_closes_it_and_one_that_comes_back_doubles_the_wait() {
    let (mut breakers, _) = vanish(10, 6);
    let settings = Settings::default();
    let (room, key): (RoomId, StateKey) = ("!r".into(), "k".into());
    let mut now = START + Duration::from_mins(1);
    for wait in [5, 10, 20, 40, 60, 60].map(Duration::from_mins) {
        assert_eq!(
            breakers.passage(Neighbour::DeviceLists, now + wait - Duration::from_millis(1)),
            Passage::Barred
        );
        now = now + wait;
        assert_eq!(breakers.passage(Neighbour::DeviceLists, now), Passage::Probe);
        breakers.probed(Neighbour::DeviceLists, &room, &key, &settings, now);
        assert_eq!(breakers.passage(Neighbour::DeviceLists, now), Passage::Barred, "one probe at a time");
        assert_eq!(breakers.returned(&room, &"another".into(), now), None);
        let back = breakers.returned(&room, &key, now);
        assert!(matches!(back, Some(Change::StaysOpen { neighbour: Neighbour::DeviceLists, .. })));
    }
    now = now + Duration::from_hours(1);
    breakers.probed(Neighbour::DeviceLists, &room, &key, &settings, now);
    assert_eq!(breakers.settle(now + settings.probe_for - Duration::from_millis(1)), []);
    let closed = breakers.settle(now + settings.probe_for);
    assert_eq!(closed, [Change::Closed { neighbour: Neighbour::DeviceLists }]);
    assert_eq!(breakers.passage(Neighbour::DeviceLists, now), Passage::Free);
}

#[test]
fn it_survives_being_written_down() {
    let (breakers, _) = vanish(10, 6);
    let json = serde_json::to_string(&breakers).expect("JSON");
    let read: Breakers = serde_json::from_str(&json).expect("breakers");
    assert!(matches!(read.state(Neighbour::DeviceLists), State::Open { .. }));
    for neighbour in Neighbour::ALL {
        assert_eq!(read.state(neighbour), breakers.state(neighbour));
    }
    assert!(!json.contains("@u0:hs"), "who was alive is nobody's business after a restart");
}

#[test]
fn what_was_written_down_with_its_owners_is_still_read() {
    let json = r#"{"states": {"sfu": {"state": "open", "since": 1, "until": 5, "wait_ms": 4}},
        "owners": [["@a:hs", "D", {"active": 7}], ["@b:hs", "E", "turned"]], "last_sweep": 9}"#;
    let read: Breakers = serde_json::from_str(json).expect("breakers");
    assert_eq!(read.passage(Neighbour::Sfu, Timestamp::from_millis(4)), Passage::Barred);
}

#[test]
fn breakers_that_cannot_be_read_are_open_until_a_probe_stays_away() {
    let settings = Settings::default();
    let mut breakers = Breakers::unreadable(&settings, START);
    assert!(breakers.take_changes(), "it is written down");
    for neighbour in Neighbour::ALL {
        let until = START + settings.open_for;
        assert_eq!(breakers.passage(neighbour, until - Duration::from_millis(1)), Passage::Barred);
        assert_eq!(breakers.passage(neighbour, until), Passage::Probe);
    }
}

#[test]
fn a_change_is_told_once_and_only_where_there_is_one() {
    let (active, stale) = judgements();
    let owners = owners(10);
    let settings = Settings::default();
    let mut breakers = Breakers::default();
    let mut step = 0;
    let mut sweep = |breakers: &mut Breakers, judgement: &Judgement| {
        step += 1;
        let now = START + Duration::from_mins(step);
        breakers.observe(owners.iter().map(|o| (o, LIST, judgement)), &settings, now);
        (now, breakers.take_changes())
    };
    assert!(!sweep(&mut breakers, &active).1, "nobody is written down");
    let (now, opened) = sweep(&mut breakers, &stale);
    assert!(opened && !breakers.take_changes());
    assert!(!sweep(&mut breakers, &stale).1, "it is open already");
    let (room, key): (RoomId, StateKey) = ("!r".into(), "k".into());
    let probe = now + settings.open_for;
    breakers.probed(Neighbour::DeviceLists, &room, &key, &settings, probe);
    assert!(breakers.take_changes());
    breakers.settle(probe);
    assert!(!breakers.take_changes(), "the probe is still watched");
    assert!(breakers.returned(&room, &key, probe).is_some() && breakers.take_changes());
    assert_eq!(breakers.close(None), [Neighbour::DeviceLists]);
    assert!(breakers.take_changes());
    assert!(breakers.close(None).is_empty() && !breakers.take_changes());
}

#[test]
fn rooms_that_are_looked_at_one_by_one_are_counted_together() {
    let (active, stale) = judgements();
    let all = owners(100);
    let settings = Settings::default();
    let mut breakers = Breakers::default();
    for owner in &all {
        breakers.observe_judged([(owner, LIST, &active)], &settings, START);
    }
    let turn = |breakers: &mut Breakers, at: usize, now: Timestamp| {
        breakers.observe_judged(all[at..at + 5].iter().map(|o| (o, LIST, &stale)), &settings, now)
    };
    // Five at a time, each second: half of them have turned with the tenth room.
    let second = Duration::from_secs(1);
    for (room, seconds) in (0..9_usize).zip(1_u32..) {
        assert_eq!(turn(&mut breakers, room * 5, START + second * seconds), [], "{room}");
    }
    let changes = turn(&mut breakers, 45, START + second * 10);
    assert!(matches!(changes[..], [Change::Opened { turned: 50, living: 100, .. }]), "{changes:?}");
}

#[test]
fn a_few_in_one_room_are_not_half_of_all() {
    let (active, stale) = judgements();
    let all = owners(100);
    let settings = Settings::default();
    let mut breakers = Breakers::default();
    breakers.observe_judged(all.iter().map(|o| (o, LIST, &active)), &settings, START);
    // Five a minute leave without a word, and somebody else clears them.
    for minute in 0..18_usize {
        let now = START + Duration::from_mins(minute as u64);
        let room = &all[minute * 5..minute * 5 + 5];
        let changes = breakers.observe_judged(room.iter().map(|o| (o, LIST, &stale)), &settings, now);
        let is_half = 5 * 2 >= 100 - minute * 5;
        assert_eq!(!changes.is_empty(), is_half, "{minute}");
        for owner in room {
            breakers.hung_up(owner, now);
        }
    }
}

#[test]
fn whoever_is_judged_in_few_sweeps_is_no_less_alive_and_those_who_hung_up_are_forgotten() {
    let (active, stale) = judgements();
    let all = owners(10);
    let settings = Settings::default();
    let mut breakers = Breakers::default();
    breakers.observe_judged(all.iter().map(|o| (o, LIST, &active)), &settings, START);
    // Others are looked at meanwhile.
    for minute in 0..30 {
        breakers.observe_judged([], &settings, START + Duration::from_mins(minute));
    }
    for owner in &all[5..] {
        breakers.hung_up(owner, START + Duration::from_mins(30));
    }
    let late = START + Duration::from_mins(41);
    let changes = breakers.observe_judged(all[..5].iter().map(|o| (o, LIST, &stale)), &settings, late);
    assert!(matches!(changes[..], [Change::Opened { turned: 5, living: 5, .. }]), "{changes:?}");
    breakers.observe_judged([], &settings, late);
    assert_eq!(breakers.living.remembered(), 5);
}
