//! A server that is as tests want it, with time that passes when nobody works.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::{DeviceId, EventId, RoomId, UserId},
    rtc::state_event::{CALL_MEMBER, StateEvent},
    survey::Survey,
    time::Timestamp,
};
use serde_json::{Value, json};
use tokio::time::sleep;

pub(super) use crate::janitor::tests::fakes::{BOT, content, key, settings};
use crate::{
    janitor::{Settings, tests::fakes::OwnListsOfServer},
    shutdown::Shutdown,
    survey::{SurveyError, Surveyor},
    world::{
        NeighbourError, RoomView, Rooms,
        clock::{Clock as _, SystemClock},
        device_lists::{DeviceList, OwnLists, UnknownDevices},
        synapse_admin::{AllRooms, ListedRoom, RoomPage},
    },
};

/// How long an answer takes.
pub(super) const ANSWER: Duration = Duration::from_millis(10);

/// Whether something that is asked is never answered.
pub(super) type Hangs = Box<dyn Fn(&str) -> bool + Send + Sync>;

pub(super) type Fault = Box<dyn Fn(&str, usize) -> Option<NeighbourError> + Send + Sync>;

/// A server with rooms.
#[derive(Default)]
pub(super) struct Server {
    pub(super) rooms: Mutex<BTreeMap<String, Vec<Value>>>,
    pub(super) aliases: BTreeMap<&'static str, &'static str>,
    pub(super) devices: Mutex<OwnListsOfServer>,
    /// What is answered instead, by what is asked and how often something was asked before.
    pub(super) fault: Option<Fault>,
    pub(super) hangs: Option<Hangs>,
    /// How many more times the list is read with one room slipping through between two pages.
    pub(super) slips: AtomicUsize,
    /// A room that is deleted after the first page of the list.
    pub(super) deleted: Mutex<Option<&'static str>>,
    /// A room that is created then.
    pub(super) created: Mutex<Option<&'static str>>,
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) at_once: AtomicUsize,
    pub(super) most_at_once: AtomicUsize,
}

impl Server {
    pub(super) fn with(rooms: impl IntoIterator<Item = (String, Vec<Value>)>) -> Self {
        Self { rooms: Mutex::new(rooms.into_iter().collect()), ..Self::default() }
    }

    /// One where alice has this device and no other.
    pub(super) fn where_alice_has(
        device: &str,
        rooms: impl IntoIterator<Item = (String, Vec<Value>)>,
    ) -> Self {
        let server = Self::with(rooms);
        server.devices.lock().expect("not poisoned").has("@alice:hs", device, None);
        server
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
        if self.hangs.as_ref().is_some_and(|hangs| hangs(&what)) {
            pending::<()>().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        match self.fault.as_ref().and_then(|fault| fault(&what, before)) {
            Some(error) => Err(error),
            None => value(),
        }
    }

    pub(super) fn times_asked(&self, what: &str) -> usize {
        self.asked.lock().expect("not poisoned").iter().filter(|asked| asked.starts_with(what)).count()
    }

    pub(super) async fn survey(&self, scope: &str) -> Result<Survey, SurveyError> {
        let settings = settings();
        let (scope, never) = (scope.parse().expect("a scope"), Shutdown::new());
        self.surveyor(&settings).survey(&scope, &never, &|_| ()).await
    }

    pub(super) fn surveyor<'a>(&'a self, settings: &'a Settings) -> Surveyor<'a> {
        Surveyor { admin: self, rooms: self, clock: &SystemClock, settings }
    }

    pub(super) fn refuses(status: u16, errcode: &str, message: &str) -> NeighbourError {
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
        self.answer(format!("devices {user}"), || Ok(())).await?;
        self.devices.lock().expect("not poisoned").answer(user)
    }
}

#[async_trait]
impl AllRooms for Server {
    async fn rooms(&self, from: u64, most: u32) -> Result<RoomPage, NeighbourError> {
        let all: Vec<_> = self.rooms.lock().expect("not poisoned").keys().cloned().collect();
        let (from, most) = (usize::try_from(from).expect("small"), usize::try_from(most).expect("small"));
        let slips = from == 0
            && self
                .slips
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        let page = all.iter().skip(from).take(most).skip(slips.into()).map(|id| ListedRoom {
            room: id.as_str().into(),
            name: Some(format!("Room {id}")),
            canonical_alias: None,
        });
        let next_batch = (from + most < all.len()).then_some((from + most) as u64);
        let page = RoomPage { rooms: page.collect(), next_batch, total_rooms: all.len() as u64 };
        if let Some(created) = self.created.lock().expect("not poisoned").take() {
            self.rooms.lock().expect("not poisoned").insert(created.to_owned(), Vec::new());
        }
        if let Some(deleted) = self.deleted.lock().expect("not poisoned").take() {
            self.rooms.lock().expect("not poisoned").remove(deleted);
        }
        self.answer(format!("list {from}"), || Ok(page)).await
    }

    async fn room_state(
        &self,
        room: &RoomId,
        event_type: Option<&str>,
    ) -> Result<Vec<Value>, NeighbourError> {
        let state = self.rooms.lock().expect("not poisoned").get(room.as_str()).cloned();
        // What has no type is of any.
        let of_type = |event: &Value| {
            event_type.is_none_or(|wanted| event["type"].as_str().is_none_or(|it| it == wanted))
        };
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
    async fn join(&self, room: &RoomId, via: &[String]) -> Result<(), NeighbourError> {
        self.answer(format!("join {room} via {}", via.join(" ")), || Ok(())).await
    }
}

pub(super) fn state(kind: &str, key: &str, content: Value) -> Value {
    let mut event = json!({
        "type": kind, "state_key": key, "sender": "@alice:hs", "event_id": "$e",
        "origin_server_ts": SystemClock.now().as_millis() - 60_000,
    });
    event["content"] = content;
    event
}

pub(super) fn member(user: &str, membership: &str) -> Value {
    state("m.room.member", user, json!({"membership": membership}))
}

/// A quiet room.
pub(super) fn quiet() -> Vec<Value> {
    vec![state("m.room.create", "", json!({"room_version": "11"})), member("@alice:hs", "join")]
}

/// One with alice in a call on the device D.
pub(super) fn room(more: &[Value]) -> Vec<Value> {
    let call = state(CALL_MEMBER, &key("@alice:hs", "D"), content("D"));
    [&quiet()[..], &[call], more].concat()
}

pub(super) fn alices() -> Value {
    state("m.room.power_levels", "", json!({"users": {"@alice:hs": 100}}))
}

pub(super) fn rules(rule: &str) -> Value {
    state("m.room.join_rules", "", json!({"join_rule": rule}))
}

pub(super) fn names(survey: &Survey) -> Vec<&str> {
    survey.rooms.iter().map(|room| room.listed.room.as_str()).collect()
}
