//! Keys that only their owner may write: cleared as the owner by an appservice, or by a redaction.

mod appservice;

use std::time::Duration;

use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    rtc::state_event::{CALL_MEMBER, StateEvent},
};
use serde_json::{Value, json};

use super::fakes::{BOT, Fate, Meanwhile, ROOM, Story, World, key, settings};
use crate::{
    config::Namespace,
    janitor::Settings,
    world::{
        NeighbourError,
        journal::{FindingKind, Journal},
    },
};

pub(super) const ALICE: &str = "@alice:hs";
const LONG_ENOUGH: u32 = 12;

pub(super) fn by_appservice() -> Settings {
    let namespace = Namespace::new(&Namespace::of_server("hs"), "hs").expect("an expression");
    Settings { appservice: Some(namespace), ..settings() }
}

pub(super) fn by_redaction() -> Settings {
    Settings { allow_redaction: true, ..settings() }
}

/// A room in which the bot may redact, and that it has seen.
pub(super) fn story(settings: Settings) -> Story {
    let world = World::default();
    world.lock().now = 1_800_000_000_000;
    world.open_room(ROOM);
    let levels = json!({"events": {CALL_MEMBER: 0}, "users": {BOT: 50}});
    world.put(ROOM, "m.room.power_levels", "", "@creator:hs", levels);
    Story::on(world, Journal::in_memory(&BOT.into()).expect("a journal"), settings)
}

fn entry(device: &str) -> Value {
    json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": device, "expires": 14_400_000,
        "foci_active": [], "membershipID": device, "odd": {"z": [null, 1], "a": "ä"},
    })
}

pub(super) fn array(devices: &[&str]) -> Value {
    json!({"memberships": devices.iter().map(|device| entry(device)).collect::<Vec<_>>(), "more": {"b": 1}})
}

impl Story {
    pub(super) fn devices_are(&self, user: &str, devices: &[&str]) {
        let devices = devices.iter().map(|device| DeviceId::from(*device)).collect();
        self.world.lock().devices.insert(UserId::from(user), Ok(devices));
    }

    /// Somebody in the room with devices in a call by the array form, all of which are looked at.
    pub(super) async fn joins_by_array(&mut self, user: &str, devices: &[&str]) -> StateEvent {
        self.world.pass(Duration::from_secs(1));
        self.world.put(ROOM, "m.room.member", user, user, json!({"membership": "join"}));
        self.devices_are(user, devices);
        let event = self.world.put(ROOM, CALL_MEMBER, user, user, array(devices));
        self.hear([event.clone()]);
        self.sweep().await;
        event
    }

    /// The same with one device, which is gone then.
    async fn array_ghost(&mut self, user: &str) -> StateEvent {
        let event = self.joins_by_array(user, &["DEAD"]).await;
        self.devices_are(user, &[]);
        event
    }

    /// What stands under the key comes by sync.
    pub(super) fn hear_of(&mut self, key: &str) -> StateEvent {
        let current = self.world.current(key);
        self.hear([current.clone()]);
        current
    }

    pub(super) fn cleared(&self) -> u32 {
        self.times_found(FindingKind::Cleared)
    }
}

fn unreachable() -> NeighbourError {
    NeighbourError::Unreachable("HTTP 502".into())
}

fn refused(status: u16, errcode: &str, message: &str) -> NeighbourError {
    NeighbourError::Refused { status, errcode: errcode.into(), message: message.into() }
}

#[tokio::test]
async fn what_only_its_owner_may_write_is_blocked_without_a_gift_and_says_which_would_help() {
    let mut story = story(settings());
    story.array_ghost(ALICE).await;
    story.minutes(60).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::Blocked)), (0, 1));
    let said = story.said().join("\n");
    assert!(said.contains("[appservice]") && said.contains("janitor.allow_redaction"), "{said}");
}

#[tokio::test]
async fn an_array_with_a_living_entry_is_left_alone_by_redaction_and_without_a_gift() {
    for settings in [settings(), by_redaction()] {
        let mut story = story(settings);
        story.joins_by_array(ALICE, &["DEAD", "LIVE"]).await;
        story.devices_are(ALICE, &["LIVE"]);
        story.minutes(60).await;
        assert_eq!(story.writes(), 0);
    }
}

#[tokio::test]
async fn by_appservice_only_the_dead_entry_goes_and_the_rest_stays_byte_for_byte() {
    let mut story = story(by_appservice());
    let before = story.joins_by_array(ALICE, &["DEAD", "LIVE"]).await;
    story.devices_are(ALICE, &["LIVE"]);
    story.minutes(LONG_ENOUGH).await;
    let after = story.world.current(ALICE);
    assert_eq!(story.written(), [ALICE]);
    assert_eq!(after.content.to_string(), array(&["LIVE"]).to_string());
    assert_eq!(after.sender.as_str(), ALICE);
    assert_eq!(
        after.origin_server_ts,
        before.origin_server_ts + Duration::from_millis(1),
        "who stays began then"
    );
    story.hear_of(ALICE);
    let said = story.said().join("\n");
    assert!(said.contains("DEAD") && !said.contains("LIVE"), "{said}");
    assert!(said.contains("as the owner, by the appservice"), "{said}");
    story.minutes(60).await;
    assert_eq!((story.writes(), story.cleared()), (1, 1));
    assert_eq!(story.said(), Vec::<String>::new());

    story.devices_are(ALICE, &[]);
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.world.current(ALICE).content, json!({}), "what remained is judged on");
    assert_eq!((story.writes(), story.cleared()), (2, 2));
}

#[tokio::test]
async fn who_is_left_in_an_event_of_ours_has_given_no_sign_of_life_by_it() {
    let mut story = story(by_appservice());
    story.joins_by_array(ALICE, &["DEAD", "LIVE"]).await;
    let joined = story.world.now();
    story.devices_are(ALICE, &["LIVE"]);
    // It comes by sync, and nobody can read the room before.
    story.world.lock().fates.push_back(Fate::Down);
    story.until_a_write().await;
    story.hear_of(ALICE);
    let open = story.janitor.memory.get(&ROOM.into(), &ALICE.into()).expect("somebody is left");
    let last_signs: Vec<_> = open.memberships().map(|membership| membership.last_sign).collect();
    assert_eq!(last_signs, [joined + Duration::from_millis(1)]);
}

#[tokio::test]
async fn by_redaction_the_event_is_emptied_when_all_in_it_are_dead_and_what_clients_do_is_said() {
    let mut story = story(by_redaction());
    let event = story.joins_by_array(ALICE, &["DEAD", "GONE"]).await;
    story.devices_are(ALICE, &["GONE"]);
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 0, "one of them is alive");
    story.devices_are(ALICE, &[]);
    story.minutes(60).await;
    let current = story.world.current(ALICE);
    assert_eq!((current.event_id, current.redacted), (event.event_id, true));
    assert_eq!((story.writes(), story.cleared()), (1, 1));
    let said = story.said().join("\n");
    assert!(said.contains("by redaction") && said.contains("until they are reloaded"), "{said}");
    // A full view shows the same event for ever.
    story.see_everything();
    story.minutes(60).await;
    assert_eq!((story.writes(), story.said()), (1, Vec::new()));
}

#[tokio::test]
async fn own_power_goes_first_and_the_other_routes_are_for_what_nobody_else_may_write() {
    let both = Settings { allow_redaction: true, ..by_appservice() };
    let mut story = story(both);
    // Three who vanish together are not what this is about.
    story.janitor.settings.breaker.minimum = 100;
    let own = story.ghost("@bob:hs", "DEAD").await;
    story.array_ghost(ALICE).await;
    story.array_ghost("@far:elsewhere").await;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.world.current(&own).sender.as_str(), BOT);
    assert_eq!(story.world.current(ALICE).sender.as_str(), ALICE);
    assert!(!story.world.current(ALICE).redacted);
    assert_eq!(story.world.current("@far:elsewhere").content, array(&["DEAD"]), "device lists of others");
    story.world.put(
        ROOM,
        "m.room.member",
        "@far:elsewhere",
        "@far:elsewhere",
        json!({"membership": "leave"}),
    );
    story.janitor.want_view(&ROOM.into());
    story.minutes(LONG_ENOUGH).await;
    assert!(story.world.current("@far:elsewhere").redacted, "nobody acts for users of another server");
}

#[tokio::test]
async fn nobody_writes_as_an_owner_who_has_left_the_room() {
    let mut story = story(by_appservice());
    story.array_ghost(ALICE).await;
    story.world.put(ROOM, "m.room.member", ALICE, ALICE, json!({"membership": "leave"}));
    story.janitor.want_view(&ROOM.into());
    story.minutes(LONG_ENOUGH).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::Blocked)), (0, 1));
}

#[tokio::test]
async fn in_mode_report_the_same_is_found_and_nothing_is_written() {
    for route in [by_appservice(), by_redaction()] {
        let mut story = story(Settings { is_clean: false, ..route });
        story.array_ghost(ALICE).await;
        story.minutes(LONG_ENOUGH).await;
        assert_eq!((story.writes(), story.times_found(FindingKind::WouldClear)), (0, 1));
    }
}

/// What is written by a route for one that is left over: the whole of an event, or a part of it.
pub(super) async fn left_over(settings: &Settings, is_part: bool) -> Story {
    let mut story = story(settings.clone());
    let devices: &[&str] = if is_part { &["DEAD", "LIVE"] } else { &["DEAD"] };
    story.joins_by_array(ALICE, devices).await;
    story.devices_are(ALICE, &devices[1..]);
    story
}

fn routes() -> [(Settings, bool); 3] {
    [(by_appservice(), false), (by_appservice(), true), (by_redaction(), false)]
}

#[tokio::test]
async fn killed_between_a_write_by_any_route_and_its_record_it_is_counted_once() {
    for (settings, is_part) in routes() {
        let mut story = left_over(&settings, is_part).await;
        story.world.lock().fates.push_back(Fate::Down);
        story.until_a_write().await;
        assert_eq!(story.cleared(), 0, "nobody knows yet");
        story.world.lock().reads_fail = None;
        let mut story = story.restart(settings);
        story.minutes(20).await;
        assert_eq!((story.writes(), story.cleared()), (1, 1));
        assert_eq!(story.said().len(), 1);
        let is_left = story.janitor.memory.get(&ROOM.into(), &ALICE.into()).is_some();
        assert_eq!(is_left, is_part);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_by_any_route_is_looked_up_and_counted_once() {
    for (settings, is_part) in routes() {
        let mut story = left_over(&settings, is_part).await;
        story.world.lock().fates.push_back(Fate::AnswerLost);
        story.minutes(20).await;
        story.hear_of(ALICE);
        story.minutes(20).await;
        assert_eq!((story.writes(), story.cleared()), (1, 1));
        assert_eq!(story.said().len(), 1);
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_when_sync_brings_it_first() {
    for is_part in [false, true] {
        let mut story = left_over(&by_appservice(), is_part).await;
        story.world.lock().fates.push_back(Fate::Down);
        story.until_a_write().await;
        story.hear_of(ALICE);
        assert_eq!(story.cleared(), 1);
        assert_eq!(story.janitor.unsettled.len(), 0);
    }
}

#[tokio::test]
async fn what_the_owner_wrote_while_nobody_knew_is_not_taken_for_ours() {
    for (settings, is_part) in routes() {
        let mut story = left_over(&settings, is_part).await;
        // The write is never made, and nothing can be read before the owner leaves.
        story.world.lock().fates.push_back(Fate::Fails(unreachable()));
        story.world.lock().appservice_fates.clear();
        while story.janitor.unsettled.is_empty() {
            story.world.pass(Duration::from_mins(1));
            story.janitor.sweep.mark_all();
            story.step_once().await;
        }
        story.world.pass(Duration::from_millis(1));
        story.world.put(ROOM, CALL_MEMBER, ALICE, ALICE, json!({}));
        story.hear_of(ALICE);
        story.minutes(5).await;
        assert_eq!((story.writes(), story.cleared()), (0, 0), "{is_part}");
        assert_eq!(story.janitor.unsettled.len(), 0);
    }
}

impl Story {
    /// One turn of the loop, and all that comes back of it but for reads of what is not settled.
    pub(super) async fn step_once(&mut self) {
        self.janitor.step().expect("the journal works");
        self.janitor.commit().expect("the journal works");
        while !self.janitor.background.is_idle() && self.janitor.unsettled.is_empty() {
            let outcome = self.janitor.background.next().await;
            self.janitor.take_in_outcome(outcome).expect("the journal works");
            if self.janitor.unsettled.is_empty() {
                self.janitor.step().expect("the journal works");
                self.janitor.commit().expect("the journal works");
            }
        }
    }
}

/// The owner puts something there after the last read and before the write.
async fn in_the_same_instant(settings: &Settings, is_part: bool, content: Value) -> Story {
    let mut story = left_over(settings, is_part).await;
    story.world.lock().before_write = Some(Meanwhile::Writes(ALICE, content));
    story.until_a_write().await;
    story.hear_of(ALICE);
    story.minutes(1).await;
    story
}

#[tokio::test]
async fn an_owner_who_writes_in_the_same_instant_is_overwritten_and_it_is_noticed_and_said_once() {
    for is_part in [false, true] {
        let mut story = in_the_same_instant(&by_appservice(), is_part, array(&["DEAD", "LIVE", "NEW"])).await;
        let said = story.said();
        assert_eq!(said.iter().filter(|said| said.contains("had rejoined")).count(), 1, "{said:?}");
        assert!(!story.janitor.sweep.quarantine.is_empty());
    }
}

#[tokio::test]
async fn an_owner_who_leaves_in_the_same_instant_has_lost_nothing() {
    // The server has nothing to write then, and answers with the owner's event.
    let mut story = in_the_same_instant(&by_appservice(), false, json!({})).await;
    let said = story.said();
    assert!(!said.iter().any(|said| said.contains("had rejoined")), "{said:?}");
    assert!(story.janitor.sweep.quarantine.is_empty());
}

#[tokio::test]
async fn a_redaction_that_came_too_late_leaves_the_newer_one_standing_and_is_no_clear() {
    let mut story = in_the_same_instant(&by_redaction(), false, array(&["NEW"])).await;
    assert_eq!(story.world.current(ALICE).content, array(&["NEW"]));
    assert_eq!((story.cleared(), story.said()), (0, Vec::new()));
    let open = story.janitor.memory.get(&ROOM.into(), &ALICE.into()).expect("it stands");
    assert_eq!(open.event_id, story.world.current(ALICE).event_id);
}

#[tokio::test]
async fn who_comes_back_right_after_a_clear_by_any_route_was_alive() {
    for (settings, is_part) in routes() {
        let mut story = left_over(&settings, is_part).await;
        story.until_a_write().await;
        story.hear_of(ALICE);
        story.said();
        story.world.pass(Duration::from_secs(5));
        let devices: &[&str] = if is_part { &["DEAD", "LIVE"] } else { &["DEAD"] };
        story.world.put(ROOM, CALL_MEMBER, ALICE, ALICE, array(devices));
        story.hear_of(ALICE);
        let said = story.said();
        assert!(said.len() == 1 && said[0].contains("rejoined the call"), "{said:?}");
        story.minutes(20).await;
        assert_eq!(story.writes(), 1, "it is left alone for an hour");
    }
}

#[tokio::test]
async fn a_key_that_its_owner_may_write_only_by_power_it_lacks_is_blocked() {
    let mut story = story(by_appservice());
    story.array_ghost(ALICE).await;
    let levels = json!({"events": {CALL_MEMBER: 50}, "users": {BOT: 50}});
    story.world.put(ROOM, "m.room.power_levels", "", "@creator:hs", levels);
    story.janitor.want_view(&ROOM.into());
    story.minutes(LONG_ENOUGH).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::Blocked)), (0, 1));
}

#[tokio::test]
async fn an_array_whose_rooms_power_was_read_long_ago_is_not_forgotten() {
    let mut story = story(by_appservice());
    story.joins_by_array(ALICE, &["DEAD", "LIVE"]).await;
    story.minutes(90).await;
    story.devices_are(ALICE, &["LIVE"]);
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.world.current(ALICE).content, array(&["LIVE"]));
}

#[tokio::test]
async fn keys_of_others_are_written_with_own_power_also_where_an_appservice_is_there() {
    let mut story = story(by_appservice());
    let dead = story.ghost(ALICE, "DEAD").await;
    assert_eq!(dead, key(ALICE, "DEAD"));
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.world.current(&dead).sender.as_str(), BOT);
}
