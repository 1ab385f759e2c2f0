//! What only the SFU knows: who is in a call.

use std::{collections::BTreeMap, time::Duration};

use rtc_janitor_core::{
    guard::breaker,
    judge::policy::Reason,
    rtc::{sfu_names::Recipe, state_event::CALL_MEMBER},
};
use serde_json::json;

use super::fakes::{Fate, ROOM, SERVICE, Story, content, key, with_sfu};
use crate::{
    janitor::Settings,
    world::{NeighbourError, livekit::SfuError},
};

const ALICE: &str = "@alice:hs";
const BOB: &str = "@bob:hs";

/// Breakers are another matter: here two are in a call, and one of two is half.
fn story() -> Story {
    let breaker = breaker::Settings { minimum: 100, ..breaker::Settings::default() };
    Story::with(Settings { breaker, sfu_names: [SERVICE.to_owned()].into(), ..with_sfu() })
}

impl Story {
    /// Somebody joins a call and the SFU.
    async fn calls(&mut self, user: &str) {
        self.joins(user, "D");
        self.connect(user);
        self.seconds(20).await;
    }

    fn connect(&self, user: &str) {
        let room = Recipe::Json.name(&ROOM.into());
        self.world.lock().sfu.entry(room).or_default().insert(format!("{user}:D"));
    }

    fn disconnect(&self, user: &str) {
        for people in self.world.lock().sfu.values_mut() {
            people.remove(&format!("{user}:D"));
        }
    }

    /// Looks every 5 s, as often as the loop would wake up or more.
    async fn seconds(&mut self, seconds: u64) {
        for _ in 0..seconds.div_ceil(5) {
            self.world.pass(Duration::from_secs(5));
            self.sweep().await;
        }
    }

    fn is_open(&self, user: &str) -> bool {
        self.world.current(&key(user, "D")).content != json!({})
    }

    fn reason_cleared(&self, user: &str) -> Option<Reason> {
        let writes = self.janitor.journal.cleared_under(&ROOM.into(), &key(user, "D").as_str().into());
        writes.expect("the journal works").first()?.reason
    }
}

#[tokio::test]
async fn who_is_gone_from_the_sfu_is_cleared_soon_and_who_is_there_is_not() {
    let mut story = story();
    story.calls(ALICE).await;
    story.calls(BOB).await;
    story.seconds(180).await;
    story.disconnect(ALICE);
    story.seconds(85).await;
    assert_eq!(story.writes(), 0, "its grace is 90 s");
    story.seconds(40).await;
    assert!(!story.is_open(ALICE) && story.is_open(BOB));
    assert_eq!(story.reason_cleared(ALICE), Some(Reason::NotOnSfu));
    story.seconds(600).await;
    assert!(story.is_open(BOB));
}

#[tokio::test]
async fn a_moment_away_from_the_sfu_is_nothing() {
    let mut story = story();
    story.calls(ALICE).await;
    story.calls(BOB).await;
    for _ in 0..5 {
        story.disconnect(ALICE);
        story.seconds(60).await;
        story.connect(ALICE);
        story.seconds(30).await;
    }
    assert_eq!(story.writes(), 0);
}

#[tokio::test]
async fn who_was_never_there_is_absent_only_where_the_name_of_the_room_is_known() {
    for (recipe, is_cleared) in [(None, false), (Some(Recipe::Pipe), true)] {
        let mut story = story();
        story.world.lock().sfu_recipe = recipe;
        story.joins(ALICE, "D");
        story.seconds(300).await;
        assert_eq!(!story.is_open(ALICE), is_cleared, "{recipe:?}");
        assert!(story.world.lock().proof_questions <= 6, "asked again less and less often");
    }
}

#[tokio::test]
async fn who_is_on_the_sfu_is_alive_whatever_else_holds_until_they_leave_it() {
    let mut story = story();
    story.calls(ALICE).await;
    story.calls(BOB).await;
    story.world.log_out(ALICE, "D");
    story.minutes(20).await;
    assert!(story.is_open(ALICE), "no list is worth as much");
    story.disconnect(ALICE);
    story.minutes(20).await;
    assert!(!story.is_open(ALICE) && story.is_open(BOB));
}

#[tokio::test]
async fn while_it_is_not_known_what_the_sfu_is_called_whom_it_lists_is_alive_and_nobody_is_absent() {
    let mut story = Story::with(with_sfu());
    story.calls(ALICE).await;
    story.world.log_out(ALICE, "D");
    story.joins(BOB, "D");
    story.minutes(20).await;
    assert!(story.is_open(ALICE) && story.is_open(BOB));
    // Now a service gives a token for it, and names the room in another way than Alice's is named.
    story.world.lock().sfu_recipe = Some(Recipe::Pipe);
    story.minutes(70).await;
    assert!(story.is_open(ALICE) && !story.is_open(BOB));
    assert_eq!(story.reason_cleared(BOB), Some(Reason::NotOnSfu));
}

#[tokio::test]
async fn while_the_sfu_does_not_answer_nobody_is_cleared_but_who_has_left_the_room() {
    let mut story = story();
    story.world.lock().sfu_recipe = Some(Recipe::Json);
    for user in [ALICE, BOB] {
        story.joins(user, "D");
    }
    story.seconds(60).await;
    story.world.lock().sfu_fails = Some(SfuError::Unreachable("connection refused".into()));
    story.world.log_out(ALICE, "D");
    let left = story.world.put(ROOM, "m.room.member", BOB, BOB, json!({"membership": "leave"}));
    story.hear([left]);
    story.minutes(20).await;
    assert!(story.is_open(ALICE) && !story.is_open(BOB));
    let said = story.said().join("\n");
    assert_eq!(said.matches("cannot ask the call server").count(), 1, "{said}");
    story.world.lock().sfu_fails = None;
    story.minutes(20).await;
    assert!(!story.is_open(ALICE));
    assert!(story.said().join("\n").contains("answers again"));
}

#[tokio::test]
async fn a_restart_of_the_sfu_clears_nobody_and_its_clients_come_back() {
    let mut story = story();
    story.calls(ALICE).await;
    story.calls(BOB).await;
    story.seconds(180).await;
    let before = std::mem::take(&mut story.world.lock().sfu);
    story.seconds(270).await;
    assert_eq!(story.writes(), 0);
    story.world.lock().sfu = before;
    story.seconds(600).await;
    assert_eq!(story.writes(), 0);
    // Whoever does not come back while others do is gone.
    let mut before = std::mem::take(&mut story.world.lock().sfu);
    story.seconds(20).await;
    for people in before.values_mut() {
        people.remove(&format!("{ALICE}:D"));
    }
    story.world.lock().sfu = before;
    story.seconds(150).await;
    assert!(!story.is_open(ALICE) && story.is_open(BOB));
}

#[tokio::test]
async fn what_was_seen_on_the_sfu_and_how_it_names_rooms_outlives_a_restart_of_the_janitor() {
    let mut story = story();
    story.world.lock().sfu_recipe = Some(Recipe::Json);
    story.calls(ALICE).await;
    story.calls(BOB).await;
    let settings = story.janitor.file.clone();
    let mut story = story.restart(settings);
    story.world.lock().sfu_recipe = None;
    story.seconds(20).await;
    story.disconnect(ALICE);
    story.seconds(150).await;
    assert!(!story.is_open(ALICE) && story.is_open(BOB));
}

#[tokio::test]
async fn a_foreign_sfu_is_asked_for_nothing_and_says_nothing() {
    let mut story = story();
    story.world.lock().sfu_recipe = Some(Recipe::Json);
    story.seconds(40).await;
    let content = json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": "D", "expires": 14_400_000,
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
        "foci_preferred": [{"type": "livekit", "livekit_service_url": "https://elsewhere.example"}],
    });
    let event = story.world.put(ROOM, CALL_MEMBER, &key(ALICE, "D"), ALICE, content);
    story.hear([event]);
    let before = story.world.lock().sfu_questions;
    story.minutes(30).await;
    assert_eq!(story.world.lock().sfu_questions, before);
    assert!(story.is_open(ALICE));
}

#[tokio::test]
async fn what_the_sfu_said_before_something_fell_due_is_asked_for_once_more() {
    let mut story =
        Story::with(Settings { sfu_interval: Duration::from_hours(1), ..story().janitor.file.clone() });
    story.joins(ALICE, "D");
    story.seconds(20).await;
    story.world.log_out(ALICE, "D");
    story.seconds(120).await;
    let before = story.world.lock().sfu_questions;
    // She has reached the SFU since it was asked.
    story.connect(ALICE);
    story.minutes(20).await;
    assert!(story.world.lock().sfu_questions > before);
    assert!(story.is_open(ALICE));
}

#[tokio::test]
async fn what_waits_to_be_written_is_withdrawn_when_the_sfu_no_longer_answers() {
    let mut story = story();
    story.calls(ALICE).await;
    story.calls(BOB).await;
    story.seconds(180).await;
    // The server takes nothing for a while.
    let slow = Fate::Fails(NeighbourError::RateLimited { retry_after: Duration::from_mins(3) });
    story.world.lock().fates.push_back(slow);
    story.disconnect(ALICE);
    story.seconds(130).await;
    assert!(story.writes() == 0 && !story.janitor.writes.is_empty(), "it waits");
    let down = SfuError::Unreachable("connection refused".into());
    let asked = story.world.now();
    story.janitor.sfu_answered(asked, BTreeMap::new(), Err(down)).expect("the journal works");
    assert!(story.janitor.writes.is_empty());
}

#[tokio::test]
async fn how_long_leaves_take_is_told_with_who_made_them() {
    use rtc_janitor_core::leave_lag::Leaver;
    let mut story = story();
    for user in [ALICE, BOB, "@carol:hs", "@dan:hs"] {
        story.calls(user).await;
    }
    story.seconds(180).await;
    let leave = |story: &mut Story, user: &str, sender: &str| {
        let event = story.world.put(ROOM, CALL_MEMBER, &key(user, "D"), sender, json!({}));
        story.hear([event]);
    };
    // Leaves the call: the room hears of it first, and nothing lags.
    leave(&mut story, ALICE, ALICE);
    story.disconnect(ALICE);
    story.seconds(30).await;
    // Crashes; the delayed leave comes in the owner's name.
    story.disconnect(BOB);
    story.seconds(60).await;
    leave(&mut story, BOB, BOB);
    // Crashes, and a moderator clears it.
    story.disconnect("@carol:hs");
    story.seconds(40).await;
    leave(&mut story, "@carol:hs", "@mod:hs");
    story.seconds(20).await;
    let lags = story.janitor.leave_lags().expect("the journal works");
    assert_eq!(
        (lags.count(Leaver::Owner), lags.count(Leaver::Other), lags.count(Leaver::Janitor)),
        (2, 1, 0)
    );
    let median = |by| lags.median(by).map(|lag| lag.as_secs());
    // It is seen to be gone up to 20 s after it is.
    assert!((40..=60).contains(&median(Leaver::Owner).unwrap()), "{lags:?}");
    assert!((20..=40).contains(&median(Leaver::Other).unwrap()), "{lags:?}");
    // Comes back, and is none.
    story.disconnect("@dan:hs");
    story.seconds(30).await;
    story.connect("@dan:hs");
    story.seconds(60).await;
    leave(&mut story, "@dan:hs", "@dan:hs");
    let lags = story.janitor.leave_lags().expect("the journal works");
    assert_eq!((lags.count(Leaver::Owner), lags.count(Leaver::Janitor)), (3, 0), "{lags:?}");
    assert_eq!(lags.median(Leaver::Owner), Some(Duration::ZERO), "{lags:?}");
}

#[tokio::test]
async fn a_ghost_that_the_janitor_clears_is_counted_as_its_own() {
    use rtc_janitor_core::leave_lag::Leaver;
    let mut story = story();
    story.calls(ALICE).await;
    story.calls(BOB).await;
    story.seconds(180).await;
    story.disconnect(ALICE);
    story.seconds(130).await;
    assert!(!story.is_open(ALICE));
    let lags = story.janitor.leave_lags().expect("the journal works");
    assert_eq!((lags.count(Leaver::Owner), lags.count(Leaver::Janitor)), (0, 1));
    let shown = story.janitor.ports.metrics.open_metrics();
    assert!(shown.contains("rtc_janitor_leave_lag_seconds_count{by=\"janitor\"} 1"), "{shown}");
    assert!(
        shown.contains("rtc_janitor_cleared_total{reason=\"not_on_sfu\",route=\"own_power\"} 1"),
        "{shown}"
    );
}

#[tokio::test]
async fn an_outage_of_the_sfu_takes_nothing_from_a_lag_and_a_restart_all() {
    use rtc_janitor_core::leave_lag::Leaver;
    for (is_restart, expected) in [(false, 1), (true, 0)] {
        let mut story =
            Story::with(Settings { sfu_names: [SERVICE.to_owned()].into(), is_clean: false, ..with_sfu() });
        for user in [ALICE, BOB] {
            story.calls(user).await;
        }
        story.seconds(60).await;
        story.disconnect(ALICE);
        story.seconds(60).await;
        if is_restart {
            story.world.lock().sfu.clear();
        } else {
            story.world.lock().sfu_fails = Some(SfuError::Unreachable("refused".into()));
        }
        story.seconds(60).await;
        story.world.lock().sfu_fails = None;
        let leave = story.world.put(ROOM, CALL_MEMBER, &key(ALICE, "D"), ALICE, json!({}));
        story.hear([leave]);
        assert_eq!(story.janitor.leave_lags().expect("the journal works").count(Leaver::Owner), expected);
    }
}

#[tokio::test]
async fn slow_leaves_are_said_once_a_day_with_what_helps() {
    let mut story =
        Story::with(Settings { sfu_names: [SERVICE.to_owned()].into(), is_clean: false, ..with_sfu() });
    let users: Vec<_> = (0..24).map(|place| format!("@user{place}:hs")).collect();
    for user in &users {
        story.joins(user, "D");
        story.connect(user);
    }
    story.seconds(60).await;
    for (place, user) in users.iter().enumerate() {
        story.disconnect(user);
        if place == 11 || place == 23 {
            story.seconds(90).await;
            for user in &users[place - 11..=place] {
                let leave = story.world.put(ROOM, CALL_MEMBER, &key(user, "D"), user, json!({}));
                story.hear([leave]);
                story.seconds(600).await;
            }
        }
    }
    let said = story.said();
    let words: Vec<_> = said.iter().filter(|text| text.contains("Calls end slowly")).collect();
    assert_eq!(words.len(), 1, "{said:?}");
    assert!(words[0].contains("/sfu_webhook"), "{}", words[0]);
}

#[tokio::test]
async fn who_came_back_is_believed_to_be_gone_again_once_the_sfu_has_lost_another_stay_of_theirs() {
    for (joins_anew, clears) in [(false, 1), (true, 2)] {
        let mut story = story();
        story.calls(ALICE).await;
        story.calls(BOB).await;
        story.seconds(180).await;
        story.disconnect(ALICE);
        story.until_a_write().await;
        // Its client is alive and does not reconnect.
        let again = story.world.put(ROOM, CALL_MEMBER, &key(ALICE, "D"), ALICE, content("D"));
        story.hear([again]);
        story.seconds(600).await;
        assert!(story.is_open(ALICE), "in quarantine");
        // It does at last, by itself or after a reload that joins anew, and is gone a minute later.
        if joins_anew {
            story.joins(ALICE, "D");
        }
        story.connect(ALICE);
        story.seconds(60).await;
        story.disconnect(ALICE);
        story.seconds(600).await;
        assert_eq!(story.writes(), clears, "joins anew: {joins_anew}; {:?}", story.said());
        let kept = story.janitor.journal.quarantine().expect("the journal works");
        assert_eq!(kept.count(story.world.now()), usize::from(!joins_anew), "nor after a restart");
    }
}
