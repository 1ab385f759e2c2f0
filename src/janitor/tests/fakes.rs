//! Fake neighbours, and the harness of the tests.

mod story;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use crate::world::{
    How, KeyWrite, NeighbourError, RoomView, Rooms, StateWriter, Written,
    appservice::ActsForOwners,
    clock::Clock,
    device_lists::{DeviceAnswers, DeviceList, DeviceLists, OwnLists, UnknownDevices},
    livekit::{CallServer, NoProof, SfuError, SfuRoomView, SfuView},
};
use async_trait::async_trait;
use rtc_janitor_core::{
    export::room_member,
    ids::{DeviceId, EventId, RoomId, StateKey, UserId},
    judge::evidence::{Account, ListKind},
    rtc::{
        sfu_names::Recipe,
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};
use serde_json::{Value, json};

pub(crate) use self::story::settings;
pub(super) use self::story::{Story, with_sfu};

pub(super) const ROOM: &str = "!room:hs";
pub(crate) const BOT: &str = "@bot:hs";

/// What happens to the next write.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Fails(NeighbourError),
    /// It is written, and the answer is lost.
    AnswerLost,
    /// The same, and from then on nothing can be read.
    Down,
}

/// What happens in the instant between the last read of a key and its write.
#[derive(Clone, Debug)]
pub(super) enum Meanwhile {
    Writes(&'static str, Value),
    Redacts,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent way of servers")]
pub(super) struct State {
    pub(super) now: i64,
    pub(super) events: BTreeMap<(RoomId, String, String), StateEvent>,
    /// What stood there before.
    past: BTreeMap<EventId, StateEvent>,
    /// The server's own lists, where they may be asked for.
    pub(super) own_lists: Option<OwnListsOfServer>,
    pub(super) devices: BTreeMap<UserId, Result<BTreeSet<DeviceId>, UnknownDevices>>,
    pub(super) fates: VecDeque<Fate>,
    pub(super) writes: Vec<(RoomId, StateKey)>,
    pub(super) reads: Vec<String>,
    pub(super) device_queries: usize,
    /// What is put in place right before a write: somebody was quicker.
    pub(super) before_read: Option<StateEvent>,
    /// What somebody else does with a key in the instant before it is emptied.
    pub(super) before_write: Option<Meanwhile>,
    /// What somebody else does with a key a second after it was cleared, before anything is read.
    pub(super) after_write: Option<Meanwhile>,
    /// Whether events that are written as an owner get no other time than now.
    pub(super) takes_no_times: bool,
    /// Whether a server makes no event of a content that stands there already, whoever wrote it.
    pub(super) makes_no_equal_events: bool,
    /// Whether events say nothing of what they replaced.
    pub(super) tells_nothing_replaced: bool,
    /// What happens to the next write as an owner.
    pub(super) appservice_fates: VecDeque<Fate>,
    /// Why the appservice's token is not taken.
    pub(super) appservice_is_revoked: Option<NeighbourError>,
    /// How often it was asked whether it is, and how many writes as an owner were tried.
    pub(super) appservice_questions: usize,
    pub(super) writes_as_owner: usize,
    pub(super) clock_ahead: Duration,
    /// Somebody who is back in the room when that is read for the so manyeth time.
    pub(super) comes_back: Option<(String, u32)>,
    /// What every read of a room comes to.
    pub(super) reads_fail: Option<NeighbourError>,
    /// Whether a whole state is more than is read of it.
    pub(super) states_are_too_large: bool,
    /// How long each read of an event takes.
    pub(super) event_reads_take: Duration,
    /// Who is connected to the SFU, by the names of its rooms.
    pub(super) sfu: BTreeMap<String, BTreeSet<String>>,
    /// Why it does not answer.
    pub(super) sfu_fails: Option<SfuError>,
    /// In which name of an SFU room an authorisation service gives a token; none: it gives no token.
    pub(super) sfu_recipe: Option<Recipe>,
    /// What the SFU was asked for, and the services.
    pub(super) sfu_questions: usize,
    pub(super) proof_questions: usize,
    /// How many reads of power levels the server answers within how long.
    pub(super) power_limit: Option<(usize, Duration)>,
    /// When it answered some.
    power_reads: Vec<i64>,
    count: u64,
}

/// What the server itself knows of its users' devices.
#[derive(Debug, Default)]
pub(crate) struct OwnListsOfServer {
    pub(crate) lists: BTreeMap<UserId, DeviceList>,
    /// Whether an appservice asks for them, and no server admin.
    pub(super) by_appservice: bool,
    /// What every question comes to, the proof among them.
    pub(crate) fails: Option<UnknownDevices>,
    pub(crate) questions: usize,
}

impl OwnListsOfServer {
    /// A user has a device, last seen at some time.
    pub(crate) fn has(&mut self, user: &str, device: &str, last_seen: Option<Timestamp>) {
        let list = self.lists.entry(user.into()).or_insert_with(|| DeviceList {
            devices: BTreeMap::new(),
            by: ListKind::OwnList,
            account: Some(Account::default()),
        });
        list.devices.insert(device.into(), last_seen);
    }

    /// A device is signed out.
    pub(crate) fn log_out(&mut self, user: &str, device: &str) {
        self.lists.get_mut(&UserId::from(user)).expect("a user").devices.remove(&DeviceId::from(device));
    }

    /// What it answers about a user.
    pub(crate) fn answer(&mut self, user: &UserId) -> Result<DeviceList, UnknownDevices> {
        self.questions += 1;
        if let Some(why) = &self.fails {
            return Err(why.clone());
        }
        self.lists.get(user).cloned().ok_or_else(|| UnknownDevices::NoSuchUser("Unknown user".into()))
    }
}

/// A homeserver, its device lists and its clock in one.
#[derive(Clone, Debug, Default)]
pub(super) struct World(Arc<Mutex<State>>);

impl World {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.lock().now)
    }

    pub(super) fn pass(&self, span: Duration) {
        self.lock().now += i64::try_from(span.as_millis()).expect("a short span");
    }

    /// Puts a state event in place; returns it.
    pub(super) fn put(&self, room: &str, kind: &str, key: &str, sender: &str, content: Value) -> StateEvent {
        let mut state = self.lock();
        state.count += 1;
        let place = (RoomId::from(room), kind.to_owned(), key.to_owned());
        let before = state.events.get(&place).filter(|_| !state.tells_nothing_replaced);
        let event = StateEvent {
            event_type: kind.to_owned(),
            state_key: key.into(),
            event_id: format!("${}", state.count).as_str().into(),
            sender: sender.into(),
            origin_server_ts: Timestamp::from_millis(state.now),
            content,
            redacted: false,
            redacted_by: None,
            replaces_state: before.map(|event| event.event_id.clone()),
            prev_content: before.map(|event| event.content.clone()),
        };
        if let Some(before) = state.events.insert(place, event.clone()) {
            state.past.insert(before.event_id.clone(), before);
        }
        event
    }

    /// What comes of a write of the bot.
    fn empty(&self, room: &RoomId, key: &StateKey) -> StateEvent {
        let makes_no_equal_events = self.lock().makes_no_equal_events;
        if makes_no_equal_events && self.current(key.as_str()).content == json!({}) {
            return self.current(key.as_str());
        }
        self.put(room.as_str(), CALL_MEMBER, key.as_str(), BOT, json!({}))
    }

    pub(super) fn current(&self, key: &str) -> StateEvent {
        self.lock().events[&(ROOM.into(), CALL_MEMBER.to_owned(), key.to_owned())].clone()
    }

    /// A room in which everybody may be in a call, and the bot may end it.
    pub(super) fn open_room(&self, room: &str) {
        self.put(room, "m.room.create", "", "@creator:hs", json!({"room_version": "11"}));
        self.put(room, "m.room.power_levels", "", "@creator:hs", json!({"events": {CALL_MEMBER: 0}}));
    }

    /// A user in the room with a device in a call.
    pub(super) fn join_call(&self, user: &str, device: &str) -> StateEvent {
        self.join_call_in(ROOM, user, device)
    }

    fn join_call_in(&self, room: &str, user: &str, device: &str) -> StateEvent {
        self.put(room, "m.room.member", user, user, json!({"membership": "join"}));
        self.lock()
            .devices
            .entry(user.into())
            .or_insert_with(|| Ok(BTreeSet::new()))
            .as_mut()
            .expect("known")
            .insert(device.into());
        self.put(room, CALL_MEMBER, &key(user, device), user, content(device))
    }

    pub(super) fn log_out(&self, user: &str, device: &str) {
        self.lock()
            .devices
            .get_mut(&UserId::from(user))
            .expect("a user")
            .as_mut()
            .expect("known")
            .remove(&DeviceId::from(device));
    }
}

pub(crate) fn key(user: &str, device: &str) -> String {
    format!("_{user}_{device}_m.call")
}

pub(crate) fn content(device: &str) -> Value {
    json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": device, "expires": 14_400_000,
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"}, "foci_preferred": [{"type": "livekit", "livekit_service_url": SERVICE}],
    })
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        World::now(self)
    }
}

#[async_trait]
impl Rooms for World {
    async fn state_event(
        &self,
        room: &RoomId,
        kind: &str,
        key: &str,
    ) -> Result<Option<StateEvent>, NeighbourError> {
        let slowness = self.lock().event_reads_take;
        if !slowness.is_zero() {
            tokio::time::sleep(slowness).await;
        }
        let mut state = self.lock();
        state.reads.push(format!("{kind} {key}"));
        if let Some(error) = &state.reads_fail {
            return Err(error.clone());
        }
        if kind == "m.room.power_levels"
            && let Some((most, within)) = state.power_limit
        {
            let now = Timestamp::from_millis(state.now);
            state.power_reads.retain(|at| now.since(Timestamp::from_millis(*at)) < within);
            if state.power_reads.len() >= most {
                return Err(NeighbourError::RateLimited { retry_after: within });
            }
            let now = state.now;
            state.power_reads.push(now);
        }
        let place = (room.clone(), kind.to_owned(), key.to_owned());
        if kind == "m.room.member"
            && let Some((user, reads)) = &mut state.comes_back
            && user == key
        {
            *reads -= 1;
            if *reads == 0 {
                state.comes_back = None;
                if let Some(event) = state.events.get_mut(&place) {
                    event.content = json!({"membership": "join"});
                }
            }
        }
        if kind == CALL_MEMBER
            && let Some(event) = state.before_read.take()
        {
            state.events.insert(place.clone(), event);
        }
        Ok(state.events.get(&place).cloned())
    }

    async fn server_time(&self) -> Result<Timestamp, NeighbourError> {
        let state = self.lock();
        Ok(Timestamp::from_millis(state.now) + state.clock_ahead)
    }

    async fn full_view(&self, room: &RoomId) -> Result<RoomView, NeighbourError> {
        let mut state = self.lock();
        state.reads.push("full view".to_owned());
        if state.states_are_too_large {
            return Err(NeighbourError::TooLarge { limit: 1 });
        }
        if let Some(error) = &state.reads_fail {
            return Err(error.clone());
        }
        let here = || state.events.iter().filter(|((r, ..), _)| r == room);
        let is_kept = |event: &&StateEvent| {
            event.event_type != CALL_MEMBER || event.content != json!({}) || event.sender == BOT.into()
        };
        let events = here().map(|(_, event)| event).filter(|event| event.event_type != "m.room.member");
        let members = here().filter(|((_, kind, _), _)| kind == "m.room.member");
        Ok(RoomView {
            events: events.filter(is_kept).cloned().collect(),
            members: members
                .map(|((.., user), event)| (user.as_str().into(), room_member(Some(event))))
                .collect(),
        })
    }

    async fn event(&self, room: &RoomId, id: &EventId) -> Result<Option<StateEvent>, NeighbourError> {
        let state = self.lock();
        let mut here = state.events.iter().filter(|((r, ..), _)| r == room);
        let current = here.find(|(_, event)| event.event_id == *id).map(|(_, event)| event.clone());
        Ok(current.or_else(|| state.past.get(id).cloned()))
    }

    async fn resolve(&self, _: &str) -> Result<Option<RoomId>, NeighbourError> {
        Ok(None)
    }

    async fn join(&self, _: &RoomId, _: &[String]) -> Result<(), NeighbourError> {
        Ok(())
    }

    async fn leave(&self, _: &RoomId) -> Result<(), NeighbourError> {
        Ok(())
    }
}

#[async_trait]
impl StateWriter for World {
    async fn clear(&self, KeyWrite { room, key, how }: KeyWrite<'_>) -> Result<Written, NeighbourError> {
        let fate = match how {
            How::AsOwner { .. } => {
                let mut state = self.lock();
                state.writes_as_owner += 1;
                let revoked = state.appservice_is_revoked.clone().map(Fate::Fails);
                revoked.or_else(|| state.appservice_fates.pop_front())
            }
            How::OwnPower | How::Redaction(_) => None,
        };
        let fate = fate.or_else(|| self.lock().fates.pop_front());
        if let Some(Fate::Fails(error)) = fate {
            return Err(error);
        }
        let before = self.lock().before_write.take();
        match before {
            Some(Meanwhile::Writes(sender, content)) => {
                self.put(room.as_str(), CALL_MEMBER, key.as_str(), sender, content);
            }
            Some(Meanwhile::Redacts) => {
                let place = (room.clone(), CALL_MEMBER.to_owned(), key.as_str().to_owned());
                self.lock().events.get_mut(&place).expect("it is there").content = json!({});
            }
            None => {}
        }
        let place = (room.clone(), CALL_MEMBER.to_owned(), key.to_string());
        let event = match how {
            How::OwnPower => self.empty(room, key),
            How::AsOwner { owner, rest, sent } => {
                let current = self.lock().events[&place].clone();
                if current.sender == *owner && current.content == *rest.content() {
                    // The same again is no new event.
                    current
                } else {
                    let content = rest.content().clone();
                    let written = self.put(room.as_str(), CALL_MEMBER, key.as_str(), owner.as_str(), content);
                    let mut state = self.lock();
                    // A request takes its time.
                    let late = written.origin_server_ts + Duration::from_millis(7);
                    let sent = if state.takes_no_times { late } else { sent };
                    let written = StateEvent { origin_server_ts: sent, ..written };
                    state.events.insert(place, written.clone());
                    written
                }
            }
            How::Redaction(redacted) => {
                let mut state = self.lock();
                // A superseded event takes nothing of the state with it.
                let redact = |event: &mut StateEvent| {
                    (event.content, event.redacted, event.redacted_by) = (json!({}), true, Some(BOT.into()));
                };
                state.past.get_mut(redacted).map(redact);
                state.events.get_mut(&place).filter(|event| event.event_id == *redacted).map(redact);
                StateEvent {
                    event_id: format!("$redaction-of-{redacted}").as_str().into(),
                    ..state.events[&place].clone()
                }
            }
        };
        self.lock().writes.push((room.clone(), key.clone()));
        let after = self.lock().after_write.take();
        if let Some(Meanwhile::Writes(sender, content)) = after {
            self.pass(Duration::from_secs(1));
            self.put(room.as_str(), CALL_MEMBER, key.as_str(), sender, content);
        }
        match fate {
            Some(Fate::Down) => {
                let down = NeighbourError::Unreachable("down".into());
                self.lock().reads_fail = Some(down.clone());
                Err(down)
            }
            Some(Fate::AnswerLost) => Err(NeighbourError::Unreachable("the answer was lost".into())),
            _ => Ok(Written::Event(event.event_id)),
        }
    }
}

#[async_trait]
impl ActsForOwners for World {
    async fn may_act_for(&self, _: &UserId) -> Result<(), NeighbourError> {
        let mut state = self.lock();
        state.appservice_questions += 1;
        state.appservice_is_revoked.clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl OwnLists for World {
    fn covers(&self, user: &UserId) -> bool {
        user.server_name() == Some("hs")
    }

    fn knows_accounts(&self) -> bool {
        !self.lock().own_lists.as_ref().expect("they may be asked for").by_appservice
    }

    async fn proof(&self) -> Result<(), UnknownDevices> {
        self.lock().own_lists.as_ref().expect("they may be asked for").fails.clone().map_or(Ok(()), Err)
    }

    async fn devices_of(
        &self,
        user: &UserId,
        _: &BTreeSet<DeviceId>,
        _: Timestamp,
    ) -> Result<DeviceList, UnknownDevices> {
        let mut state = self.lock();
        state.own_lists.as_mut().expect("they may be asked for").answer(user)
    }
}

#[async_trait]
impl DeviceLists for World {
    async fn devices_of(&self, users: &BTreeMap<UserId, BTreeSet<DeviceId>>) -> DeviceAnswers {
        let mut state = self.lock();
        state.device_queries += 1;
        let list = |user| match state.devices.get(user) {
            Some(Ok(devices)) => {
                let devices = devices.iter().map(|device| (device.clone(), None)).collect();
                Ok(DeviceList { devices, by: ListKind::KeysQuery, account: None })
            }
            Some(Err(why)) => Err(why.clone()),
            None => Err(UnknownDevices::NotInTheAnswer),
        };
        users.keys().map(|user| (user.clone(), list(user))).collect()
    }
}

#[async_trait]
impl CallServer for World {
    async fn view(&self, names: &BTreeSet<String>) -> Result<SfuView, SfuError> {
        let mut state = self.lock();
        state.sfu_questions += 1;
        if let Some(error) = &state.sfu_fails {
            return Err(error.clone());
        }
        let asked = state.sfu.clone().into_iter().filter(|(name, _)| names.contains(name));
        let view = |people: BTreeSet<String>| SfuRoomView {
            sid: "RM_1".into(),
            participants: people.into_iter().collect(),
        };
        Ok(asked.map(|(name, people)| (name, view(people))).collect())
    }

    async fn services(&self) -> BTreeSet<String> {
        [SERVICE.to_owned()].into()
    }

    async fn proof(&self, _: &str, room: &RoomId) -> Result<String, NoProof> {
        let mut state = self.lock();
        state.proof_questions += 1;
        let no_token = || NoProof::NoToken("it is down".into());
        state.sfu_recipe.map(|recipe| recipe.name(room)).ok_or_else(no_token)
    }
}

/// What memberships call the SFU that is ours.
pub(super) const SERVICE: &str = "https://jwt.hs";
