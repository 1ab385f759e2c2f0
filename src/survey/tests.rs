//! Surveys of a server that is as tests want it, with time that passes when nobody works.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::EventId,
    judge::evidence::ListKind,
    rtc::state_event::StateEvent,
    survey::{How, JoinOutcome, JoinProposal, Way},
};
use tokio::time::sleep;

use super::*;
use crate::{
    config::Config,
    janitor::aliases::Named,
    world::{
        RoomView,
        clock::SystemClock,
        device_lists::OwnLists,
        synapse_admin::{ListedRoom, RoomPage},
    },
};

const ME: &str = "@bot:hs";

/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(10);

type Fault = Box<dyn Fn(&str, usize) -> Option<NeighbourError> + Send + Sync>;

/// A server with rooms.
#[derive(Default)]
struct Server {
    rooms: Mutex<BTreeMap<String, Vec<Value>>>,
    aliases: BTreeMap<&'static str, &'static str>,
    devices: BTreeMap<&'static str, Vec<&'static str>>,
    /// What is answered instead, by what is asked and how often something was asked before.
    fault: Option<Fault>,
    asked: Mutex<Vec<String>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Server {
    fn with(rooms: impl IntoIterator<Item = (String, Vec<Value>)>) -> Self {
        Self { rooms: Mutex::new(rooms.into_iter().collect()), ..Self::default() }
    }

    async fn answer<T>(
        &self,
        what: String,
        value: impl FnOnce() -> Result<T, NeighbourError>,
    ) -> Result<T, NeighbourError> {
        let before = {
            let mut asked = self.asked.lock().expect("not poisoned");
            asked.push(what.clone());
            asked.len() - 1
        };
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        sleep(ANSWER).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        match self.fault.as_ref().and_then(|fault| fault(&what, before)) {
            Some(error) => Err(error),
            None => value(),
        }
    }

    fn times_asked(&self, what: &str) -> usize {
        self.asked.lock().expect("not poisoned").iter().filter(|asked| asked.starts_with(what)).count()
    }

    async fn survey(&self, scope: &str) -> Result<Survey, SurveyError> {
        let settings = settings("");
        self.surveyor(&settings).survey(&scope.parse().expect("a scope"), &|_| ()).await
    }

    fn surveyor<'a>(&'a self, settings: &'a Settings) -> Surveyor<'a> {
        Surveyor { admin: self, rooms: self, clock: &SystemClock, settings }
    }

    fn refuses(status: u16, errcode: &str, message: &str) -> NeighbourError {
        NeighbourError::Refused { status, errcode: errcode.into(), message: message.into() }
    }
}

#[async_trait]
impl OwnLists for Server {
    fn covers(&self, user: &UserId) -> bool {
        user.server_name() == Some("hs")
    }

    fn knows_accounts(&self) -> bool {
        true
    }

    async fn proof(&self) -> Result<(), UnknownDevices> {
        self.answer("proof".into(), || Ok(())).await.map_err(Into::into)
    }

    async fn devices_of(
        &self,
        user: &UserId,
        _: &BTreeSet<DeviceId>,
        _: Timestamp,
    ) -> Result<DeviceList, UnknownDevices> {
        let devices = self.devices.get(user.as_str()).into_iter().flatten();
        let devices = devices.map(|device| (DeviceId::from(*device), None)).collect();
        let list = DeviceList { devices, by: ListKind::OwnList, account: None };
        self.answer(format!("devices {user}"), || Ok(list)).await.map_err(Into::into)
    }
}

#[async_trait]
impl AllRooms for Server {
    async fn rooms(&self, from: u64, most: u32) -> Result<RoomPage, NeighbourError> {
        let all: Vec<_> = self.rooms.lock().expect("not poisoned").keys().cloned().collect();
        let (from, most) = (usize::try_from(from).expect("small"), usize::try_from(most).expect("small"));
        let page = all.iter().skip(from).take(most).map(|id| ListedRoom {
            room: id.as_str().into(),
            name: Some(format!("Room {id}")),
            canonical_alias: None,
            joined_local_members: 1,
        });
        let next_batch = (from + most < all.len()).then_some((from + most) as u64);
        let page = RoomPage { rooms: page.collect(), next_batch, total_rooms: all.len() as u64 };
        self.answer(format!("list {from}"), || Ok(page)).await
    }

    async fn room_state(
        &self,
        room: &RoomId,
        event_type: Option<&str>,
    ) -> Result<Vec<Value>, NeighbourError> {
        let state = self.rooms.lock().expect("not poisoned").get(room.as_str()).cloned();
        let of_type = |event: &Value| event_type.is_none_or(|wanted| event["type"] == wanted);
        let state = state
            .map(|state| state.into_iter().filter(of_type).collect())
            .ok_or_else(|| Self::refuses(404, "M_NOT_FOUND", "Room not found"));
        self.answer(format!("state {room} {}", event_type.unwrap_or("all")), || state).await
    }

    async fn make_room_admin(&self, room: &RoomId, user: &UserId) -> Result<(), NeighbourError> {
        self.answer(format!("make admin {user} {room}"), || Ok(())).await
    }
}

#[async_trait]
impl Rooms for Server {
    async fn state_event(&self, _: &RoomId, _: &str, _: &str) -> Result<Option<StateEvent>, NeighbourError> {
        unreachable!("a survey reads by the admin API")
    }
    async fn full_view(&self, _: &RoomId) -> Result<RoomView, NeighbourError> {
        unreachable!("a survey reads by the admin API")
    }
    async fn event(&self, _: &RoomId, _: &EventId) -> Result<Option<StateEvent>, NeighbourError> {
        unreachable!("a survey reads by the admin API")
    }
    async fn server_time(&self) -> Result<Timestamp, NeighbourError> {
        unreachable!("a survey asks for no time")
    }
    async fn leave(&self, _: &RoomId) -> Result<(), NeighbourError> {
        unreachable!("a survey leaves no room")
    }
    async fn resolve(&self, alias: &str) -> Result<Option<RoomId>, NeighbourError> {
        let room = self.aliases.get(alias).map(|room| RoomId::from(*room));
        self.answer(format!("resolve {alias}"), || Ok(room)).await
    }
    async fn join(&self, room: &RoomId, _: &[String]) -> Result<(), NeighbourError> {
        self.answer(format!("join {room}"), || Ok(())).await
    }
}

fn settings(more: &str) -> Settings {
    let text = format!(
        r##"
        homeserver = {{ url = "https://hs", user_id = "{ME}" }}
        login.password = "hunter2"
        admin_room.room = "#admin:hs"
        {more}
        "##
    );
    let config = Config::from_toml(Path::new("config.toml"), &text).expect("settings");
    Settings::new(&config, Named::default())
}

fn state(kind: &str, key: &str, content: Value) -> Value {
    let mut event = json!({
        "type": kind, "state_key": key, "sender": "@alice:hs", "event_id": "$e",
        "origin_server_ts": SystemClock.now().as_millis() - 60_000,
    });
    event["content"] = content;
    event
}

fn member(user: &str, membership: &str) -> Value {
    state("m.room.member", user, json!({"membership": membership}))
}

/// A quiet room.
fn quiet() -> Vec<Value> {
    vec![state("m.room.create", "", json!({"room_version": "11"})), member("@alice:hs", "join")]
}

/// One with alice in a call on the device D.
fn room(more: &[Value]) -> Vec<Value> {
    let call = json!({
        "application": "m.call", "call_id": "", "device_id": "D", "scope": "m.room", "foci_preferred": [],
        "focus_active": {"type": "livekit", "focus_selection": "oldest_membership"},
    });
    [&quiet()[..], &[state(CALL_MEMBER, "_@alice:hs_D_m.call", call)], more].concat()
}

fn alices() -> Value {
    state("m.room.power_levels", "", json!({"users": {"@alice:hs": 100}}))
}

fn rules(rule: &str) -> Value {
    state("m.room.join_rules", "", json!({"join_rule": rule}))
}

fn names(survey: &Survey) -> Vec<&str> {
    survey.rooms.iter().map(|room| room.listed.room.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_rooms_take_minutes_and_four_questions_at_a_time() {
    let rooms = (0..10_000)
        .map(|number| (format!("!{number}:hs"), if number % 100 == 0 { room(&[alices()]) } else { quiet() }));
    let server = Server { devices: [("@alice:hs", vec!["D"])].into(), ..Server::with(rooms) };
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
    let server =
        Server { devices: [("@alice:hs", vec!["E"])].into(), ..Server::with([("!a:hs".into(), room(&[]))]) };
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
    let (admin, join) = ("make admin @bot:hs !a:hs", "join !a:hs");
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
            vec![alices(), rules("invite"), member(ME, "join")],
            raise(),
            JoinOutcome::Raised,
            vec![admin],
        ),
        ("open to all by now", vec![free.clone(), rules("public")], raise(), JoinOutcome::Joined, vec![join]),
        (
            "with the bot in it by now",
            vec![free.clone(), member(ME, "join")],
            How::Join,
            JoinOutcome::Joined,
            vec![],
        ),
        (
            "banned meanwhile",
            vec![alices(), member(ME, "ban")],
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
            vec!["make admin @bot:hs !new:hs", "join !new:hs"],
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
        let came = get_into(&server, &settings(""), how).await;
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
        let (outcome, done) = get_into(&server, &settings(""), How::Successor("!new:hs".into())).await;
        assert_eq!(!done.is_empty(), is_entered, "{outcome:?} {done:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_excluded_room_is_never_joined() {
    let server = Server::with([("!a:hs".into(), room(&[alices(), rules("public")]))]);
    let mut excluded = settings("");
    excluded.exclude.insert("!a:hs".into());
    let (outcome, done) = get_into(&server, &excluded, How::MakeRoomAdmin { is_in: false }).await;
    assert!(matches!(&outcome, JoinOutcome::Held(why) if why.contains("excluded")), "{outcome:?}");
    assert_eq!(done, Vec::<String>::new());
    let survey = server.surveyor(&excluded).survey(&Scope::All, &|_| ()).await.expect("a survey");
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
    let (outcome, done) = get_into(&server, &settings(""), How::MakeRoomAdmin { is_in: false }).await;
    let words = "No local admin user in room with power to update power levels.";
    assert_eq!(outcome, JoinOutcome::Refused(words.into()));
    assert_eq!(done, ["make admin @bot:hs !a:hs"]);
}
