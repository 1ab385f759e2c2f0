//! Snapshots of every message, in both forms.

use std::time::Duration;

use super::*;
use crate::{
    guard::breaker,
    judge::policy::Neighbour,
    leave_lag::{LeaveLags, Leaver},
    mode::{Mode, Pause},
    render::{
        message::{and_more, sentences, together},
        sight::Sight,
    },
    rtc::state_key::Blocked,
};
use crate::{
    ids::RoomId,
    judge::{evidence::ListKind, policy::Reason},
    plan::Route,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn row(room: &str, name: Option<&str>, device: &str, reason: Reason) -> Row {
    Row {
        room: room.into(),
        room_name: name.map(Into::into),
        user: "@alice:example.org".into(),
        devices: vec![device.into()],
        reason,
        missing_from: None,
        since: NOW - Duration::from_mins(312),
        is_shown: reason != Reason::Expired,
        obstacle: None,
        route: None,
        times: 1,
    }
}

fn show(message: &Message) -> String {
    format!("{}\n--- html ---\n{}", message.plain, message.html)
}

#[test]
fn a_report_names_what_people_still_see_first() {
    let report = Report {
        cleared: vec![
            row("!a:example.org", Some("Old"), "OLD", Reason::Expired),
            row("!b:example.org", Some("Team"), "DEAD", Reason::DeviceGone),
        ]
        .into(),
        long_expired: 7,
        ..Report::default()
    };
    insta::assert_snapshot!(show(&report.message(NOW)));
}

#[test]
fn a_dry_run_says_that_nothing_was_changed() {
    let report = Report {
        would_clear: vec![row("!b:example.org", None, "DEAD", Reason::NotJoined)].into(),
        ..Report::default()
    };
    insta::assert_snapshot!(show(&report.message(NOW)));
}

#[test]
fn what_is_blocked_says_what_would_fix_it() {
    let blocked = |why| Row {
        obstacle: Some(obstacle(why)),
        ..row("!b:example.org", Some("Team"), "DEAD", Reason::Silent)
    };
    let powerless = blocked(Blocked::NotEnoughPower { has: 0, needs: 50 });
    let elsewhere = Row { room: "!z:example.org".into(), room_name: Some("Zoo".into()), ..powerless.clone() };
    let report = Report {
        blocked: vec![
            powerless,
            blocked(Blocked::OnlyItsOwner),
            elsewhere,
            blocked(Blocked::OwnerHasAsMuchPower),
            blocked(Blocked::NotAUserKey),
            blocked(Blocked::NotInTheRoom),
        ]
        .into(),
        refused: vec![Row {
            obstacle: Some("M_FORBIDDEN: no".into()),
            ..row("!c:example.org", None, "D", Reason::DeviceIdle)
        }]
        .into(),
        ..Report::default()
    };
    insta::assert_snapshot!(show(&report.message(NOW)));
}

#[test]
fn the_route_is_named_where_it_is_not_the_usual_one_and_what_a_redaction_does() {
    let by = |route, device| Row {
        missing_from: Some(ListKind::OwnList),
        route: Some(route),
        ..row("!b:example.org", Some("Team"), device, Reason::DeviceGone)
    };
    let report = Report {
        cleared: vec![by(Route::OwnPower, "A"), by(Route::Appservice, "B"), by(Route::Redaction, "C")].into(),
        ..Report::default()
    };
    insta::assert_snapshot!(show(&report.message(NOW)));
    let would = Report { would_clear: vec![by(Route::Redaction, "C")].into(), ..Report::default() };
    assert!(would.message(NOW).plain.contains("until they are reloaded"));
    let blocked = Report { blocked: vec![by(Route::OwnPower, "C")].into(), ..Report::default() };
    assert!(!blocked.message(NOW).plain.contains("redaction"));
}

#[test]
fn names_from_outside_do_no_harm_in_a_report() {
    let report = Report {
        cleared: vec![Row {
            user: "@<b>x</b>:evil".into(),
            devices: vec!["</td><img src=x>\n@room".into()],
            ..row("!x\"><script>:evil", Some("<h1>@room\u{202e}"), "", Reason::NotOnSfu)
        }]
        .into(),
        ..Report::default()
    };
    insta::assert_snapshot!(show(&report.message(NOW)));
}

#[test]
fn a_long_report_is_cut_with_a_count() {
    let rows = vec![row("!b:example.org", Some("Team"), "DEAD", Reason::Superseded); 53];
    let message = Report { cleared: rows.into(), ..Report::default() }.message(NOW);
    assert!(message.plain.ends_with("- and 3 more"), "{}", message.plain);
    assert!(message.html.as_str().contains("<p>and 3 more</p>"));
    assert_eq!(message.html.as_str().matches("<li>").count(), 50);
}

#[test]
fn an_empty_report_says_nothing() {
    assert!(Report::default().is_empty());
    assert!(Report { long_expired: 3, ..Report::default() }.is_empty(), "no message of its own");
}

fn digest() -> Message {
    let since = NOW - Duration::from_hours(24);
    let mut digest = Digest { since, ..Digest::default_at(NOW) };
    assert_eq!(digest.message("!janitor"), None, "nothing to tell is not told");
    for minutes in [5, 6, 90] {
        digest.add(FindingKind::Cleared, Reason::DeviceGone, Duration::from_mins(minutes));
    }
    digest.add(FindingKind::Cleared, Reason::Expired, Duration::from_mins(5));
    digest.add(FindingKind::Blocked, Reason::Silent, Duration::from_mins(5));
    digest.problems.rooms.push(crate::render::answer::Room {
        id: "!b:example.org".into(),
        name: Some("Team".into()),
        open: 2,
        is_excluded: false,
        problems: vec![crate::render::answer::Problem::NoPower(Blocked::NotEnoughPower {
            has: 0,
            needs: 50,
        })],
    });
    digest.by_plan = 4;
    digest.leave_lags = leave_lags();
    digest.message("!janitor").expect("something to tell")
}

#[test]
fn what_is_found_again_is_counted_in_its_row() {
    let mut report = Report::default();
    for _ in 0..3 {
        report.add(FindingKind::Cleared, row("!b:example.org", Some("Team"), "DEAD", Reason::DeviceGone));
    }
    report.add(FindingKind::Cleared, row("!b:example.org", Some("Team"), "OTHER", Reason::DeviceGone));
    let plain = report.message(NOW).plain;
    assert!(plain.contains("Cleared 2 stale memberships") && plain.contains("ago, 3 times"), "{plain}");
}

#[test]
fn a_burst_of_notes_is_summed_up() {
    let note = sentences(&[&"x".repeat(1000)]);
    let notes = vec![&note; 500];
    let (text, shown) = together(&notes);
    let text = and_more(text, notes.len() - shown);
    assert!(text.plain.len() + text.html.len() < MOST_BYTES + 1000);
    assert!(
        text.plain.contains("… and 491 more such messages."),
        "{}",
        &text.plain[text.plain.len() - 100..]
    );
}

#[test]
fn every_other_message() {
    let team = Whose {
        room: "!b:example.org".into(),
        room_name: Some("Team".into()),
        user: "@alice:example.org".into(),
        devices: vec!["DEAD".into()],
    };
    let start = |mode_of_file, mode_by_command: Option<Mode>, paused| Start {
        journal_is_new: false,
        version: "0.1.0",
        mode: mode_by_command.map_or(mode_of_file, |by_command| by_command.min(mode_of_file)),
        mode_of_file,
        mode_by_command,
        paused,
        is_first: true,
        has_alert: false,
        prefix: "!janitor",
        now: NOW,
        rooms: 31,
        open: 4,
        stale: 3,
        sight: Sight::ORDINARY,
    };
    let (old, new): (RoomId, RoomId) = ("!b:example.org".into(), "!n:example.org".into());
    let opened = breaker::Change::Opened {
        neighbour: Neighbour::DeviceLists,
        turned: 6,
        living: 10,
        until: NOW + Duration::from_mins(5),
    };
    let opened_for_sfu = breaker::Change::Opened {
        neighbour: Neighbour::Sfu,
        turned: 4,
        living: 8,
        until: NOW + Duration::from_mins(5),
    };
    let stays =
        breaker::Change::StaysOpen { neighbour: Neighbour::Sfu, until: NOW + Duration::from_mins(10) };
    let messages = [
        start(Mode::Report, None, None).message(),
        start(Mode::Clean, None, None).message(),
        start(Mode::Clean, Some(Mode::Report), Some(Pause::UntilResume)).message(),
        start(Mode::Report, Some(Mode::Clean), Some(Pause::Until(NOW + Duration::from_hours(2)))).message(),
        Start { mode: Mode::Report, journal_is_new: true, ..start(Mode::Clean, None, None) }.message(),
        journal_is_new("!janitor"),
        another_watch(&"WATCH".into(), NOW - Duration::from_secs(40), NOW),
        unreadable("the breakers"),
        unreadable_plan("fox", "!janitor"),
        lost_power(&old, Some("Team"), Blocked::NotEnoughPower { has: 0, needs: 50 }),
        signed_out("watch", "M_UNKNOWN_TOKEN"),
        together(&[&clock_agrees(), &admin_room_back(Duration::from_mins(1))]).0,
        digest(),
        breaker(&opened, "!janitor", NOW),
        breaker(&opened_for_sfu, "!janitor", NOW),
        breaker(&stays, "!janitor", NOW),
        breaker(&breaker::Change::Closed { neighbour: Neighbour::Homeserver }, "!janitor", NOW),
        came_back(&team, Reason::DeviceGone, NOW + Duration::from_hours(1), false, NOW),
        came_back(&team, Reason::NotOnSfu, NOW + Duration::from_hours(1), true, NOW),
        overwrote(&team, true),
        overwrote(&team, false),
        removed(&old, Some("Team"), Some(&"@mod:example.org".into()), Some("spam <b>"), false),
        removed(&old, None, None, None, true),
        upgraded(&old, Some("Team"), &new, true),
        upgraded(&old, Some("Team"), &new, false),
        admin_room_back(Duration::from_mins(12)),
        clock_skew(NOW + Duration::from_secs(95), NOW),
        clock_agrees(),
        sfu_away("it does not take the signature: livekit.api_secret does not belong to livekit.api_key"),
        sfu_back(),
        slow_leaves(&leave_lags()),
        first_start("/data/recovery-key"),
        keys_incomplete("the key does not open <it>"),
        not_taken("event too large"),
        appservice_away("the homeserver does not take appservice.as_token (Unknown token)", false, false),
        appservice_away("the homeserver does not take appservice.as_token (Unknown token)", true, true),
        appservice_back(),
        own_lists_away("no usable answer: HTTP 502", false, false),
        own_lists_away("refused with 403 M_FORBIDDEN: You are not a server admin", true, false),
        own_lists_away("the server's own list lacks the janitor's own device", true, true),
        own_lists_back(),
    ];
    let all: Vec<_> = messages.iter().map(show).collect();
    insta::assert_snapshot!(all.join("\n\n========\n\n"));
}

fn leave_lags() -> LeaveLags {
    let slow = std::iter::repeat_n((Leaver::Owner, Duration::from_mins(48)), 9);
    slow.chain(std::iter::repeat_n((Leaver::Owner, Duration::ZERO), 4))
        .chain([(Leaver::Janitor, Duration::from_secs(112))])
        .collect()
}

#[test]
fn a_report_fits_into_an_event_however_long_its_names_are() {
    let name = "\"".repeat(300);
    let crowd = Row { devices: vec![name.clone(); 400], ..row(&name, Some(&name), "", Reason::Silent) };
    let report = Report {
        cleared: vec![crowd.clone(); 60].into(),
        blocked: vec![crowd; 60].into(),
        ..Report::default()
    };
    let Message { plain, html } = report.message(NOW);
    assert!(plain.len() + html.len() < MOST_BYTES + 1000, "{} + {}", plain.len(), html.len());
    assert!(plain.contains("and 395 more: no sign of life"), "{plain}");
    for text in [plain, html.to_string()] {
        assert!(text.contains("Cleared 60 stale memberships"), "{text}");
        assert!(text.contains("and 60 more"), "{text}");
    }
}
