//! Every answer, as people read it.

use std::time::Duration;

use super::*;
use crate::{
    command::{GraceKey, ModeChange, PlanId, RoomName, UserName},
    guard::breaker,
    ids::{RoomId, UserId},
    judge::{
        evidence::{Account, Device, Evidence, ListKind, RoomMember, Sfu},
        policy::{Grace, Neighbour, Policy, Reason},
        verdict::{UnknownWhy, Verdict, judge},
    },
    leave_lag::Leaver,
    mode::{Mode, Pause},
    plan::{HeldBack, Proposal},
    render::{
        Message,
        message::{self},
        report,
        sight::{Sight, Users},
        words,
    },
    rtc::{
        membership::{Content, FirstSeen, Owner, read},
        state_event::StateEvent,
        state_key::Blocked,
        sticky::Beside,
    },
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PREFIX: &str = "!janitor";

fn ago(minutes: u64) -> Timestamp {
    NOW - Duration::from_mins(minutes)
}

fn room() -> RoomId {
    "!b:example.org".into()
}

fn alice() -> UserId {
    "@alice:example.org".into()
}

fn show(message: &Message) -> String {
    format!("{}\n\n{}", message.plain, message.html)
}

fn all(messages: &[Message]) -> String {
    messages.iter().map(show).collect::<Vec<_>>().join("\n\n========\n\n")
}

fn status<'a>() -> Status<'a> {
    Status {
        version: "0.1.0",
        mode: Mode::Clean,
        mode_of_file: Mode::Clean,
        mode_by_command: None,
        journal_is_new: false,
        paused: None,
        has_seen_all: true,
        rooms: 31,
        problems: 0,
        active: 3,
        stale: 2,
        due: 1,
        blocked: 0,
        unknown: 1,
        last_sweep: Some(NOW - Duration::from_secs(12)),
        neighbours: vec![
            (Neighbour::Homeserver, NeighbourHealth::Answers, breaker::State::Closed),
            (Neighbour::DeviceLists, NeighbourHealth::Answers, breaker::State::Closed),
            (Neighbour::Sfu, NeighbourHealth::NotSetUp, breaker::State::Closed),
        ],
        own_lists: NeighbourHealth::NotSetUp,
        appservice: NeighbourHealth::Answers,
        times_limited: 0,
        lifts_limit: None,
        server: Server::default(),
        leave_lags: [
            (Leaver::Owner, Duration::ZERO),
            (Leaver::Owner, Duration::from_secs(21)),
            (Leaver::Janitor, Duration::from_secs(112)),
        ]
        .into_iter()
        .collect(),
        hour: (7, 120),
        quarantined: 0,
        prefix: PREFIX.into(),
        excluded: (0, 0),
        sight: Sight::ORDINARY,
        now: NOW,
    }
}

#[test]
fn status_says_how_things_stand() {
    let until = NOW + Duration::from_mins(4);
    let (room, key) = (room(), "_@a:b_D_m.call".into());
    let troubled = Status {
        mode: Mode::Report,
        mode_by_command: Some(Mode::Report),
        has_seen_all: false,
        stale: 4,
        due: 0,
        blocked: 3,
        problems: 2,
        last_sweep: None,
        neighbours: vec![
            (
                Neighbour::Homeserver,
                NeighbourHealth::Settling,
                breaker::State::Probing { room, key, until, wait_ms: 1 },
            ),
            (
                Neighbour::DeviceLists,
                NeighbourHealth::Away(None, Some(ago(4))),
                breaker::State::Open { since: NOW, until, wait_ms: 1 },
            ),
            (
                Neighbour::Sfu,
                NeighbourHealth::Away(Some("it does not know the key".into()), None),
                breaker::State::Closed,
            ),
            (
                Neighbour::Sfu,
                NeighbourHealth::Unidentified("no authorisation service is named".into()),
                breaker::State::Closed,
            ),
        ],
        own_lists: NeighbourHealth::Away(Some("the sign-in is no longer valid".into()), Some(ago(4))),
        appservice: NeighbourHealth::Away(
            Some("the homeserver does not take appservice.as_token (Unknown token)".into()),
            Some(ago(4)),
        ),
        times_limited: 12,
        lifts_limit: Some("curl -d '{\"burst_count\":0}' 'https://hs/override_ratelimit'".into()),
        sight: Sight { has_sfu: true, own_lists: Users::OfServer, has_survey: true, ..status().sight },
        server: Server {
            name: Some("Dendrite 0.13.8".into()),
            lacks: vec![Lack::SlidingSync, Lack::RoomVersion(11), Lack::Replaced],
        },
        quarantined: 1,
        excluded: (1, 2),
        ..status()
    };
    let until = Some(Pause::Until(NOW + Duration::from_hours(2)));
    let paused = Status { paused: until, ..status() };
    let new = Status { mode: Mode::Report, journal_is_new: true, ..status() };
    let for_good = Status { paused: Some(Pause::UntilResume), ..status() };
    insta::assert_snapshot!(all(&[
        status().message(),
        troubled.message(),
        paused.message(),
        for_good.message(),
        new.message()
    ]));
}

fn caller(device: &str, verdict: Verdict, due: Option<Timestamp>) -> Caller {
    let verdict = Some(verdict);
    Caller {
        user: alice(),
        device: device.into(),
        start: ago(192),
        verdict,
        missing_from: Some(ListKind::OwnList),
        connection: Connection::Unknown,
        due,
        blocked: None,
        held: None,
    }
}

#[test]
fn calls_says_who_seems_to_be_in_which_call() {
    let expired = |device| caller(device, Verdict::Stale(Reason::Expired), Some(NOW));
    let calls = Calls {
        calls: vec![
            Call {
                room: room(),
                name: Some("Team <b>".into()),
                is_excluded: false,
                callers: vec![
                    caller("PHONE", Verdict::Active, None),
                    Caller { connection: Connection::Connected, ..caller("TALKING", Verdict::Active, None) },
                    Caller {
                        connection: Connection::Gone(NOW - Duration::from_secs(40)),
                        ..caller(
                            "CRASHED",
                            Verdict::Stale(Reason::NotOnSfu),
                            Some(NOW + Duration::from_secs(50)),
                        )
                    },
                    Caller { held: Some(HeldBack::Paused), ..expired("HELD") },
                    caller("OLD", Verdict::Stale(Reason::Expired), Some(NOW)),
                    caller("GONE", Verdict::Stale(Reason::DeviceGone), Some(NOW + Duration::from_mins(3))),
                    Caller { blocked: Some(Blocked::OnlyItsOwner), ..expired("ARRAY") },
                    Caller { blocked: Some(Blocked::NotInTheRoom), ..expired("ABROAD") },
                    Caller { due: None, blocked: Some(Blocked::NotInTheRoom), ..expired("YOUNG") },
                    caller("REMOTE", Verdict::Unknown(UnknownWhy::DeviceListUnavailable), None),
                ],
                beside: Beside::default(),
            },
            Call {
                room: "!kiosk:example.org".into(),
                name: None,
                is_excluded: true,
                callers: vec![Caller { verdict: None, ..caller("A", Verdict::Active, None) }],
                beside: Beside { closed_slots: ["m.call#ROOM".into()].into(), ..Beside::default() },
            },
            Call {
                room: "!sticky:example.org".into(),
                name: None,
                is_excluded: false,
                callers: Vec::new(),
                beside: Beside { members: 2, ..Beside::default() },
            },
        ],
        only: None,
        now: NOW,
    };
    let nobody = Calls { calls: Vec::new(), ..calls.clone() };
    let only = Some(Only::Room(message::room(&room(), Some("Team"))));
    let nobody_here = Calls { only: only.clone(), ..nobody.clone() };
    let one_room = Calls { calls: calls.calls[..1].to_vec(), only, now: NOW };
    insta::assert_snapshot!(all(&[
        calls.message(PREFIX),
        one_room.message(PREFIX),
        nobody.message(PREFIX),
        nobody_here.message(PREFIX)
    ]));
}

#[test]
fn a_long_list_is_cut_with_a_count_and_the_way_to_the_rest() {
    let callers = (0..500).map(|n| caller(&format!("DEVICE{n}"), Verdict::Active, None)).collect();
    let call = Call { room: room(), name: None, is_excluded: false, callers, beside: Beside::default() };
    let text = Calls { calls: vec![call], only: None, now: NOW }.message(PREFIX);
    assert!(text.plain.len() + text.html.len() < message::MOST_BYTES + 1000);
    assert!(text.plain.contains("… and 495 more: `!janitor calls !b:example.org`"), "{}", text.plain);
    let wide = "\"".repeat(300);
    let callers = (0..50).map(|_| caller(&wide, Verdict::Active, None)).collect::<Vec<_>>();
    let call = Call {
        room: wide.as_str().into(),
        name: Some(wide.clone()),
        is_excluded: false,
        callers,
        beside: Beside::default(),
    };
    let text = Calls { calls: vec![call; 20], only: None, now: NOW }.message(PREFIX);
    assert!(
        text.plain.len() + text.html.len() < message::MOST_BYTES + 1000,
        "{}",
        text.plain.len() + text.html.len()
    );
    // Where somebody is, is said of every room.
    let named = text.plain.matches(&"\"".repeat(80)).count();
    assert!(text.plain.contains("People are also in") && named >= 15, "{named}: {}", text.plain);
}

fn explained(device: &str, sent: Timestamp, evidence: Evidence) -> Explained {
    let content = serde_json::json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": device, "expires": 14_400_000,
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"}, "foci_preferred": [],
    });
    let event = StateEvent {
        event_type: "org.matrix.msc3401.call.member".into(),
        state_key: format!("_@alice:example.org_{device}_m.call").as_str().into(),
        event_id: "$e".into(),
        sender: alice(),
        origin_server_ts: sent,
        content,
        redacted: false,
        redacted_by: None,
        replaces_state: None,
        prev_content: None,
    };
    let Content::Entries(entries) = read(&event, FirstSeen { at: sent, live: false }) else {
        panic!("a membership")
    };
    let membership = entries.into_iter().next().unwrap().unwrap();
    Explained {
        key: event.state_key,
        judgement: judge(&membership, &evidence, &Policy::default(), NOW),
        membership,
        evidence,
        due: None,
        route: Ok("own_power"),
        held: None,
        sfu_asked: Some(NOW - Duration::from_secs(12)),
        account: None,
        left_sfu: None,
    }
}

#[test]
fn explain_says_what_speaks_for_and_against_each() {
    let alive = Evidence {
        room_member: RoomMember::Joined,
        device: Device::Listed { last_seen: None },
        ..Evidence::NONE
    };
    let gone = Evidence {
        device: Device::Missing { by: ListKind::KeysQuery, seen_before: true },
        sfu: Sfu::Unknown,
        ..alive.clone()
    };
    let left = Evidence { room_member: RoomMember::NotJoined { since: Some(ago(5)) }, ..Evidence::NONE };
    let explanation = Explanation {
        room: room(),
        name: Some("Team".into()),
        user: None,
        memberships: vec![
            explained("PHONE", ago(10), alive.clone()),
            Explained { due: Some(NOW + Duration::from_mins(3)), ..explained("GONE", ago(60), gone.clone()) },
            Explained {
                due: Some(NOW + Duration::from_secs(80)),
                held: Some(HeldBack::TooYoung),
                ..explained("YOUNG", NOW - Duration::from_secs(40), gone.clone())
            },
            Explained {
                due: Some(NOW),
                held: Some(HeldBack::Breaker(Neighbour::DeviceLists)),
                ..explained("HELD", ago(60), gone)
            },
            explained("TALKING", ago(10), Evidence { sfu: Sfu::Listed, ..alive.clone() }),
            Explained {
                account: Some(Account { bridge: Some("teams".into()), is_deactivated: false }),
                left_sfu: Some(NOW - Duration::from_secs(40)),
                ..explained(
                    "CRASHED",
                    ago(10),
                    Evidence { sfu: Sfu::Absent { counts: true }, ..alive.clone() },
                )
            },
            Explained {
                due: Some(NOW),
                held: Some(HeldBack::Quarantine),
                route: Err(report::obstacle(Blocked::OnlyItsOwner)),
                ..explained("OLD", ago(300), left)
            },
            Explained { route: Ok("appservice"), ..explained("ARRAY", ago(10), alive.clone()) },
            Explained { route: Ok("redaction"), ..explained("AWAY", ago(10), alive) },
        ],
        malformed: vec![("_odd <key>".into(), "no device_id")],
        beside: Beside::default(),
        others: 0,
        has_sfu: true,
        now: NOW,
    };
    let clean = Explanation { memberships: Vec::new(), malformed: Vec::new(), ..explanation.clone() };
    let clean_of = Explanation { user: Some(alice()), ..clean.clone() };
    let sticky = Beside { members: 1, encrypted: 2, closed_slots: ["m.call#ROOM".into()].into() };
    let sticky = Explanation { beside: sticky, ..clean.clone() };
    let all_of_them = [explanation, clean, clean_of, sticky].map(|one| one.message());
    insta::assert_snapshot!(all(&all_of_them));
}

fn proposal(device: &str, reason: Option<Reason>, is_alive: bool) -> Proposal {
    Proposal {
        room: room(),
        room_name: Some("Team".into()),
        key: format!("_@alice:example.org_{device}_m.call").as_str().into(),
        event: format!("${device}").as_str().into(),
        owners: vec![Owner { user: alice(), device: device.into() }],
        part: None,
        route: None,
        reason,
        since: ago(12),
        is_shown: is_alive,
        is_alive,
        is_unknown: false,
        why: "no sign of trouble; last refreshed 10 min ago".into(),
        reservation: None,
    }
}

#[test]
fn a_plan_shows_what_it_would_do_and_how_to_have_it_done() {
    let id: PlanId = "k4wz".parse().unwrap();
    let dead = [
        proposal("GONE", Some(Reason::DeviceGone), false),
        Proposal {
            reservation: Some(held_back(HeldBack::Breaker(Neighbour::DeviceLists))),
            ..proposal("OTHER", Some(Reason::DeviceGone), false)
        },
    ];
    let blocked = ["ARRAY", "TABLET"].map(|device| {
        (proposal(device, Some(Reason::Expired), false), report::obstacle(Blocked::OnlyItsOwner))
    });
    let sweep = ShownPlan {
        id: &id,
        kind: PlanKind::Sweep,
        proposals: &dead,
        undue: (2, Some(NOW + Duration::from_mins(3))),
        blocked: &blocked,
        is_paused: false,
        prefix: PREFIX,
        now: NOW,
    };
    let nothing = ShownPlan { proposals: &[], undue: (0, None), blocked: &[], ..sweep.clone() };
    let everybody = [
        proposal("PHONE", None, true),
        proposal("LAPTOP", None, true),
        Proposal { why: "it expired 5 h ago".into(), ..proposal("GONE", None, false) },
    ];
    let clear = ShownPlan {
        kind: PlanKind::Clear,
        proposals: &everybody,
        undue: (0, None),
        blocked: &[],
        ..sweep.clone()
    };
    let one = ShownPlan { proposals: &everybody[..1], ..clear.clone() };
    let nobody = ShownPlan { proposals: &[], ..clear.clone() };
    let paused = ShownPlan { is_paused: true, ..one.clone() };
    let unsure = [Proposal {
        is_alive: false,
        is_unknown: true,
        why: "its owner's device list could not be read, or tells nothing of this device, which may have no keys or be a \
              bridge's"
            .into(),
        ..everybody[0].clone()
    }];
    let unsure = ShownPlan { proposals: &unsure, ..clear.clone() };
    let plans = [sweep, nothing, clear, one, nobody, paused, unsure].map(|plan| plan.message().0);
    insta::assert_snapshot!(all(&plans));
}

#[test]
fn what_there_is_no_room_to_show_is_no_part_of_a_plan() {
    let id: PlanId = "k4wz".parse().unwrap();
    let dead: Vec<_> =
        (0..200).map(|n| proposal(&format!("D{n}"), Some(Reason::DeviceGone), false)).collect();
    let plan = ShownPlan {
        id: &id,
        kind: PlanKind::Sweep,
        proposals: &dead,
        undue: (0, None),
        blocked: &[],
        is_paused: false,
        prefix: PREFIX,
        now: NOW,
    };
    let (message, part) = plan.message();
    let Message { plain, html } = &message;
    assert!(plain.len() + html.len() < message::MOST_BYTES + 1000);
    assert!(part.len() > 10 && part.len() < dead.len(), "{}", part.len());
    assert!(plain.contains(&format!("clear {} memberships", part.len())), "{plain}");
    assert!(
        plain.contains(&format!("{} more are not part of this plan", dead.len() - part.len())),
        "{plain}"
    );
    for one in &dead {
        let device = one.owners[0].device.as_str();
        assert_eq!(part.contains(one), plain.contains(&format!("on {device} in")), "{device}");
    }
}

#[test]
fn a_crowded_event_hides_no_other_from_a_plan() {
    let id: PlanId = "k4wz".parse().unwrap();
    let odd = "\u{1f47b}&<".repeat(100);
    let crowd = (0..300).map(|n| Owner { user: odd.as_str().into(), device: format!("{odd}{n}").into() });
    let crowded = Proposal {
        room_name: Some(odd.clone()),
        owners: crowd.collect(),
        why: words::several((0..300).map(|n| format!("its newest event is from {n} min ago"))),
        ..proposal("X", None, true)
    };
    let all = [crowded, proposal("Y", None, true)];
    let (message, part) = ShownPlan {
        id: &id,
        kind: PlanKind::Clear,
        proposals: &all,
        undue: (0, None),
        blocked: &[],
        is_paused: false,
        prefix: PREFIX,
        now: NOW,
    }
    .message();
    assert_eq!(part.len(), 2, "{}", message.plain);
}

#[test]
fn progress_names_what_was_left_and_who_came_back() {
    let id: PlanId = "k4wz".parse().unwrap();
    let by = "@boss:example.org".into();
    let keys = ["A", "B", "C", "D"].map(|device| proposal(device, Some(Reason::DeviceGone), false));
    let progress = |kind, outcomes: [Outcome; 4]| Progress {
        id: &id,
        kind,
        by: &by,
        outcomes: keys.iter().zip(outcomes).collect(),
        returned: Vec::new(),
        waits_for: None,
        watched_until: None,
        now: NOW,
    };
    let all_done = || [Outcome::Cleared, Outcome::Cleared, Outcome::Cleared, Outcome::Cleared];
    let mixed = [
        Outcome::Cleared,
        Outcome::Gone,
        Outcome::Held(held_back(HeldBack::NoRoute(Blocked::NotEnoughPower { has: 0, needs: 50 }))),
        Outcome::Refused("M_FORBIDDEN: <no>".into()),
    ];
    let slow = || [Outcome::Cleared, Outcome::Changed, Outcome::Pending, Outcome::Pending];
    let paused = held_back(HeldBack::Paused);
    let waits = Progress { waits_for: Some(&paused), ..progress(PlanKind::Sweep, slow()) };
    let watched = Progress {
        watched_until: Some(NOW + Duration::from_mins(2)),
        ..progress(PlanKind::Clear, all_done())
    };
    let back = Progress { returned: vec![&keys[1]], ..progress(PlanKind::Clear, all_done()) };
    let messages = [
        progress(PlanKind::Sweep, all_done()).message(),
        progress(PlanKind::Sweep, mixed).message(),
        progress(PlanKind::Sweep, slow()).message(),
        waits.message(),
        watched.message(),
        progress(PlanKind::Clear, all_done()).message(),
        back.message(),
    ];
    insta::assert_snapshot!(all(&messages));
}

#[test]
fn every_reason_to_hold_back_is_a_sentence() {
    use crate::guard::limits::Limit;
    let whys = [
        HeldBack::Paused,
        HeldBack::ExclusionUnknown,
        HeldBack::Excluded,
        HeldBack::FirstSync,
        HeldBack::OneSighting,
        HeldBack::TooYoung,
        HeldBack::SentExpired,
        HeldBack::NotRefreshed,
        HeldBack::ClockSkew,
        HeldBack::Breaker(Neighbour::Homeserver),
        HeldBack::Quarantine,
        HeldBack::RemoteDeviceList,
        HeldBack::SfuSilent,
        HeldBack::OthersInEvent,
        HeldBack::LongExpired,
        HeldBack::NoRoute(Blocked::OnlyItsOwner),
        HeldBack::NoRoute(Blocked::NotInTheRoom),
        HeldBack::RouteUnknown,
        HeldBack::Limit(Limit::Sweep),
        HeldBack::Limit(Limit::Room),
        HeldBack::Limit(Limit::Hour),
        HeldBack::TooOld,
        HeldBack::OtherRoute,
    ];
    insta::assert_snapshot!(whys.map(held_back).join("\n"));
}

#[test]
fn history_rooms_settings_and_help() {
    let past = |outcome: Option<&str>, reason, by: Option<UserId>| Past {
        at: ago(90),
        room: room(),
        room_name: Some("Team".into()),
        owners: vec![Owner { user: alice(), device: "GONE".into() }],
        reason,
        outcome: outcome.map(str::to_owned),
        detail: (outcome == Some("not_written")).then(|| "M_FORBIDDEN: <no>".to_owned()),
        asked_by: by,
    };
    let mut lines = vec![
        past(Some("cleared"), Some(Reason::DeviceGone), None),
        past(Some("cleared"), None, Some("@boss:example.org".into())),
        past(Some("spared"), Some(Reason::Expired), None),
        past(Some("changed"), Some(Reason::Expired), None),
        past(Some("not_written"), Some(Reason::Expired), None),
        past(None, Some(Reason::Expired), None),
        past(Some("cleared"), None, None),
    ];
    for (line, hours) in lines.iter_mut().zip((0..).step_by(3)) {
        line.at = ago(90 + 60 * hours);
    }
    let history = History { lines, total: 200, prefix: PREFIX.into() };
    let nothing = History { lines: Vec::new(), ..history.clone() };
    let many = history.lines.iter().cycle().take(50).cloned().collect();
    let newest = History { lines: many, ..history.clone() };

    let plain = |id: &str, name: Option<&str>, open, problems| Room {
        id: id.into(),
        name: name.map(str::to_owned),
        open,
        is_excluded: id == "!kiosk:example.org",
        problems,
    };
    let rooms = vec![
        plain("!a:example.org", Some("Quiet"), 0, vec![]),
        plain(
            "!c:example.org",
            Some("Tea"),
            1,
            vec![Problem::CannotClear { number: 1, why: report::obstacle(Blocked::OnlyItsOwner) }],
        ),
        plain("!kiosk:example.org", None, 1, vec![]),
        plain(
            "!b:example.org",
            Some("Team"),
            2,
            vec![
                Problem::NoPower(Blocked::NotEnoughPower { has: 0, needs: 50 }),
                Problem::CannotClear { number: 2, why: report::obstacle(Blocked::OnlyItsOwner) },
            ],
        ),
        plain("!old:example.org", Some("Old"), 0, vec![Problem::NotInSuccessor("!new:example.org".into())]),
    ];
    let everywhere = Rooms { rooms: rooms.clone(), unresolved: Vec::new(), only_problems: false };
    let problems = Rooms { rooms: rooms.clone(), unresolved: Vec::new(), only_problems: true };
    let fine = Rooms { rooms: rooms[..1].to_vec(), unresolved: Vec::new(), only_problems: true };
    let nowhere = Rooms { rooms: Vec::new(), unresolved: Vec::new(), only_problems: false };

    let setting = |key: &str, value: &str, origin: &str, undo: Option<&str>| Setting {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
        undo: undo.map(str::to_owned),
    };
    let settings = Settings {
        by_command: vec![setting(
            "grace.silent",
            "10 min",
            "by @boss:example.org, 2 h ago",
            Some("!janitor grace silent reset"),
        )],
        set: vec![setting("janitor.mode", "\"clean\"", "config.toml", None)],
        defaults: vec![setting("store.path", "\"data\"", "default", None)],
        all: true,
    };
    let short = Settings { all: false, by_command: Vec::new(), ..settings.clone() };
    insta::assert_snapshot!(all(&[
        history.message(),
        nothing.message(),
        newest.message(),
        everywhere.message(PREFIX),
        problems.message(PREFIX),
        fine.message(PREFIX),
        nowhere.message(PREFIX),
        settings.message(PREFIX),
        short.message(PREFIX),
        commands(PREFIX),
        one_command("Sweep", PREFIX),
        one_command("status", PREFIX),
        one_command("<b>", PREFIX),
    ]));
}

#[test]
fn every_short_answer() {
    let plan: PlanId = "k4wz".parse().unwrap();
    let named = RoomName::Name("Team <b>".into());
    let similar = [(room(), Some("Teams".to_owned())), ("!c:example.org".into(), None)];
    let shown = message::room(&room(), Some("Team"));
    let silent = GraceKey::Reason(Reason::Silent);
    insta::assert_snapshot!(all(&[
        version("0.1.0", None, None, "/data"),
        version("0.1.0", Some("4f2a"), Some("/etc/rtc-janitor/config.toml"), "/data"),
        no_say(Some(0), 50),
        no_say(None, 50),
        not_here(),
        too_old(Duration::from_mins(7)),
        overtaken(),
        identity_violated(&alice()),
        unattributable(),
        in_the_clear(),
        undecryptable(&alice()),
        interrupted(PREFIX),
        working(),
        has_not_seen_all(),
        failed("no usable answer: timed out"),
        no_such_room(&RoomName::Id("!x:example.org".into()), &[], PREFIX),
        no_such_room(&named, &[], PREFIX),
        no_such_room(&named, &similar, PREFIX),
        several_rooms(&named, &similar),
        no_such_alias("#x:example.org"),
        mode(ModeChange::To(Mode::Clean), Mode::Clean, true, PREFIX),
        mode(ModeChange::Reset, Mode::Clean, true, PREFIX),
        mode(ModeChange::Reset, Mode::Report, false, PREFIX),
        mode_is_forgotten(PREFIX),
        no_such_room(&named, &similar[..1], PREFIX),
        no_such_user(&UserName::Local("bob".into())),
        several_users(&UserName::Local("b".into()), &[alice(), "@bob:example.org".into()]),
        sure_to_leave(&room(), Some("Team `x`"), PREFIX),
        clear_needs_full_id("bob"),
        mode(ModeChange::To(Mode::Clean), Mode::Report, false, PREFIX),
        mode(ModeChange::To(Mode::Report), Mode::Report, false, PREFIX),
        mode(ModeChange::To(Mode::Report), Mode::Report, true, PREFIX),
        paused(Some(NOW + Duration::from_hours(2)), None, NOW, PREFIX),
        paused(None, Some("now!"), NOW, PREFIX),
        paused(None, None, NOW, PREFIX),
        pause_over(),
        resumed(true, Mode::Clean),
        resumed(false, Mode::Clean),
        begins_with(PREFIX),
        excluded(&shown, "!b:example.org", true, PREFIX),
        excluded(&shown, "!b:example.org", false, PREFIX),
        left_alone(&shown, "!b:example.org", true, PREFIX),
        left_alone(&shown, "!b:example.org", false, PREFIX),
        included(&shown, true, false),
        included(&shown, false, false),
        included(&shown, true, true),
        grace(silent, Grace::After(Duration::from_mins(10)), false, PREFIX),
        grace(silent, Grace::Never, false, PREFIX),
        grace(silent, Grace::After(Duration::from_mins(5)), true, PREFIX),
        breaker_closed(&[]),
        breaker_closed(&[Neighbour::Homeserver, Neighbour::DeviceLists]),
        joined(&shown, true),
        joined(&shown, false),
        joined_before(&shown),
        not_let_in(&shown, "You are not invited <to> this room"),
        left(&room(), Some("Team"), PREFIX),
        stays_here(),
        no_such_plan(&plan, PREFIX),
        plan_too_old(&plan, PREFIX),
        plan_taken(&plan, &alice()),
        plan_waits(&plan, PREFIX),
        under_way(),
        moved_here(&room()),
    ]));
}

#[test]
fn what_stands_beside_the_memberships_is_told() {
    assert_eq!(beside(&Beside::default()), []);
    let one = Beside { members: 1, encrypted: 1, closed_slots: ["m.call#ROOM".into()].into() };
    let slots = (0..7).map(|number| format!("{number}<b>@room\u{202e}").into());
    let many = Beside { members: 3, encrypted: 40, closed_slots: slots.collect() };
    let messages = [one, many].map(|one| beside(&one)).concat();
    insta::assert_snapshot!(all(&messages));
}
