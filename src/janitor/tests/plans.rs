//! Plans: what was shown is what is written, once, minus what changed.

use std::time::Duration;

use rtc_janitor_core::{mode::Pause, plan::FRESH};

use super::fakes::{Fate, ROOM, Story, key, settings};
use crate::{
    janitor::{
        Settings,
        overrides::Override,
        plans::{Approved, Which},
    },
    world::{NeighbourError, journal::FindingKind},
};

const ALICE: &str = "@alice:hs";
const BOSS: &str = "@boss:hs";

impl Story {
    /// Asks for a plan of what is due; returns which it is, and its text.
    async fn sweep_plan(&mut self) -> (Which, String) {
        self.said();
        drop(self.janitor.look_up(None));
        self.go_on().await;
        let proposed = self.janitor.propose_sweep(None).expect("the journal works");
        self.show(&proposed)
    }

    async fn clear_plan(&mut self) -> (Which, String) {
        self.said();
        drop(self.janitor.look_up(Some(&ROOM.into())));
        self.go_on().await;
        let proposed = self.janitor.propose_clear(&ROOM.into(), None).expect("the journal works");
        self.show(&proposed)
    }

    fn show(&mut self, proposed: &crate::janitor::plans::Proposed) -> (Which, String) {
        let command = format!("$command{}", self.world.now()).as_str().into();
        self.janitor.take_up(&command, &BOSS.into()).expect("the journal works");
        self.janitor.show_plan(proposed, &command).expect("the journal works");
        let messages = self.messages();
        let shown =
            messages.iter().find(|message| message.reply_to.as_ref() == Some(&command)).expect("an answer");
        let event = format!("$plan{}", self.world.now()).as_str().into();
        self.janitor.journal.sent(&shown.txn, &event).expect("the journal works");
        (Which::ShownIn(event), shown.message.plain.clone())
    }

    fn approve(&mut self, which: &Which) -> Approved {
        self.janitor.approve(which, &BOSS.into(), &"$tick".into()).expect("the journal works")
    }

    pub(super) fn written(&self) -> Vec<String> {
        self.world.lock().writes.iter().map(|(_, key)| key.to_string()).collect()
    }
}

/// In mode `report`, with two ghosts that are due.
async fn two_ghosts() -> Story {
    let mut story = Story::with(Settings { is_clean: false, ..settings() });
    story.ghost(ALICE, "DEAD").await;
    story.ghost("@bob:hs", "DEAD").await;
    story.minutes(12).await;
    story
}

/// In mode `clean`, with somebody who is alive.
async fn one_caller() -> Story {
    let mut story = Story::new();
    story.joins(ALICE, "PHONE");
    story.minutes(5).await;
    story
}

#[tokio::test]
async fn a_plan_writes_what_was_shown_in_mode_report_too_and_once() {
    let mut story = two_ghosts().await;
    let (which, text) = story.sweep_plan().await;
    assert!(text.contains("clear 2 memberships"), "{text}");
    story.go_on().await;
    assert_eq!(story.writes(), 0, "nothing before the approval");
    assert_eq!(story.approve(&which), Approved::Begun);
    assert!(matches!(story.approve(&which), Approved::Taken(..)));
    story.go_on().await;
    story.go_on().await;
    assert_eq!(story.written(), [key(ALICE, "DEAD"), key("@bob:hs", "DEAD")]);
    let said = story.said().join("\n");
    assert!(said.contains("approved by @boss:hs: cleared 2 of 2 memberships."), "{said}");
    assert_eq!(story.times_found(FindingKind::Cleared), 0, "told with the plan, not in a report");
}

#[tokio::test]
async fn what_changed_since_it_was_shown_is_left_alone_and_named() {
    let mut story = two_ghosts().await;
    let (which, _) = story.sweep_plan().await;
    // Alice is back under the same key; sync has not said so.
    story.world.join_call(ALICE, "DEAD");
    story.approve(&which);
    story.go_on().await;
    assert_eq!(story.written(), [key("@bob:hs", "DEAD")]);
    let said = story.said().join("\n");
    assert!(
        said.contains("cleared 1 of 2 memberships.") && said.contains("changed since it was shown"),
        "{said}"
    );
}

#[tokio::test]
async fn a_plan_is_good_for_fifteen_minutes() {
    let mut story = two_ghosts().await;
    let (which, _) = story.sweep_plan().await;
    story.world.pass(FRESH);
    assert!(matches!(story.approve(&which), Approved::TooOld(_)));
    let (which, _) = story.sweep_plan().await;
    story.world.pass(Duration::from_mins(14));
    assert_eq!(story.approve(&which), Approved::Begun, "the control");
    story.go_on().await;
    assert_eq!(story.writes(), 2);
}

#[tokio::test]
async fn paused_and_excluded_hold_against_an_approval_and_limits_do_not() {
    let mut story = two_ghosts().await;
    story.janitor.settings.limits.per_hour = 1;
    let (which, _) = story.sweep_plan().await;
    story
        .janitor
        .set_override(&Override::Pause(Pause::UntilResume), &BOSS.into())
        .expect("the journal works");
    assert!(matches!(story.approve(&which), Approved::Paused(_)));
    story.janitor.clear_override(&Override::Pause(Pause::UntilResume)).expect("the journal works");
    story.janitor.set_override(&Override::User(ALICE.into()), &BOSS.into()).expect("the journal works");
    assert_eq!(story.approve(&which), Approved::Begun);
    story.go_on().await;
    assert_eq!(story.written(), [key("@bob:hs", "DEAD")]);
    assert!(story.said().join("\n").contains("it is excluded"));
}

#[tokio::test]
async fn a_server_that_slows_down_sets_the_pace_of_a_plan() {
    let mut story = two_ghosts().await;
    let (which, _) = story.sweep_plan().await;
    let slow = NeighbourError::RateLimited { retry_after: Duration::from_secs(20) };
    story.world.lock().fates.push_back(Fate::Fails(slow));
    story.approve(&which);
    story.go_on().await;
    assert_eq!(story.writes(), 0);
    assert!(story.said().join("\n").contains("cleared 0 of 2 memberships; 2 to go."));
    story.world.pass(Duration::from_secs(10));
    story.go_on().await;
    assert_eq!(story.writes(), 0, "not before it may");
    story.world.pass(Duration::from_secs(11));
    story.go_on().await;
    assert_eq!(story.writes(), 2);
    assert!(story.said().join("\n").contains("cleared 2 of 2"));
}

#[tokio::test]
async fn who_comes_back_after_a_clear_is_named_and_not_quarantined() {
    let mut story = one_caller().await;
    let (which, text) = story.clear_plan().await;
    assert!(text.contains("It looks active. Most clients are back within a second"), "{text}");
    story.approve(&which);
    story.go_on().await;
    assert_eq!(story.written(), [key(ALICE, "PHONE")]);
    assert!(story.said().join("\n").contains("whoever rejoins is added here"));
    let back = story.world.join_call(ALICE, "PHONE");
    story.hear([back]);
    // Those who come together are told together.
    story.world.pass(Duration::from_secs(3));
    story.go_on().await;
    let said = story.said().join("\n");
    assert!(said.contains("Came back") && said.contains("@alice:hs on PHONE"), "{said}");
    story.world.pass(Duration::from_secs(121));
    story.go_on().await;
    assert!(story.said().join("\n").contains("Their calls end only when they leave them"));
    assert_eq!(story.janitor.sweep.quarantine.count(story.world.now()), 0);
    // It is a ghost like any other when it dies.
    story.world.log_out(ALICE, "PHONE");
    story.minutes(12).await;
    assert_eq!(story.writes(), 2);
}

#[tokio::test]
async fn after_a_clear_from_which_nobody_comes_back_that_is_said_too() {
    let mut story = one_caller().await;
    let (which, _) = story.clear_plan().await;
    story.approve(&which);
    story.go_on().await;
    story.said();
    story.world.pass(Duration::from_secs(121));
    story.go_on().await;
    assert!(story.said().join("\n").contains("Nobody came back within 2 min."));
    assert_eq!(story.janitor.plans.next_step(true, story.world.now()), None);
}

#[tokio::test]
async fn an_approved_plan_goes_on_after_a_restart_and_no_key_is_written_twice() {
    let mut story = two_ghosts().await;
    let (which, _) = story.sweep_plan().await;
    story.approve(&which);
    // One is written, and the process ends before it knows.
    story.world.lock().fates.push_back(Fate::Down);
    story.go_on().await;
    assert_eq!(story.writes(), 1);
    story.world.lock().reads_fail = None;
    let mut story = story.restart(Settings { is_clean: false, ..settings() });
    story.go_on().await;
    assert_eq!(story.written(), [key(ALICE, "DEAD"), key("@bob:hs", "DEAD")]);
    assert!(story.said().join("\n").contains("cleared 2 of 2"));
}

#[tokio::test]
async fn a_plan_under_way_can_be_stopped_and_goes_on() {
    let mut story = Story::new();
    for user in 0..25 {
        story.joins(&format!("@u{user}:hs"), "D");
    }
    story.minutes(5).await;
    let (which, _) = story.clear_plan().await;
    story.approve(&which);
    story.until_written(3).await;
    let begun = story.writes();
    assert!((3..25).contains(&begun), "in the middle of it: {begun}");
    story
        .janitor
        .set_override(&Override::Pause(Pause::UntilResume), &BOSS.into())
        .expect("the journal works");
    story.go_on().await;
    story.world.pass(Duration::from_secs(31));
    story.go_on().await;
    assert_eq!(story.writes(), begun);
    assert!(story.said().join("\n").contains("It waits: I am paused."));
    story.janitor.clear_override(&Override::Pause(Pause::UntilResume)).expect("the journal works");
    story.world.pass(Duration::from_secs(5));
    // Nobody could say stop now.
    story.admin_room_is(Err("kicked".into()));
    story.go_on().await;
    assert_eq!(story.writes(), begun);
    story.admin_room_is(Ok(()));
    for _ in 0..25 {
        story.go_on().await;
    }
    assert_eq!(story.writes(), 25);
    assert!(story.said().join("\n").contains("cleared 25 of 25"));
}

#[tokio::test]
async fn a_plan_that_waits_too_long_is_over() {
    let mut story = two_ghosts().await;
    let (which, _) = story.sweep_plan().await;
    story.approve(&which);
    story
        .janitor
        .set_override(&Override::Pause(Pause::UntilResume), &BOSS.into())
        .expect("the journal works");
    story.go_on().await;
    story.world.pass(FRESH);
    story.go_on().await;
    assert_eq!(story.writes(), 0);
    assert!(story.said().join("\n").contains("the plan was more than 15 min old"));
    assert_eq!(story.janitor.plans.next_step(true, story.world.now()), None);
}

#[tokio::test]
async fn what_somebody_else_emptied_is_told_as_gone() {
    let mut story = two_ghosts().await;
    let (which, _) = story.sweep_plan().await;
    story.world.put(
        ROOM,
        "org.matrix.msc3401.call.member",
        &key(ALICE, "DEAD"),
        ALICE,
        serde_json::json!({}),
    );
    story.approve(&which);
    story.go_on().await;
    assert_eq!(story.written(), [key("@bob:hs", "DEAD")]);
    let said = story.said().join("\n");
    assert!(said.contains("gone already") && !said.contains("changed since"), "{said}");
}

#[tokio::test]
async fn who_came_back_while_nobody_looked_is_named_all_the_same() {
    let mut story = one_caller().await;
    let (which, _) = story.clear_plan().await;
    story.approve(&which);
    story.go_on().await;
    // The janitor is away while she comes back.
    story.world.pass(Duration::from_secs(1));
    story.world.join_call(ALICE, "PHONE");
    story.world.pass(Duration::from_mins(3));
    let mut story = story.restart(settings());
    story.go_on().await;
    let said = story.said().join("\n");
    assert!(said.contains("Came back") && !said.contains("Nobody came back"), "{said}");
    assert_eq!(story.janitor.sweep.quarantine.count(story.world.now()), 0);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_told_as_done_whoever_finds_out() {
    let mut story = one_caller().await;
    let (which, _) = story.clear_plan().await;
    story.world.lock().fates.push_back(Fate::AnswerLost);
    story.approve(&which);
    story.go_on().await;
    let echo = story.world.current(&key(ALICE, "PHONE"));
    story.hear([echo]);
    story.sweep().await;
    story.world.pass(Duration::from_secs(6));
    story.go_on().await;
    let said = story.said().join("\n");
    assert!(said.contains("cleared 1 of 1") && said.contains("whoever rejoins is added here"), "{said}");
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn while_nobody_knows_what_came_of_a_write_a_plan_waits_and_says_so() {
    let mut story = two_ghosts().await;
    let (which, _) = story.sweep_plan().await;
    story.world.lock().fates.push_back(Fate::Down);
    story.approve(&which);
    story.go_on().await;
    for _ in 0..8 {
        story.world.pass(Duration::from_secs(6));
        story.go_on().await;
        let next = story.janitor.plans.next_step(true, story.world.now()).expect("it goes on");
        assert!(next >= story.world.now() + Duration::from_secs(5), "not at once");
        let reads = story.world.lock().reads.len();
        story.go_on().await;
        assert_eq!(story.world.lock().reads.len(), reads, "nor when something else happens");
    }
    let said = story.said().join("\n");
    assert!(said.contains("It waits: the homeserver does not say what came of an earlier write"), "{said}");
    story.world.lock().reads_fail = None;
    // What failed is tried again after a minute at most.
    story.world.pass(Duration::from_mins(1));
    story.go_on().await;
    assert!(story.said().join("\n").contains("cleared 2 of 2"));
    assert_eq!(story.writes(), 2);
}

#[tokio::test]
async fn a_plan_that_waits_for_an_answer_for_too_long_gives_up_the_rest() {
    let mut story = Story::new();
    for user in 0..12 {
        story.joins(&format!("@u{user}:hs"), "D");
    }
    story.minutes(5).await;
    let (which, _) = story.clear_plan().await;
    story.world.lock().fates.push_back(Fate::Down);
    story.approve(&which);
    story.go_on().await;
    let begun = story.writes();
    assert_eq!(begun, 1, "nothing more where nothing can be read");
    story.said();
    for _ in 0..160 {
        story.world.pass(Duration::from_secs(6));
        story.go_on().await;
    }
    let said = story.said();
    assert!((1..=3).contains(&said.len()), "what is not new is not said again: {said:?}");
    story.world.lock().reads_fail = None;
    // What failed is tried again after a minute at most.
    story.world.pass(Duration::from_mins(1));
    story.go_on().await;
    let said = story.said().join("\n");
    assert!(
        said.contains(&format!("cleared {begun} of 12")) && said.contains("more than 15 min old"),
        "{said}"
    );
    assert_eq!(story.writes(), begun);
}

#[tokio::test]
async fn a_clear_is_closed_when_the_homeserver_is_back_and_without_haste() {
    let mut story = one_caller().await;
    let (which, _) = story.clear_plan().await;
    story.approve(&which);
    story.go_on().await;
    story.said();
    let now = story.world.now();
    story.janitor.evidence.homeserver.failed(now);
    story.world.pass(Duration::from_secs(121));
    story.go_on().await;
    assert_eq!(story.said(), Vec::<String>::new());
    let soonest = story.world.now() + Duration::from_secs(5);
    assert!(story.janitor.plans.next_step(true, story.world.now()).is_some_and(|next| next >= soonest));
    let now = story.world.now();
    story.janitor.evidence.homeserver.answered(now);
    story.go_on().await;
    assert!(story.said().join("\n").contains("Nobody came back within 2 min."));
}

#[tokio::test]
async fn who_is_left_alone_is_named_by_a_clear() {
    let mut story = one_caller().await;
    story.janitor.set_override(&Override::User(ALICE.into()), &BOSS.into()).expect("the journal works");
    let (_, text) = story.clear_plan().await;
    assert!(text.contains("nothing there that I may clear") && text.contains("It is excluded"), "{text}");
}

#[tokio::test]
async fn a_newer_membership_that_a_clear_overwrote_is_told() {
    let mut story = one_caller().await;
    let (which, _) = story.clear_plan().await;
    story.approve(&which);
    story.go_on().await;
    story.said();
    let mut ours = story.world.current(&key(ALICE, "PHONE"));
    ours.replaces_state = Some("$one-that-nobody-was-shown".into());
    story.hear([ours]);
    let said = story.said().join("\n");
    assert!(said.contains("had rejoined in the instant") && !said.contains("leave it alone"), "{said}");
    assert_eq!(story.janitor.sweep.quarantine.count(story.world.now()), 0, "no reason was wrong");
}
