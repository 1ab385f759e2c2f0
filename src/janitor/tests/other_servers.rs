//! Servers that do not do what Synapse does: they tell nothing of what a write replaced, and make no event of a content
//! that stands there already.

use rtc_janitor_core::{
    ids::EventId,
    render::answer::Lack,
    rtc::state_event::{CALL_MEMBER, StateEvent},
};
use serde_json::json;

use super::fakes::{BOT, Fate, Meanwhile, ROOM, Story, content};
use crate::world::{
    RoomUpdate, SyncBatch,
    journal::{FindingKind, HistoryOf},
};

const ALICE: &str = "@alice:hs";
const OVERWROTE: &str = "rejoined in the instant between";
const CAME_BACK: &str = "rejoined the call in";

/// A ghost on a server that tells nothing of what was replaced.
async fn ghost() -> (Story, String) {
    let mut story = Story::new();
    story.world.lock().tells_nothing_replaced = true;
    let key = story.ghost(ALICE, "DEAD").await;
    (story, key)
}

/// Alice is back in the instant before the write. Returns her event and the bot's.
fn rejoins_before_the_write(story: &Story) {
    story.world.lock().before_write = Some(Meanwhile::Writes(ALICE, content("DEAD")));
}

/// Goes on until the ghost was emptied and before that is known.
pub(super) async fn until_the_answer_is_on_its_way(story: &mut Story) -> crate::janitor::background::Outcome {
    for _ in 0..30 {
        story.world.pass(std::time::Duration::from_mins(1));
        loop {
            story.janitor.step().expect("the journal works");
            story.janitor.commit().expect("the journal works");
            if story.janitor.background.is_idle() {
                break;
            }
            let outcome = story.janitor.background.next().await;
            if story.writes() > 0 {
                return outcome;
            }
            story.janitor.take_in_outcome(outcome).expect("the journal works");
        }
    }
    panic!("nothing was written in half an hour");
}

/// The event that alice's was, which is not the last one any more.
fn overwritten(story: &Story, key: &str, own: &StateEvent) -> StateEvent {
    let number: u64 = own.event_id.as_str()[1..].parse().expect("a number");
    let before = format!("${}", number - 1);
    StateEvent {
        event_id: EventId::from(before.as_str()),
        sender: ALICE.into(),
        content: content("DEAD"),
        ..story.world.current(key)
    }
}

fn lacks(story: &Story) -> Vec<Lack> {
    story.janitor.status().expect("the journal works").server.lacks
}

#[tokio::test]
async fn by_the_order_of_sync_a_write_that_overwrote_somebody_is_said_whoever_is_quicker() {
    for answer_comes_first in [true, false] {
        let (mut story, key) = ghost().await;
        rejoins_before_the_write(&story);
        let answer = until_the_answer_is_on_its_way(&mut story).await;
        let own = story.world.current(&key);
        let newer = overwritten(&story, &key, &own);

        if answer_comes_first {
            story.janitor.take_in_outcome(answer).expect("the journal works");
            story.hear([newer]);
            story.hear([own]);
        } else {
            story.hear([newer, own]);
            story.janitor.take_in_outcome(answer).expect("the journal works");
        }

        let said = story.said().join("\n");
        assert!(said.contains(OVERWROTE) && !said.contains(CAME_BACK), "{answer_comes_first}: {said}");
        assert_eq!(lacks(&story), [Lack::Replaced]);
    }
}

#[tokio::test]
async fn who_comes_back_after_the_write_was_not_overwritten() {
    for answer_comes_first in [true, false] {
        let (mut story, key) = ghost().await;
        let answer = until_the_answer_is_on_its_way(&mut story).await;
        let own = story.world.current(&key);
        let back = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, content("DEAD"));

        if answer_comes_first {
            story.janitor.take_in_outcome(answer).expect("the journal works");
            story.hear([own]);
            story.hear([back]);
        } else {
            story.hear([own, back]);
            story.janitor.take_in_outcome(answer).expect("the journal works");
        }

        let said = story.said().join("\n");
        assert!(said.contains(CAME_BACK) && !said.contains(OVERWROTE), "{answer_comes_first}: {said}");
    }
}

#[tokio::test]
async fn where_nobody_came_between_nothing_is_said_but_that_it_was_cleared() {
    let (mut story, key) = ghost().await;
    let answer = until_the_answer_is_on_its_way(&mut story).await;
    story.janitor.take_in_outcome(answer).expect("the journal works");
    let own = story.world.current(&key);
    story.hear([own]);
    let said = story.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(story.times_found(FindingKind::Cleared), 1);
    assert_eq!(lacks(&story), [Lack::Replaced], "the check cannot be made, and that is said");
}

#[tokio::test]
async fn what_was_known_before_sync_left_something_out_is_said() {
    let (mut story, key) = ghost().await;
    rejoins_before_the_write(&story);
    let answer = until_the_answer_is_on_its_way(&mut story).await;
    let own = story.world.current(&key);
    let newer = overwritten(&story, &key, &own);
    story.janitor.take_in_outcome(answer).expect("the journal works");
    story.hear([newer]);

    let gap = RoomUpdate { limited: true, ..RoomUpdate::new(ROOM.into(), Vec::new()) };
    story.take_in(SyncBatch { joined: vec![gap].into(), next_batch: "s".into(), ..SyncBatch::default() });

    let said = story.said().join("\n");
    assert!(said.contains(OVERWROTE), "{said}");
}

#[tokio::test]
async fn a_server_that_tells_what_was_replaced_lacks_nothing_and_no_write_is_read_back() {
    let mut story = Story::new();
    let key = story.ghost(ALICE, "DEAD").await;
    story.until_a_write().await;
    let own = story.world.current(&key);
    assert!(story.janitor.server.is_write_read_back(), "nothing is known yet");
    story.hear([own]);
    assert!(!story.janitor.server.is_write_read_back());
    assert_eq!(lacks(&story), []);
}

#[tokio::test]
async fn who_left_in_the_instant_of_the_write_left_and_was_not_cleared() {
    for meanwhile in [Meanwhile::Writes(ALICE, json!({})), Meanwhile::Redacts] {
        let how = format!("{meanwhile:?}");
        let (mut story, key) = ghost().await;
        {
            let mut world = story.world.lock();
            world.makes_no_equal_events = true;
            world.before_write = Some(meanwhile);
        }

        story.until_a_write().await;
        let theirs = story.world.current(&key);
        story.hear([theirs.clone()]);

        assert_ne!(theirs.sender, BOT.into());
        assert_eq!(story.times_found(FindingKind::Cleared), 0, "{how}");
        assert_eq!(story.said(), Vec::<String>::new(), "{how}");
        let (history, _) =
            story.janitor.journal.history(&HistoryOf::default(), 9).expect("the journal works");
        let outcomes: Vec<_> = history.iter().map(|past| past.outcome.as_deref()).collect();
        assert_eq!(outcomes, [Some("changed")], "{how}");
        assert!(lacks(&story).contains(&Lack::EqualContent));
    }
}

#[tokio::test]
async fn what_a_first_view_says_the_server_can_do_is_in_status() {
    let mut story = Story::new();
    let abilities = crate::world::ServerAbilities {
        name: Some("Dendrite 0.13.8".into()),
        newest_room_version: Some(11),
        takes_wildcards: Some(false),
        ..Default::default()
    };
    story.take_in(SyncBatch { abilities: Some(abilities), next_batch: "s".into(), ..SyncBatch::default() });
    let line = story.janitor.status().expect("the journal works").server.line().expect("a line");
    let expected = "homeserver limits (Dendrite 0.13.8): no sliding sync, no wildcards in filters, no room version above 11";
    assert_eq!(line, expected);
}

#[tokio::test]
async fn what_sync_has_brought_before_an_answer_was_lost_tells_what_came_of_the_write() {
    for is_overwritten in [true, false] {
        let (mut story, key) = ghost().await;
        story.world.lock().fates.push_back(Fate::AnswerLost);
        if is_overwritten {
            rejoins_before_the_write(&story);
        }
        let answer = until_the_answer_is_on_its_way(&mut story).await;
        let own = story.world.current(&key);
        if is_overwritten {
            story.hear([overwritten(&story, &key, &own), own]);
        } else {
            let back = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, content("DEAD"));
            story.hear([own, back]);
        }
        story.janitor.take_in_outcome(answer).expect("the journal works");
        story.minutes(20).await;
        let said = story.said().join("\n");
        let words = if is_overwritten { OVERWROTE } else { CAME_BACK };
        assert_eq!(said.matches(words).count(), 1, "{is_overwritten}: {said}");
        assert_eq!((story.times_found(FindingKind::Cleared), story.writes()), (1, 1), "{is_overwritten}");
    }
}

#[tokio::test]
async fn what_a_write_that_was_given_up_overwrote_is_told_by_the_order_of_sync() {
    let (mut story, key) = ghost().await;
    super::settling::gives_up_a_write(&mut story).await;
    story.world.pass(std::time::Duration::from_secs(1));
    let newer = story.world.put(ROOM, CALL_MEMBER, &key, ALICE, content("DEAD"));
    let own = story.world.put(ROOM, CALL_MEMBER, &key, BOT, json!({}));
    story.hear([newer]);
    story.hear([own]);
    let said = story.said().join("\n");
    assert_eq!(said.matches(OVERWROTE).count(), 1, "{said}");
}
