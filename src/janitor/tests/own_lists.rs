//! What only the server itself knows of its users' devices.

use std::time::Duration;

use rtc_janitor_core::{
    guard::breaker,
    ids::UserId,
    judge::{
        evidence::{Account, Device},
        policy::Reason,
    },
    rtc::{membership::Owner, state_event::CALL_MEMBER},
    time::Timestamp,
};
use serde_json::json;

use super::fakes::{OwnListsOfServer, ROOM, Story, content, key, settings};
use crate::{
    janitor::Settings,
    world::{NeighbourError, device_lists::UnknownDevices},
};

const ALICE: &str = "@alice:hs";
const BOB: &str = "@bob:hs";

/// Breakers are another matter: here few are in calls, and one of two is half.
fn story() -> Story {
    let breaker = breaker::Settings { minimum: 100, ..breaker::Settings::default() };
    Story::with_own_lists(Settings { breaker, ..settings() })
}

impl Story {
    fn own<T>(&self, change: impl FnOnce(&mut OwnListsOfServer) -> T) -> T {
        change(self.world.lock().own_lists.as_mut().expect("they may be asked for"))
    }

    /// Somebody joins a call with a device that has no encryption keys; when the server has seen it, if ever.
    fn joins_keyless(&mut self, user: &str, last_seen: Option<Timestamp>) {
        self.own(|own| own.has(user, "D", last_seen));
        self.joins(user, "D");
        self.world.log_out(user, "D");
    }

    fn still_in_call(&self, user: &str) -> bool {
        self.world.current(&key(user, "D")).content != json!({})
    }

    fn cleared_for(&self, user: &str) -> Option<Reason> {
        let writes = self.janitor.journal.cleared_under(&ROOM.into(), &key(user, "D").as_str().into());
        writes.expect("the journal works").first()?.reason
    }

    fn device_of(&self, user: &str) -> Device {
        let owner = Owner { user: user.into(), device: "D".into() };
        self.janitor.evidence.lists.says(&owner, self.world.now())
    }
}

#[tokio::test]
async fn a_device_without_keys_is_gone_when_the_servers_own_list_lacks_it_and_not_before() {
    let mut story = story();
    story.joins_keyless(ALICE, None);
    story.joins_keyless(BOB, None);
    story.minutes(120).await;
    assert_eq!(story.writes(), 0, "both are signed in");
    story.own(|own| own.log_out(ALICE, "D"));
    story.minutes(15).await;
    assert_eq!(story.cleared_for(ALICE), Some(Reason::DeviceGone));
    assert!(story.still_in_call(BOB));
    assert_eq!(story.world.lock().device_queries, 0, "/keys/query has nothing to say of these users");
}

#[tokio::test]
async fn when_the_admin_takes_the_lists_away_again_a_device_without_keys_is_not_gone() {
    let mut story = story();
    story.joins_keyless(ALICE, None);
    story.minutes(10).await;
    story.world.lock().own_lists = None;
    let mut story = story.restart(settings());
    story.minutes(180).await;
    assert!(story.world.lock().device_queries > 0, "now /keys/query is asked");
    assert!(story.still_in_call(ALICE));
}

#[tokio::test]
async fn a_device_that_the_server_has_not_seen_for_75_minutes_is_idle() {
    let mut story = story();
    let joined = story.world.now();
    story.joins_keyless(ALICE, Some(joined));
    story.joins_keyless(BOB, Some(joined));
    for minute in 0..85 {
        assert!(minute > 75 || story.still_in_call(ALICE), "cleared after {minute} min");
        let now = story.world.now();
        story.own(|own| own.has(BOB, "D", Some(now)));
        story.minutes(1).await;
    }
    assert_eq!(story.cleared_for(ALICE), Some(Reason::DeviceIdle));
    assert!(story.still_in_call(BOB), "it was seen a moment ago");
}

#[tokio::test]
async fn a_bridges_invented_device_is_never_gone_and_its_membership_expires_as_any() {
    let mut story = story();
    story.joins(ALICE, "D");
    story.own(|own| {
        own.has(ALICE, "bridge", None);
        let account = Account { bridge: Some("teams".into()), is_deactivated: false };
        own.lists.get_mut(&ALICE.into()).expect("a user").account = Some(account);
    });
    story.minutes(200).await;
    assert!(story.still_in_call(ALICE));
    story.minutes(50).await;
    assert_eq!(story.cleared_for(ALICE), Some(Reason::Expired));
}

#[tokio::test]
async fn where_nobody_may_ask_whether_it_is_a_bridge_only_a_device_that_was_listed_can_be_gone() {
    let mut story = story();
    story.joins(ALICE, "D");
    story.joins_keyless(BOB, None);
    let without_account = |own: &mut OwnListsOfServer| {
        own.has(ALICE, "another", None);
        own.lists.values_mut().for_each(|list| list.account = None);
    };
    story.own(without_account);
    story.minutes(10).await;
    story.own(|own| own.log_out(BOB, "D"));
    story.minutes(150).await;
    assert!(story.still_in_call(ALICE));
    assert_eq!(story.device_of(ALICE), Device::Unknown);
    assert_eq!(story.cleared_for(BOB), Some(Reason::DeviceGone));
}

fn refused(status: u16, errcode: &str) -> UnknownDevices {
    let (errcode, message) = (errcode.to_owned(), "no".to_owned());
    NeighbourError::Refused { status, errcode, message }.into()
}

/// What the admin API can come to.
fn failures() -> Vec<UnknownDevices> {
    vec![
        NeighbourError::SignedOut("Invalid access token passed.".into()).into(),
        refused(403, "M_FORBIDDEN"),
        refused(404, "M_UNRECOGNIZED"),
        NeighbourError::RateLimited { retry_after: Duration::from_secs(5) }.into(),
        NeighbourError::Unreachable("HTTP 502".into()).into(),
        UnknownDevices::NotProven,
    ]
}

#[tokio::test]
async fn while_the_own_lists_cannot_be_had_nothing_is_gone_or_idle_and_that_is_said_once() {
    for failure in failures() {
        let mut story = story();
        let joined = story.world.now();
        story.joins_keyless(ALICE, Some(joined));
        story.minutes(10).await;
        story.said();
        story.own(|own| {
            own.fails = Some(failure.clone());
            own.log_out(ALICE, "D");
        });
        story.minutes(130).await;
        assert!(story.still_in_call(ALICE), "{failure}");
        let said = story.said();
        let told = said.iter().filter(|text| text.contains("own device lists")).count();
        assert_eq!(told, 1, "{failure}: {said:?}");

        story.own(|own| own.fails = None);
        story.minutes(30).await;
        assert_eq!(story.cleared_for(ALICE), Some(Reason::DeviceGone), "{failure}");
        let said = story.said();
        assert!(said.iter().any(|text| text.contains("own device lists again")), "{failure}: {said:?}");
    }
}

#[tokio::test]
async fn what_is_to_be_done_about_lists_that_cannot_be_had_is_about_whoever_asks_for_them() {
    for (by_appservice, cure, not) in
        [(true, "its registration", "[synapse_admin]"), (false, "[synapse_admin]", "registration")]
    {
        let mut story = story();
        story.own(|own| {
            own.by_appservice = by_appservice;
            own.fails = Some(UnknownDevices::NotProven);
        });
        story.joins(ALICE, "D");
        story.minutes(2).await;
        let said = story.said().join("\n");
        assert!(said.contains(cure) && !said.contains(not), "{said}");
    }
}

#[tokio::test]
async fn a_user_of_whom_the_server_knows_nothing_is_unknown_and_no_failure_of_the_source() {
    let mut story = story();
    story.joins(ALICE, "D");
    story.minutes(90).await;
    assert_eq!(story.device_of(ALICE), Device::Unknown);
    story.joins_keyless(BOB, None);
    story.minutes(5).await;
    assert_eq!(story.device_of(BOB), Device::Listed { last_seen: None });
    assert!(!story.said().iter().any(|text| text.contains("own device lists")));
}

#[tokio::test]
async fn remote_users_are_asked_for_by_keys_query_all_the_same() {
    let mut story = story();
    story.joins_keyless(ALICE, None);
    story.joins("@far:away", "D");
    story.minutes(3).await;
    assert_eq!(story.device_of("@far:away"), Device::Listed { last_seen: None });
    assert!(story.world.lock().device_queries > 0);
}

/// So many are in calls, each with a device that the server lists.
async fn crowd(number: usize) -> (Story, Vec<String>) {
    let mut story = Story::with_own_lists(settings());
    let users: Vec<_> = (0..number).map(|n| format!("@u{n:04}:hs")).collect();
    for user in &users {
        story.own(|own| own.has(user, "D", None));
        let event = story.world.join_call(user, "D");
        story.hear([event]);
    }
    story.minutes(10).await;
    (story, users)
}

#[tokio::test(start_paused = true)]
async fn one_who_vanishes_costs_a_sample_of_the_others_and_is_cleared() {
    let (mut story, users) = crowd(300).await;
    let before = story.own(|own| own.questions);
    story.own(|own| own.log_out(&users[7], "D"));
    story.janitor.evidence.lists.doubt(&UserId::from(users[7].as_str()));
    story.world.pass(Duration::from_secs(2));
    story.sweep().await;
    let asked = story.own(|own| own.questions) - before;
    assert!((100..200).contains(&asked), "{asked} were asked");
    story.minutes(15).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_own_lists_are_empty_all_at_once_nobody_is_cleared() {
    let (mut story, users) = crowd(300).await;
    story.own(|own| users.iter().for_each(|user| own.log_out(user, "D")));
    story.minutes(5).await;
    assert_eq!(story.writes(), 0);
    let said = story.said();
    assert!(said.iter().any(|text| text.contains("breaker")), "{said:?}");
    // It was wrong about them, and is right again.
    story.own(|own| users.iter().for_each(|user| own.has(user, "D", None)));
    story.minutes(30).await;
    assert!(story.writes() <= 1, "one probe at most");
}

#[tokio::test]
async fn a_device_that_came_back_was_there_whatever_the_list_says() {
    let mut story = story();
    story.joins_keyless(ALICE, None);
    story.minutes(5).await;
    story.own(|own| own.log_out(ALICE, "D"));
    story.until_a_write().await;
    // Its client is alive, and writes the same again.
    story.world.pass(Duration::from_secs(2));
    let back = story.world.put(ROOM, CALL_MEMBER, &key(ALICE, "D"), ALICE, content("D"));
    story.hear([back]);
    story.minutes(50).await;
    assert_eq!(story.writes(), 1);
    assert!(story.still_in_call(ALICE), "in quarantine");
}
