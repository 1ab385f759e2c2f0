//! What the neighbours say about open memberships: asked when it may have changed, when it is old,
//! and when something is about to fall due by it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use rtc_janitor_core::{
    export::room_member,
    ids::{RoomId, UserId},
    judge::{
        evidence::{Device, DeviceHistory, Listing, RoomMember},
        policy::Neighbour,
        room::{Observations, Placed, SfuRoom},
    },
    ledger::{ObservedAt, Subject},
    rtc::membership::{Focus, Membership, Owner},
    time::Timestamp,
};

use super::Janitor;
use crate::world::{
    NeighbourError,
    device_lists::{DeviceAnswers, DeviceList, UnknownDevices},
    journal::JournalError,
};

/// How many reads are under way at once.
pub(super) const CONCURRENCY: usize = 4;

/// After a neighbour was away for longer than this, what it says is not believed at once.
const LONG_GAP: Duration = Duration::from_mins(2);

/// For how long its reasons gain no sightings then: clients need a moment to catch up, too.
const SETTLING: Duration = Duration::from_mins(5);

/// Something that was observed, and when.
#[derive(Clone, Debug)]
struct Fact<T> {
    value: T,
    at: Timestamp,
}

/// How a neighbour has been.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    away_since: Option<Timestamp>,
    settles_at: Option<Timestamp>,
}

/// All that was observed.
#[derive(Debug, Default)]
pub(super) struct Observed {
    members: HashMap<(RoomId, UserId), Fact<RoomMember>>,
    lists: HashMap<UserId, Fact<Result<DeviceList, UnknownDevices>>>,
    doubtful_lists: HashSet<UserId>,
    health: BTreeMap<Neighbour, Health>,
}

impl Observed {
    /// Something happened to a user's room membership: it is to be read anew.
    pub(super) fn doubt_member(&mut self, room: &RoomId, user: &UserId) {
        self.members.remove(&(room.clone(), user.clone()));
    }

    /// All room memberships are to be read anew.
    pub(super) fn forget_members(&mut self) {
        self.members.clear();
    }

    /// A membership of this user appeared or changed: the device list is to be read anew.
    pub(super) fn doubt_devices(&mut self, user: &UserId) {
        self.doubtful_lists.insert(user.clone());
    }

    /// A neighbour did not answer.
    pub(super) fn failed(&mut self, neighbour: Neighbour, now: Timestamp) {
        self.health.entry(neighbour).or_default().away_since.get_or_insert(now);
    }

    /// A neighbour answered.
    pub(super) fn answered(&mut self, neighbour: Neighbour, now: Timestamp) {
        let health = self.health.entry(neighbour).or_default();
        if health.away_since.take().is_some_and(|since| now.since(since) > LONG_GAP) {
            tracing::warn!(%neighbour, "is back after a gap; its word counts again in 5 min");
            health.settles_at = Some(now + SETTLING);
        }
    }

    /// Whether a neighbour did not answer when it was last asked.
    pub(super) fn is_away(&self, neighbour: Neighbour) -> bool {
        self.health.get(&neighbour).is_some_and(|health| health.away_since.is_some())
    }

    /// Whether a neighbour was away for long and is only just back.
    pub(super) fn is_settling(&self, neighbour: Neighbour, now: Timestamp) -> bool {
        self.health.get(&neighbour).is_some_and(|h| h.settles_at.is_some_and(|at| now < at))
    }

    pub(super) fn settles_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.health.values().filter_map(|health| health.settles_at).filter(|at| *at > now).min()
    }

    /// When the evidence on one owner in one room was observed.
    pub(super) fn observed_at(&self, room: &RoomId, owner: &Owner, now: Timestamp) -> ObservedAt {
        let member = self.members.get(&(room.clone(), owner.user.clone())).map_or(now, |fact| fact.at);
        let list = self.lists.get(&owner.user).map_or(now, |fact| fact.at);
        ObservedAt { now, homeserver: member, device_lists: list, sfu: now }
    }

    /// When the next device list grows old.
    pub(super) fn next_device_check(&self, interval: Duration) -> Option<Timestamp> {
        self.lists.values().map(|fact| fact.at + interval).min()
    }
}

impl Janitor {
    /// Asks what has to be asked before a sweep judges.
    pub(super) async fn observe(&mut self) -> Result<(), JournalError> {
        self.read_members().await;
        self.read_device_lists().await
    }

    /// Reads the room membership of owners where it is not known, may have changed, or speaks against
    /// them: that is read anew for every sweep.
    async fn read_members(&mut self) {
        let mut wanted = BTreeSet::new();
        for (room, _, open) in self.tracker.open().filter(|(room, ..)| self.settings.looks_at(room)) {
            for membership in open.memberships() {
                let place = (room.clone(), membership.owner.user.clone());
                let joined = self.observed.members.get(&place).map(|fact| fact.value);
                if joined != Some(RoomMember::Joined) {
                    wanted.insert(place);
                }
            }
        }
        let rooms = &self.ports.rooms;
        let reads = stream::iter(wanted).map(|(room, user)| async move {
            let read = rooms.state_event(&room, "m.room.member", user.as_str()).await;
            ((room, user), read)
        });
        let reads: Vec<_> = reads.buffer_unordered(CONCURRENCY).collect().await;
        let now = self.now();
        for (place, read) in reads {
            let value = match read {
                Ok(event) => room_member(event.as_ref()),
                Err(error) => {
                    tracing::debug!(room = %place.0, user = %place.1, "room membership not readable: {error}");
                    if matches!(error, NeighbourError::Unreachable(_)) {
                        self.observed.failed(Neighbour::Homeserver, now);
                    }
                    RoomMember::Unknown
                }
            };
            self.observed.members.insert(place, Fact { value, at: now });
        }
        let open: HashSet<_> = self
            .tracker
            .open()
            .flat_map(|(room, _, open)| open.memberships().map(|m| (room.clone(), m.owner.user.clone())))
            .collect();
        self.observed.members.retain(|place, _| open.contains(place));
    }

    /// Asks for the device lists of owners, all in one request: at once when a membership appeared or
    /// changed, from time to time, and when something falls due by them.
    async fn read_device_lists(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        let mut owners: BTreeMap<UserId, Vec<Owner>> = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        for (subject, membership) in self.subjects() {
            let user = &membership.owner.user;
            let last = self.observed.lists.get(user);
            let is_old = last.is_none_or(|fact| now.since(fact.at) >= self.settings.device_check_interval);
            let is_due = self
                .ledger
                .due(&subject, now)
                .iter()
                .any(|due| due.reason.neighbour() == Some(Neighbour::DeviceLists) && !due.refreshed);
            if is_old || is_due || self.observed.doubtful_lists.contains(user) {
                wanted.insert(user.clone());
            }
            owners.entry(user.clone()).or_default().push(membership.owner.clone());
        }
        self.observed.lists.retain(|user, _| owners.contains_key(user));
        self.observed.doubtful_lists.clear();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut answers = self.ports.device_lists.devices_of(&wanted).await;
        let others: BTreeSet<_> = owners.keys().filter(|user| !wanted.contains(*user)).cloned().collect();
        if !others.is_empty() && self.somebody_vanished(&owners, &answers) {
            // Lists are asked for at different times. Only when all are looked at together, it shows
            // that everybody vanished, and the breaker can tell a wrong list from a dead device.
            answers.extend(self.ports.device_lists.devices_of(&others).await);
        }
        let at = self.now();
        // One user's server may fail; the neighbour fails when nobody was answered for.
        if answers.values().any(|answer| !matches!(answer, Err(UnknownDevices::NoAnswer(_)))) {
            self.observed.answered(Neighbour::DeviceLists, at);
        } else {
            self.observed.failed(Neighbour::DeviceLists, at);
        }
        let mut listed = Vec::new();
        for (user, answer) in answers {
            match &answer {
                Ok(list) => {
                    let known = owners.get(&user).into_iter().flatten();
                    listed.extend(known.filter(|o| list.devices.contains_key(&o.device)).cloned());
                }
                Err(why) => tracing::debug!(%user, "device list not known: {why}"),
            }
            self.observed.lists.insert(user, Fact { value: answer, at });
        }
        for owner in &listed {
            let history = self.devices.entry(owner.clone()).or_default();
            if !history.seen_in_list {
                tracing::debug!(user = %owner.user, device = %owner.device, "seen in a device list");
                history.seen_in_list = true;
            }
        }
        self.journal.list_devices(&listed, at)
    }

    /// Whether an answer lacks a device that the one before did not lack.
    fn somebody_vanished(&self, owners: &BTreeMap<UserId, Vec<Owner>>, answers: &DeviceAnswers) -> bool {
        answers.iter().any(|(user, answer)| {
            let before = self.observed.lists.get(user).map(|fact| &fact.value);
            let lacks = |owner: &Owner, list: &DeviceList| !list.devices.contains_key(&owner.device);
            let vanished = |owner: &&Owner| {
                answer.as_ref().is_ok_and(|list| lacks(owner, list))
                    && !matches!(before, Some(Ok(list)) if lacks(owner, list))
            };
            owners.get(user).into_iter().flatten().any(|owner| vanished(&owner))
        })
    }

    /// Everything that can be stale: each open membership of the rooms that are looked after.
    pub(super) fn subjects(&self) -> impl Iterator<Item = (Subject, &Membership)> {
        self.tracker.open().filter(|(room, ..)| self.settings.looks_at(room)).flat_map(|(room, key, open)| {
            open.entries.iter().enumerate().filter_map(move |(index, entry)| {
                let subject = Subject {
                    room: room.clone(),
                    key: key.clone(),
                    event: open.event.event_id.clone(),
                    entry: u32::try_from(index).unwrap_or(u32::MAX),
                };
                entry.as_ref().ok().map(|membership| (subject, membership))
            })
        })
    }
}

/// What was observed about the owners in one room.
pub(super) struct RoomObservations<'a> {
    pub(super) room: &'a RoomId,
    pub(super) observed: &'a Observed,
    pub(super) devices: &'a HashMap<Owner, DeviceHistory>,
    pub(super) now: Timestamp,
}

impl Observations for RoomObservations<'_> {
    fn room_member(&self, user: &UserId) -> RoomMember {
        let place = (self.room.clone(), user.clone());
        self.observed.members.get(&place).map_or(RoomMember::Unknown, |fact| fact.value)
    }

    fn device(&self, owner: &Owner) -> Device {
        if self.observed.is_settling(Neighbour::DeviceLists, self.now) {
            return Device::Unknown;
        }
        let keys_query = match self.observed.lists.get(&owner.user).map(|fact| &fact.value) {
            None => Listing::NotAsked,
            Some(Err(_)) => Listing::Unknown,
            Some(Ok(list)) => Listing::Known {
                device: list.devices.get(&owner.device).copied(),
                empty: list.devices.is_empty(),
            },
        };
        let history = self.devices.get(owner).copied().unwrap_or_default();
        Device::from_lists(Listing::NotAsked, keys_query, history)
    }

    fn is_our_sfu(&self, _: &Focus) -> bool {
        false
    }

    fn sfu_room(&self, _: &Focus, _: &str) -> SfuRoom {
        SfuRoom::Unknown
    }

    fn on_each_sfu(&self, _: &str) -> Vec<SfuRoom> {
        Vec::new()
    }

    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }
}
