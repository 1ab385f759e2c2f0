//! Clocks that start, pause, reset and fall due.

use proptest::prelude::*;

use super::*;
use crate::judge::verdict::tests::judgement;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const GRACE: Duration = Duration::from_mins(5);

fn subject() -> Subject {
    Subject { room: "!r".into(), key: "_@a:hs_D".into(), event: "$e".into(), entry: 0 }
}

/// A ledger driven minute by minute.
struct Story {
    ledger: Ledger,
    now: Timestamp,
}

impl Story {
    fn new() -> Self {
        Self { ledger: Ledger::default(), now: START }
    }

    fn after(mut self, minutes: u64) -> Self {
        self.now = self.now + Duration::from_mins(minutes);
        self
    }

    fn see(mut self, finding: Finding) -> Self {
        let judgement = judgement(&[(Reason::DeviceGone, finding)]);
        self.ledger.observe(&subject(), &judgement, ObservedAt::all(self.now), |_| Grace::After(GRACE));
        self
    }

    fn is_due(&self) -> bool {
        self.ledger.due(&subject(), self.now).iter().any(|due| due.sightings >= 2 && due.refreshed)
    }
}

const GONE: Finding = Finding::Holds { since: None };

#[test]
fn a_reason_is_due_when_its_grace_is_over_and_not_before() {
    let story = Story::new().see(GONE).after(4).see(GONE);
    assert!(!story.is_due());
    assert_eq!(story.ledger.next_due(story.now), Some(START + GRACE));
    assert!(story.after(1).see(GONE).is_due());
}

#[test]
fn evidence_from_before_the_end_of_the_grace_does_not_do() {
    let story = Story::new().see(GONE).after(4).see(GONE).after(1);
    let due = story.ledger.due(&subject(), story.now);
    assert_eq!((due.len(), due[0].refreshed), (1, false));
}

#[test]
fn the_same_observation_looked_at_twice_is_one_sighting() {
    let mut story = Story::new().see(GONE).see(GONE);
    assert_eq!(story.ledger.clock(&subject(), Reason::DeviceGone).expect("a clock").sightings, 1);
    story = story.after(1).see(GONE);
    assert_eq!(story.ledger.clock(&subject(), Reason::DeviceGone).expect("a clock").sightings, 2);
}

#[test]
fn unknown_pauses_the_clock_and_the_pause_does_not_count() {
    let story = Story::new().see(GONE).after(3).see(GONE).after(1).see(Finding::Unknown);
    assert!(!story.ledger.due(&subject(), story.now + Duration::from_hours(1)).iter().any(|_| true));
    let story = story.after(60).see(GONE);
    assert!(!story.is_due(), "3 min seen, an hour unknown");
    assert!(
        !Story { ledger: story.ledger.clone(), now: story.now }.after(1).see(GONE).is_due(),
        "4 min seen"
    );
    assert!(story.after(2).see(GONE).is_due(), "5 min seen");
}

#[test]
fn a_reason_that_stops_holding_starts_anew() {
    let story = Story::new().see(GONE).after(4).see(Finding::No).after(1).see(GONE).after(4).see(GONE);
    assert!(!story.is_due());
    assert!(story.after(1).see(GONE).is_due());
}

#[test]
fn the_time_of_a_restart_does_not_count() {
    let mut before = Story::new().see(GONE).after(4).see(GONE);
    let changes = before.ledger.take_changes();
    let mut after = Story { ledger: Ledger::default(), now: before.now }.after(60);
    let (mut bridged, mut paused) = (Ledger::default(), Ledger::default());
    let now = after.now;
    for (subject, clocks) in changes {
        for (reason, clock) in clocks {
            let restored = |paused: bool| {
                let running = clock.running && !paused;
                ReasonClock::restored(clock.held, clock.sightings, clock.first, clock.last, running)
            };
            after.ledger.restore(subject.clone(), reason, restored(false), after.now, Duration::ZERO);
            let hours = Duration::from_hours(2);
            bridged.restore(subject.clone(), reason, restored(false), after.now, hours);
            paused.restore(subject.clone(), reason, restored(true), after.now, hours);
        }
    }
    let after = after.see(GONE);
    assert!(!after.is_due(), "4 min seen");
    assert!(after.after(1).see(GONE).is_due(), "5 min seen");

    let again = |ledger| Story { ledger, now }.see(GONE).is_due();
    assert!(again(bridged), "sweeps repeated from outside are the janitor's looks");
    assert!(!again(paused), "a clock that was paused is not bridged");
}

#[test]
fn time_counts_from_the_look_and_not_from_an_older_observation() {
    let observed = ObservedAt { device_lists: START - Duration::from_mins(10), ..ObservedAt::all(START) };
    let mut ledger = Ledger::default();
    let gone = judgement(&[(Reason::DeviceGone, GONE)]);
    ledger.observe(&subject(), &gone, observed, |_| Grace::After(GRACE));
    assert_eq!(ledger.due(&subject(), START + GRACE - Duration::from_millis(1)), []);
    assert_eq!(ledger.next_due(START), Some(START + GRACE));
}

#[test]
fn after_a_reset_the_graces_of_that_neighbour_begin_anew_and_no_others() {
    let mut story = Story::new().see(GONE).after(4).see(GONE);
    story.ledger.take_changes();
    story.ledger.reset(Neighbour::Sfu);
    assert!(story.ledger.take_changes().is_empty());
    story.ledger.reset(Neighbour::DeviceLists);
    assert_eq!(story.ledger.take_changes(), [(subject(), Vec::new())], "the journal forgets it, too");
    assert_eq!(story.ledger.next_due(story.now), None);
    let story = story.see(GONE).after(4).see(GONE);
    assert!(!story.is_due());
    assert!(story.after(1).see(GONE).is_due());
}

#[test]
fn one_neighbours_pause_leaves_the_others_running() {
    let mut story = Story::new().see(GONE);
    story.ledger.pause(Some(Neighbour::Homeserver));
    let story = story.after(5).see(GONE);
    assert!(story.is_due());
    let mut story = Story::new().see(GONE);
    story.ledger.pause(Some(Neighbour::DeviceLists));
    assert!(!story.after(5).see(GONE).is_due());
}

#[test]
fn never_is_never() {
    let mut ledger = Ledger::default();
    for minute in 0..10_000 {
        let now = START + Duration::from_mins(minute);
        let judgement = judgement(&[(Reason::Expired, GONE)]);
        ledger.observe(&subject(), &judgement, ObservedAt::all(now), |_| Grace::Never);
        assert_eq!(ledger.due(&subject(), now), []);
    }
    assert_eq!(ledger.next_due(START), None);
}

#[test]
fn what_is_no_longer_there_is_dropped_and_said_so() {
    let mut story = Story::new().see(GONE);
    story.ledger.take_changes();
    story.ledger.retain(|_| false);
    assert_eq!(story.ledger.take_changes(), [(subject(), Vec::new())]);
    assert_eq!(story.ledger.due_at(&subject()), None);
}

#[test]
fn a_key_or_a_room_that_is_over_is_forgotten_by_itself() {
    let gone = judgement(&[(Reason::DeviceGone, GONE)]);
    let of = |room: &str, key: &str, event: &str, entry| Subject {
        room: room.into(),
        key: key.into(),
        event: event.into(),
        entry,
    };
    let all = [
        of("!a", "k", "$1", 0),
        of("!a", "k", "$1", 1),
        of("!a", "k", "$2", 0),
        of("!a", "k2", "$3", 0),
        of("!b", "k", "$4", 0),
    ];
    let mut ledger = Ledger::default();
    for subject in &all {
        ledger.observe(subject, &gone, ObservedAt::all(START), |_| Grace::After(GRACE));
    }
    ledger.take_changes();
    let forgotten =
        |ledger: &mut Ledger| ledger.take_changes().into_iter().map(|(one, _)| one).collect::<Vec<_>>();
    ledger.forget_key(&"!a".into(), &"k".into());
    assert_eq!(forgotten(&mut ledger), all[..3]);
    ledger.forget_room(&"!a".into());
    assert_eq!(forgotten(&mut ledger), all[3..4]);
    assert_eq!(ledger.next_due(START), Some(START + GRACE), "the other room stays");
    ledger.forget_key(&"!b".into(), &"k".into());
    assert_eq!(ledger.next_due(START), None);
    ledger.forget_key(&"!b".into(), &"k".into());
    assert_eq!(ledger.take_changes().len(), 1, "once");
}

#[test]
fn what_starts_stops_or_falls_due_is_written_at_once_and_what_runs_on_once_a_minute() {
    let mut ledger = Ledger::default();
    let mut look = |seconds: u64, finding| {
        let judgement = judgement(&[(Reason::DeviceGone, finding)]);
        let now = START + Duration::from_secs(seconds);
        ledger.observe(&subject(), &judgement, ObservedAt::all(now), |_| Grace::After(GRACE));
        ledger.take_changes().len() == 1
    };
    assert!(look(0, GONE), "it starts");
    assert!(!look(20, GONE) && !look(40, GONE) && !look(59, GONE));
    assert!(look(60, GONE), "a minute later");
    assert!(!look(80, GONE));
    assert!(look(90, Finding::Unknown), "it stops");
    assert!(!look(100, Finding::Unknown));
    assert!(look(110, GONE), "it runs again");
    assert!(!look(120, GONE));
    assert!(look(110 + 300 - 80, GONE), "it is due");
    assert!(!look(110 + 300 - 75, GONE));
    assert!(look(340, Finding::No), "it is over");
    assert!(!look(400, Finding::No), "and stays so");
}

#[test]
fn what_is_over_is_told_once_however_often_it_is_seen_again() {
    let mut story = Story::new().see(GONE).after(6).see(GONE);
    assert_eq!(story.ledger.take_due(story.now).len(), 1);
    for _ in 0..3 {
        story = story.after(1).see(GONE);
        assert!(story.is_due());
        assert!(story.ledger.take_due(story.now).is_empty(), "nothing has changed");
    }
}

#[test]
fn a_room_in_which_something_falls_due_is_named_once() {
    let mut ledger = Ledger::default();
    let look = |ledger: &mut Ledger, room: &str, now, finding| {
        let subject = Subject { room: room.into(), ..subject() };
        let judgement = judgement(&[(Reason::DeviceGone, finding)]);
        ledger.observe(&subject, &judgement, ObservedAt::all(now), |_| Grace::After(GRACE));
    };
    let minute = Duration::from_mins(1);
    look(&mut ledger, "!a", START, GONE);
    look(&mut ledger, "!b", START + minute, GONE);
    let due =
        |ledger: &mut Ledger, now| ledger.take_due(now).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(due(&mut ledger, START + minute * 4).is_empty());
    assert_eq!(due(&mut ledger, START + GRACE), ["!a"]);
    look(&mut ledger, "!a", START + GRACE, GONE);
    assert!(due(&mut ledger, START + GRACE).is_empty(), "it was told");
    assert_eq!(due(&mut ledger, START + minute * 60), ["!b"]);
    // What fell due before it was looked at is told as well.
    look(&mut ledger, "!a", START + minute * 61, Finding::Unknown);
    look(&mut ledger, "!a", START + minute * 62, GONE);
    assert_eq!(due(&mut ledger, START + minute * 62), ["!a"]);
    let subject = Subject { room: "!c".into(), ..subject() };
    let late = ObservedAt { device_lists: START, ..ObservedAt::all(START + minute * 62) };
    let gone = judgement(&[(Reason::DeviceGone, GONE)]);
    ledger.observe(&subject, &gone, late, |_| Grace::After(Duration::ZERO));
    assert_eq!(due(&mut ledger, START + minute * 62), ["!c"]);
    assert!(due(&mut ledger, START + minute * 62).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn when_clocks_end_is_known_as_if_all_were_looked_through(
        steps in prop::collection::vec((0..4_u8, 0..4_u64, 0..8_u8), 1..40),
    ) {
        let (mut ledger, mut now) = (Ledger::default(), START);
        for (room, minutes, what) in steps {
            now = now + Duration::from_mins(minutes);
            let subject = Subject { room: format!("!{room}").as_str().into(), ..subject() };
            let mut look = |findings: &[(Reason, Finding)]| {
                let grace = |reason| match reason {
                    Reason::Silent => Grace::Never,
                    Reason::Expired => Grace::After(Duration::ZERO),
                    _ => Grace::After(GRACE),
                };
                ledger.observe(&subject, &judgement(findings), ObservedAt::all(now), grace);
            };
            match what {
                0 => look(&[(Reason::DeviceGone, GONE), (Reason::Silent, GONE)]),
                1 => look(&[(Reason::DeviceGone, Finding::Unknown), (Reason::Expired, GONE)]),
                2 => look(&[(Reason::NotOnSfu, GONE), (Reason::DeviceGone, GONE)]),
                3 => look(&[]),
                4 => ledger.pause(Some(Neighbour::DeviceLists)),
                5 => ledger.forget_key(&subject.room, &subject.key),
                6 => drop(ledger.take_due(now)),
                _ => ledger.retain(|other| other.room == subject.room),
            }
            let clocks = ledger.clocks.iter().flat_map(|(subject, clocks)| {
                clocks.running.iter().filter_map(|one| Some((one.ends()?, subject.clone(), one.reason)))
            });
            prop_assert_eq!(&ledger.ends.all, &clocks.collect::<BTreeSet<_>>());
            let next = ledger.ends.all.iter().map(|(at, ..)| *at).filter(|at| *at > now).min();
            prop_assert_eq!(ledger.next_due(now), next);
            prop_assert!(ledger.ends.late.is_subset(&ledger.ends.all));
            prop_assert!(ledger.clocks.values().all(|clocks| !clocks.running.is_empty()));
        }
    }
}

#[test]
fn that_somebody_was_not_in_a_call_twice_says_nothing_of_the_time_between() {
    let clock = |reason| {
        let mut ledger = Ledger::default();
        let hour = Duration::from_hours(1);
        let mut running = ReasonClock::started(START, START);
        running.running = true;
        ledger.restore(subject(), reason, running, START + hour, hour * 2);
        ledger.clock(&subject(), reason).expect("a clock").running
    };
    assert!(clock(Reason::DeviceGone) && !clock(Reason::NotOnSfu));
}
