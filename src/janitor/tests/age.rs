//! What is due and too young: when it can be cleared is said, and it is looked at then.

use std::time::Duration;

use rtc_janitor_core::{plan::HeldBack, rtc::state_event::CALL_MEMBER, time::Timestamp};
use serde_json::json;

use super::fakes::{ROOM, Story, content, key, settings};
use crate::janitor::{Settings, lookups::LookedUp};

const ALICE: &str = "@alice:hs";

/// No regular sweep comes to the help of what is tried here.
const SELDOM: Duration = Duration::from_hours(3);

/// Nothing is cleared before `end`, which is said from the first look on, and the loop wakes up for it.
async fn waits_until(story: &mut Story, end: Timestamp, why: HeldBack) {
    let answers = |story: &mut Story| {
        let calls = story.janitor.calls(None).expect("the journal works").calls;
        let status = story.janitor.status().expect("the journal works");
        (calls[0].callers[0].due, calls[0].callers[0].held, status.stale, status.due)
    };
    story.sweep().await;
    assert_eq!(answers(story), (Some(end), None, 1, 0), "within its grace");
    while let Some(next) = next_look(story).filter(|next| *next < end) {
        story.world.pass(next.since(story.world.now()));
        story.go_on().await;
    }
    assert_eq!((next_look(story), story.writes()), (Some(end), 0));
    assert_eq!(answers(story), (Some(end), Some(why), 1, 0), "its grace is over");
    let _looked_up = story.janitor.look_up(Some(&ROOM.into()));
    story.go_on().await;
    let explained = story.janitor.explanation(&ROOM.into(), None, LookedUp::default());
    let explained = explained.expect("the journal works").expect("a room").message().plain;
    let left = rtc_janitor_core::render::words::ago(end, story.world.now());
    assert!(explained.contains(&format!("; due {left}")), "{explained}");
    assert!(explained.contains("held back until then: "), "{explained}");
    story.world.pass(end.since(story.world.now()));
    story.go_on().await;
    assert_eq!(story.writes(), 1);
}

fn next_look(story: &Story) -> Option<Timestamp> {
    story.janitor.sweep.next_look(SELDOM, true, story.world.now())
}

#[tokio::test]
async fn the_end_of_the_minimum_age_is_said_and_wakes_the_janitor() {
    let mut story = Story::with(Settings { sweep_interval: SELDOM, ..settings() });
    story.joins(ALICE, "PHONE");
    let joined = story.world.now();
    let left = story.world.put(ROOM, "m.room.member", ALICE, ALICE, json!({"membership": "leave"}));
    story.hear([left]);
    waits_until(&mut story, joined + Duration::from_mins(2), HeldBack::TooYoung).await;
}

/// Somebody whose client goes on with what is over; when it sent that.
fn sends_what_is_over(story: &mut Story) -> Timestamp {
    story.joins(ALICE, "PHONE");
    story.world.pass(Duration::from_mins(5));
    let sent = story.world.now();
    let mut over = content("PHONE");
    over["created_ts"] = json!((sent - Duration::from_hours(5)).as_millis());
    let event = story.world.put(ROOM, CALL_MEMBER, &key(ALICE, "PHONE"), ALICE, over);
    story.hear([event]);
    sent
}

#[tokio::test]
async fn the_wait_for_one_that_was_sent_expired_is_said_and_wakes_the_janitor() {
    let mut story = Story::with(Settings { sweep_interval: SELDOM, ..settings() });
    let sent = sends_what_is_over(&mut story);
    waits_until(&mut story, sent + Duration::from_mins(75), HeldBack::SentExpired).await;
}

#[tokio::test]
async fn a_single_sweep_that_waits_waits_for_one_that_was_sent_expired() {
    let mut story = Story::with(Settings { sweep_interval: SELDOM, ..settings() });
    let end = sends_what_is_over(&mut story) + Duration::from_mins(75);
    story.minutes(10).await;
    let summary = story.janitor.sweep_until_quiet(&story.shutdown).await.expect("the journal works");
    let held: Vec<_> = summary.held.iter().map(|(.., why)| *why).collect();
    assert_eq!(held, [HeldBack::SentExpired]);
    let pause = story.janitor.pause_until_more(&summary).expect("there is more to come");
    assert_eq!(pause, end.since(story.world.now()) + Duration::from_millis(10));
    story.world.pass(pause);
    let summary = story.janitor.sweep_until_quiet(&story.shutdown).await.expect("the journal works");
    assert_eq!(story.writes(), 1);
    assert_eq!(story.janitor.pause_until_more(&summary), None);
}
