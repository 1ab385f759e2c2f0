//! Getting into rooms: what was shown is done, and nothing else.

use rtc_janitor_core::{
    rtc::state_event::CALL_MEMBER,
    survey::{How, JoinOutcome, JoinProposal, NoWay, Scope, Way},
};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::server::*;
use crate::{janitor::Settings, shutdown::Shutdown, world::NeighbourError};

/// What comes of a room when somebody has approved what was shown, and what is done about it.
async fn get_into(server: &Server, settings: &Settings, how: How) -> (JoinOutcome, Vec<String>) {
    server.asked.lock().expect("not poisoned").clear();
    let proposal = JoinProposal { room: "!a:hs".into(), name: None, how };
    let outcome = server.surveyor(settings).joining().get_into(&proposal).await;
    let asked = server.asked.lock().expect("not poisoned").clone();
    (outcome, asked.into_iter().filter(|asked| !asked.starts_with("state")).collect())
}

#[tokio::test(start_paused = true)]
async fn each_room_is_got_into_as_it_was_shown_and_not_otherwise() {
    let raise = || How::MakeRoomAdmin { is_in: false };
    let free = state("m.room.power_levels", "", json!({"events": {CALL_MEMBER: 0}}));
    let grave = state("m.room.tombstone", "", json!({"replacement_room": "!new:hs"}));
    let (admin, join) = ("make admin @bot:hs !a:hs", "join !a:hs via hs");
    for (what, more, how, outcome, done) in [
        ("public", vec![free.clone(), rules("public")], How::Join, JoinOutcome::Joined, vec![join]),
        (
            "public, of somebody else's server",
            vec![state("m.room.power_levels", "", json!({})), rules("public")],
            How::Join,
            JoinOutcome::JoinedWithoutPower,
            vec![join],
        ),
        ("private", vec![alices(), rules("invite")], raise(), JoinOutcome::Joined, vec![admin, join]),
        (
            "private, where more power is needed than there is to be given",
            vec![
                state(
                    "m.room.power_levels",
                    "",
                    json!({"users": {"@alice:hs": 100}, "events": {CALL_MEMBER: 150}}),
                ),
                rules("invite"),
            ],
            raise(),
            JoinOutcome::JoinedWithoutPower,
            vec![admin, join],
        ),
        (
            "with the bot in it",
            vec![alices(), rules("invite"), member(BOT, "join")],
            raise(),
            JoinOutcome::Raised,
            vec![admin],
        ),
        ("open to all by now", vec![free.clone(), rules("public")], raise(), JoinOutcome::Joined, vec![join]),
        (
            "with the bot in it by now",
            vec![free.clone(), member(BOT, "join")],
            How::Join,
            JoinOutcome::Joined,
            vec![],
        ),
        (
            "banned meanwhile",
            vec![alices(), member(BOT, "ban")],
            raise(),
            JoinOutcome::Held("I am banned from it: unban me there first".into()),
            vec![],
        ),
        (
            "private by now",
            vec![alices(), rules("invite")],
            How::Join,
            JoinOutcome::Held("it has changed since it was shown: survey it again".into()),
            vec![],
        ),
        (
            "upgraded meanwhile",
            vec![alices(), rules("invite"), grave.clone()],
            raise(),
            JoinOutcome::Held("it has changed since it was shown: survey it again".into()),
            vec![],
        ),
        (
            "upgraded",
            vec![alices(), grave.clone()],
            How::Successor("!new:hs".into()),
            JoinOutcome::InSuccessor("!new:hs".into()),
            vec!["make admin @bot:hs !new:hs", "join !new:hs via hs"],
        ),
        (
            "upgraded to another room than was shown",
            vec![alices(), grave],
            How::Successor("!other:hs".into()),
            JoinOutcome::Held("it has changed since it was shown: survey it again".into()),
            vec![],
        ),
    ] {
        let more = if what.contains("somebody else's") {
            // Nobody here may give power.
            [vec![member("@alice:hs", "leave")], more].concat()
        } else {
            more
        };
        let mut events = room(&[]);
        events.retain(|event| {
            !more.iter().any(|new| new["type"] == event["type"] && new["state_key"] == event["state_key"])
        });
        events.extend(more);
        let successor = replacing("!a:hs", room(&[alices(), rules("invite")]));
        let server = Server::with([("!a:hs".into(), events), ("!new:hs".into(), successor)]);
        let came = get_into(&server, &settings(), how).await;
        assert_eq!(came, (outcome, done.into_iter().map(str::to_owned).collect()), "{what}");
    }
}

/// The state of a room that was made in place of another.
fn replacing(old: &str, mut state: Vec<Value>) -> Vec<Value> {
    for create in state.iter_mut().filter(|event| event["type"] == "m.room.create") {
        create["content"]["predecessor"] = json!({"room_id": old});
    }
    state
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_that_names_a_room_of_somebody_else_leads_nowhere() {
    let grave = state("m.room.tombstone", "", json!({"replacement_room": "!new:hs"}));
    let private = || room(&[alices(), rules("invite")]);
    for (successor, is_entered) in [
        (private(), false),
        (replacing("!other:hs", private()), false),
        (replacing("!a:hs", private()), true),
    ] {
        let old = room(&[alices(), grave.clone()]);
        let server = Server::with([("!a:hs".into(), old), ("!new:hs".into(), successor)]);
        let (outcome, done) = get_into(&server, &settings(), How::Successor("!new:hs".into())).await;
        assert_eq!(!done.is_empty(), is_entered, "{outcome:?} {done:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_excluded_room_is_never_joined() {
    let server = Server::with([("!a:hs".into(), room(&[alices(), rules("public")]))]);
    let mut excluded = settings();
    excluded.exclude.insert("!a:hs".into());
    let (outcome, done) = get_into(&server, &excluded, How::MakeRoomAdmin { is_in: false }).await;
    assert!(matches!(&outcome, JoinOutcome::Held(why) if why.contains("excluded")), "{outcome:?}");
    assert_eq!(done, Vec::<String>::new());
    let survey =
        server.surveyor(&excluded).survey(&Scope::All, &Shutdown::new(), &|_| ()).await.expect("a survey");
    assert!(matches!(survey.rooms[0].way, Way::None(_)));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_is_told_in_its_words() {
    let fault: Fault = Box::new(|what, _| {
        what.starts_with("make admin").then(|| {
            Server::refuses(
                400,
                "M_UNKNOWN",
                "No local admin user in room with power to update power levels.",
            )
        })
    });
    let rooms = [("!a:hs".into(), room(&[alices(), rules("invite")]))];
    let server = Server { fault: Some(fault), ..Server::with(rooms) };
    let (outcome, done) = get_into(&server, &settings(), How::MakeRoomAdmin { is_in: false }).await;
    let words = "No local admin user in room with power to update power levels.";
    assert_eq!(outcome, JoinOutcome::Refused(words.into()));
    assert_eq!(done, ["make admin @bot:hs !a:hs"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_nobody_answers_for_is_told_as_failed_and_holds_up_no_other() {
    let hangs: Hangs = Box::new(|what| what.starts_with("join !a:hs"));
    let free = state("m.room.power_levels", "", json!({"events": {CALL_MEMBER: 0}}));
    let public = || room(&[free.clone(), rules("public")]);
    let rooms = [("!a:hs".to_owned(), public()), ("!b:hs".to_owned(), public())];
    let server = Server { hangs: Some(hangs), ..Server::with(rooms) };
    let settings = settings();
    let joining = server.surveyor(&settings).joining();
    let begun = Instant::now();
    let proposal = |room: &str| JoinProposal { room: room.into(), name: None, how: How::Join };
    let first = joining.get_into(&proposal("!a:hs")).await;
    assert!(matches!(&first, JoinOutcome::Failed(why) if why == "it took longer than 5 min"), "{first:?}");
    assert!(begun.elapsed() < Duration::from_mins(6), "{:?}", begun.elapsed());
    assert_eq!(joining.get_into(&proposal("!b:hs")).await, JoinOutcome::Joined);
}

#[tokio::test(start_paused = true)]
async fn what_did_not_work_is_no_refusal() {
    let error = NeighbourError::Unreachable("HTTP 502 Failed to make_join via any server".into());
    let words = error.to_string();
    let fault: Fault = Box::new(move |what, _| what.starts_with("join").then(|| error.clone()));
    let rooms = [("!a:hs".into(), room(&[alices(), rules("invite")]))];
    let server = Server { fault: Some(fault), ..Server::with(rooms) };
    let (outcome, _) = get_into(&server, &settings(), How::MakeRoomAdmin { is_in: false }).await;
    assert_eq!(outcome, JoinOutcome::Failed(words));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_deleted_since_is_left_alone() {
    let server = Server::with([("!b:hs".into(), quiet())]);
    let (outcome, done) = get_into(&server, &settings(), How::Join).await;
    let gone = "it is gone: the homeserver does not know it any more";
    assert_eq!((outcome, done), (JoinOutcome::Held(gone.into()), vec![]));
}

#[tokio::test(start_paused = true)]
async fn once_the_admin_api_refuses_or_is_gone_no_other_room_is_tried() {
    for error in [
        Server::refuses(403, "M_FORBIDDEN", "You are not a server admin"),
        NeighbourError::SignedOut("Invalid access token passed.".into()),
        NeighbourError::Unreachable("no connection".into()),
    ] {
        let wanted = error.clone();
        let fault: Fault = Box::new(move |what, _| (!what.starts_with("state !0:hs")).then(|| error.clone()));
        let rooms = (0..40).map(|number| (format!("!{number}:hs"), room(&[alices(), rules("invite")])));
        let server = Server { fault: Some(fault), ..Server::with(rooms) };
        let settings = settings();
        let joining = server.surveyor(&settings).joining();
        let mut outcomes = Vec::new();
        for number in 1..40 {
            let room = format!("!{number}:hs").as_str().into();
            let how = How::MakeRoomAdmin { is_in: false };
            outcomes.push(joining.get_into(&JoinProposal { room, name: None, how }).await);
        }
        let last = outcomes.last().expect("one");
        assert!(
            matches!(last, JoinOutcome::Held(why) if why.starts_with("not tried: ")),
            "{wanted}: {last:?}"
        );
        assert!(server.times_asked("") <= 12, "{wanted}: {}", server.times_asked(""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_successor_on_another_server_is_joined_by_way_of_whoever_upgraded() {
    let mut grave = state("m.room.tombstone", "", json!({"replacement_room": "!nobodysserver"}));
    grave["sender"] = json!("@mod:far");
    let server = Server::with([("!a:hs".into(), room(&[alices(), grave]))]);
    let (outcome, done) = get_into(&server, &settings(), How::Successor("!nobodysserver".into())).await;
    assert_eq!(outcome, JoinOutcome::InSuccessor("!nobodysserver".into()));
    assert_eq!(done, ["join !nobodysserver via hs far"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_whose_successor_the_bot_is_in_is_proposed_no_more() {
    let grave = state("m.room.tombstone", "", json!({"replacement_room": "!new:hs"}));
    for (me, way) in [
        ("join", Way::None(NoWay::InTheSuccessor)),
        ("invite", Way::Successor("!new:hs".into())),
        ("leave", Way::Successor("!new:hs".into())),
    ] {
        let successor = [quiet(), vec![member(BOT, me)]].concat();
        let old = room(&[alices(), grave.clone()]);
        let server = Server::with([("!a:hs".into(), old), ("!new:hs".into(), successor)]);
        let survey = server.survey("!a:hs").await.expect("a survey");
        assert_eq!(survey.rooms[0].way, way, "{me}");
    }
}
