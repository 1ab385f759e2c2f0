//! Neighbours that fail: what is not known is not acted on, and time in which they were away does not
//! count.

use std::time::Duration;

use super::fakes::{Fate, ROOM, Story, key, settings};
use crate::{
    janitor::Settings,
    world::{NeighbourError, device_lists::UnknownDevices, journal::FindingKind},
};
use rtc_janitor_core::rtc::{membership::Owner, state_event::CALL_MEMBER};
use serde_json::json;
use tokio::time::Instant;

const ALICE: &str = "@alice:hs";
const LONG_ENOUGH: u32 = 12;

#[tokio::test]
async fn a_list_that_cannot_be_had_is_no_evidence_and_its_time_does_not_count() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.minutes(8).await;
    let known = story.world.lock().devices.remove(&ALICE.into()).expect("a list");
    story.world.lock().devices.insert(ALICE.into(), Err(UnknownDevices::NotInTheAnswer));
    story.minutes(90).await;
    assert_eq!(story.writes(), 0);
    story.world.lock().devices.insert(ALICE.into(), known);
    story.minutes(5).await;
    assert_eq!(story.writes(), 0, "the grace goes on from where it was paused, at the next sighting");
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn after_a_long_gap_of_the_device_lists_their_word_counts_only_five_minutes_later() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    let known = story.world.lock().devices.remove(&ALICE.into()).expect("a list");
    let down = UnknownDevices::NoAnswer(NeighbourError::Unreachable("503".into()));
    story.world.lock().devices.insert(ALICE.into(), Err(down));
    story.minutes(11).await;
    story.world.lock().devices.insert(ALICE.into(), known);
    story.minutes(9).await;
    assert_eq!(story.writes(), 0, "back after 15 min at the latest, and believed after 20");
    story.minutes(15).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn a_server_that_asks_to_slow_down_is_obeyed_and_all_is_cleared_in_the_end() {
    let mut story = Story::with(Settings {
        breaker: rtc_janitor_core::guard::breaker::Settings { minimum: 100, ..Default::default() },
        ..settings()
    });
    for user in ["@a:hs", "@b:hs", "@c:hs", "@d:hs", "@e:hs", "@f:hs"] {
        story.ghost(user, "DEAD").await;
    }
    let slow = Fate::Fails(NeighbourError::RateLimited { retry_after: Duration::from_secs(150) });
    story.world.lock().fates.push_back(slow);
    story.minutes(10).await;
    let before = story.writes();
    assert!(before < 6, "some were put off");
    story.minutes(2).await;
    assert_eq!(story.writes(), before, "nothing is written before the server allows it");
    story.minutes(3).await;
    assert_eq!(story.writes(), 6);
    assert_eq!(story.times_found(FindingKind::Refused), 0, "being asked to wait is no refusal");
}

#[tokio::test]
async fn a_server_that_lets_few_rooms_be_read_at_once_keeps_nothing_from_being_cleared_in_the_end() {
    let mut story = Story::with(Settings {
        breaker: rtc_janitor_core::guard::breaker::Settings { minimum: 100, ..Default::default() },
        ..settings()
    });
    for n in 0..6 {
        story.ghost_in(&format!("!{n}:hs"), &format!("@u{n}:hs"), "DEAD").await;
    }
    // Four that cannot be cleared, and would be read again and again.
    for n in 0..4 {
        let levels = json!({"events": {CALL_MEMBER: 50}});
        story.world.put(&format!("!{n}:hs"), "m.room.power_levels", "", "@creator:hs", levels);
    }
    story.world.lock().power_limit = Some((2, Duration::from_secs(50)));
    for _ in 0..LONG_ENOUGH + 6 {
        story.minutes(1).await;
        // One more within the time that the server asked for.
        story.world.pass(Duration::from_secs(20));
        story.sweep().await;
    }
    assert_eq!(story.writes(), 2);
    assert_eq!(story.times_found(FindingKind::Blocked), 4);
}

#[tokio::test]
async fn a_refusal_is_said_once_and_tried_again_less_and_less_often() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    let no = NeighbourError::Refused { status: 403, errcode: "M_FORBIDDEN".into(), message: "no".into() };
    story.world.lock().fates.extend(vec![Fate::Fails(no); 3]);
    story.minutes(60).await;
    assert_eq!(story.writes(), 1, "the fourth attempt works");
    assert_eq!(story.times_found(FindingKind::Refused), 1);
    assert_eq!(story.said().len(), 2, "refused, and cleared");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_looked_up_and_counted_once() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.world.lock().fates.push_back(Fate::AnswerLost);
    story.minutes(20).await;
    assert_eq!(story.writes(), 1);
    assert_eq!(story.times_found(FindingKind::Cleared), 1);
    assert_eq!(story.said().len(), 1);
}

#[tokio::test]
async fn a_write_that_never_arrived_is_made_again() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    let lost = NeighbourError::Unreachable("connection reset".into());
    story.world.lock().fates.push_back(Fate::Fails(lost));
    story.minutes(30).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::Cleared)), (1, 1));
}

#[tokio::test]
async fn time_in_which_the_process_was_suspended_does_not_count() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.minutes(6).await;
    story.world.pass(Duration::from_hours(3));
    story.sweep().await;
    assert_eq!(story.writes(), 0);
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn after_a_long_gap_of_the_homeserver_nothing_counts_for_five_minutes() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.minutes(9).await;
    story.janitor.homeserver_failed();
    story.world.pass(Duration::from_mins(3));
    story.janitor.homeserver_answered();
    story.minutes(5).await;
    assert_eq!(story.writes(), 0);
    story.minutes(15).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn when_told_to_stop_nothing_new_is_begun() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.shutdown.request();
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 0);
}

#[tokio::test]
async fn most_of_ten_owners_vanishing_at_once_are_left_alone_and_said_once() {
    let mut story = Story::new();
    story.eight_of_ten_vanish().await;
    story.minutes(5).await;
    assert_eq!(story.writes(), 0);
    let said = story.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("8 of 10"), "{said:?}");
    story.until_a_write().await;
    assert_eq!(story.writes(), 1, "the probe, when all graces are over");
    story.minutes(1).await;
    assert_eq!(story.writes(), 1, "it is watched");
    story.minutes(1).await;
    assert_eq!(story.writes(), 8, "it stayed away");
}

#[tokio::test]
async fn a_room_whose_state_is_too_large_is_read_key_by_key_from_then_on() {
    let mut story = Story::new();
    story.joins(ALICE, "LIVE");
    story.world.lock().states_are_too_large = true;
    for _ in 0..3 {
        story.janitor.want_view(&ROOM.into());
        story.sweep().await;
    }
    let read = |what: &str| story.world.lock().reads.iter().filter(|read| *read == what).count();
    assert_eq!(read("full view"), 1, "once was enough to know");
    assert_eq!(read(&format!("{CALL_MEMBER} {}", key(ALICE, "LIVE"))), 3);
}

#[tokio::test(start_paused = true)]
async fn a_large_room_whose_keys_are_all_answered_late_is_given_up_for_now() {
    let mut story = Story::new();
    for number in 0..40 {
        story.joins(&format!("@u{number}:hs"), "LIVE");
    }
    story.ghost(ALICE, "DEAD").await;
    story.janitor.memory.is_too_large(&ROOM.into());
    // Each in time, and all of them in none.
    story.world.lock().event_reads_take = Duration::from_secs(25);
    story.janitor.want_view(&ROOM.into());
    let begun = Instant::now();
    story.sweep().await;
    assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
    assert_eq!(story.writes(), 0);
    story.world.lock().event_reads_take = Duration::ZERO;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn what_the_journal_has_forgotten_of_a_device_is_forgotten() {
    let mut story = Story::new();
    story.joins(ALICE, "OLD");
    story.sweep().await;
    let owner = Owner { user: ALICE.into(), device: "OLD".into() };
    let left = story.world.put(ROOM, CALL_MEMBER, &key(ALICE, "OLD"), ALICE, json!({}));
    story.hear([left]);
    story.world.pass(settings().retention + Duration::from_hours(48));
    story.janitor.prune().expect("the journal works");
    assert!(!story.janitor.evidence.lists.remembers(&owner));
}
