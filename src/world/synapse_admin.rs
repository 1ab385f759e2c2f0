//! What a server admin may ask a Synapse for: all devices of its users, and all of its rooms.
//!
//! Paths and answers are those of Synapse's admin API documentation
//! (<https://element-hq.github.io/synapse/latest/usage/administration/admin_api/>).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::{DeviceId, RoomId, UserId},
    judge::evidence::{Account, ListKind},
    time::Timestamp,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    NeighbourError,
    device_lists::{DeviceList, OwnLists, UnknownDevices},
    homeserver::{request::JsonRequest, transport::Transport},
};

/// How long one answer may take: a list of devices is one query.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the whole state of one room, or a page of the list of rooms, may take.
const PATIENCE_FOR_MUCH: Duration = Duration::from_mins(1);

/// A room with more state than this many bytes is not read: four at a time are.
const MOST_STATE: usize = 64 << 20;

/// All rooms of the server, whoever is in them.
#[async_trait]
pub trait AllRooms: OwnLists {
    /// One page of all rooms that users of this server are in, in a lasting order, `from` as the page before said.
    async fn rooms(&self, from: u64, most: u32) -> Result<RoomPage, NeighbourError>;

    /// The current state of a room, whoever is in it; only events of one type where that is named and the server
    /// knows how.
    ///
    /// # Errors
    ///
    /// [`NeighbourError::TooLarge`] for a room with too much state to be read.
    async fn room_state(&self, room: &RoomId, event_type: Option<&str>)
    -> Result<Vec<Value>, NeighbourError>;

    /// Gives a user the highest power that anybody of this server has in a room, and invites them where one has to
    /// be invited.
    async fn make_room_admin(&self, room: &RoomId, user: &UserId) -> Result<(), NeighbourError>;
}

/// The admin API, with somebody's token. Cheap to clone.
#[derive(Clone)]
pub struct SynapseAdmin {
    transport: Arc<dyn Transport>,
    /// The account whose device must be listed before any list is believed.
    me: UserId,
    my_device: DeviceId,
    /// What was learned of accounts. Whose one is never changes, so it is asked for once.
    accounts: Arc<Mutex<BTreeMap<UserId, Account>>>,
}

/// Whoever uses a device is seen on it every two minutes or so.
const LATELY: Duration = Duration::from_mins(10);

/// More accounts than that are not kept.
const MOST_ACCOUNTS: usize = 20_000;

impl fmt::Debug for SynapseAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SynapseAdmin").field("me", &self.me).finish_non_exhaustive()
    }
}

/// A room, as the list of all rooms names it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct ListedRoom {
    /// Its id.
    #[serde(rename = "room_id", deserialize_with = "room_id")]
    pub room: RoomId,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its main alias, where it has one.
    pub canonical_alias: Option<String>,
}

/// One page of the list of all rooms.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct RoomPage {
    /// The rooms. One that cannot be read is left out, and missing in the total.
    #[serde(deserialize_with = "readable")]
    pub rooms: Vec<ListedRoom>,
    /// Where the next page begins; `None` after the last.
    pub next_batch: Option<u64>,
    /// How many rooms there are in all.
    #[serde(default)]
    pub total_rooms: u64,
}

fn room_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<RoomId, D::Error> {
    String::deserialize(deserializer).map(RoomId::from)
}

fn readable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ListedRoom>, D::Error> {
    let rooms = Vec::<Value>::deserialize(deserializer)?;
    Ok(rooms.into_iter().filter_map(|room| serde_json::from_value(room).ok()).collect())
}

#[derive(Deserialize)]
struct Devices {
    devices: Vec<Device>,
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Device {
    device_id: String,
    last_seen_ts: Option<i64>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    deactivated: bool,
    appservice_id: Option<String>,
}

#[derive(Deserialize)]
struct State {
    state: Vec<Value>,
}

impl SynapseAdmin {
    /// With what requests are sent through, and the janitor's own account and device.
    pub(crate) fn new(transport: Arc<dyn Transport>, me: UserId, my_device: DeviceId) -> Self {
        Self { transport, me, my_device, accounts: Arc::default() }
    }

    /// Whether the token is a server admin's: nobody else is answered.
    ///
    /// # Errors
    ///
    /// The server's; [`NeighbourError::Refused`] with 403 where it is not, and with 404 where there is no such API.
    pub async fn is_admin(&self) -> Result<bool, NeighbourError> {
        let user: User = self.get(&["v2", "users", self.me.as_str()], "an account").await?;
        Ok(user.admin)
    }

    async fn account(&self, user: &UserId) -> Result<Account, NeighbourError> {
        let user: User = self.get(&["v2", "users", user.as_str()], "an account").await?;
        Ok(Account { bridge: user.appservice_id, is_deactivated: user.deactivated })
    }

    async fn list(&self, user: &UserId) -> Result<DeviceList, UnknownDevices> {
        let answer: Devices = self.get(&["v2", "users", user.as_str(), "devices"], "a device list").await?;
        // A list that is not whole says nothing of what it lacks.
        let total = answer.total.and_then(|total| usize::try_from(total).ok());
        if total.is_some_and(|total| total > answer.devices.len()) {
            return Err(UnknownDevices::Incomplete);
        }
        let devices = answer.devices.into_iter();
        let devices =
            devices.map(|device| (device.device_id.into(), device.last_seen_ts.map(Timestamp::from_millis)));
        Ok(DeviceList { devices: devices.collect(), by: ListKind::OwnList, account: None })
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], what: &str) -> Result<T, NeighbourError> {
        let path = [&["_synapse", "admin"], path].concat();
        self.ask(JsonRequest::get(&path).patience(PATIENCE), what).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: JsonRequest, what: &str) -> Result<T, NeighbourError> {
        request.send(&*self.transport).await?.json(what)
    }
}

#[async_trait]
impl AllRooms for SynapseAdmin {
    async fn rooms(&self, from: u64, most: u32) -> Result<RoomPage, NeighbourError> {
        let request = JsonRequest::get(&["_synapse", "admin", "v1", "rooms"])
            .query("from", &from.to_string())
            .query("limit", &most.to_string())
            .query("order_by", "name");
        self.ask(request.patience(PATIENCE_FOR_MUCH), "the list of rooms").await
    }

    async fn room_state(
        &self,
        room: &RoomId,
        event_type: Option<&str>,
    ) -> Result<Vec<Value>, NeighbourError> {
        let mut request = JsonRequest::get(&["_synapse", "admin", "v1", "rooms", room.as_str(), "state"]);
        if let Some(event_type) = event_type {
            request = request.query("type", event_type);
        }
        let request = request.patience(PATIENCE_FOR_MUCH).at_most(MOST_STATE);
        let answer: State = self.ask(request, "the state of a room").await?;
        Ok(answer.state)
    }

    async fn make_room_admin(&self, room: &RoomId, user: &UserId) -> Result<(), NeighbourError> {
        let path = ["_synapse", "admin", "v1", "rooms", room.as_str(), "make_room_admin"];
        let request = JsonRequest::post(&path, &json!({"user_id": user}));
        request.patience(PATIENCE_FOR_MUCH).send(&*self.transport).await.map(drop)
    }
}

#[async_trait]
impl OwnLists for SynapseAdmin {
    fn covers(&self, user: &UserId) -> bool {
        user.server_name() == self.me.server_name()
    }

    fn knows_accounts(&self) -> bool {
        true
    }

    async fn proof(&self) -> Result<(), UnknownDevices> {
        self.list(&self.me).await?.proves(&self.my_device)
    }

    async fn devices_of(
        &self,
        user: &UserId,
        wanted: &std::collections::BTreeSet<DeviceId>,
        now: Timestamp,
    ) -> Result<DeviceList, UnknownDevices> {
        let list = match self.list(user).await {
            Err(UnknownDevices::NoAnswer(NeighbourError::Refused { status, errcode, message }))
                if status == 400 || (status == 404 && errcode == "M_NOT_FOUND") =>
            {
                return Err(UnknownDevices::NoSuchUser(message));
            }
            list => list?,
        };
        let is_in_use = |device: &DeviceId| {
            let seen = list.devices.get(device);
            seen.is_some_and(|seen| seen.is_none_or(|seen| now.since(seen) < LATELY))
        };
        if wanted.iter().all(is_in_use) {
            return Ok(list);
        }
        // Whether it means anything that a device is missing, or was not seen for long, only the account tells.
        let known = || self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known().get(user).cloned();
        let is_told_apart = !list.devices.is_empty() || wanted.is_empty();
        let account = match before.filter(|_| is_told_apart) {
            Some(account) => account,
            // An empty list may be that of an account that was deactivated since.
            None => self.account(user).await?,
        };
        let mut accounts = known();
        if accounts.len() >= MOST_ACCOUNTS {
            accounts.clear();
        }
        accounts.insert(user.clone(), account.clone());
        drop(accounts);
        Ok(DeviceList { account: Some(account), ..list })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_cannot_be_read_spoils_no_list_of_rooms() {
        let page = json!({
            "rooms": [
                {"room_id": "!a:hs", "name": "A"}, {"room_id": 7}, {"room_id": "!b:hs", "name": {"b": 1}}, null,
                {"room_id": "!c:hs", "name": null, "canonical_alias": "#c:hs"},
            ],
            "total_rooms": 5,
        });
        let page: RoomPage = serde_json::from_value(page).expect("a page");
        let ids: Vec<_> = page.rooms.iter().map(|room| room.room.as_str()).collect();
        assert_eq!((ids, page.total_rooms), (vec!["!a:hs", "!c:hs"], 5));
    }
}
