//! A survey: a look through all rooms of the server by its admin API, whoever is in them.
//!
//! It asks a few things at once and gives the server a rest after each answer, so it takes minutes and is no burden.
//! What stands in a room is judged in `core::survey`; nothing is kept here and nothing is written, but for
//! `join`, which gets the bot into rooms that a person has approved.

mod join;
mod pace;
mod scope;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use rtc_janitor_core::{
    ids::{DeviceId, RoomId, UserId},
    rtc::state_event::CALL_MEMBER,
    survey::{self, Listed, Progress, Scope, Survey, SurveyedRoom},
    time::Timestamp,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use self::pace::{AT_ONCE, Pace};
use crate::{
    janitor::Settings,
    world::{
        NeighbourError, Rooms,
        clock::Clock,
        device_lists::{DeviceList, UnknownDevices},
        synapse_admin::AllRooms,
    },
};

/// The most users whose device lists are asked for.
const MOST_OWNERS: usize = 2_000;

/// Why there is no survey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// The token is no server admin's, or no longer.
    #[error(
        "the admin API refuses: {0}. It takes a server admin's access token in synapse_admin.access_token_file"
    )]
    Refused(NeighbourError),
    /// It did not answer, again and again.
    #[error("the admin API gave no usable answer, several times in a row: {0}")]
    Unreachable(NeighbourError),
    /// A room that was named.
    #[error("the homeserver knows no room {0}")]
    NoSuchRoom(String),
}

/// What a survey works with.
#[derive(Clone, Copy)]
pub struct Surveyor<'a> {
    /// All rooms, and the device lists of the server's own users.
    pub admin: &'a dyn AllRooms,
    /// The bot's own view, to resolve aliases and to join.
    pub rooms: &'a dyn Rooms,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Who the bot is, what it leaves alone, and thresholds.
    pub settings: &'a Settings,
}

/// Says how far a survey is.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Sync);

/// Whose open memberships there are, and on which devices.
type Owners = BTreeMap<UserId, BTreeSet<DeviceId>>;

/// A room with open memberships, and whose they are.
type OpenRoom = (Listed, Owners);

/// Something that is asked of the server, and what the answer is worth.
type Question<'a, T> = BoxFuture<'a, Result<T, SurveyError>>;

/// A survey under way.
struct UnderWay<'a> {
    with: Surveyor<'a>,
    pace: Pace,
    tell: Tell<'a>,
}

impl Surveyor<'_> {
    /// Looks through the rooms. It can be dropped at any time.
    ///
    /// # Errors
    ///
    /// When the admin API refuses or does not answer. One room that cannot be read is no error.
    pub fn survey<'a>(
        &'a self,
        scope: &'a Scope,
        tell: Tell<'a>,
    ) -> BoxFuture<'a, Result<Survey, SurveyError>> {
        Box::pin(self.look_through(scope, tell))
    }

    async fn look_through(&self, scope: &Scope, tell: Tell<'_>) -> Result<Survey, SurveyError> {
        let (begun, at) = (Instant::now(), self.clock.now());
        let under_way = UnderWay { with: *self, pace: Pace::new(), tell };
        let rooms = under_way.in_scope(scope).await?;
        let looked_at = rooms.len();
        let (open, mut unread) = under_way.find_open(rooms).await?;
        let (lists, without_lists) = under_way.lists(&open).await?;
        let (rooms, more) = under_way.judge(open, &lists).await?;
        unread.extend(more);
        Ok(Survey {
            scope: scope.clone(),
            looked_at,
            rooms,
            unread,
            without_lists,
            at,
            took: begun.elapsed(),
        })
    }

    /// What the state of a room says, with what is known of its owners' devices.
    fn read(&self, listed: Listed, state: Vec<Value>, lists: Value) -> Result<SurveyedRoom, String> {
        let is_excluded = !self.settings.covers(&listed.room);
        let surveyor = survey::Surveyor {
            me: &self.settings.user_id,
            acts_for: &|user| self.settings.acts_for(user),
            allow_redaction: self.settings.allow_redaction,
            policy: &self.settings.policy,
            now: self.clock.now(),
        };
        SurveyedRoom::read(listed, state, lists, is_excluded, surveyor).map_err(|error| error.to_string())
    }
}

impl UnderWay<'_> {
    /// Which of the rooms have open memberships, and which could not be read.
    async fn find_open(
        &self,
        rooms: Vec<Listed>,
    ) -> Result<(Vec<OpenRoom>, Vec<(Listed, String)>), SurveyError> {
        let of = rooms.len();
        let found = AtomicUsize::new(0);
        let questions = rooms.into_iter().map(|listed| {
            let found = &found;
            Box::pin(async move {
                let question = || self.with.admin.room_state(&listed.room, Some(CALL_MEMBER));
                let state = self.readable(self.pace.ask(question).await)?;
                let owners = state.map(|state| survey::owners(&state, self.now()));
                if owners.as_ref().is_ok_and(|owners| !owners.is_empty()) {
                    found.fetch_add(1, Ordering::Relaxed);
                }
                Ok((listed, owners))
            }) as Question<'_, (Listed, Result<Owners, String>)>
        });
        let tell = |done| (self.tell)(Progress::Rooms { done, of, open: found.load(Ordering::Relaxed) });
        let (mut open, mut unread) = (Vec::new(), Vec::new());
        for (listed, owners) in few_at_a_time(questions.collect(), tell).await? {
            match owners {
                Ok(owners) if owners.is_empty() => {}
                Ok(owners) => open.push((listed, owners)),
                Err(why) => unread.push((listed, why)),
            }
        }
        Ok((open, unread))
    }

    /// The device lists of the owners of this server, as the admin API gives them, and why they are not all there.
    async fn lists(&self, open: &[OpenRoom]) -> Result<(Map<String, Value>, Option<String>), SurveyError> {
        let mut wanted: BTreeMap<&UserId, BTreeSet<DeviceId>> = BTreeMap::new();
        for (user, devices) in open.iter().flat_map(|(_, owners)| owners) {
            let has_list =
                self.with.admin.covers(user) && !self.with.settings.without_device_lists.matches(user);
            if has_list {
                wanted.entry(user).or_default().extend(devices.iter().cloned());
            }
        }
        if wanted.is_empty() {
            return Ok((Map::new(), None));
        }
        let proof = self.pace.ask(|| self.with.admin.proof().map(settled)).await;
        if let Err(why) = self.readable(proof)?.and_then(|proof| proof.map_err(|why| why.to_string())) {
            return Ok((Map::new(), Some(why)));
        }
        let now = self.now();
        let (of, mut without) = (wanted.len().min(MOST_OWNERS), None);
        if wanted.len() > MOST_OWNERS {
            without = Some(format!("there are {} owners, and {MOST_OWNERS} were asked for", wanted.len()));
        }
        let questions = wanted.into_iter().take(MOST_OWNERS).map(|(user, devices)| {
            Box::pin(async move {
                let question = || self.with.admin.devices_of(user, &devices, now).map(settled);
                let list = self.readable(self.pace.ask(question).await)?;
                Ok((user, list.and_then(|list| list.map_err(|why| why.to_string()))))
            }) as Question<'_, (&UserId, Result<DeviceList, String>)>
        });
        let tell = |done| (self.tell)(Progress::Lists { done, of });
        let mut lists = Map::new();
        for (user, list) in few_at_a_time(questions.collect(), tell).await? {
            match list {
                // A bridge's users write device ids that are in no list.
                Ok(DeviceList { account: Some(account), .. }) if account.bridge.is_some() => {}
                Ok(list) => drop(lists.insert(user.to_string(), as_answered(&list))),
                Err(why) => {
                    lists.insert(user.to_string(), json!({}));
                    without.get_or_insert(format!("of {user}: {why}"));
                }
            }
        }
        Ok((lists, without))
    }

    /// Reads the whole state of the rooms with open memberships, one after the other, and judges it.
    async fn judge(
        &self,
        open: Vec<OpenRoom>,
        lists: &Map<String, Value>,
    ) -> Result<(Vec<SurveyedRoom>, Vec<(Listed, String)>), SurveyError> {
        let of = open.len();
        let questions = open.into_iter().map(|(listed, owners)| {
            Box::pin(async move {
                let question = || self.with.admin.room_state(&listed.room, None);
                let state = self.readable(self.pace.ask(question).await)?;
                let known = owners.keys().filter_map(|user| lists.get_key_value(user.as_str()));
                let known = known.map(|(user, list)| (user.clone(), list.clone())).collect();
                let room =
                    state.and_then(|state| self.with.read(listed.clone(), state, Value::Object(known)));
                Ok((listed, room))
            }) as Question<'_, (Listed, Result<SurveyedRoom, String>)>
        });
        let tell = |done| (self.tell)(Progress::Judging { done, of });
        let (mut rooms, mut unread) = (Vec::new(), Vec::new());
        for (listed, room) in few_at_a_time(questions.collect(), tell).await? {
            match room {
                // Everybody may have left since.
                Ok(room) if room.memberships.is_empty() => {}
                Ok(room) => rooms.push(room),
                Err(why) => unread.push((listed, why)),
            }
        }
        rooms.sort_by(|a, b| a.listed.room.cmp(&b.listed.room));
        Ok((rooms, unread))
    }

    /// What an answer is worth: what concerns one room or user alone is a value, all else ends the survey.
    fn readable<T>(&self, answer: Result<T, NeighbourError>) -> Result<Result<T, String>, SurveyError> {
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(error) if is_for_all(&error) => Err(SurveyError::Refused(error)),
            Err(error) if self.pace.has_given_up() => Err(SurveyError::Unreachable(error)),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    fn now(&self) -> Timestamp {
        self.with.clock.now()
    }
}

/// Asks a few at a time, takes in the answers as they come, and says how many there are.
async fn few_at_a_time<T: Send>(
    questions: Vec<Question<'_, T>>,
    tell: impl Fn(usize) + Send,
) -> Result<Vec<T>, SurveyError> {
    let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
    let mut all = Vec::new();
    while let Some(answer) = answers.next().await {
        all.push(answer?);
        tell(all.len());
    }
    Ok(all)
}

/// A list that was not obtained because of the list is an answer; one for want of an answer is to be asked for again.
fn settled<T>(answer: Result<T, UnknownDevices>) -> Result<Result<T, UnknownDevices>, NeighbourError> {
    match answer {
        Err(UnknownDevices::NoAnswer(error)) => Err(error),
        settled => Ok(settled),
    }
}

/// As the admin API has it, for the judge of exports.
fn as_answered(list: &DeviceList) -> Value {
    let devices = list
        .devices
        .iter()
        .map(|(device, seen)| json!({"device_id": device, "last_seen_ts": seen.map(Timestamp::as_millis)}));
    json!({"devices": devices.collect::<Vec<_>>()})
}

/// Whether what the admin API says of one room it would say of the next: that the token is no server admin's.
fn is_for_all(error: &NeighbourError) -> bool {
    matches!(
        error,
        NeighbourError::SignedOut(_)
            | NeighbourError::Redirected(_)
            | NeighbourError::Refused { status: 401 | 403, .. }
    )
}

/// Whether the server has no such room.
fn is_unknown(error: &NeighbourError) -> bool {
    matches!(error, NeighbourError::Refused { status: 400 | 404, .. })
}

/// The room of that id, of which nothing else is known.
fn unnamed(room: &RoomId) -> Listed {
    Listed { room: room.clone(), name: None, alias: None }
}

#[cfg(test)]
mod tests;
