//! What a survey looks at, and what it makes of what cannot be read.

use std::{sync::atomic::Ordering, time::Duration};

use rtc_janitor_core::{rtc::state_event::CALL_MEMBER, survey::Cut};
use serde_json::json;
use tokio::time::Instant;

use super::server::*;
use crate::{
    survey::{SurveyError, pace::AT_ONCE},
    world::NeighbourError,
};

#[tokio::test(start_paused = true)]
async fn ten_thousand_rooms_take_minutes_and_four_questions_at_a_time() {
    let rooms = (0..10_000)
        .map(|number| (format!("!{number}:hs"), if number % 100 == 0 { room(&[alices()]) } else { quiet() }));
    let server = Server::where_alice_has("D", rooms);
    let survey = server.survey("").await.expect("a survey");
    assert_eq!((survey.looked_at, survey.rooms.len(), survey.unread), (10_000, 100, vec![]));
    assert_eq!(server.times_asked("state"), 10_100, "of quiet rooms no more than their calls is read");
    assert_eq!(server.times_asked("devices"), 1, "one owner is asked for once");
    assert!(server.most_at_once.load(Ordering::SeqCst) <= AT_ONCE);
    // Each answer is followed by a rest of its length: 4 hands, 10 ms and 10 ms.
    assert!(
        survey.took >= Duration::from_secs(50) && survey.took < Duration::from_mins(2),
        "{:?}",
        survey.took
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_the_server_does_not_know_is_gone() {
    let server = Server::where_alice_has("E", [("!a:hs".into(), room(&[]))]);
    let survey = server.survey("").await.expect("a survey");
    assert_eq!(survey.rooms[0].reasons(), [("device_gone", 1)].into());
    assert_eq!(survey.without_lists, None);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_could_not_be_read_makes_nobody_stale_and_is_told() {
    let fault: Fault = Box::new(|what, _| {
        what.starts_with("devices").then(|| Server::refuses(404, "M_NOT_FOUND", "Unknown user"))
    });
    let server = Server { fault: Some(fault), ..Server::with([("!a:hs".into(), room(&[]))]) };
    let survey = server.survey("").await.expect("a survey");
    assert_eq!((survey.rooms[0].count("stale"), survey.rooms[0].count("unknown")), (0, 1));
    assert!(survey.without_lists.is_some_and(|why| why.contains("@alice:hs")));
}

#[tokio::test(start_paused = true)]
async fn one_room_that_cannot_be_read_is_named_and_holds_up_no_other() {
    let fault: Fault = Box::new(|what, _| {
        what.starts_with("state !5:hs").then(|| NeighbourError::Unreachable("500".into()))
    });
    let rooms = (0..50).map(|number| (format!("!{number}:hs"), room(&[])));
    let server = Server { fault: Some(fault), ..Server::with(rooms) };
    let survey = server.survey("").await.expect("a survey");
    assert_eq!((survey.rooms.len(), survey.unread.len()), (49, 1));
    assert_eq!(survey.unread[0].0.room.as_str(), "!5:hs");
    assert_eq!(server.times_asked("state !5:hs"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_ends_the_survey() {
    let fault: Fault =
        Box::new(|_, before| (before > 20).then(|| NeighbourError::Unreachable("refused".into())));
    let rooms = (0..1000).map(|number| (format!("!{number}:hs"), quiet()));
    let server = Server { fault: Some(fault), ..Server::with(rooms) };
    let begun = Instant::now();
    let error = server.survey("").await.expect_err("it is gone");
    assert!(matches!(error, SurveyError::Unreachable(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", begun.elapsed());
    assert!(server.times_asked("") < 60, "it is not asked for every room");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_in_the_middle_ends_it_at_once() {
    for error in [
        Server::refuses(403, "M_FORBIDDEN", "You are not a server admin"),
        Server::refuses(401, "M_FORBIDDEN", "no"),
        NeighbourError::SignedOut("Invalid access token passed.".into()),
    ] {
        let wanted = error.clone();
        let fault: Fault = Box::new(move |_, before| (before > 20).then(|| error.clone()));
        let rooms = (0..1000).map(|number| (format!("!{number}:hs"), quiet()));
        let server = Server { fault: Some(fault), ..Server::with(rooms) };
        assert_eq!(server.survey("").await, Err(SurveyError::Refused(wanted)));
        assert!(server.times_asked("") < 30);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_server_asks_for_a_pause_nobody_asks_before_it_is_over() {
    let retry_after = Duration::from_secs(30);
    let fault: Fault =
        Box::new(move |_, before| (before == 20).then_some(NeighbourError::RateLimited { retry_after }));
    let rooms = (0..100).map(|number| (format!("!{number}:hs"), quiet()));
    let server = Server { fault: Some(fault), ..Server::with(rooms) };
    let survey = server.survey("").await.expect("a survey");
    assert_eq!((survey.looked_at, survey.unread), (100, vec![]));
    assert!(survey.took >= retry_after, "{:?}", survey.took);
}

#[tokio::test(start_paused = true)]
async fn a_space_stands_for_its_rooms_and_those_of_the_spaces_in_it() {
    let space = |children: &[&str]| {
        let child = |room: &&str| state("m.space.child", room, json!({"via": ["hs"]}));
        let create = state("m.room.create", "", json!({"room_version": "11", "type": "m.space"}));
        [vec![create], children.iter().map(child).collect()].concat()
    };
    let rooms = [
        ("!space:hs", space(&["!a:hs", "!inner:hs", "!elsewhere:far"])),
        ("!inner:hs", space(&["!b:hs", "!space:hs"])),
        ("!a:hs", room(&[])),
        ("!b:hs", room(&[])),
        ("!c:hs", room(&[])),
    ];
    let server = Server {
        aliases: [("#space:hs", "!space:hs"), ("#c:hs", "!c:hs")].into(),
        ..Server::with(rooms.map(|(id, state)| (id.to_owned(), state)))
    };
    for (scope, expected) in [
        ("#space:hs", vec!["!a:hs", "!b:hs"]),
        ("!inner:hs", vec!["!a:hs", "!b:hs"]),
        ("#c:hs", vec!["!c:hs"]),
        ("#c:hs,!a:hs", vec!["!a:hs", "!c:hs"]),
        ("room !b", vec!["!b:hs"]),
        ("!?:hs", vec!["!a:hs", "!b:hs", "!c:hs"]),
        ("nothing", vec![]),
    ] {
        let survey = server.survey(scope).await.expect("a survey");
        assert_eq!(names(&survey), expected, "{scope}");
    }
    for unknown in ["#nowhere:hs", "!nowhere:hs"] {
        assert_eq!(server.survey(unknown).await, Err(SurveyError::NoSuchRoom(unknown.into())));
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_that_never_can_be_read_are_no_sign_that_the_server_is_gone() {
    // As the first in the list, with nothing else that is answered before.
    let is_broken = |what: &str| ["!0:hs", "!1:hs", "!2:hs", "!3:hs"].iter().any(|room| what.contains(room));
    for error in ["HTTP 500", "the state of a room could not be read: expected value"] {
        let error = NeighbourError::Unreachable(error.into());
        let fault: Fault = Box::new(move |what, _| is_broken(what).then(|| error.clone()));
        let rooms = (0..10).map(|number| (format!("!{number}:hs"), room(&[])));
        let server = Server { fault: Some(fault), ..Server::with(rooms) };
        let survey = server.survey("").await.expect("a survey");
        assert_eq!((survey.rooms.len(), survey.unread.len(), survey.cut), (6, 4, None));
        assert!(!survey.is_complete());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_for_no_room_ends_the_survey_though_it_has_a_list() {
    let fault: Fault =
        Box::new(|what, _| what.starts_with("state").then(|| NeighbourError::Unreachable("500".into())));
    let rooms = (0..10_000).map(|number| (format!("!{number}:hs"), quiet()));
    let server = Server { fault: Some(fault), ..Server::with(rooms) };
    let begun = Instant::now();
    assert!(matches!(server.survey("").await, Err(SurveyError::Unreachable(_))));
    assert!(begun.elapsed() < Duration::from_mins(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_deleted_since_it_was_listed_has_no_calls() {
    let gone = || Server::refuses(404, "M_NOT_FOUND", "Room not found");
    for when in ["state !1:hs org", "state !1:hs all"] {
        let fault: Fault = Box::new(move |what, _| what.starts_with(when).then(gone));
        let rooms = (0..3).map(|number| (format!("!{number}:hs"), room(&[])));
        let server = Server { fault: Some(fault), ..Server::with(rooms) };
        let survey = server.survey("").await.expect("a survey");
        assert_eq!((names(&survey), survey.is_complete()), (vec!["!0:hs", "!2:hs"], true), "{when}");
        assert_eq!((survey.looked_at, survey.of), (3, Some(3)));
    }
    // A path that is not there says nothing of a room.
    let fault: Fault = Box::new(|what, _| {
        what.starts_with("state !1:hs")
            .then(|| Server::refuses(404, "M_UNRECOGNIZED", "Unrecognized request"))
    });
    let rooms = (0..3).map(|number| (format!("!{number}:hs"), room(&[])));
    let server = Server { fault: Some(fault), ..Server::with(rooms) };
    let survey = server.survey("").await.expect("a survey");
    assert_eq!((survey.rooms.len(), survey.unread.len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_room_whose_state_is_garbage_is_told_and_is_never_quiet() {
    let garbage = [
        ("!1:hs", vec![json!(7)]),
        ("!2:hs", vec![json!({"type": CALL_MEMBER, "state_key": "x", "content": {}})]),
        // Somebody is in a call in what is no room.
        ("!3:hs", room(&[]).split_off(1)),
    ];
    let mut without_create = garbage.map(|(id, state)| (id.to_owned(), state));
    without_create[2].1.retain(|event| event["type"] == CALL_MEMBER);
    let rooms = without_create.into_iter().chain([("!0:hs".to_owned(), room(&[]))]);
    let server = Server::with(rooms);
    let survey = server.survey("").await.expect("a survey");
    let unread: Vec<_> =
        survey.unread.iter().map(|(listed, why)| (listed.room.as_str(), why.as_str())).collect();
    assert_eq!(unread.iter().map(|(room, _)| *room).collect::<Vec<_>>(), ["!1:hs", "!2:hs"], "{unread:?}");
    assert_eq!(names(&survey), ["!0:hs", "!3:hs"]);
    assert!(!survey.rooms[1].can_clear(), "its state does not tell who may");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_moves_in_the_list_while_it_is_read_is_not_missed() {
    let server = || Server::with((0..600).map(|number| (format!("!{number}:hs"), quiet())));
    let once = Server { slips: 1.into(), ..server() };
    let survey = once.survey("").await.expect("a survey");
    assert_eq!((survey.looked_at, survey.of, survey.cut), (600, Some(600), None));
    let ever = Server { slips: usize::MAX.into(), ..server() };
    let survey = ever.survey("").await.expect("a survey");
    assert_eq!((survey.looked_at, survey.of, survey.cut), (599, Some(600), Some(Cut::NotListed(1))));
    assert!(!survey.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_deleted_while_the_list_is_read_hides_no_other() {
    let server = Server::with((0..600).map(|number| (format!("!{number:03}:hs"), quiet())));
    *server.deleted.lock().expect("not poisoned") = Some("!007:hs");
    let survey = server.survey("").await.expect("a survey");
    let asked = server.asked.lock().expect("not poisoned").clone();
    assert!(asked.iter().any(|what| what.starts_with("state !500:hs")), "it moved to the page that was read");
    assert!(survey.cut.is_none());

    let server = Server::with((0..600).map(|number| (format!("!{number:03}:hs"), quiet())));
    *server.created.lock().expect("not poisoned") = Some("!000a:hs");
    let survey = server.survey("").await.expect("a survey");
    assert!(survey.cut.is_none() && survey.is_complete());
    let lists =
        server.asked.lock().expect("not poisoned").iter().filter(|what| what.starts_with("list ")).count();
    assert_eq!(lists, 2, "a new room hides none");
}

#[tokio::test(start_paused = true)]
async fn a_room_of_a_space_that_cannot_be_read_holds_up_no_other() {
    let child = |room: &str| state("m.space.child", room, json!({"via": ["hs"]}));
    let create = state("m.room.create", "", json!({"room_version": "11", "type": "m.space"}));
    let space = vec![create, child("!a:hs"), child("!b:hs"), child("not a room")];
    let rooms = [("!space:hs", space), ("!a:hs", room(&[])), ("!b:hs", room(&[]))];
    let fault: Fault = Box::new(|what, _| {
        if what.contains("not a room") {
            Some(Server::refuses(400, "M_INVALID_PARAM", "not a room is not a legal room ID"))
        } else {
            what.starts_with("state !a:hs").then(|| NeighbourError::Unreachable("500".into()))
        }
    });
    let server =
        Server { fault: Some(fault), ..Server::with(rooms.map(|(id, state)| (id.to_owned(), state))) };
    let survey = server.survey("!space:hs").await.expect("a survey");
    assert_eq!((names(&survey), survey.unread.len(), survey.of), (vec!["!b:hs"], 1, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn spaces_of_more_rooms_than_are_looked_at_are_told_to_be_incomplete() {
    let child = |number: usize| state("m.space.child", &format!("!{number}:hs"), json!({"via": ["hs"]}));
    let create = state("m.room.create", "", json!({"room_version": "11", "type": "m.space"}));
    let space = [vec![create], (0..10_001).map(child).collect()].concat();
    let rooms = (0..10_001).map(|number| (format!("!{number}:hs"), quiet()));
    let server = Server::with(rooms.chain([("!space:hs".to_owned(), space)]));
    let survey = server.survey("!space:hs").await.expect("a survey");
    assert_eq!(survey.cut, Some(Cut::TooManyRooms(10_000)));
    assert!(!survey.is_complete());
}
