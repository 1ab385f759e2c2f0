//! The breaker's life: closed, open, probing, and back.

use super::*;
use crate::{
    judge::{
        evidence::{Device, Evidence, ListKind, RoomMember},
        policy::Policy,
        verdict::judge,
    },
    rtc::{
        membership::{Content, FirstSeen, read},
        state_event::StateEvent,
    },
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// An active judgement, and one that is stale because the device list lacks the device.
pub(crate) fn judgements() -> (Judgement, Judgement) {
    let event = StateEvent::from_json(serde_json::json!({
        "type": "org.matrix.msc3401.call.member", "state_key": "_@a:hs_D_m.call", "event_id": "$e",
        "sender": "@a:hs", "origin_server_ts": START.as_millis(),
        "content": {"application": "m.call", "call_id": "", "device_id": "D", "focus_active": {"type": "livekit"}},
    }))
    .expect("an event");
    let Content::Entries(entries) = read(&event, FirstSeen { at: START, live: true }) else { unreachable!() };
    let membership = entries[0].as_ref().expect("a membership");
    let joined = Evidence { room_member: RoomMember::Joined, ..Evidence::NONE };
    let missing = Device::Missing { by: ListKind::KeysQuery, seen_before: true };
    let gone = Evidence { device: missing, ..joined.clone() };
    let judge = |evidence| judge(membership, evidence, &Policy::default(), START);
    (judge(&joined), judge(&gone))
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
    breakers.observe(owners.iter().map(|o| (o, &active)), &settings, START);
    let judged = owners.iter().enumerate().map(|(n, o)| (o, if n < gone { &stale } else { &active }));
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
        let judged = owners.iter().enumerate().map(|(n, o)| (o, if n < gone { &stale } else { &active }));
        let now = START + Duration::from_mins(gone as u64);
        assert_eq!(breakers.observe(judged, &Settings::default(), now), []);
    }
}

#[test]
fn those_last_seen_active_over_ten_minutes_ago_do_not_count() {
    let (active, stale) = judgements();
    let owners = owners(10);
    let mut breakers = Breakers::default();
    breakers.observe(owners.iter().map(|o| (o, &active)), &Settings::default(), START);
    let late = START + LIVING + Duration::from_millis(1);
    // Somebody looked meanwhile, and they were neither active nor unknown then.
    breakers.observe([], &Settings::default(), late);
    assert_eq!(breakers.observe(owners.iter().map(|o| (o, &stale)), &Settings::default(), late), []);
}

#[test]
fn time_in_which_nobody_looked_makes_nobody_less_alive() {
    let (active, stale) = judgements();
    let owners = owners(10);
    let mut breakers = Breakers::default();
    breakers.observe(owners.iter().map(|o| (o, &active)), &Settings::default(), START);
    let late = START + Duration::from_hours(3);
    let changes = breakers.observe(owners.iter().map(|o| (o, &stale)), &Settings::default(), late);
    assert_eq!(changes.len(), 1);
}

#[test]
fn those_who_hung_up_do_not_hide_that_all_others_vanish() {
    let (active, stale) = judgements();
    let owners = owners(28);
    let mut breakers = Breakers::default();
    let settings = Settings::default();
    breakers.observe(owners.iter().map(|o| (o, &active)), &settings, START);
    let rest = &owners[20..];
    let changes =
        breakers.observe(rest.iter().map(|o| (o, &stale)), &settings, START + Duration::from_mins(1));
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
    breakers.observe(others.iter().map(|o| (o, &active)), &settings, now);
    assert_eq!(breakers.observe(others.iter().map(|o| (o, &stale)), &settings, now), []);
    assert!(breakers.returned(&room, &key, now).is_some(), "the probe is still known");
    let until = now + Duration::from_mins(10);
    breakers.observe(others.iter().map(|o| (o, &active)), &settings, now);
    breakers.observe(others.iter().map(|o| (o, &stale)), &settings, now);
    assert_eq!(breakers.passage(Neighbour::DeviceLists, until - Duration::from_millis(1)), Passage::Barred);
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
    assert_eq!(serde_json::from_str::<Breakers>(&json).expect("breakers"), breakers);
}
