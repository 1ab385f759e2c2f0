//! One test for each condition: remove its line from `plan.rs` and exactly its test turns red.

use std::time::Duration;

use super::*;
use crate::guard::{
    breaker::Settings,
    breaker::tests::{LIST, judgements},
    limits::{Limit, Limits, Used},
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn due(reason: Reason) -> Due {
    Due { reason, sightings: 2, first: NOW - Duration::from_mins(10), refreshed: true }
}

fn candidate(room: &str, device: &str, reason: Reason) -> Candidate {
    Candidate {
        room: room.into(),
        key: format!("_@alice:hs_{device}_m.call").into(),
        event: format!("${room}{device}").into(),
        entries: vec![Some(Entry {
            owner: Owner { user: "@alice:hs".into(), device: device.into() },
            index: 0,
            due: vec![due(reason)],
            expires: NOW + Duration::from_hours(1),
            was_expired_when_sent: false,
            last_sign: NOW - Duration::from_mins(10),
            is_remote: false,
            sfu_is_silent: false,
        })],
        is_shown: true,
        ends_call: false,
        is_excluded: false,
        is_divisible: false,
        route: Some(Ok(Route::OwnPower)),
    }
}

fn entry(candidate: &mut Candidate) -> &mut Entry {
    candidate.entries[0].as_mut().expect("an entry")
}

struct World {
    breakers: Breakers,
    quarantine: Quarantine,
    limits: Limits,
    used: Used,
    tweak: fn(&mut Circumstances<'_>),
}

impl Default for World {
    fn default() -> Self {
        Self {
            breakers: Breakers::default(),
            quarantine: Quarantine::default(),
            limits: Limits::default(),
            used: Used::default(),
            tweak: |_| {},
        }
    }
}

impl World {
    fn plan(&self, candidates: Vec<Candidate>) -> Plan {
        Plan::make(candidates, self.circumstances(NOW), Budget::new(self.limits, self.used.clone()))
    }

    fn circumstances(&self, now: Timestamp) -> Circumstances<'_> {
        let mut circumstances = Circumstances {
            is_paused: false,
            exclusion_is_unknown: false,
            first_sync_is_over: true,
            clock_is_skewed: false,
            minimum_age: Duration::from_mins(2),
            remote_device_lists: false,
            breakers: &self.breakers,
            probing: &[],
            quarantine: &self.quarantine,
            now,
        };
        (self.tweak)(&mut circumstances);
        circumstances
    }

    /// Holds the candidate back for `why`, while the control, which differs in one fact, is written.
    fn expect_held(&self, candidate: Candidate, control: Candidate, why: HeldBack) {
        assert_eq!(self.held(candidate), Some(why));
        assert_eq!(self.held(control), None, "the control is written");
    }

    fn held(&self, candidate: Candidate) -> Option<HeldBack> {
        let plan = self.plan(vec![candidate]);
        assert_eq!(plan.writes.len() + plan.held.len(), 1);
        plan.held.first().map(|(_, why)| *why)
    }
}

fn ghost() -> Candidate {
    candidate("!r", "DEAD", Reason::DeviceGone)
}

fn ghost_with(change: impl FnOnce(&mut Candidate)) -> Candidate {
    let mut ghost = ghost();
    change(&mut ghost);
    ghost
}

#[test]
fn condition_1_nothing_is_written_while_paused() {
    let paused = World { tweak: |c| c.is_paused = true, ..World::default() };
    assert_eq!(paused.held(ghost()), Some(HeldBack::Paused));
    let unknown = World { tweak: |c| c.exclusion_is_unknown = true, ..World::default() };
    assert_eq!(unknown.held(ghost()), Some(HeldBack::ExclusionUnknown));
    assert_eq!(World::default().held(ghost()), None);
}

#[test]
fn condition_1_what_is_excluded_is_left_alone() {
    World::default().expect_held(ghost_with(|g| g.is_excluded = true), ghost(), HeldBack::Excluded);
}

#[test]
fn condition_2_one_sighting_is_not_enough() {
    let once = ghost_with(|g| entry(g).due[0].sightings = 1);
    World::default().expect_held(once, ghost(), HeldBack::OneSighting);
}

#[test]
fn condition_2_a_young_membership_is_left_alone() {
    let young = ghost_with(|g| entry(g).last_sign = NOW - Duration::from_secs(119));
    let old = ghost_with(|g| entry(g).last_sign = NOW - Duration::from_mins(2));
    World::default().expect_held(young, old, HeldBack::TooYoung);
}

#[test]
fn condition_2_expired_alone_does_not_count_for_75_min_where_it_was_sent_expired() {
    let sent_expired = |ago, reasons: &[Reason]| {
        ghost_with(|g| {
            entry(g).due = reasons.iter().copied().map(due).collect();
            entry(g).was_expired_when_sent = true;
            entry(g).last_sign = NOW - ago;
        })
    };
    let young = Duration::from_mins(75) - Duration::from_millis(1);
    let mut usual = sent_expired(young, &[Reason::Expired]);
    entry(&mut usual).was_expired_when_sent = false;
    World::default().expect_held(sent_expired(young, &[Reason::Expired]), usual, HeldBack::SentExpired);
    let old = sent_expired(Duration::from_mins(75), &[Reason::Expired]);
    assert_eq!(World::default().held(old), None, "nothing came for 75 min");
    let two = World::default().plan(vec![sent_expired(young, &[Reason::Expired, Reason::DeviceGone])]);
    assert_eq!(two.writes[0].reason(), Some(Reason::DeviceGone), "another reason counts");
}

#[test]
fn condition_2_nothing_is_written_before_everything_was_read() {
    let starting = World { tweak: |c| c.first_sync_is_over = false, ..World::default() };
    assert_eq!(starting.held(ghost()), Some(HeldBack::FirstSync));
}

#[test]
fn condition_4_evidence_from_before_the_grace_ended_is_not_enough() {
    let old_evidence = ghost_with(|g| entry(g).due[0].refreshed = false);
    World::default().expect_held(old_evidence, ghost(), HeldBack::NotRefreshed);
}

#[test]
fn condition_5_limits_hold_back_what_is_too_much() {
    let small = World { limits: Limits { per_sweep: 2, per_room: 5, per_hour: 9 }, ..World::default() };
    let plan = small.plan(["A", "B", "C"].map(|d| candidate("!r", d, Reason::Expired)).into());
    assert_eq!((plan.writes.len(), plan.held[0].1), (2, HeldBack::Limit(Limit::Sweep)));
    let full = World { limits: small.limits, used: 9.into(), ..World::default() };
    assert_eq!(full.held(ghost()), Some(HeldBack::Limit(Limit::Hour)));
    let after_another = |in_interval, in_room| World {
        limits: small.limits,
        used: Used { in_hour: 5, in_interval, in_interval_by_room: [(ghost().room, in_room)].into() },
        ..World::default()
    };
    assert_eq!(after_another(2, 2).held(ghost()), Some(HeldBack::Limit(Limit::Sweep)));
    assert_eq!(after_another(1, 5).held(ghost()), Some(HeldBack::Limit(Limit::Room)));
    assert_eq!(after_another(1, 1).held(ghost()), None);
}

#[test]
fn condition_5_what_people_see_comes_first_and_what_ends_a_call_before_the_rest() {
    let hidden = ghost_with(|g| (g.key, g.is_shown) = ("hidden".into(), false));
    let shown = ghost_with(|g| g.key = "shown".into());
    let last = ghost_with(|g| (g.key, g.ends_call) = ("last of its call".into(), true));
    let plan = World::default().plan(vec![hidden, shown, last]);
    let order: Vec<_> = plan.writes.iter().map(|write| write.key().as_str()).collect();
    assert_eq!(order, ["last of its call", "shown", "hidden"]);
}

#[test]
fn condition_6_a_skewed_clock_holds_everything_back() {
    let skewed = World { tweak: |c| c.clock_is_skewed = true, ..World::default() };
    for reason in Reason::ALL {
        assert_eq!(skewed.held(candidate("!r", "D", reason)), Some(HeldBack::ClockSkew));
    }
}

#[test]
fn condition_6_an_open_breaker_holds_back_what_rests_on_its_neighbour_and_then_lets_one_probe() {
    let owners: Vec<_> =
        ["A", "B", "C"].map(|d| Owner { user: format!("@{d}:hs").as_str().into(), device: d.into() }).into();
    let (active, gone) = judgements();
    let open_since = |then: Timestamp| {
        let mut breakers = Breakers::default();
        let settings = Settings::default();
        breakers.observe(owners.iter().map(|o| (o, LIST, &active)), &settings, then - Duration::from_mins(1));
        let changes = breakers.observe(owners.iter().map(|o| (o, LIST, &gone)), &settings, then);
        assert_eq!(changes.len(), 1, "it opened");
        breakers
    };
    let open = World { breakers: open_since(NOW), ..World::default() };
    assert_eq!(open.held(ghost()), Some(HeldBack::Breaker(Neighbour::DeviceLists)));
    assert_eq!(open.held(candidate("!r", "D", Reason::Expired)), None, "it rests on no neighbour");

    let half_open = World { breakers: open_since(NOW - Duration::from_mins(5)), ..World::default() };
    let two = ["A", "B"].map(|d| candidate("!r", d, Reason::DeviceGone));
    let plan = half_open.plan(two.into());
    assert_eq!(plan.writes.len(), 1);
    assert_eq!(plan.writes[0].probes(), [Neighbour::DeviceLists]);
    assert_eq!(plan.held[0].1, HeldBack::Breaker(Neighbour::DeviceLists));

    // An event whose entries are due by different reasons is a probe by any of them.
    let mixed = ["A", "B"].map(|device| {
        let mut mixed = candidate("!r", device, Reason::Expired);
        let mut other = entry(&mut mixed).clone();
        other.due = vec![due(Reason::DeviceGone)];
        mixed.entries.push(Some(other));
        mixed
    });
    let plan = half_open.plan(mixed.into());
    assert_eq!(plan.writes.len(), 1);
    assert_eq!(plan.writes[0].probes(), [Neighbour::DeviceLists]);
    assert_eq!(plan.writes[0].reason(), Some(Reason::DeviceGone));
}

#[test]
fn condition_7_a_key_that_came_back_is_left_alone_but_for_another_reason() {
    let mut world = World::default();
    let came_back = ghost();
    world.quarantine.returned(&came_back.room, &came_back.key, Reason::DeviceGone, NOW);
    let other_key = candidate("!r", "OTHER", Reason::DeviceGone);
    world.expect_held(came_back, other_key, HeldBack::Quarantine);
    let both = ghost_with(|g| entry(g).due = vec![due(Reason::Expired), due(Reason::DeviceGone)]);
    let plan = world.plan(vec![both]);
    assert_eq!(plan.writes[0].reason(), Some(Reason::Expired));
}

#[test]
fn what_time_alone_ends_is_over_at_that_time_and_not_before() {
    let young = ghost_with(|g| entry(g).last_sign = NOW - Duration::from_secs(5));
    let sent_expired = ghost_with(|g| {
        entry(g).due = vec![due(Reason::Expired)];
        entry(g).was_expired_when_sent = true;
    });
    let mut returned = World::default();
    returned.quarantine.returned(&ghost().room, &ghost().key, Reason::DeviceGone, NOW);
    let open = World { breakers: Breakers::unreadable(&Settings::default(), NOW), ..World::default() };
    for (world, candidate, why) in [
        (World::default(), young, HeldBack::TooYoung),
        (World::default(), sent_expired, HeldBack::SentExpired),
        (returned, ghost(), HeldBack::Quarantine),
        (open, ghost(), HeldBack::Breaker(Neighbour::DeviceLists)),
    ] {
        let end = why.may_end(&candidate, &world.circumstances(NOW)).expect("it ends by time");
        let held = |now: Timestamp| {
            let plan =
                Plan::make(vec![candidate.clone()], world.circumstances(now), Budget::new(world.limits, 0));
            plan.held.first().map(|(_, why)| *why)
        };
        assert_eq!(held(end - Duration::from_millis(1)), Some(why));
        assert_eq!(held(end), None, "{why:?}");
    }
    let world = World::default();
    assert_eq!(HeldBack::Excluded.may_end(&ghost(), &world.circumstances(NOW)), None);
}

#[test]
fn a_device_list_of_another_server_is_not_acted_on_unless_allowed() {
    let remote = ghost_with(|g| entry(g).is_remote = true);
    let allowed = World { tweak: |c| c.remote_device_lists = true, ..World::default() };
    assert_eq!(allowed.held(remote.clone()), None);
    World::default().expect_held(remote, ghost(), HeldBack::RemoteDeviceList);
}

#[test]
fn while_our_sfu_is_silent_only_those_who_left_the_room_are_cleared() {
    for reason in Reason::ALL {
        let mut silent = candidate("!r", "D", reason);
        entry(&mut silent).sfu_is_silent = true;
        let expected = (reason != Reason::NotJoined).then_some(HeldBack::SfuSilent);
        assert_eq!(World::default().held(silent), expected, "{reason}");
    }
}

#[test]
fn an_event_with_a_living_entry_or_one_that_no_client_shows_is_not_cleared() {
    let with_living = ghost_with(|g| {
        let mut living = entry(g).clone();
        living.due.clear();
        g.entries.push(Some(living));
    });
    World::default().expect_held(with_living, ghost(), HeldBack::OthersInEvent);
    assert_eq!(World::default().held(ghost_with(|g| g.entries.push(None))), Some(HeldBack::OthersInEvent));
}

#[test]
fn what_expired_over_thirty_days_ago_waits_for_a_person() {
    let expired = |ago| ghost_with(|g| entry(g).expires = NOW - ago);
    let control = expired(LONG_EXPIRED);
    World::default().expect_held(
        expired(LONG_EXPIRED + Duration::from_millis(1)),
        control,
        HeldBack::LongExpired,
    );
}

#[test]
fn a_key_that_nobody_else_may_write_is_blocked() {
    let blocked = ghost_with(|g| g.route = Some(Err(Blocked::OnlyItsOwner)));
    World::default().expect_held(blocked, ghost(), HeldBack::NoRoute(Blocked::OnlyItsOwner));
    assert_eq!(World::default().held(ghost_with(|g| g.route = None)), Some(HeldBack::RouteUnknown));
}

#[test]
fn only_of_what_would_be_written_it_is_asked_who_may() {
    let unread = |room: &str, reason| Candidate { route: None, ..candidate(room, "D", reason) };
    let rooms = |world: &World, candidates: &[Candidate]| {
        let budget = Budget::new(world.limits, world.used.clone());
        let rooms = Plan::rooms_to_read(candidates, world.circumstances(NOW), budget);
        rooms.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let world = World::default();
    let mut young = unread("!young", Reason::DeviceGone);
    entry(&mut young).last_sign = NOW;
    let mut excluded = unread("!excluded", Reason::DeviceGone);
    excluded.is_excluded = true;
    let read = candidate("!read", "D", Reason::DeviceGone);
    let mut hidden = unread("!a-hidden", Reason::DeviceGone);
    hidden.is_shown = false;
    let all =
        [young, excluded, read.clone(), hidden, unread("!x", Reason::Expired), unread("!y", Reason::Silent)];
    assert_eq!(rooms(&world, &all), ["!a-hidden", "!x", "!y"]);

    let few = World { limits: Limits { per_sweep: 2, ..Limits::default() }, ..World::default() };
    assert_eq!(rooms(&few, &all), ["!x"], "what is known may be written first, and uses the limit up");
    let full = World { used: 120.into(), ..World::default() };
    assert!(rooms(&full, &all).is_empty());
    let blocked = Candidate { route: Some(Err(Blocked::OnlyItsOwner)), ..read };
    assert_eq!(
        rooms(&few, &[blocked, unread("!x", Reason::Expired), unread("!y", Reason::Silent)]),
        ["!x", "!y"]
    );

    let open = World { breakers: Breakers::unreadable(&Settings::default(), NOW), ..World::default() };
    assert_eq!(rooms(&open, &all), ["!x", "!y"], "what rests on no neighbour");
}

#[test]
fn what_is_not_due_is_neither_written_nor_held() {
    let plan = World::default().plan(vec![ghost_with(|g| entry(g).due.clear())]);
    assert_eq!(plan, Plan::default());
}

/// An array form with an entry that is due, one that is not, one that no client shows, and one that is due.
fn array(route: Route) -> Candidate {
    let mut array = Candidate { is_divisible: true, route: Some(Ok(route)), ..ghost() };
    let dead = entry(&mut array).clone();
    let owner = |device: &str| Owner { user: "@alice:hs".into(), device: device.into() };
    let living = Entry { due: Vec::new(), index: 1, owner: owner("LIVING"), ..dead.clone() };
    let other = Entry { index: 3, owner: owner("OTHER"), ..dead };
    array.entries.extend([Some(living), None, Some(other)]);
    array
}

#[test]
fn by_appservice_the_stale_entries_of_an_array_go_alone_and_by_the_other_routes_nothing_does() {
    let plan = World::default().plan(vec![array(Route::Appservice)]);
    let write = &plan.writes[0];
    assert_eq!(write.part(), Some(&[0, 3][..]));
    let devices: Vec<_> = write.owners().iter().map(|owner| owner.device.as_str()).collect();
    assert_eq!(devices, ["DEAD", "OTHER"]);
    assert_eq!([0, 1, 2, 3].map(|entry| write.clears(entry)), [true, false, false, true]);
    for route in [Route::OwnPower, Route::Redaction] {
        World::default().expect_held(array(route), array(Route::Appservice), HeldBack::OthersInEvent);
    }
    let one_piece = Candidate { is_divisible: false, ..array(Route::Appservice) };
    World::default().expect_held(one_piece, array(Route::Appservice), HeldBack::OthersInEvent);
    let blocked = Candidate { route: Some(Err(Blocked::OnlyItsOwner)), ..array(Route::Appservice) };
    assert_eq!(World::default().held(blocked), Some(HeldBack::OthersInEvent));
}

#[test]
fn when_all_of_an_array_are_stale_nothing_is_left_by_any_route() {
    for route in Route::ALL {
        let mut all = array(route);
        all.entries.retain(|entry| entry.as_ref().is_some_and(|entry| !entry.due.is_empty()));
        let plan = World::default().plan(vec![all]);
        assert_eq!((plan.writes[0].part(), plan.writes[0].owners().len()), (None, 2), "{route:?}");
    }
}

#[test]
fn each_entry_that_goes_alone_passes_every_guard_by_itself() {
    let held = |change: fn(&mut Entry), why| {
        let mut one = array(Route::Appservice);
        change(one.entries[3].as_mut().expect("an entry"));
        assert_eq!(World::default().plan(vec![one.clone()]).writes[0].part(), Some(&[0][..]), "{why:?}");
        change(entry(&mut one));
        assert_eq!(World::default().held(one), Some(why));
    };
    held(|entry| entry.last_sign = NOW, HeldBack::TooYoung);
    held(|entry| entry.due[0].sightings = 1, HeldBack::OneSighting);
    held(|entry| entry.due[0].refreshed = false, HeldBack::NotRefreshed);
    held(|entry| entry.sfu_is_silent = true, HeldBack::SfuSilent);
    held(|entry| entry.expires = NOW - LONG_EXPIRED - Duration::from_millis(1), HeldBack::LongExpired);
    let mut excluded = array(Route::Appservice);
    excluded.is_excluded = true;
    assert_eq!(World::default().held(excluded), Some(HeldBack::Excluded));
}
