//! A janitor that ends at any moment and starts again.

use std::time::Duration;

use rtc_janitor_core::judge::policy::Reason;

use super::fakes::{Story, settings};
use crate::{janitor::Settings, world::journal::FindingKind};

const ALICE: &str = "@alice:hs";

#[tokio::test]
async fn a_restart_shortens_no_grace_and_loses_no_sighting() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.minutes(8).await;
    story.world.pass(Duration::from_hours(1));
    let mut story = story.restart(settings());
    story.sweep().await;
    story.minutes(1).await;
    assert_eq!(story.writes(), 0, "3 min were seen before, and 1 min after");
    story.minutes(7).await;
    assert_eq!(story.writes(), 1, "what was seen before counts");
}

#[tokio::test]
async fn what_was_reported_is_not_reported_again_after_a_restart() {
    let report = Settings { is_clean: false, ..settings() };
    let mut story = Story::with(report.clone());
    story.ghost(ALICE, "DEAD").await;
    story.minutes(12).await;
    assert_eq!(story.said().len(), 1);
    let mut story = story.restart(report);
    story.said();
    story.minutes(20).await;
    assert_eq!(story.said(), Vec::<String>::new());
    let mut story = story.restart(settings());
    story.said();
    story.minutes(20).await;
    assert_eq!((story.writes(), story.said().len()), (1, 1), "going live is another matter");
}

#[tokio::test]
async fn a_message_that_was_not_sent_is_sent_after_the_restart_under_the_same_transaction() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.minutes(12).await;
    let unsent = story.janitor.journal.unsent().expect("the journal works");
    assert_eq!(unsent.len(), 1);
    let mut story = story.restart(settings());
    assert_eq!(story.said(), [unsent[0].message.plain.clone()]);
    assert_eq!(story.janitor.journal.unsent().expect("the journal works")[0].txn, unsent[0].txn);
    story.janitor.journal.sent(&unsent[0].txn, &"$sent".into()).expect("the journal works");
    let mut story = story.restart(settings());
    assert_eq!(story.said(), Vec::<String>::new());
}

#[tokio::test]
async fn killed_between_a_write_and_its_record_it_is_counted_once() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    story.world.lock().fates.push_back(super::fakes::Fate::Down);
    while story.writes() == 0 {
        story.minutes(1).await;
    }
    assert_eq!(story.times_found(FindingKind::Cleared), 0, "nobody knows yet");
    story.world.lock().reads_fail = None;
    let mut story = story.restart(settings());
    story.minutes(20).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::Cleared)), (1, 1));
    assert_eq!(story.said().len(), 1);
}

#[tokio::test]
async fn what_is_long_over_is_forgotten_while_it_runs_and_not_only_at_a_start() {
    let mut story = Story::new();
    let now = story.world.now();
    story.janitor.sweep.quarantine.returned(&"!r".into(), &"k".into(), Reason::DeviceGone, now);
    story.sweep().await;
    assert!(!story.janitor.sweep.quarantine.is_empty());
    story.world.pass(Duration::from_hours(48));
    story.sweep().await;
    assert!(story.janitor.sweep.quarantine.is_empty());
}
