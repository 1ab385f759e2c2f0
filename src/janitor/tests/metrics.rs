//! Each metric moves with what it counts.

use rtc_janitor_core::rtc::state_event::CALL_MEMBER;
use serde_json::json;

use super::fakes::{BOT, Fate, ROOM, SERVICE, Story, content, key, with_sfu};
use crate::{
    janitor::{Settings, joins::JoinFor},
    world::{NeighbourError, device_lists::UnknownDevices, livekit::SfuError},
};

const ALICE: &str = "@alice:hs";

/// Longer than any grace and every pause.
const LONG_ENOUGH: u32 = 12;

impl Story {
    /// The value of a series.
    fn metric(&self, series: &str) -> f64 {
        self.janitor.show();
        let shown = self.janitor.ports.metrics.open_metrics();
        let name = format!("rtc_janitor_{series} ");
        let line = shown.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}in {shown}"))
    }
}

/// A series is at a whole number.
macro_rules! assert_metric {
    ($story:expr, $series:expr, $value:expr) => {
        let value = $story.metric($series);
        assert!((value - f64::from($value)).abs() < f64::EPSILON, "{} is {value}", $series);
    };
}

#[tokio::test]
async fn memberships_are_counted_by_verdict_and_reason_room_by_room() {
    let mut story = Story::new();
    story.joins("@bob:hs", "D");
    story.ghost(ALICE, "D").await;
    // Lists are asked for every 5 min.
    story.minutes(6).await;
    assert_metric!(story, "memberships{verdict=\"active\"}", 1);
    assert_metric!(story, "memberships{verdict=\"stale\"}", 1);
    assert_metric!(story, "stale{reason=\"device_gone\"}", 1);
    assert_metric!(story, "rooms{state=\"joined\"}", 1);
    assert_metric!(story, "rooms{state=\"with_calls\"}", 1);
    assert!(story.metric("sweep_seconds_count") > 0.0);
    story.minutes(LONG_ENOUGH).await;
    assert_metric!(story, "memberships{verdict=\"stale\"}", 0);
    assert_metric!(story, "stale{reason=\"device_gone\"}", 0);
    assert_metric!(story, "cleared_total{reason=\"device_gone\",route=\"own_power\"}", 1);
    let bob = key("@bob:hs", "D");
    let left = story.world.put(ROOM, CALL_MEMBER, &bob, "@bob:hs", json!({}));
    story.hear([left]);
    story.minutes(1).await;
    assert_metric!(story, "memberships{verdict=\"active\"}", 0);
    assert_metric!(story, "rooms{state=\"with_calls\"}", 0);
}

#[tokio::test]
async fn who_comes_back_and_what_was_overwritten_is_counted() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "LIVE").await;
    story.until_a_write().await;
    let mut ours = story.world.current(&key);
    assert_eq!(ours.sender.as_str(), BOT);
    ours.replaces_state = Some("$one-that-nobody-judged".into());
    assert_metric!(story, "overwritten_total", 0);
    story.hear([ours]);
    assert_metric!(story, "overwritten_total", 1);
    assert_metric!(story, "returned_total", 0);
    let back = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, content("LIVE"));
    story.hear([back]);
    assert_metric!(story, "returned_total", 1);
}

#[tokio::test]
async fn a_breaker_that_opens_shows() {
    let mut story = Story::new();
    story.eight_of_ten_vanish().await;
    assert_metric!(story, "breaker_open{source=\"device_lists\"}", 0);
    story.minutes(6).await;
    assert_metric!(story, "breaker_open{source=\"device_lists\"}", 1);
    assert_metric!(story, "breaker_open{source=\"homeserver\"}", 0);
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_not_up() {
    let mut story = Story::new();
    story.joins(ALICE, "D");
    story.minutes(1).await;
    assert_metric!(story, "source_up{source=\"homeserver\"}", 1);
    story.janitor.homeserver_failed();
    assert_metric!(story, "source_up{source=\"homeserver\"}", 0);
    story.janitor.homeserver_answered();
    assert_metric!(story, "source_up{source=\"homeserver\"}", 1);
    let shown = story.janitor.ports.metrics.open_metrics();
    assert!(!shown.contains("source_up{source=\"sfu\"}"), "none is set up, so none is down");
}

#[tokio::test]
async fn a_write_that_is_refused_is_counted_by_its_code_if_that_is_known() {
    for (errcode, shown) in [("M_FORBIDDEN", "M_FORBIDDEN"), ("ORG.EVIL.\"}\n", "other")] {
        let mut story = Story::new();
        story.ghost(ALICE, "D").await;
        let refused =
            NeighbourError::Refused { status: 403, errcode: errcode.to_owned(), message: "no".to_owned() };
        story.world.lock().fates.push_back(Fate::Fails(refused));
        story.minutes(LONG_ENOUGH).await;
        assert_metric!(story, &format!("clear_failures_total{{errcode=\"{shown}\"}}"), 1);
    }
}

#[tokio::test]
async fn what_is_unknown_and_what_is_not_joined_shows() {
    let mut story = Story::new();
    story.joins(ALICE, "D");
    story.world.lock().devices.insert(ALICE.into(), Err(UnknownDevices::NotInTheAnswer));
    story.minutes(6).await;
    assert_metric!(story, "memberships{verdict=\"unknown\"}", 1);
    assert_metric!(story, "rooms{state=\"not_joined\"}", 0);
    let (room, now) = ("!new:hs".into(), story.world.now());
    story.janitor.joins.want(&room, JoinFor::UpgradeOf(ROOM.into()), Vec::new(), now);
    assert_metric!(story, "rooms{state=\"not_joined\"}", 1);
}

#[tokio::test]
async fn a_breaker_that_closes_and_an_sfu_that_is_away_show() {
    let mut story = Story::with(Settings { sfu_names: [SERVICE.to_owned()].into(), ..with_sfu() });
    story.joins(ALICE, "D");
    story.minutes(2).await;
    assert_metric!(story, "source_up{source=\"sfu\"}", 1);
    story.world.lock().sfu_fails = Some(SfuError::WrongKey);
    story.minutes(2).await;
    assert_metric!(story, "source_up{source=\"sfu\"}", 0);
    let mut story = Story::new();
    story.eight_of_ten_vanish().await;
    story.minutes(6).await;
    assert_metric!(story, "breaker_open{source=\"device_lists\"}", 1);
    story.janitor.close_breakers(None);
    assert_metric!(story, "breaker_open{source=\"device_lists\"}", 0);
}
