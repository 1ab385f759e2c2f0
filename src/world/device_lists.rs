//! Which devices people have: by `/keys/query`, and by the server's own lists.
//!
//! `/keys/query` lists devices that have uploaded encryption keys, and no others. What an answer is worth
//! as evidence is not decided here; a list that was not obtained says why.

mod second_hand;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use matrix_sdk::ruma::serde::Raw;
use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    judge::evidence::{Account, ListKind},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    NeighbourError,
    homeserver::{Homeserver, request::JsonRequest},
};

/// How many users one request asks for; the SDK's own clients ask for as many.
const USERS_PER_REQUEST: usize = 250;

/// How long the homeserver may wait for other servers. One that hangs costs all of it.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(10);

/// How long the whole answer may take. For a server that takes connections and says nothing Synapse waits 30 s to get one
/// user's list and as long as above for the others, before it answers for everybody else.
const QUERY_TIMEOUT: Duration = Duration::from_mins(1);

/// The server's own lists are asked for one user at a time: not more often than this ...
const OWN_LISTS_EVERY: Duration = Duration::from_millis(200);

/// ... and no more than so many at once, where the server is slow.
const OWN_LISTS_AT_ONCE: usize = 4;

/// The devices of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList {
    /// Each device, with when the server last saw it where the list tells that.
    pub devices: BTreeMap<DeviceId, Option<Timestamp>>,
    /// Which list it is.
    pub by: ListKind,
    /// What is known of the account, where it was asked for: a device is missing, and a server admin may ask.
    pub account: Option<Account>,
}

impl DeviceList {
    /// Whether it has the device of whoever asks: one that lacks it may lack any.
    ///
    /// # Errors
    ///
    /// [`UnknownDevices::NotProven`] where it does not.
    pub(crate) fn proves(&self, own: &DeviceId) -> Result<(), UnknownDevices> {
        if self.devices.contains_key(own) { Ok(()) } else { Err(UnknownDevices::NotProven) }
    }
}

/// Why the devices of a user are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDevices {
    /// The answer does not name the user: that is no statement, not even of having no devices.
    #[error("the answer does not name the user")]
    NotInTheAnswer,
    /// The user's server did not answer ours.
    #[error("{server} does not answer: {message}")]
    ServerFailed {
        /// The server name.
        server: String,
        /// What our server says about it.
        message: String,
    },
    /// The server refuses this one user: it knows no such, or may not be asked about it.
    #[error("the homeserver says: {0}")]
    NoSuchUser(String),
    /// The server's own list names fewer devices than it says there are.
    #[error("the list is not complete")]
    Incomplete,
    /// The server's own list lacks the device that asks: then it may lack any.
    #[error("the server's own list lacks the janitor's own device")]
    NotProven,
    /// What came for this user is no device list.
    #[error("the answer for the user could not be read")]
    Unreadable,
    /// The request failed, and would for the next user.
    #[error("{0}")]
    NoAnswer(#[from] NeighbourError),
}

/// What is known of each user that was asked for.
pub type DeviceAnswers = BTreeMap<UserId, Result<DeviceList, UnknownDevices>>;

/// Who has which devices.
#[async_trait]
pub trait DeviceLists: Send + Sync {
    /// Asks for all devices of the given users; the answer names every one of them. The devices beside them are those
    /// whose absence would mean something.
    async fn devices_of(&self, users: &BTreeMap<UserId, BTreeSet<DeviceId>>) -> DeviceAnswers;
}

/// The server's own lists of the devices of its users, keyless ones among them.
#[async_trait]
pub trait OwnLists: Send + Sync {
    /// Whether a user is one of those whose lists can be asked for.
    fn covers(&self, user: &UserId) -> bool;

    /// Whether accounts can be asked for, and all rooms of the server: a server admin may, an appservice may not.
    fn knows_accounts(&self) -> bool;

    /// Whether the list of the janitor's own account has the janitor's own device. Before that no list is believed.
    async fn proof(&self) -> Result<(), UnknownDevices>;

    /// The devices of one user; where one of the `wanted` is not among them or was not seen lately, with the account, if
    /// that may be asked for.
    async fn devices_of(
        &self,
        user: &UserId,
        wanted: &BTreeSet<DeviceId>,
        now: Timestamp,
    ) -> Result<DeviceList, UnknownDevices>;
}

/// Asks for the lists of some users, a few a second. Once the server has failed for two of them it is asked for no more:
/// what is wrong with one account alone spoils no other's list.
pub(crate) async fn own_lists_of(
    lists: &dyn OwnLists,
    users: BTreeMap<UserId, BTreeSet<DeviceId>>,
    now: Timestamp,
) -> DeviceAnswers {
    if let Err(why) = lists.proof().await {
        return users.into_keys().map(|user| (user, Err(why.clone()))).collect();
    }
    let mut pace = interval(OWN_LISTS_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (pace, failed) = (tokio::sync::Mutex::new(pace), Mutex::new(Vec::new()));
    let (pace, failed) = (&pace, &failed);
    stream::iter(users)
        .map(|(user, wanted)| async move {
            pace.lock().await.tick().await;
            if let Some(error) = has_failed(&failed.lock().unwrap_or_else(PoisonError::into_inner)) {
                return (user, Err(error.into()));
            }
            let answer = lists.devices_of(&user, &wanted, now).await;
            if let Err(UnknownDevices::NoAnswer(error)) = &answer {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(error.clone());
            }
            (user, answer)
        })
        .buffer_unordered(OWN_LISTS_AT_ONCE)
        .collect()
        .await
}

/// Why a server is to be asked for no more, after it has failed in these ways.
fn has_failed(errors: &[NeighbourError]) -> Option<NeighbourError> {
    let is_of_all = |error: &&NeighbourError| !matches!(error, NeighbourError::Unreachable(_));
    errors.iter().find(is_of_all).or(errors.get(1)).cloned()
}

/// Device lists by `/keys/query`: of users on any server, but only devices with encryption keys.
#[derive(Clone, Debug)]
pub struct KeysQuery {
    homeserver: Homeserver,
}

impl KeysQuery {
    /// Asks through the given connection. Queries of one device wait for each other on the server.
    pub fn new(homeserver: Homeserver) -> Self {
        Self { homeserver }
    }

    async fn ask(&self, users: &[&UserId]) -> Result<Answer, NeighbourError> {
        // An empty list of devices means all of them.
        let wanted: Map<_, _> = users.iter().map(|user| (user.to_string(), json!([]))).collect();
        let wait = u64::try_from(PATIENCE_WITH_OTHERS.as_millis()).unwrap_or(u64::MAX);
        JsonRequest::post(
            &["_matrix", "client", "v3", "keys", "query"],
            &json!({"device_keys": wanted, "timeout": wait}),
        )
        .patience(QUERY_TIMEOUT)
        .send(self.homeserver.transport())
        .await?
        .json("the answer to a key query")
    }
}

#[async_trait]
impl DeviceLists for KeysQuery {
    async fn devices_of(&self, wanted: &BTreeMap<UserId, BTreeSet<DeviceId>>) -> DeviceAnswers {
        let users: Vec<_> = wanted.keys().collect();
        let mut answers = DeviceAnswers::new();
        let mut failed: Option<NeighbourError> = None;
        for chunk in users.chunks(USERS_PER_REQUEST) {
            // A homeserver that has just failed is not asked again at once.
            let answer = match failed.clone() {
                None => self.ask(chunk).await,
                Some(error) => Err(error),
            };
            match answer {
                Ok(answer) => {
                    answers.extend(chunk.iter().map(|user| ((*user).clone(), answer.devices_of(user))));
                }
                Err(error) => {
                    answers.extend(chunk.iter().map(|user| ((*user).clone(), Err(error.clone().into()))));
                    failed = Some(error);
                }
            }
        }
        second_hand::doubt_the_unreachable(&self.homeserver, wanted, &mut answers).await;
        answers
    }
}

/// The parts of an answer that matter, each user's raw: one that cannot be read spoils no other.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    device_keys: BTreeMap<String, Raw<Value>>,
    #[serde(default)]
    failures: BTreeMap<String, Raw<Value>>,
}

impl Answer {
    fn devices_of(&self, user: &UserId) -> Result<DeviceList, UnknownDevices> {
        // First the failures: devices that stand beside one may be from a cache.
        if let Some((server, why)) = user.server_name().and_then(|name| self.failures.get_key_value(name)) {
            let why: Option<Value> = serde_json::from_str(why.json().get()).ok();
            let message = why.as_ref().and_then(|why| why["message"].as_str()).unwrap_or("no reason given");
            return Err(UnknownDevices::ServerFailed { server: server.clone(), message: message.to_owned() });
        }
        let keys = self.device_keys.get(user.as_str()).ok_or(UnknownDevices::NotInTheAnswer)?;
        // A device whose keys are malformed is there all the same: only the names are read.
        let devices: BTreeMap<String, Raw<Value>> =
            serde_json::from_str(keys.json().get()).map_err(|_| UnknownDevices::Unreadable)?;
        let devices = devices.into_keys().map(|device| (device.into(), None)).collect();
        Ok(DeviceList { devices, by: ListKind::KeysQuery, account: None })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A server that knows everybody, fails for some of the questions, and is as slow as that.
    struct Server {
        asked: AtomicUsize,
        under_way: AtomicUsize,
        most: AtomicUsize,
        fails_for: std::ops::Range<usize>,
        takes: Duration,
    }

    #[async_trait]
    impl OwnLists for Server {
        fn covers(&self, _: &UserId) -> bool {
            true
        }

        fn knows_accounts(&self) -> bool {
            true
        }

        async fn proof(&self) -> Result<(), UnknownDevices> {
            Ok(())
        }

        async fn devices_of(
            &self,
            _: &UserId,
            _: &BTreeSet<DeviceId>,
            _: Timestamp,
        ) -> Result<DeviceList, UnknownDevices> {
            let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(under_way, Ordering::Relaxed);
            tokio::time::sleep(self.takes).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            if self.fails_for.contains(&number) {
                return Err(NeighbourError::Unreachable("502".into()).into());
            }
            Ok(DeviceList { devices: BTreeMap::new(), by: ListKind::OwnList, account: None })
        }
    }

    /// How long it takes to ask for 50 lists.
    async fn ask(server: &Server) -> (Duration, DeviceAnswers) {
        let users = (0..50).map(|n| (UserId::from(format!("@u{n}:hs").as_str()), BTreeSet::new())).collect();
        let begun = tokio::time::Instant::now();
        let answers = own_lists_of(server, users, Timestamp::from_millis(0)).await;
        (begun.elapsed(), answers)
    }

    fn server(fails_for: std::ops::Range<usize>, takes: Duration) -> Server {
        let zero = AtomicUsize::default;
        Server { asked: zero(), under_way: zero(), most: zero(), fails_for, takes }
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_five_lists_a_second_are_asked_for_and_four_at_once() {
        let (took, answers) = ask(&server(0..0, Duration::ZERO)).await;
        assert!(took >= OWN_LISTS_EVERY * 49, "{took:?}");
        assert!(answers.len() == 50 && answers.values().all(Result::is_ok));
        let slow = server(0..0, Duration::from_secs(5));
        ask(&slow).await;
        assert_eq!(slow.most.into_inner(), OWN_LISTS_AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_has_failed_is_asked_for_no_more_lists() {
        let failing = server(3..usize::MAX, Duration::ZERO);
        let (_, answers) = ask(&failing).await;
        assert!(failing.asked.into_inner() <= 3 + OWN_LISTS_AT_ONCE);
        assert_eq!(answers.values().filter(|answer| answer.is_ok()).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong_with_one_account_spoils_no_other_list() {
        let (_, answers) = ask(&server(3..4, Duration::ZERO)).await;
        assert_eq!(answers.values().filter(|answer| answer.is_ok()).count(), 49);
    }
}
