//! Clocks that start, pause, reset and fall due.

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
