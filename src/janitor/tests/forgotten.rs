//! A journal that is new, damaged, or says that something cannot be cleared: none of it makes the janitor
//! bolder, and all of it is said.

use std::time::Duration;

use rtc_janitor_core::{mode::Mode, rtc::state_event::CALL_MEMBER};
use serde_json::json;

use super::fakes::{BOT, ROOM, Story, World, content, settings};
use crate::{
    janitor::{overrides::Override, presence::Presence},
    world::journal::{FindingKind, Journal},
};

const ALICE: &str = "@alice:hs";

/// Until what is due is written, had it not been held.
const LONG_ENOUGH: u32 = 12;

impl Story {
    /// The janitor hears and speaks in its admin room, as under `run`, and has a ghost before it.
    async fn with_an_admin_room(mut self) -> Self {
        let now = self.world.now();
        self.janitor.presence = Presence::new();
        self.janitor.presence.room_is(Ok(()), now);
        self.janitor.presence.posts_are(Ok(()), now);
        self.ghost(ALICE, "DEAD").await;
        self
    }

    fn mode_is(&mut self, mode: Mode) {
        self.janitor.set_override(&Override::Mode(mode), &ALICE.into()).expect("the journal works");
    }
}

#[tokio::test]
async fn nothing_is_written_before_it_is_known_whether_an_earlier_journal_was_lost() {
    let mut story = Story::new().with_an_admin_room().await;
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 0);
    story.janitor.take_in_past(false).expect("the journal works");
    story.minutes(1).await;
    assert_eq!(story.writes(), 1, "the control: the account is new, too");
    assert!(!story.said().concat().contains("My journal is new"));
}

#[tokio::test]
async fn a_lost_journal_is_said_and_nothing_is_written_over_restarts_until_somebody_says_clean() {
    let mut story = Story::new().with_an_admin_room().await;
    story.janitor.take_in_past(true).expect("the journal works");
    story.minutes(LONG_ENOUGH).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::WouldClear)), (0, 1));
    assert!(story.said().concat().contains("My journal is new"));
    let status = story.janitor.status().expect("the journal works").message().plain;
    assert!(status.contains("Report mode") && status.contains("My journal is new"), "{status}");

    let mut story = story.restart(settings());
    story.janitor.take_in_past(false).expect("the journal works");
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 0, "asked twice, and by now it has spoken itself");

    // Whoever makes it stricter and takes that back has not asked it to clear.
    story.mode_is(Mode::Report);
    story.janitor.clear_override(&Override::Mode(Mode::Report)).expect("the journal works");
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 0);

    story.mode_is(Mode::Clean);
    story.minutes(1).await;
    assert_eq!(story.writes(), 1);
    let status = story.janitor.status().expect("the journal works").message().plain;
    assert!(!status.contains("My journal is new"), "{status}");
}

#[tokio::test]
async fn whoever_says_the_mode_first_is_not_overruled_by_what_the_room_remembers() {
    let mut story = Story::new().with_an_admin_room().await;
    story.mode_is(Mode::Clean);
    story.janitor.take_in_past(true).expect("the journal works");
    story.minutes(LONG_ENOUGH).await;
    assert_eq!(story.writes(), 1);
}

#[tokio::test]
async fn what_the_journal_cannot_read_is_said_once_and_not_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::default();
    world.pass(Duration::from_hours(500_000));
    world.open_room(ROOM);
    let open = || Journal::open(folder.path(), &BOT.into(), world.now()).expect("a journal");
    drop(Story::on(world.clone(), open(), settings()));
    let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('breakers', '{')";
    let db = rusqlite::Connection::open(folder.path().join("journal.sqlite3")).expect("SQLite");
    db.execute(sql, []).expect("SQLite");

    let mut story = Story::on(world.clone(), open(), settings());
    story.minutes(3).await;
    let mut said = Vec::new();
    for stored in story.messages() {
        story.janitor.journal.sent(&stored.txn, &"$said".into()).expect("the journal works");
        said.push(stored.message.plain);
    }
    assert_eq!(
        said.iter().filter(|text| text.contains("I cannot read the breakers")).count(),
        1,
        "{said:#?}"
    );
    drop(story);
    db.execute(sql, []).expect("SQLite");
    let mut story = Story::on(world.clone(), open(), settings());
    story.minutes(3).await;
    let said = story.said().concat();
    assert!(!said.contains("breakers"), "{said}");
}

#[tokio::test]
async fn a_ghost_that_only_its_owner_can_clear_is_named_so_wherever_one_looks() {
    let mut story = Story::new();
    story.ghost(ALICE, "DEAD").await;
    let mut entry = content("OLD");
    entry["expires"] = json!(60_000);
    entry["membershipID"] = json!("one");
    entry["foci_active"] = json!([]);
    story.world.put(ROOM, "m.room.member", "@bob:hs", "@bob:hs", json!({"membership": "join"}));
    let array = story.world.put(ROOM, CALL_MEMBER, "@bob:hs", "@bob:hs", json!({"memberships": [entry]}));
    story.hear([array]);
    story.minutes(LONG_ENOUGH).await;
    assert_eq!((story.writes(), story.times_found(FindingKind::Blocked)), (1, 1));

    let calls = story.janitor.calls(None).expect("the journal works").message("!janitor").plain;
    assert!(calls.contains("stale: expired; only the owner can clear it"), "{calls}");
    let problems = story.janitor.rooms_answer(true).message("!janitor").plain;
    assert!(
        problems.contains("1 stale membership that I cannot clear. Only its owner may write"),
        "{problems}"
    );
    let status = story.janitor.status().expect("the journal works").message().plain;
    assert!(status.contains("1 stale (0 due, 1 that I cannot clear)"), "{status}");
    assert!(status.contains("1 needs you"), "{status}");
}
