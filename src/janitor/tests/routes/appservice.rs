//! An appservice that the homeserver does not take as one, for a key or for all.

use std::time::Duration;

use serde_json::json;

use super::{ALICE, LONG_ENOUGH, array, by_appservice, refused, story, unreachable};
use crate::{
    janitor::{
        Settings,
        tests::fakes::{Fate, Story},
    },
    world::{NeighbourError, device_lists::UnknownDevices, journal::FindingKind},
};

const OTHERS: [&str; 3] = ["@bob:hs", "@carol:hs", "@dave:hs"];

fn revoked() -> NeighbourError {
    NeighbourError::AppserviceRefused("Unknown token".into())
}

impl Story {
    fn revoke(&self, why: Option<NeighbourError>) {
        self.world.lock().appservice_is_revoked = why;
    }

    /// How many messages say this, of all since the last call.
    fn times_said(&mut self, words: &str) -> usize {
        self.said().iter().filter(|said| said.contains(words)).count()
    }
}

/// Four keys that only their owners may write, of devices that are gone, and a token that is not taken any more.
async fn four_and_a_revoked_token(settings: Settings) -> Story {
    let mut story = story(settings);
    story.janitor.settings.breaker.minimum = 100;
    for user in [ALICE].iter().chain(&OTHERS) {
        story.array_ghost(user).await;
    }
    story.revoke(Some(revoked()));
    story.minutes(LONG_ENOUGH).await;
    story
}

#[tokio::test]
async fn a_token_that_is_not_taken_stops_the_route_for_all_keys_and_is_said_once() {
    let mut story = four_and_a_revoked_token(by_appservice()).await;
    story.minutes(120).await;
    let (tried, asked) = {
        let state = story.world.lock();
        (state.writes_as_owner, state.appservice_questions)
    };
    // Those that began together before the first came back.
    assert!((1..=4).contains(&tried), "{tried}");
    assert!((20..60).contains(&asked), "with pauses: {asked}");
    let said = story.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("does not take appservice.as_token (Unknown token)"), "{said:?}");
    assert_eq!(story.times_found(FindingKind::Refused) + story.times_found(FindingKind::Blocked), 0);
    let status = story.janitor.status().expect("the journal works").message().plain;
    assert!(
        status.contains("writing as owners, by the appservice: the homeserver does not take"),
        "{status}"
    );

    story.revoke(None);
    story.minutes(15).await;
    assert_eq!(story.writes(), 4);
    assert_eq!(story.times_said("can act for the owners of keys again"), 1);
    let status = story.janitor.status().expect("the journal works").message().plain;
    assert!(!status.contains("appservice"), "{status}");
}

#[tokio::test]
async fn while_a_token_is_not_taken_its_keys_are_redacted_where_that_is_allowed() {
    let both = Settings { allow_redaction: true, ..by_appservice() };
    let story = four_and_a_revoked_token(both).await;
    assert_eq!(story.writes(), 4);
    assert!(story.world.current(ALICE).redacted);
}

#[tokio::test]
async fn whether_it_is_taken_again_is_not_known_while_nobody_answers() {
    let mut story = four_and_a_revoked_token(by_appservice()).await;
    story.revoke(Some(unreachable()));
    story.minutes(20).await;
    assert_eq!(story.times_said("can act for the owners of keys again"), 0);
    assert_eq!(story.writes(), 0);
    // It may not act for this one: then it was looked at.
    story.revoke(Some(refused(403, "M_FORBIDDEN", "Application service cannot masquerade as this user")));
    story.minutes(6).await;
    assert_eq!(story.times_said("can act for the owners of keys again"), 1);
}

#[tokio::test]
async fn a_server_that_takes_the_token_for_questions_and_not_for_writes_is_asked_ever_more_seldom() {
    let mut story = story(by_appservice());
    story.array_ghost(ALICE).await;
    story.world.lock().appservice_fates.extend(vec![Fate::Fails(revoked()); 1000]);
    story.minutes(LONG_ENOUGH + 60).await;
    let tried = story.world.lock().writes_as_owner;
    assert!((5..30).contains(&tried), "{tried}");
    let said = story.said();
    let times = |words: &str| said.iter().filter(|said| said.contains(words)).count();
    assert_eq!(times("cannot act for the owners of keys"), 1, "{said:?}");
    assert_eq!(times("can act for the owners of keys again"), 1, "{said:?}");
}

#[tokio::test]
async fn one_that_is_refused_for_good_soon_after_it_was_back_is_told_all_the_same() {
    let mut story = four_and_a_revoked_token(by_appservice()).await;
    story.revoke(None);
    story.minutes(15).await;
    let said = story.said();
    assert_eq!(said.iter().filter(|said| said.contains("can act for the owners of keys again")).count(), 1);
    story.revoke(Some(revoked()));
    story.array_ghost("@zoe:hs").await;
    story.minutes(60).await;
    assert_eq!(story.times_said("cannot act for the owners of keys"), 1);
}

#[tokio::test]
async fn own_lists_that_cannot_be_had_by_the_token_are_told_with_the_route_and_once() {
    let mut story = Story::with_own_lists(by_appservice());
    let own = |story: &Story, fails| {
        story.world.lock().own_lists.as_mut().expect("they may be asked for").fails = fails;
    };
    story.array_ghost(ALICE).await;
    story.revoke(Some(revoked()));
    own(&story, Some(UnknownDevices::NoAnswer(revoked())));
    story.minutes(60).await;
    let said = story.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("cannot act for the owners of keys"), "{said:?}");
    assert_eq!(story.world.lock().writes_as_owner, 0, "it is known before any write");

    story.revoke(None);
    own(&story, None);
    story.minutes(10).await;
    let said = story.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("again"), "{said:?}");
}

#[tokio::test]
async fn an_appservice_that_fails_holds_up_no_other_route_and_is_said_once() {
    let slow = NeighbourError::RateLimited { retry_after: Duration::from_mins(9) };
    for (error, words) in [
        (
            refused(403, "M_FORBIDDEN", "Application service cannot masquerade as this user"),
            "cannot masquerade",
        ),
        (
            refused(403, "M_FORBIDDEN", "Application service has not registered this user"),
            "has not registered",
        ),
        (slow, ""),
        (unreachable(), "no answer"),
        (NeighbourError::Unreachable("no answer in time".into()), "no answer"),
    ] {
        let mut story = story(by_appservice());
        story.array_ghost(ALICE).await;
        let own = story.ghost("@bob:hs", "DEAD").await;
        story.world.lock().appservice_fates.extend(vec![Fate::Fails(error.clone()); 2]);
        story.minutes(LONG_ENOUGH).await;
        assert_eq!(story.written(), [own.as_str()], "{error}");
        let before = story.world.current(ALICE).content;
        assert_eq!(before, array(&["DEAD"]), "{error}");
        story.minutes(8).await;
        let said = story.said().join("\n");
        let times = usize::from(!words.is_empty());
        assert_eq!(said.matches("refused to clear").count(), times, "{said}");
        assert!(said.contains(words), "{said}");
        story.minutes(60).await;
        assert_eq!(story.world.current(ALICE).content, json!({}), "{error}");
        assert_eq!(story.writes(), 2);
    }
}

#[tokio::test]
async fn an_appservice_that_hangs_says_nothing_of_the_homeserver() {
    let mut story = story(by_appservice());
    story.array_ghost(ALICE).await;
    story.world.lock().appservice_fates.push_back(Fate::Fails(unreachable()));
    story.minutes(LONG_ENOUGH).await;
    assert!(!story.janitor.evidence.homeserver.is_away());
}
