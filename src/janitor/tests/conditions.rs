//! The conditions of a write that are not in the plan: mode, admin room, and the fresh read.

use std::time::Duration;

use serde_json::json;

use super::fakes::{BOT, ROOM, Story, content, key, settings};
use crate::{
    janitor::{Settings, overrides::Override},
    world::journal::FindingKind,
};
use rtc_janitor_core::{
    guard::breaker,
    judge::policy::Neighbour,
    mode::Pause,
    rtc::state_event::{CALL_MEMBER, StateEvent},
};

const ALICE: &str = "@alice:hs";

/// How long the story has to go on until a device that is gone is cleared: it is noticed with the
/// next device check, and the grace is 5 min.
const LONG_ENOUGH: u32 = 12;

#[tokio::test]
async fn a_device_that_is_gone_is_cleared_after_the_grace_and_not_before() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "DEAD").await;
    story.minutes(9).await;
    assert_eq!(story.writes(), 0, "noticed after 5 min, and held for 4");
    story.minutes(3).await;
    assert_eq!(story.writes(), 1);
    assert_eq!(story.world.current(&key).content, json!({}));
    let said = story.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("Cleared 1 stale membership"), "{said:?}");
}

#[tokio::test]
async fn a_device_that_stays_is_never_touched() {
    let mut story = Story::new();
    story.joins(ALICE, "LIVE");
    story.minutes(200).await;
    assert_eq!(story.writes(), 0);
    assert_eq!(story.said(), Vec::<String>::new());
}

#[tokio::test]
async fn condition_1_in_mode_report_nothing_is_written_and_the_findings_are_the_same() {
    let report = crate::janitor::Settings { is_clean: false, ..settings() };
    for (settings, kind, writes) in
        [(report, FindingKind::WouldClear, 0), (settings(), FindingKind::Cleared, 1)]
    {
        let mut story = Story::with(settings);
        story.ghost(ALICE, "DEAD").await;
        story.minutes(60).await;
        assert_eq!(story.writes(), writes);
        assert_eq!(story.times_found(kind), 1);
        assert_eq!(story.said().len(), 1, "said once, in either mode");
    }
}

#[tokio::test]
async fn condition_1_without_the_admin_room_nothing_is_written_and_it_is_summed_up_afterwards() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.admin_room_is(Err("kicked".into()));
    story.minutes(LONG_ENOUGH).await;
    assert_eq!((story.writes(), story.said().len()), (0, 0));
    story.admin_room_is(Ok(()));
    story.minutes(1).await;
    assert_eq!(story.writes(), 1);
    assert!(story.said().concat().contains("Would clear"), "what was seen meanwhile is said");
}

#[tokio::test]
async fn condition_1_paused_by_command_nothing_is_written() {
    let mut story = Story::new();
    story
        .janitor
        .set_override(&Override::Pause(Pause::UntilResume), &ALICE.into())
        .expect("the journal works");
    story.ghost(ALICE, "DEAD").await;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 0);
    story.janitor.clear_override(&Override::Pause(Pause::UntilResume)).expect("the journal works");
    story.minutes(1).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn condition_1_an_excluded_room_is_left_alone() {
    let mut settings = settings();
    settings.exclude.insert(ROOM.into());
    settings.include.insert(ROOM.into());
    let mut story = Story::with(settings);
    story.ghost(ALICE, "DEAD").await;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!((story.writes(), story.world.lock().device_queries), (0, 0), "exclusion wins over inclusion");
}

#[tokio::test]
async fn condition_3_what_changed_between_judgement_and_write_survives() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "DEAD").await;
    let control = story.ghost("@bob:hs", "DEAD").await;
    let newer = StateEvent { event_id: "$newer".into(), ..story.world.current(&key) };
    story.world.lock().before_read = Some(newer);
    story.minutes(LONG_ENOUGH).await;
    let cleared: Vec<_> = story.world.lock().writes.iter().map(|(_, key)| key.to_string()).collect();
    assert_eq!(cleared, [control], "only the one that had not changed");
}

#[tokio::test]
async fn condition_3_a_key_that_somebody_else_emptied_is_neither_written_nor_counted() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "DEAD").await;
    story.world.put(ROOM, CALL_MEMBER, &key, "@mod:hs", json!({}));
    story.minutes(LONG_ENOUGH).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::Cleared)), (0, 0));
    assert_eq!(story.said(), Vec::<String>::new());
    // Sync never said so, but the read before the write did.
    assert_eq!(story.janitor.size(), (1, 0), "nobody is in a call any more");
}

#[tokio::test]
async fn what_stands_in_a_room_that_was_just_entered_was_not_seen_to_arrive() {
    let mut story = Story::new();
    let (old, new) = (story.world.join_call(ALICE, "OLD"), story.world.join_call("@bob:hs", "NEW"));
    story.world.pass(Duration::from_hours(1));
    story.janitor.memory.remove_room(&ROOM.into());
    story.hear([old.clone()]);
    story.hear([new.clone()]);
    let last_sign = |event: &StateEvent| {
        let open = story.janitor.memory.get(&ROOM.into(), &event.state_key).expect("open");
        open.memberships().next().expect("one").last_sign
    };
    assert_eq!(last_sign(&old), old.origin_server_ts);
    assert_eq!(last_sign(&new), story.world.now(), "the control: seen to arrive in a room that was known");
}

#[tokio::test]
async fn condition_3_an_owner_who_is_back_in_the_room_is_left_alone() {
    let mut story = Story::new();
    for user in [ALICE, "@bob:hs"] {
        story.joins(user, "D");
    }
    story.minutes(5).await;
    for user in [ALICE, "@bob:hs"] {
        let left = story.world.put(ROOM, "m.room.member", user, user, json!({"membership": "leave"}));
        story.hear([left]);
    }
    story.sweep().await;
    // Alice is back between the look that falls due and the write, and sync has not said so yet.
    story.world.lock().comes_back = Some((ALICE.to_owned(), 2));
    story.world.pass(Duration::from_secs(31));
    story.sweep().await;
    story.minutes(2).await;
    let cleared: Vec<_> = story.world.lock().writes.iter().map(|(_, key)| key.to_string()).collect();
    assert_eq!(cleared, [key("@bob:hs", "D")]);
}

#[tokio::test]
async fn condition_6_a_clock_that_is_wrong_holds_everything_back_and_is_said_once() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.world.lock().clock_ahead = Duration::from_secs(90);
    story.minutes(30).await;
    assert_eq!(story.writes(), 0);
    assert_eq!(story.said().len(), 1);
    story.world.lock().clock_ahead = Duration::ZERO;
    story.minutes(1).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn condition_7_one_that_comes_back_is_left_alone_and_said_once() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "LIVE").await;
    story.until_a_write().await;
    story.said();
    let ours = story.world.current(&key);
    let back = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, content("LIVE"));
    story.hear([ours, back]);
    story.minutes(59).await;
    let said = story.said();
    assert_eq!(story.writes(), 1, "{said:?}");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("rejoined the call"), "{said:?}");
}

async fn said_of_an_overwrite(has_left: bool) -> Vec<String> {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "LIVE").await;
    story.minutes(LONG_ENOUGH).await;
    story.said();
    let mut ours = story.world.current(&key);
    assert_eq!(ours.sender.as_str(), BOT);
    ours.replaces_state = Some("$one-that-nobody-judged".into());
    ours.prev_content = Some(if has_left { json!({}) } else { content("LIVE") });
    story.hear([ours]);
    story.said()
}

#[tokio::test]
async fn a_write_that_overwrote_something_newer_is_noticed_when_it_comes_back() {
    let said = said_of_an_overwrite(false).await;
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("had rejoined") && said[0].contains("I leave it alone"), "{said:?}");
    assert_eq!(said_of_an_overwrite(true).await, Vec::<String>::new(), "somebody left in that instant");
}

#[tokio::test]
async fn an_idle_janitor_asks_nobody_anything() {
    let mut story = Story::new();
    story.see_everything();
    let next = story.janitor.sweep.next_look(Duration::from_mins(1), false, story.world.now());
    assert_eq!(next, None, "nobody is in a call");
    story.minutes(60).await;
    let world = story.world.lock();
    assert_eq!((world.reads.len(), world.device_queries), (0, 0));
}

#[tokio::test]
async fn a_membership_costs_at_most_three_reads_and_one_write() {
    let mut story = Story::new();
    for user in 0..10 {
        story.ghost(&format!("@u{user}:hs"), "DEAD").await;
    }
    // They were seen alive together and vanish together: not what this is about.
    story.janitor.settings.breaker.minimum = 100;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 10);
    let reads = story.world.lock().reads.len();
    assert!(reads <= 30, "{reads} reads: {:?}", story.world.lock().reads);
}

#[tokio::test]
async fn one_that_came_back_while_nobody_looked_was_alive() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "LIVE").await;
    story.until_a_write().await;
    story.said();
    story.world.pass(Duration::from_secs(1));
    story.world.put(ROOM, CALL_MEMBER, &key, ALICE, content("LIVE"));
    story.world.pass(Duration::from_mins(30));
    let mut story = story.restart(settings());
    let said = story.said().join("\n");
    assert!(said.contains("rejoined the call"), "{said}");
    assert_eq!(story.janitor.sweep.quarantine.count(story.world.now()), 1);
}

#[tokio::test]
async fn who_joins_again_much_later_did_not_come_back() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "LIVE").await;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 1);
    story.said();
    story.world.pass(Duration::from_mins(30));
    let later = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, content("LIVE"));
    story.hear([later]);
    assert_eq!(story.said(), Vec::<String>::new());
    assert_eq!(story.janitor.sweep.quarantine.count(story.world.now()), 0);
}

#[tokio::test]
async fn who_wakes_up_much_later_and_refreshes_did_not_come_back_either() {
    for (minutes, quarantined) in [(30, 0), (1, 1)] {
        let mut story = Story::new();
        let joined = story.world.now();
        let key = story.ghost(ALICE, "LIVE").await;
        story.until_a_write().await;
        story.said();
        story.world.pass(Duration::from_mins(minutes));
        let mut refreshed = content("LIVE");
        refreshed["created_ts"] = json!(joined.as_millis());
        let event = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, refreshed);
        story.hear([event]);
        assert_eq!(
            story.janitor.sweep.quarantine.count(story.world.now()),
            quarantined,
            "after {minutes} min"
        );
    }
}

#[tokio::test]
async fn whoever_wakes_up_much_later_is_believed_more_than_the_device_list() {
    for refreshes in [true, false] {
        let mut story = Story::new();
        let joined = story.world.now();
        let key = story.ghost(ALICE, "ASLEEP").await;
        story.until_a_write().await;
        story.world.pass(Duration::from_hours(30));
        let mut again = content("ASLEEP");
        if refreshes {
            again["created_ts"] = json!(joined.as_millis());
            again["expires"] = json!(Duration::from_hours(40).as_millis());
        }
        let event = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, again);
        story.hear([event]);
        story.minutes(100).await;
        assert_eq!(story.writes(), 1, "the list lacks it still, and is wrong");
    }
}

#[tokio::test]
async fn what_a_key_held_before_is_no_news_in_a_full_view() {
    let mut story = Story::new();
    let before = story.world.join_call(ALICE, "DEAD");
    story.world.pass(Duration::from_mins(1));
    let key = story.ghost(ALICE, "DEAD").await;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 1);
    story.said();
    let ours = story.world.current(&key);
    story.hear_all([before, ours]);
    assert_eq!(story.said(), Vec::<String>::new(), "it did not come back");
    assert_eq!(story.janitor.size().1, 0);
}

#[tokio::test]
async fn a_redaction_that_sync_did_not_tell_of_is_seen_in_a_full_view() {
    let mut story = Story::new();
    let event = story.world.join_call(ALICE, "PHONE");
    story.hear([event.clone()]);
    assert_eq!(story.janitor.size().1, 1);
    let redacted = StateEvent { redacted: true, content: json!({}), ..event };
    story.hear_all([redacted]);
    assert_eq!(story.janitor.size().1, 0);
}

#[tokio::test]
async fn time_in_which_a_room_is_excluded_counts_towards_no_grace() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.minutes(5).await;
    story.janitor.settings.exclude.insert(ROOM.into());
    story.minutes(60).await;
    story.janitor.settings.exclude.clear();
    story.minutes(4).await;
    assert_eq!(story.writes(), 0, "the grace begins anew");
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 1, "the control");
}

#[tokio::test]
async fn a_dry_run_closes_no_breaker() {
    let mut story = Story::with(Settings { is_clean: false, ..settings() });
    story.eight_of_ten_vanish().await;
    story.minutes(30).await;
    let state = story.janitor.sweep.breakers.state(Neighbour::DeviceLists);
    assert!(matches!(state, breaker::State::Open { .. }), "{state:?}");
}
