//! A survey that ends before it has come to all rooms.

use std::{sync::Mutex, time::Duration};

use rtc_janitor_core::survey::{Cut, Progress, Scope, Survey};
use tokio::time::{Instant, sleep, timeout};

use super::server::*;
use crate::{
    shutdown::Shutdown,
    survey::{LONGEST, SurveyError},
    world::NeighbourError,
};

/// A thousand rooms, with a call in each tenth.
fn thousand() -> Server {
    let rooms = (0..1000).map(|number| {
        let state = if number % 10 == 0 { room(&[alices()]) } else { quiet() };
        (format!("!{number:04}:hs"), state)
    });
    Server::where_alice_has("D", rooms)
}

/// A survey of all rooms that is stopped so long after it began, and how long it took to end then.
async fn stopped_after(server: &Server, span: Duration) -> (Result<Survey, SurveyError>, Duration) {
    let (settings, stop) = (settings(), Shutdown::new());
    let asked = Mutex::new(Instant::now());
    let surveyor = server.surveyor(&settings);
    let (survey, ()) = tokio::join!(surveyor.survey(&Scope::All, &stop, &|_| ()), async {
        sleep(span).await;
        *asked.lock().expect("not poisoned") = Instant::now();
        stop.request();
    });
    (survey, asked.into_inner().expect("not poisoned").elapsed())
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stopped_says_how_far_it_came_and_what_it_found() {
    let server = thousand();
    let (survey, took) = stopped_after(&server, Duration::from_secs(3)).await;
    let survey = survey.expect("what there is of it");
    assert_eq!((survey.cut, survey.of), (Some(Cut::Stopped), Some(1000)));
    assert!(!survey.is_complete() && took < Duration::from_millis(100), "{took:?}");
    assert!((200..1000).contains(&survey.looked_at), "{}", survey.looked_at);
    assert!((20..100).contains(&survey.rooms.len()), "{}", survey.rooms.len());
    assert_eq!(server.times_asked("devices"), 1, "one owner is asked for once");
    let asked = server.times_asked("");
    sleep(Duration::from_mins(10)).await;
    assert_eq!(server.times_asked(""), asked, "nothing is asked after that");
}

#[tokio::test(start_paused = true)]
async fn one_is_stopped_also_while_nothing_is_answered() {
    for (what, of) in [("list", None), ("state", Some(1000)), ("proof", Some(1000)), ("devices", Some(1000))]
    {
        let hangs: Hangs = Box::new(move |asked| asked.starts_with(what));
        let server = Server { hangs: Some(hangs), ..thousand() };
        let (survey, took) = stopped_after(&server, Duration::from_mins(2)).await;
        let survey = survey.expect("what there is of it");
        assert_eq!((survey.cut, survey.of), (Some(Cut::Stopped), of), "{what}");
        assert!(took < Duration::from_millis(100), "{what}: {took:?}");
        assert!(survey.rooms.is_empty(), "nothing is judged without what was asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_put_off_for_ever_ends_after_an_hour() {
    let retry_after = Duration::from_mins(10);
    let limited: Fault =
        Box::new(move |_, before| (before > 400).then_some(NeighbourError::RateLimited { retry_after }));
    let server = Server { fault: Some(limited), ..thousand() };
    let begun = Instant::now();
    let survey = server.survey("").await.expect("what there is of it");
    assert_eq!((survey.cut, survey.of), (Some(Cut::TookTooLong(LONGEST)), Some(1000)));
    assert!(begun.elapsed() < LONGEST + Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(survey.looked_at > 100 && !survey.rooms.is_empty() && !survey.is_complete());
}

#[tokio::test(start_paused = true)]
async fn how_far_it_is_only_grows() {
    let (server, settings, never) = (thousand(), settings(), Shutdown::new());
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().expect("not poisoned").push(progress);
    let surveyor = server.surveyor(&settings);
    timeout(LONGEST, surveyor.survey(&Scope::All, &never, &tell)).await.expect("an end").expect("a survey");
    let told = told.into_inner().expect("not poisoned");
    let read: Vec<_> = told
        .iter()
        .filter_map(|progress| match progress {
            Progress::Rooms { done, of: 1000, open } => Some((*done, *open)),
            _ => None,
        })
        .collect();
    assert!(read.is_sorted() && read.len() == 1000, "{read:?}");
    assert_eq!(read.last(), Some(&(1000, 100)));
}
