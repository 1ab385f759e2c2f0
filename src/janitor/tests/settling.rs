//! Owners who are quicker than the bot sees what came of its write.

use serde_json::{Value, json};

use super::{
    fakes::{BOT, Fate, Meanwhile, ROOM, Story, content},
    routes::{ALICE, array, by_appservice, by_redaction, left_over},
};
use crate::{
    janitor::{Settings, overrides::Override},
    world::{NeighbourError, journal::FindingKind},
};
use rtc_janitor_core::{
    guard::breaker,
    judge::policy::Neighbour,
    mode::Pause,
    render::answer::Lack,
    rtc::state_event::{CALL_MEMBER, StateEvent},
};

const CAME_BACK: &str = "rejoined the call";
const OVERWROTE: &str = "had rejoined";

/// Somebody who is left over in a call, for each route, and what she would write when she comes back.
async fn each_route() -> Vec<(Story, String, Value)> {
    let mut own_power = Story::new();
    let key = own_power.ghost(ALICE, "DEAD").await;
    let mut stories = vec![(own_power, key, content("DEAD"))];
    for (settings, is_part) in [(by_appservice(), false), (by_appservice(), true), (by_redaction(), false)] {
        let back = if is_part { array(&["DEAD", "LIVE"]) } else { array(&["DEAD"]) };
        stories.push((left_over(&settings, is_part).await, ALICE.to_owned(), back));
    }
    stories
}

/// The answer of the next write is lost, and nothing can be read until [`is_up`].
async fn goes_down_at_its_write(story: &mut Story) {
    story.world.lock().fates.push_back(Fate::Down);
    story.until_a_write().await;
    assert_eq!(story.cleared(), 0, "nobody knows yet");
}

fn is_up(story: &Story) {
    story.world.lock().reads_fail = None;
}

/// Alice writes a second later.
fn writes(story: &Story, key: &str, content: Value) -> StateEvent {
    story.world.pass(std::time::Duration::from_secs(1));
    story.world.put(ROOM, CALL_MEMBER, key, ALICE, content)
}

#[tokio::test]
async fn who_comes_back_before_anybody_knows_that_she_was_cleared_was_alive() {
    for (mut story, key, back) in Box::pin(each_route()).await {
        goes_down_at_its_write(&mut story).await;
        writes(&story, &key, back);
        is_up(&story);
        story.minutes(5).await;
        assert_eq!(story.cleared(), 1, "{key}");
        story.hear_of(&key);
        story.minutes(40).await;
        let said = story.said().join("\n");
        assert_eq!(said.matches(CAME_BACK).count(), 1, "{key}: {said}");
        assert_eq!(story.writes(), 1, "it is left alone for an hour");
    }
}

#[tokio::test]
async fn who_comes_back_while_the_bot_is_away_was_alive() {
    for (mut story, key, back) in Box::pin(each_route()).await {
        let settings = story.janitor.settings.clone();
        goes_down_at_its_write(&mut story).await;
        is_up(&story);
        writes(&story, &key, back);
        let mut story = story.restart(settings);
        story.minutes(20).await;
        assert_eq!((story.cleared(), story.writes()), (1, 1), "{key}");
        let said = story.said().join("\n");
        assert_eq!(said.matches(CAME_BACK).count(), 1, "{key}: {said}");
    }
}

#[tokio::test]
async fn what_a_write_overwrote_is_said_also_when_its_answer_is_lost_and_somebody_stands_there_again() {
    for (mut story, key, back) in Box::pin(each_route()).await {
        if story.janitor.settings.allow_redaction {
            // A redaction overwrites nothing.
            continue;
        }
        let who = Meanwhile::Writes(ALICE, back.clone());
        story.world.lock().before_write = Some(who);
        goes_down_at_its_write(&mut story).await;
        writes(&story, &key, back);
        is_up(&story);
        story.minutes(20).await;
        let said = story.said().join("\n");
        assert_eq!(said.matches(OVERWROTE).count(), 1, "{key}: {said}");
        assert_eq!((story.cleared(), story.writes()), (1, 1), "{key}");
    }
}

#[tokio::test]
async fn an_owner_who_was_quicker_than_a_write_that_was_never_made_is_no_clear() {
    for (mut story, key, back) in Box::pin(each_route()).await {
        story.world.lock().fates.push_back(Fate::Fails(NeighbourError::Unreachable("HTTP 502".into())));
        story.world.lock().before_read = None;
        while story.janitor.unsettled.is_empty() {
            story.world.pass(std::time::Duration::from_mins(1));
            story.janitor.sweep.mark_all();
            story.step_once().await;
        }
        writes(&story, &key, back);
        story.minutes(5).await;
        assert_eq!((story.cleared(), story.writes()), (0, 0), "{key}");
        assert_eq!(story.said(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn who_comes_right_after_a_redaction_was_alive() {
    let mut story = left_over(&by_redaction(), false).await;
    story.world.lock().after_write = Some(Meanwhile::Writes(ALICE, array(&["DEAD"])));
    story.until_a_write().await;
    story.hear_of(ALICE);
    story.minutes(40).await;
    let said = story.said().join("\n");
    assert_eq!(said.matches(CAME_BACK).count(), 1, "{said}");
    assert_eq!((story.cleared(), story.writes()), (1, 1));
}

#[tokio::test]
async fn a_redaction_that_came_too_late_is_no_clear_also_when_its_answer_is_lost() {
    let mut story = left_over(&by_redaction(), false).await;
    story.world.lock().before_write = Some(Meanwhile::Writes(ALICE, array(&["NEW"])));
    goes_down_at_its_write(&mut story).await;
    is_up(&story);
    story.minutes(20).await;
    assert_eq!(story.world.current(ALICE).content, array(&["NEW"]));
    assert_eq!((story.cleared(), story.said()), (0, Vec::new()));
}

/// Some devices of alice's, of which the first is dead, and what she writes in the instant before that one is taken
/// out. What is in the end.
async fn leaves_in_the_same_instant(devices: &[&str], content: Value, is_lost: bool) -> (Story, Value) {
    let mut story = super::routes::story(by_appservice());
    story.joins_by_array(ALICE, devices).await;
    story.devices_are(ALICE, &devices[1..]);
    story.world.lock().before_write = Some(Meanwhile::Writes(ALICE, content));
    if is_lost {
        story.world.lock().appservice_fates.push_back(Fate::AnswerLost);
    }
    story.until_a_write().await;
    if !is_lost {
        story.hear_of(ALICE);
    }
    story.minutes(1).await;
    let content = story.world.current(ALICE).content;
    (story, content)
}

#[tokio::test]
async fn who_left_in_the_instant_in_which_a_dead_one_was_taken_out_is_not_put_back() {
    for is_lost in [false, true] {
        let (mut story, left) = leaves_in_the_same_instant(&["DEAD", "LIVE"], json!({}), is_lost).await;
        assert_eq!(left, json!({}), "the whole call was left");
        assert!(!story.said().join("\n").contains(OVERWROTE));
        story.hear_of(ALICE);
        story.minutes(60).await;
        assert_eq!((story.writes(), story.cleared()), (2, 1), "once taken back, and nothing more");
        assert!(story.janitor.sweep.quarantine.is_empty());

        let (story, left) =
            leaves_in_the_same_instant(&["DEAD", "LEFT", "LIVE"], array(&["DEAD", "LIVE"]), is_lost).await;
        assert_eq!(left, array(&["LIVE"]), "one device left, and the other stays");
        assert_eq!(story.writes(), 2);

        let (story, left) =
            leaves_in_the_same_instant(&["DEAD", "LIVE"], array(&["DEAD", "LIVE"]), is_lost).await;
        assert_eq!(left, array(&["LIVE"]), "nobody had left");
        assert_eq!(story.writes(), 1);
    }
}

#[tokio::test]
async fn while_paused_or_excluded_nothing_is_taken_back() {
    for (what, writes) in [
        (Some(Override::Pause(Pause::UntilResume)), 1),
        (Some(Override::Room(ROOM.into())), 1),
        (Some(Override::User(ALICE.into())), 1),
        (None, 2),
    ] {
        let mut story = super::routes::story(by_appservice());
        story.joins_by_array(ALICE, &["DEAD", "LIVE"]).await;
        story.devices_are(ALICE, &["LIVE"]);
        story.world.lock().before_write = Some(Meanwhile::Writes(ALICE, json!({})));
        goes_down_at_its_write(&mut story).await;
        is_up(&story);
        if let Some(what) = &what {
            story.janitor.set_override(what, &ALICE.into()).expect("the journal works");
        }
        story.hear_of(ALICE);
        story.minutes(5).await;
        assert_eq!(story.writes(), writes, "{what:?}");
    }
}

fn taking_no_times(story: &Story) {
    story.world.lock().takes_no_times = true;
}

#[tokio::test]
async fn a_server_that_gives_events_its_own_time_costs_the_marks_and_not_the_look_at_what_was_overwritten() {
    let mut story = left_over(&by_appservice(), false).await;
    taking_no_times(&story);
    story.world.lock().before_write = Some(Meanwhile::Writes(ALICE, array(&["DEAD", "NEW"])));
    story.until_a_write().await;
    story.hear_of(ALICE);
    let said = story.said().join("\n");
    assert_eq!(said.matches(OVERWROTE).count(), 1, "{said}");
    let lacks = |story: &Story| story.janitor.status().expect("the journal works").server.lacks;
    assert_eq!(lacks(&story), [], "it may have been the owner's");

    let mut story = left_over(&by_appservice(), true).await;
    taking_no_times(&story);
    story.until_a_write().await;
    story.hear_of(ALICE);
    story.devices_are(ALICE, &[]);
    story.minutes(20).await;
    story.hear_of(ALICE);
    assert_eq!(story.writes(), 2);
    assert_eq!(lacks(&story), [Lack::EventTimes]);
}

#[tokio::test]
async fn a_write_that_was_not_made_before_the_bot_was_killed_was_refused_by_nobody() {
    let settings: Settings = by_appservice();
    let mut story = left_over(&settings, false).await;
    story.world.lock().fates.push_back(Fate::Fails(NeighbourError::Unreachable("killed".into())));
    while story.janitor.unsettled.is_empty() {
        story.world.pass(std::time::Duration::from_mins(1));
        story.janitor.sweep.mark_all();
        story.step_once().await;
    }
    story.world.pass(std::time::Duration::from_secs(1));
    let mut story = story.restart(settings);
    story.minutes(20).await;
    assert_eq!(story.times_found(FindingKind::Refused), 0);
    assert_eq!((story.cleared(), story.writes()), (1, 1), "made after all");
}

/// A write that the server has not made by the time that its key is read, and that is given up.
pub(super) async fn gives_up_a_write(story: &mut Story) {
    story.world.lock().fates.push_back(Fate::Fails(NeighbourError::Unreachable("no answer in time".into())));
    while story.janitor.unsettled.is_empty() {
        story.world.pass(std::time::Duration::from_mins(1));
        story.janitor.sweep.mark_all();
        story.step_once().await;
    }
    while !story.janitor.unsettled.is_empty() {
        story.janitor.step().expect("the journal works");
        story.janitor.commit().expect("the journal works");
        let outcome = story.janitor.background.next().await;
        story.janitor.take_in_outcome(outcome).expect("the journal works");
    }
    assert_eq!(story.cleared(), 0);
}

#[tokio::test]
async fn a_write_that_a_slow_server_makes_after_it_was_given_up_is_known_when_it_comes() {
    for is_overwritten in [false, true] {
        let mut story = Story::new();
        let key = story.ghost(ALICE, "DEAD").await;
        gives_up_a_write(&mut story).await;
        let mut events = Vec::new();
        if is_overwritten {
            events.push(writes(&story, &key, content("DEAD")));
        }
        events.push(story.world.put(ROOM, CALL_MEMBER, &key, BOT, json!({})));
        story.hear(events);
        assert_eq!(story.cleared(), 1);
        let said = story.said().join("\n");
        assert_eq!(said.matches(OVERWROTE).count(), usize::from(is_overwritten), "{said}");
        if !is_overwritten {
            let back = writes(&story, &key, content("DEAD"));
            story.hear([back]);
            let said = story.said().join("\n");
            assert_eq!(said.matches(CAME_BACK).count(), 1, "{said}");
        }
        story.minutes(40).await;
        assert_eq!(story.writes(), 0, "it is left alone for an hour");
    }
}

#[tokio::test]
async fn a_write_that_was_given_up_is_not_taken_for_the_next_one() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "DEAD").await;
    gives_up_a_write(&mut story).await;
    // Sync is quicker than the answer of the next one.
    let answer = super::other_servers::until_the_answer_is_on_its_way(&mut story).await;
    story.hear_of(&key);
    assert_eq!(story.cleared(), 0, "it is under way");
    story.janitor.take_in_outcome(answer).expect("the journal works");
    story.minutes(20).await;
    assert_eq!((story.writes(), story.cleared()), (1, 1));
    let cleared = story.janitor.journal.cleared_under(&ROOM.into(), &key.as_str().into()).expect("SQLite");
    assert_eq!(cleared.len(), 1, "once");
}

#[tokio::test]
async fn a_probe_whose_answer_was_lost_is_one() {
    let mut story = Story::new();
    story.eight_of_ten_vanish().await;
    story.world.lock().fates.push_back(Fate::Down);
    story.until_a_write().await;
    story.minutes(1).await;
    assert_eq!(story.writes(), 1, "there is no other before it is known what came of it");
    is_up(&story);
    let state = |story: &Story| story.janitor.sweep.breakers.state(Neighbour::DeviceLists).clone();
    for _ in 0..60 {
        if !matches!(state(&story), breaker::State::Open { .. }) {
            break;
        }
        story.world.pass(std::time::Duration::from_secs(1));
        story.sweep().await;
    }
    assert!(matches!(state(&story), breaker::State::Probing { .. }), "{:?}", state(&story));
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn an_event_that_comes_again_is_counted_for_one_write_alone() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "DEAD").await;
    gives_up_a_write(&mut story).await;
    story.until_a_write().await;
    let own = story.hear_of(&key);
    story.hear([own]);
    story.see_everything();
    story.minutes(3).await;
    let cleared = story.janitor.journal.cleared_under(&ROOM.into(), &key.as_str().into()).expect("SQLite");
    assert_eq!((story.writes(), cleared.len()), (1, 1));
    let said = story.said().join("\n");
    assert!(!said.contains(OVERWROTE), "{said}");
}
