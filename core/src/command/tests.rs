use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    judge::policy::{Grace, Reason},
    mode::Mode,
    survey::Scope,
};

const PREFIX: &str = "!janitor";

fn name(text: &str) -> RoomName {
    text.parse().unwrap()
}

#[test]
fn every_command_is_understood() {
    let room = || name("!r:hs");
    let alice = || UserId::from("@alice:hs");
    let span = |seconds| GraceChange::To(Grace::After(Duration::from_secs(seconds)));
    let plan: PlanId = "abcd".parse().unwrap();
    let lines = |n| HistoryFilter::Lines(NonZeroUsize::new(n).unwrap());
    let survey = |join, scope| Command::Survey { order: Some(SurveyOrder::Make { join, scope }) };
    let stop = || Command::Survey { order: Some(SurveyOrder::Stop) };
    for (text, command) in [
        ("", Command::Help { command: None }),
        ("help", Command::Help { command: None }),
        ("help clear", Command::Help { command: Some("clear".into()) }),
        ("clear --help", Command::Help { command: Some("clear".into()) }),
        ("status", Command::Status),
        ("Status", Command::Status),
        ("  status \n", Command::Status),
        ("calls", Command::Calls { only: None }),
        ("calls !r:hs", Command::Calls { only: Some(Whom::Room(room())) }),
        (
            "explain !r:hs @alice:hs",
            Command::Explain { place: Place { readings: vec![(room(), Some(UserName::Id(alice())))] } },
        ),
        ("sweep", Command::Sweep { room: None }),
        ("sweep #ops:hs", Command::Sweep { room: Some(RoomName::Alias("#ops:hs".into())) }),
        ("survey", Command::Survey { order: None }),
        ("survey join", survey(true, Scope::All)),
        ("survey Join #ops:hs,!r:hs", survey(true, Scope::Named(vec![name("#ops:hs"), room()]))),
        ("survey Team Meeting", survey(false, Scope::Pattern("Team Meeting".into()))),
        ("survey #team-*:hs", survey(false, Scope::Pattern("#team-*:hs".into()))),
        ("survey stop", stop()),
        ("Survey Stop!", stop()),
        ("survey halt", stop()),
        ("stop survey", stop()),
        ("Stop the Survey!", stop()),
        ("stop", Command::Pause { length: None }),
        ("pause survey", Command::Pause { length: Some(PauseLength::NotUnderstood("survey".into())) }),
        ("survey stop motion", survey(false, Scope::Pattern("stop motion".into()))),
        ("survey *stop*", survey(false, Scope::Pattern("*stop*".into()))),
        ("survey join stop", survey(true, Scope::Pattern("stop".into()))),
        ("apply abcd", Command::Apply { plan: plan.clone() }),
        ("apply `ABCD`", Command::Apply { plan }),
        ("clear \"Team Meeting\"", Command::Clear { room: name("Team Meeting"), user: None }),
        ("clear “Team Meeting”", Command::Clear { room: name("Team Meeting"), user: None }),
        ("clear Team\\ Meeting", Command::Clear { room: name("Team Meeting"), user: None }),
        ("mode clean", Command::Mode { mode: ModeChange::To(Mode::Clean) }),
        ("pause", Command::Pause { length: None }),
        ("pause 2h", Command::Pause { length: Some(PauseLength::For(Duration::from_hours(2))) }),
        ("pause for 2h", Command::Pause { length: Some(PauseLength::For(Duration::from_hours(2))) }),
        ("resume", Command::Resume),
        ("exclude @alice:hs", Command::Exclude { target: Target::User(alice()) }),
        ("exclude Lobby", Command::Exclude { target: Target::Room(name("Lobby")) }),
        ("include !r:hs", Command::Include { target: Target::Room(room()) }),
        ("grace silent 10m", Command::Grace { reason: GraceKey::Reason(Reason::Silent), change: span(600) }),
        (
            "grace device_gone_unseen 3h",
            Command::Grace { reason: GraceKey::DeviceGoneUnseen, change: span(10_800) },
        ),
        (
            "grace expired never",
            Command::Grace {
                reason: GraceKey::Reason(Reason::Expired),
                change: GraceChange::To(Grace::Never),
            },
        ),
        (
            "grace expired reset",
            Command::Grace { reason: GraceKey::Reason(Reason::Expired), change: GraceChange::Reset },
        ),
        ("config", Command::Config { all: None }),
        ("config all", Command::Config { all: Some(All::All) }),
        ("rooms", Command::Rooms { problems: None }),
        ("rooms problems", Command::Rooms { problems: Some(Problems::Problems) }),
        ("join #ops:hs", Command::Join { room: RoomName::Alias("#ops:hs".into()) }),
        ("leave !r:hs", Command::Leave { room: room(), sure: None }),
        ("history", Command::History { filter: vec![] }),
        ("history 50", Command::History { filter: vec![lines(50)] }),
        (
            "history @alice:hs 5",
            Command::History {
                filter: vec![HistoryFilter::About(Whom::User(UserName::Id(alice()))), lines(5)],
            },
        ),
        ("breaker close", Command::Breaker { action: BreakerAction::Close, source: None }),
        (
            "breaker close device_lists",
            Command::Breaker { action: BreakerAction::Close, source: Some(Neighbour::DeviceLists) },
        ),
        ("version", Command::Version),
        // Links that were typed or pasted.
        ("calls https://matrix.to/#/!r:hs?via=hs", Command::Calls { only: Some(Whom::Room(room())) }),
        ("calls https://matrix.to/#/%21r%3Ahs", Command::Calls { only: Some(Whom::Room(room())) }),
        ("calls matrix:roomid/r:hs?via=hs", Command::Calls { only: Some(Whom::Room(room())) }),
        ("exclude https://matrix.to/#/@alice:hs", Command::Exclude { target: Target::User(alice()) }),
    ] {
        assert_eq!(Command::parse(text), Ok(command), "{text}");
    }
}

#[test]
fn names_and_durations_are_understood_as_people_say_them() {
    let alice = || UserId::from("@alice:hs");
    let lines = |n| HistoryFilter::Lines(NonZeroUsize::new(n).unwrap());
    let team = || name("Team Meeting");
    let explain = |readings: &[(RoomName, Option<UserName>)]| Command::Explain {
        place: Place { readings: readings.to_vec() },
    };
    let closed = |source| Command::Breaker { action: BreakerAction::Close, source: Some(source) };
    let hours = |hours: f64| PauseLength::For(Duration::from_secs_f64(hours * 3600.0));
    for (text, command) in [
        ("calls Team Meeting", Command::Calls { only: Some(Whom::Room(team())) }),
        ("calls @alice", Command::Calls { only: Some(Whom::User(UserName::Local("alice".into()))) }),
        ("explain Team Meeting @alice:hs", explain(&[(team(), Some(UserName::Id(alice())))])),
        ("explain Team Meeting @al", explain(&[(team(), Some(UserName::Local("al".into())))])),
        (
            "explain Team Meeting bob",
            explain(&[
                (RoomName::Name("Team Meeting bob".into()), None),
                (team(), Some(UserName::Local("bob".into()))),
            ]),
        ),
        ("explain lobby", explain(&[(RoomName::Name("lobby".into()), None)])),
        ("clear Team Meeting @alice:hs", Command::Clear { room: team(), user: Some(alice()) }),
        ("clear Team Meeting", Command::Clear { room: team(), user: None }),
        ("sweep Team Meeting", Command::Sweep { room: Some(team()) }),
        ("exclude Team Meeting", Command::Exclude { target: Target::Room(team()) }),
        ("leave !r:hs Yes", Command::Leave { room: RoomName::Id("!r:hs".into()), sure: Some(Sure::Yes) }),
        ("leave Team Yes", Command::Leave { room: RoomName::Name("Team Yes".into()), sure: None }),
        ("stop!", Command::Pause { length: None }),
        ("stop now", Command::Pause { length: Some(PauseLength::NotUnderstood("now".into())) }),
        ("pause 5", Command::Pause { length: Some(PauseLength::NotUnderstood("5".into())) }),
        (
            "calls Bob's stand-up",
            Command::Calls { only: Some(Whom::Room(RoomName::Name("Bob's stand-up".into()))) },
        ),
        ("calls \"Team", Command::Calls { only: Some(Whom::Room(RoomName::Name("\"Team".into()))) }),
        (
            "grace device gone reset",
            Command::Grace { reason: GraceKey::Reason(Reason::DeviceGone), change: GraceChange::Reset },
        ),
        ("breaker close call server", closed(Neighbour::Sfu)),
        ("breaker close \"call server\"", closed(Neighbour::Sfu)),
        ("breaker close sfu", closed(Neighbour::Sfu)),
        ("breaker close room state", closed(Neighbour::Homeserver)),
        ("breaker close homeserver", closed(Neighbour::Homeserver)),
        ("breaker close Device lists", closed(Neighbour::DeviceLists)),
        ("leave yes", Command::Leave { room: RoomName::Name("yes".into()), sure: None }),
        ("mode reset", Command::Mode { mode: ModeChange::Reset }),
        ("stop", Command::Pause { length: None }),
        ("Stop For 2 Hours", Command::Pause { length: Some(hours(2.0)) }),
        ("pause 5 min", Command::Pause { length: Some(hours(5.0 / 60.0)) }),
        ("pause 1.5h", Command::Pause { length: Some(hours(1.5)) }),
        ("pause 1 h 30 min", Command::Pause { length: Some(hours(1.5)) }),
        (
            "grace silent 5 Min",
            Command::Grace {
                reason: GraceKey::Reason(Reason::Silent),
                change: GraceChange::To(Grace::After(Duration::from_mins(5))),
            },
        ),
        (
            "history Team 2026-11-25 20",
            Command::History {
                filter: vec![
                    HistoryFilter::About(Whom::Room(RoomName::Name("Team".into()))),
                    HistoryFilter::Day(NaiveDate::from_ymd_opt(2026, 11, 25).expect("a day")),
                    lines(20),
                ],
            },
        ),
    ] {
        assert_eq!(Command::parse(text), Ok(command), "{text}");
    }
}

#[test]
fn every_blank_that_phones_and_editors_make_is_a_blank() {
    let me = UserId::from("@bot:hs");
    let listener = Heard { prefix: PREFIX, me: &me, display_name: None };
    let team = Command::Calls { only: Some(Whom::Room(RoomName::Name("Team Meeting".into()))) };
    let understood =
        |body: &str, html: Option<&str>| Command::parse(&heard(&listener, body, html).expect("a command"));
    for blank in ['\u{a0}', '\u{202f}', '\u{2007}', '\u{2009}', '\u{3000}', '\t', '\n'] {
        let said = format!("{PREFIX} calls \"Team Meeting\"").replace(' ', &blank.to_string());
        assert_eq!(understood(&said, None).as_ref(), Ok(&team), "{said:?}");
        let quoted = format!("{PREFIX} calls «{blank}Team Meeting{blank}»");
        assert_eq!(understood(&quoted, None).as_ref(), Ok(&team), "{quoted:?}");
    }
    let html = "!janitor&nbsp;calls&nbsp;&quot;Team&nbsp;Meeting&quot;";
    assert_eq!(understood("!janitor calls", Some(html)), Ok(team));
}

/// The answer to a command that is none.
fn wrong(text: &str) -> String {
    Command::parse(text).expect_err(text).message(PREFIX).plain
}

#[test]
fn what_is_wrong_is_said_in_one_sentence_with_the_usage_of_that_command_alone() {
    let answers: Vec<_> = [
        "stauts",
        "stpo",
        "destroy",
        "calls !a:hs !b:hs",
        "explain",
        "explain @alice:hs",
        "calls !r:hs bob",
        "clear Team @bob",
        "mode cleen",
        "mode",
        "apply zzz",
        "grace silnt 5m",
        "grace nonsense 5m",
        "grace silent 5M",
        "rooms problem",
        "breaker open",
        "breaker close sfuu",
        "history 3 4 5 6",
        "status now",
        "-x",
        "status -x",
        "<b>bold</b> @room",
        "mode <i>\u{202e}",
    ]
    .iter()
    .map(|text| format!("{text}\n{}", wrong(text)))
    .chain([format!("x * 65000\n{}", wrong(&"x".repeat(65_000)))])
    .collect();
    insta::assert_snapshot!(answers.join("\n\n"));
}

#[test]
fn the_help_is_made_from_what_parses() {
    let lines: Vec<_> = all(PREFIX)
        .iter()
        .map(|usage| {
            let arguments: Vec<_> =
                usage.arguments.iter().map(|(name, help)| format!("    {name}: {help}")).collect();
            let more = usage.more.as_ref().map_or_else(String::new, |more| format!("\n    {more}"));
            format!("{}\n    {}{more}\n{}", usage.line, usage.about, arguments.join("\n"))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_message_is_a_command_when_it_begins_with_the_prefix_or_the_bot() {
    let me = UserId::from("@bot:hs");
    let listener = Heard { prefix: PREFIX, me: &me, display_name: Some("Call Janitor") };
    for (body, html, text) in [
        ("!janitor status", None, Some("status")),
        ("!Janitor", None, Some("")),
        ("  !janitor  status  ", None, Some("status")),
        ("!janitors status", None, None),
        ("well !janitor status", None, None),
        ("status", None, None),
        ("@bot:hs: status", None, Some("status")),
        ("@bot:hs status", None, Some("status")),
        ("@bot:hsx status", None, None),
        ("Call Janitor: status", None, Some("status")),
        ("call janitor, status", None, Some("status")),
        ("Call Janitors: status", None, None),
        (
            "Call Janitor: calls Lobby",
            Some(
                r#"<a href="https://matrix.to/#/@bot:hs">Call Janitor</a>: calls <a href="https://matrix.to/#/#lobby:hs">Lobby</a>"#,
            ),
            Some("calls '#lobby:hs'"),
        ),
        (
            "!janitor calls x",
            Some(r#"<p>!janitor calls <a href="https://example.org">x</a> &amp; y</p>"#),
            Some("calls x & y"),
        ),
        (
            "> <@a:hs> !janitor clear\n\n!janitor status",
            Some("<mx-reply><blockquote>!janitor clear</blockquote></mx-reply>!janitor status"),
            Some("status"),
        ),
        ("!janitor status", Some("!janitor<br>status"), Some("status")),
        ("é!janitor", None, None),
    ] {
        assert_eq!(heard(&listener, body, html).as_deref(), text, "{body} {html:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), html in any::<String>()) {
        let me = UserId::from("@bot:hs");
        let listener = Heard { prefix: PREFIX, me: &me, display_name: Some("J") };
        let _ = heard(&listener, &text, Some(&html));
        let _ = heard(&listener, &text, None);
        if let Err(mistake) = Command::parse(&text) {
            let _ = mistake.message(PREFIX);
        }
    }

    #[test]
    fn no_arguments_make_a_command_panic_or_be_shown_raw(
        at in 0..20_usize, words in proptest::collection::vec("[<>@#!\\-\"'a-z0-9:\u{202e}]{0,12}", 0..4)
    ) {
        let all = all("");
        let text = format!("{} {}", all[at % all.len()].name, words.join(" "));
        if let Err(mistake) = Command::parse(&text) {
            let message = mistake.message(PREFIX);
            let is_raw = message.plain.contains('\u{202e}');
            prop_assert!(!is_raw);
            prop_assert!(!message.html.as_str().replace("<p>", "").replace("</p>", "").replace("<code>", "").replace("</code>", "").contains('<'));
        }
    }
}

#[test]
fn a_prefix_that_is_mistyped_is_told_from_talk() {
    for (prefix, body, html, expected) in [
        ("!janitor", "janitor status", None, true),
        ("!janitor", " Janitor", None, true),
        ("!janitor", "! janitor status", None, true),
        ("!janitor", "!\u{a0}janitor", None, true),
        ("!janitor", "*", Some("<p>janitor status</p>"), true),
        ("!janitor", "!janitor status", None, false),
        ("!janitor", "janitors are fine", None, false),
        ("!janitor", "the janitor", None, false),
        ("!janitor", "janitor: status", None, false),
        ("!janitor", "?janitor status", None, false),
        ("!janitor", "*", Some("<mx-reply>janitor</mx-reply>yes"), false),
        ("!!j", "!! j", None, true),
        ("!!j", "! j", None, false),
        ("janitor", "janitor status", None, false),
        ("!", "! status", None, false),
    ] {
        assert_eq!(is_slip(prefix, body, html), expected, "{prefix:?}: {body:?} {html:?}");
    }
}

#[test]
fn every_help_parses() {
    for usage in all(PREFIX) {
        let asked = format!("help {}", usage.name);
        assert_eq!(Command::parse(&asked), Ok(Command::Help { command: Some(usage.name.clone()) }));
        // What the usage shows is taken as it is typed.
        let words = usage.line.split(' ').skip(1).map(|word| match word.trim_matches(['<', '>', '[', ']']) {
            "room" | "room|user" => "!r:hs",
            "user" => "@a:hs",
            "command" => "status",
            "plan" => "abcd",
            "report|clean|reset" => "reset",
            "reason" => "silent",
            "duration" => "5m",
            "source" => "sfu",
            "day" => "2026-11-25",
            "n" => "7",
            literal => literal,
        });
        let typed = words.collect::<Vec<_>>().join(" ");
        assert!(Command::parse(&typed).is_ok(), "{typed}: {:?}", Command::parse(&typed));
    }
}
