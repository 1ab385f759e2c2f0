//! What is said unasked, how often, and to whom.

use std::{collections::BTreeSet, time::Duration};

use rtc_janitor_core::{
    judge::policy::Reason,
    mode::Pause,
    render::{Html, Message},
    time::TimeOfDay,
};
use serde_json::json;

use super::fakes::{BOT, ROOM, Story, key, settings};
use crate::{
    janitor::{Settings, overrides::Override},
    world::{LeftRoom, SyncBatch, journal::FindingKind},
};

const ALICE: &str = "@alice:hs";

/// Everything that is due is said, in as many messages as the pace allows within this time.
fn messages_within(story: &mut Story, time: Duration) -> Vec<String> {
    let end = story.world.now() + time;
    let mut said = Vec::new();
    while story.world.now() < end {
        story.speak();
        said.extend(story.posted());
        story.world.pass(Duration::from_secs(1));
    }
    said
}

#[tokio::test]
async fn at_most_one_message_in_ten_seconds_is_unasked_for_and_a_burst_is_summed_up() {
    let mut story = Story::new();
    story.see_everything();
    let left: Vec<_> = (0..50)
        .map(|number| LeftRoom {
            room_id: format!("!{number}:hs").as_str().into(),
            by: Some("@mod:hs".into()),
            reason: None,
            banned: false,
        })
        .collect();
    let rooms: Vec<_> = left.iter().map(|left| left.room_id.clone()).collect();
    for room in &rooms {
        story.enter(room.as_str());
    }
    for left in left {
        let batch = SyncBatch { left: vec![left], next_batch: "s".into(), ..SyncBatch::default() };
        story.take_in(batch);
        story.speak();
    }
    let said = story.posted();
    assert_eq!(said.len(), 1, "{said:#?}");
    let said = messages_within(&mut story, Duration::from_secs(9));
    assert_eq!(said.len(), 0, "{said:#?}");
    let said = messages_within(&mut story, Duration::from_mins(2));
    assert_eq!(said.len(), 1, "the other 49 together");
    assert_eq!(said[0].matches("I was removed from").count(), 49);
}

#[tokio::test]
async fn five_hundred_findings_at_once_make_one_message() {
    let mut story = Story::with(Settings {
        limits: rtc_janitor_core::guard::limits::Limits { per_sweep: 1000, per_room: 1000, per_hour: 1000 },
        ..settings()
    });
    story.janitor.settings.breaker.minimum = 10_000;
    let users: Vec<_> = (0..500).map(|user| format!("@u{user}:hs")).collect();
    let joined: Vec<_> = users.iter().map(|user| story.world.join_call(user, "DEAD")).collect();
    story.hear(joined);
    story.sweep().await;
    for user in &users {
        story.world.log_out(user, "DEAD");
    }
    story.minutes(20).await;
    assert_eq!(story.times_found(FindingKind::Cleared), 500);
    let said = story.posted();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("Cleared 500 stale memberships") && said[0].contains("and 450 more"),
        "{}",
        said[0]
    );
}

/// She joins a call, and leaves the room without a word.
async fn leaves(story: &mut Story) {
    story.joins(ALICE, "DEAD");
    story.minutes(3).await;
    let left = story.world.put(ROOM, "m.room.member", ALICE, ALICE, json!({"membership": "leave"}));
    story.hear([left]);
    story.minutes(12).await;
}

#[tokio::test]
async fn a_report_of_another_account_or_in_another_room_is_not_edited() {
    let mut story = Story::new();
    let mut is_edit_of = async |change: fn(&mut Settings), event: &'static str| {
        change(&mut story.janitor.settings);
        leaves(&mut story).await;
        let [report] = &story.messages()[..] else { panic!("one report") };
        story.janitor.journal.sent(&report.txn, &event.into()).expect("the journal works");
        story.minutes(10).await;
        report.target.as_ref().and_then(|(_, event)| event.as_ref().map(ToString::to_string))
    };
    assert_eq!(is_edit_of(|_| {}, "$first").await, None);
    assert_eq!(is_edit_of(|settings| settings.chat_user_id = "@other:hs".into(), "$second").await, None);
    assert_eq!(is_edit_of(|_| {}, "$edit").await.as_deref(), Some("$second"));
    assert_eq!(is_edit_of(|settings| settings.admin_room = Some("!new:hs".into()), "$third").await, None);
}

#[tokio::test]
async fn what_is_found_again_is_edited_into_the_last_report() {
    let mut story = Story::new();
    leaves(&mut story).await;
    let first = story.messages();
    assert_eq!(first.len(), 1);
    assert!(first[0].message.plain.contains("Cleared 1 stale membership"), "{}", first[0].message.plain);
    story.janitor.journal.sent(&first[0].txn, &"$report".into()).expect("the journal works");

    // She joins again long afterwards, and leaves again.
    story.minutes(10).await;
    leaves(&mut story).await;
    assert_eq!(story.times_found(FindingKind::Cleared), 2);
    let second = story.messages();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].target, Some((first[0].txn.clone(), Some("$report".into()))));
    assert!(second[0].message.plain.contains(", 2 times"), "{}", second[0].message.plain);

    // The control: something new is a message of its own.
    story.ghost("@bob:hs", "DEAD").await;
    story.minutes(12).await;
    let third = story.messages();
    assert_eq!((third.len(), &third[0].target), (1, &None));
}

#[tokio::test]
async fn an_alarm_mentions_those_who_are_to_be_alerted_and_nothing_else_does() {
    let mut story = Story::with(Settings { alert: vec!["@oncall:hs".into()], ..settings() });
    // A report is no alarm.
    story.ghost(ALICE, "DEAD").await;
    story.minutes(12).await;
    let reports = story.messages();
    assert!(reports.iter().all(|message| message.mentions.is_empty()) && !reports.is_empty());
    // Losing the power to clear is.
    let power = |level: i64| json!({"users": {BOT: level}, "state_default": 50});
    let had = story.world.put(ROOM, "m.room.power_levels", "", "@creator:hs", power(50));
    story.hear([had]);
    assert_eq!(story.messages(), []);
    let lost = story.world.put(ROOM, "m.room.power_levels", "", "@creator:hs", power(0));
    story.hear([lost]);
    let alarms = story.messages();
    assert_eq!(alarms.len(), 1);
    assert_eq!(alarms[0].mentions, ["@oncall:hs".into()]);
    let text = &alarms[0].message.plain;
    assert!(text.contains("I can no longer clear memberships in Team") && text.contains("need 50"), "{text}");
}

#[tokio::test]
async fn a_day_is_summed_up_once_at_its_time_and_not_when_there_is_nothing_to_tell() {
    let eight: TimeOfDay = "08:00".parse().expect("a time");
    let mut story = Story::with(Settings { digest: Some(eight), ..settings() });
    // It may clear here, so the room needs nobody.
    let power = json!({"users": {BOT: 50}});
    let power = story.world.put(ROOM, "m.room.power_levels", "", "@creator:hs", power);
    story.hear([power]);
    let hours = |story: &mut Story, hours: u64| {
        let mut said = Vec::new();
        for _ in 0..hours * 2 {
            story.world.pass(Duration::from_mins(30));
            story.janitor.digest().expect("the journal works");
            said.extend(story.said());
        }
        said
    };
    story.janitor.digest().expect("the journal works");
    assert_eq!(hours(&mut story, 48), Vec::<String>::new(), "nothing to tell");
    story.ghost(ALICE, "DEAD").await;
    story.minutes(12).await;
    story.said();
    let said = hours(&mut story, 48);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(
        said[0].contains(": cleared 1 membership.") && said[0].contains("- 1 cleared: device gone"),
        "{said:#?}"
    );
}

#[tokio::test]
async fn a_pause_for_a_time_ends_by_itself_and_that_is_said() {
    let mut story = Story::new();
    let until = story.world.now() + Duration::from_mins(30);
    story
        .janitor
        .set_override(&Override::Pause(Pause::Until(until)), &ALICE.into())
        .expect("the journal works");
    story.ghost(ALICE, "DEAD").await;
    story.minutes(29).await;
    story.janitor.end_pause().expect("the journal works");
    assert_eq!((story.writes(), story.said()), (0, Vec::new()));
    story.minutes(3).await;
    story.janitor.end_pause().expect("the journal works");
    story.minutes(1).await;
    assert_eq!(story.writes(), 1);
    assert!(story.said().iter().any(|text| text.contains("The pause is over")));
}

#[tokio::test]
async fn a_grace_by_command_holds_at_once_and_can_be_taken_back() {
    let mut story = Story::new();
    let requested = Override::Grace(
        rtc_janitor_core::command::GraceKey::Reason(Reason::DeviceGone),
        rtc_janitor_core::judge::policy::Grace::Never,
    );
    story.janitor.set_override(&requested, &ALICE.into()).expect("the journal works");
    let ghost = story.ghost(ALICE, "DEAD").await;
    story.minutes(20).await;
    assert_eq!(story.writes(), 0);
    story.janitor.clear_override(&requested).expect("the journal works");
    story.minutes(2).await;
    assert_eq!(story.world.lock().writes, [(ROOM.into(), ghost.as_str().into())]);
}

#[tokio::test]
async fn of_the_settings_and_a_command_the_stricter_holds() {
    for (file, requested, writes) in [(true, None, 1), (true, Some("report"), 0), (false, Some("clean"), 0)] {
        let mut story = Story::with(Settings { is_clean: file, ..settings() });
        if let Some(mode) = requested {
            let mode = mode.parse().expect("a mode");
            story.janitor.set_override(&Override::Mode(mode), &ALICE.into()).expect("the journal works");
        }
        story.ghost(ALICE, "DEAD").await;
        story.minutes(12).await;
        assert_eq!(story.writes(), writes, "{file} {requested:?}");
    }
    // What the settings leave alone, no command brings back.
    let mut story = Story::with(Settings { exclude: BTreeSet::from([ROOM.into()]), ..settings() });
    story.janitor.clear_override(&Override::Room(ROOM.into())).expect("the journal works");
    story.ghost(ALICE, "DEAD").await;
    story.minutes(12).await;
    assert_eq!(story.writes(), 0);
    // And what a command leaves alone, stays alone after a restart.
    let mut story = Story::new();
    story.janitor.set_override(&Override::User(ALICE.into()), &ALICE.into()).expect("the journal works");
    story.ghost(ALICE, "DEAD").await;
    story.ghost("@bob:hs", "DEAD").await;
    let mut story = story.restart(settings());
    story.minutes(20).await;
    let written: Vec<_> = story.world.lock().writes.iter().map(|(_, key)| key.to_string()).collect();
    assert_eq!(written, [key("@bob:hs", "DEAD")]);
}

#[tokio::test]
async fn what_needs_somebody_at_once_is_said_first_and_by_itself() {
    let mut story = Story::with(Settings { alert: vec!["@boss:hs".into()], ..settings() });
    let text = |words: &str| rtc_janitor_core::render::message::sentences(&[words]);
    for number in 0..200 {
        story
            .janitor
            .say(&text(&format!("note {number} {}", "x".repeat(200))), None)
            .expect("the journal works");
    }
    story.janitor.alarm(&text("alarm"), None).expect("the journal works");
    let messages = story.messages();
    assert_eq!(messages[0].message.plain, "alarm");
    assert_eq!(messages[0].mentions, ["@boss:hs".into()]);
    assert!(messages[1].message.plain.contains("more such messages"), "a burst is summed up");
    assert_eq!(messages[1].mentions, []);
    assert_eq!(messages.len(), 2);
}

#[tokio::test]
async fn the_greeting_does_not_wait_for_its_turn_behind_a_word_on_the_keys() {
    let mut story = Story::new();
    story.janitor.has_announced_start = false;
    story
        .janitor
        .say(&Message { plain: "your recovery key".into(), html: Html::escaped("your recovery key") }, None)
        .expect("the journal works");
    story.speak();
    assert_eq!(story.posted().len(), 1);
    story.janitor.announce_start().expect("the journal works");
    story.speak();
    let said = story.posted();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("is watching"), "{said:#?}");
}
