//! Device lists, by two ways that are asked side by side: `/keys/query`, many users in one request, and the
//! server's own lists, one user at a time, for those users whom they cover.
//!
//! A list that is asked for by itself grows old by itself; a thousand of them wake the bot a thousand
//! times in each interval. So when any list is old, all are asked for that are older than half the
//! interval; and a refresh, which proves its device alive, asks for nothing.

mod lane;
mod own_news;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    judge::evidence::{Account, Device, DeviceHistory, ListKind, Listing},
    rtc::membership::Owner,
    time::Timestamp,
};

use self::lane::Lane;
pub(in crate::janitor) use self::own_news::OwnNews;
use super::source::{Fact, Health, Source};
use crate::world::device_lists::{DeviceAnswers, DeviceList, UnknownDevices};

/// How many of the server's own lists are asked for in one go.
const OWN_LISTS: usize = 20;

/// What is kept of a list: the devices that own something open.
#[derive(Clone, Debug)]
struct KnownList {
    devices: BTreeMap<DeviceId, Option<Timestamp>>,
    is_empty: bool,
    account: Option<Account>,
}

/// A device with open memberships.
#[derive(Clone, Copy, Debug)]
struct OpenDevice {
    memberships: usize,
    /// Since when it has any: a list that is older says nothing about it.
    since: Timestamp,
}

/// Users whose lists are to be asked for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::janitor) struct ListQuestion {
    pub(in crate::janitor) by: ListKind,
    /// With the devices that own something open.
    pub(in crate::janitor) users: BTreeMap<UserId, BTreeSet<DeviceId>>,
}

/// What came of taking answers in.
#[derive(Debug, Default)]
pub(in crate::janitor) struct ListsTaken {
    /// Owners that were in their lists, for the journal.
    pub(in crate::janitor) listed: Vec<(Owner, ListKind)>,
    /// Users whose answers were taken in: what they own is to be judged again.
    pub(in crate::janitor) users: BTreeSet<UserId>,
}

/// Of whom the server's own lists may be asked for.
pub(in crate::janitor) type Covers = Box<dyn Fn(&UserId) -> bool + Send + Sync>;

/// The device lists of owners.
pub(in crate::janitor) struct DeviceListEvidence {
    lists: Source<UserId, Result<KnownList, UnknownDevices>>,
    /// Owners of something open, by user.
    owners: BTreeMap<UserId, BTreeMap<DeviceId, OpenDevice>>,
    /// What earlier starts and this one learned of devices.
    history: HashMap<Owner, DeviceHistory>,
    keys_query: Lane,
    /// Where there is such a list.
    own: Option<(Lane, Covers)>,
    /// Whether it was said that they cannot be had.
    is_told: bool,
}

impl std::fmt::Debug for DeviceListEvidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let own = self.own.as_ref().map(|(lane, _)| lane);
        f.debug_struct("DeviceListEvidence")
            .field("keys_query", &self.keys_query)
            .field("own", &own)
            .finish_non_exhaustive()
    }
}

impl DeviceListEvidence {
    pub(super) fn new(history: HashMap<Owner, DeviceHistory>, own: Option<Covers>) -> Self {
        Self {
            lists: Source::default(),
            owners: BTreeMap::new(),
            history,
            keys_query: Lane::new(usize::MAX),
            own: own.map(|covers| (Lane::new(OWN_LISTS), covers)),
            is_told: false,
        }
    }

    /// By which way a user's list is asked for.
    pub(in crate::janitor) fn way(&self, user: &UserId) -> ListKind {
        match &self.own {
            Some((_, covers)) if covers(user) => ListKind::OwnList,
            _ => ListKind::KeysQuery,
        }
    }

    fn lane(&self, by: ListKind) -> &Lane {
        match (&self.own, by) {
            (Some((lane, _)), ListKind::OwnList) => lane,
            _ => &self.keys_query,
        }
    }

    fn lane_mut(&mut self, by: ListKind) -> &mut Lane {
        match (&mut self.own, by) {
            (Some((lane, _)), ListKind::OwnList) => lane,
            _ => &mut self.keys_query,
        }
    }

    /// How `/keys/query` has been, and the server's own lists where they are asked for.
    pub(in crate::janitor) fn health(&self, by: ListKind) -> Option<&Health> {
        match (&self.own, by) {
            (_, ListKind::KeysQuery) => Some(&self.keys_query.health),
            (own, ListKind::OwnList) => own.as_ref().map(|(lane, _)| &lane.health),
        }
    }

    /// An owner has one more open membership. A list that has the device, or none that was asked for
    /// since, is enough; else it is asked for.
    pub(in crate::janitor) fn opened(&mut self, owner: &Owner, now: Timestamp) {
        let devices = self.owners.entry(owner.user.clone()).or_default();
        devices
            .entry(owner.device.clone())
            .or_insert(OpenDevice { memberships: 0, since: now })
            .memberships += 1;
        let has_it = self
            .lists
            .get(&owner.user)
            .is_some_and(|fact| matches!(&fact.value, Ok(list) if list.devices.contains_key(&owner.device)));
        if !has_it {
            self.doubt(&owner.user);
        }
    }

    /// An owner has one open membership less; true when that was the last.
    pub(in crate::janitor) fn closed(&mut self, owner: &Owner) -> bool {
        let Some(devices) = self.owners.get_mut(&owner.user) else { return false };
        let Some(device) = devices.get_mut(&owner.device) else { return false };
        device.memberships -= 1;
        if device.memberships > 0 {
            return false;
        }
        devices.remove(&owner.device);
        if devices.is_empty() {
            self.owners.remove(&owner.user);
            let answered = self.observed_at(&owner.user);
            self.lane_mut(self.way(&owner.user)).forget(&owner.user, answered);
            self.lists.forget(&owner.user);
        }
        true
    }

    /// A user's list is to be asked for soon.
    pub(in crate::janitor) fn doubt(&mut self, user: &UserId) {
        self.lane_mut(self.way(user)).doubt(user);
    }

    /// Somebody wants to see how things stand now. Where each list is a request of its own, those of everybody are
    /// not asked for at once: what is known serves.
    pub(in crate::janitor) fn look_up(&mut self, user: &UserId, is_about_one_room: bool) {
        let is_known = self.lists.get(user).is_some();
        if is_about_one_room || !is_known || self.way(user) == ListKind::KeysQuery {
            self.doubt(user);
        }
    }

    /// Whether a user's list is being asked for, or soon will be.
    pub(in crate::janitor) fn is_expected(&self, user: &UserId) -> bool {
        self.lane(self.way(user)).is_expected(user)
    }

    /// When there is something to ask, by either way.
    pub(in crate::janitor) fn next_question(&self, interval: Duration, now: Timestamp) -> Option<Timestamp> {
        let own = self.own.as_ref().and_then(|(lane, _)| lane.next_question(interval, now));
        self.keys_query.next_question(interval, now).into_iter().chain(own).min()
    }

    /// Whose lists are to be asked for now, by each way.
    pub(in crate::janitor) fn questions(&mut self, interval: Duration, now: Timestamp) -> Vec<ListQuestion> {
        let owners = &self.owners;
        let is_open = |user: &UserId| owners.contains_key(user);
        let own = self.own.as_mut().and_then(|(lane, _)| lane.question(interval, now, is_open));
        let keys = self.keys_query.question(interval, now, is_open);
        [(ListKind::OwnList, own), (ListKind::KeysQuery, keys)]
            .into_iter()
            .filter_map(|(by, users)| Some(self.question_about(by, users?)))
            .collect()
    }

    fn question_about(&self, by: ListKind, users: BTreeSet<UserId>) -> ListQuestion {
        let devices =
            |user: &UserId| self.owners.get(user).into_iter().flat_map(BTreeMap::keys).cloned().collect();
        let users = users.into_iter().map(|user| {
            let devices = devices(&user);
            (user, devices)
        });
        ListQuestion { by, users: users.collect() }
    }

    /// Keeps of earlier devices what the journal has kept of them; all that is known is there.
    pub(in crate::janitor) fn remember(&mut self, history: HashMap<Owner, DeviceHistory>) {
        self.history = history;
    }

    #[cfg(test)]
    pub(in crate::janitor) fn remembers(&self, owner: &Owner) -> bool {
        self.history.contains_key(owner)
    }

    /// Takes answers in, or asks others first, see [`Lane::together`].
    pub(in crate::janitor) fn take_in(
        &mut self,
        by: ListKind,
        answers: DeviceAnswers,
        asked: Timestamp,
        now: Timestamp,
    ) -> Result<ListsTaken, ListQuestion> {
        let vanished = answers.iter().filter(|(user, answer)| self.has_vanished(user, answer)).count();
        let all: Vec<_> = self.owners.keys().filter(|user| self.way(user) == by).cloned().collect();
        let (asked, answers) = self
            .lane_mut(by)
            .together(answers, vanished, asked, all.iter())
            .map_err(|users| self.question_about(by, users))?;
        if self.lane_mut(by).answered(&answers, now) {
            tracing::warn!("the device lists are back after a gap; they count again in 5 min");
        }
        let mut taken = ListsTaken::default();
        for (user, answer) in answers {
            let Some(devices) = self.owners.get(&user) else { continue };
            let known = match answer {
                Ok(list) => {
                    let listed = devices.keys().filter(|device| list.devices.contains_key(*device));
                    for device in listed {
                        let owner = Owner { user: user.clone(), device: device.clone() };
                        let history = self.history.entry(owner.clone()).or_default();
                        let seen = match by {
                            ListKind::OwnList => &mut history.seen_in_own_list,
                            ListKind::KeysQuery => &mut history.seen_with_keys,
                        };
                        if !std::mem::replace(seen, true) {
                            tracing::debug!(%user, %device, "seen in a device list");
                        }
                        taken.listed.push((owner, by));
                    }
                    Ok(known(list, devices))
                }
                Err(why) => {
                    tracing::debug!(%user, "device list not known: {why}");
                    Err(why)
                }
            };
            let before = self.observed_at(&user);
            self.lane_mut(by).taken(&user, before, asked);
            self.lists.put(user.clone(), known, asked);
            taken.users.insert(user);
        }
        Ok(taken)
    }

    /// Whether an answer lacks a device that the one before did not lack.
    fn has_vanished(&self, user: &UserId, answer: &Result<DeviceList, UnknownDevices>) -> bool {
        let Ok(list) = answer else { return false };
        if list.account.as_ref().is_some_and(|account| account.bridge.is_some()) {
            return false;
        }
        let before = self.lists.get(user).map(|fact| &fact.value);
        let lacked = |device| matches!(before, Some(Ok(list)) if !list.devices.contains_key(device));
        let devices = self.owners.get(user).into_iter().flat_map(BTreeMap::keys);
        devices.into_iter().any(|device| !list.devices.contains_key(device) && !lacked(device))
    }

    /// When a user's list was answered.
    pub(in crate::janitor) fn observed_at(&self, user: &UserId) -> Option<Timestamp> {
        self.lists.get(user).map(|fact| fact.at)
    }

    /// What is known of an account.
    pub(in crate::janitor) fn account(&self, user: &UserId) -> Option<&Account> {
        self.lists.get(user).and_then(|fact| fact.value.as_ref().ok()).and_then(|list| list.account.as_ref())
    }

    /// A device came back after it was cleared because no list had it: `/keys/query` was wrong about it.
    pub(in crate::janitor) fn came_back(&mut self, owner: &Owner) {
        self.history.entry(owner.clone()).or_default().came_back = true;
    }

    /// What the lists say of a device.
    pub(in crate::janitor) fn says(&self, owner: &Owner, now: Timestamp) -> Device {
        let by = self.way(&owner.user);
        if self.lane(by).health.is_settling(now) {
            return Device::Unknown;
        }
        let history = self.history.get(owner).copied().unwrap_or_default();
        let since = self.owners.get(&owner.user).and_then(|devices| devices.get(&owner.device));
        let listing = match self.lists.get(&owner.user) {
            None => Listing::NotAsked,
            Some(Fact { value: Err(_), .. }) => Listing::Unknown,
            Some(Fact { value: Ok(list), at }) => {
                match (list.devices.get(&owner.device).copied(), &list.account) {
                    // Its membership is younger than the list, which is asked for again.
                    (None, _) if since.is_some_and(|device| *at < device.since) => Listing::NotAsked,
                    (_, Some(Account { bridge: Some(_), .. })) => Listing::OfNoUse,
                    // It may be a bridge's: who may not ask for the account cannot tell.
                    (None, None) if by == ListKind::OwnList && !history.seen_in_own_list => Listing::Unknown,
                    (device, _) => Listing::Known { device, empty: list.is_empty },
                }
            }
        };
        match by {
            ListKind::OwnList => Device::from_lists(listing, Listing::NotAsked, history),
            ListKind::KeysQuery => Device::from_lists(Listing::NotAsked, listing, history),
        }
    }
}

fn known(list: DeviceList, owners: &BTreeMap<DeviceId, OpenDevice>) -> KnownList {
    let is_empty = list.devices.is_empty();
    let devices = list.devices.into_iter().filter(|(device, _)| owners.contains_key(device)).collect();
    KnownList { devices, is_empty, account: list.account }
}

#[cfg(test)]
mod tests {
    use super::{lane::GATHER, *};
    use crate::world::NeighbourError;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000);
    const INTERVAL: Duration = Duration::from_mins(5);

    fn limited(seconds: u64) -> Result<DeviceList, UnknownDevices> {
        let retry_after = Duration::from_secs(seconds);
        Err(UnknownDevices::NoAnswer(NeighbourError::RateLimited { retry_after }))
    }

    /// After these answers for two users, when somebody's list is asked for next.
    fn next_after(answers: [Result<DeviceList, UnknownDevices>; 2]) -> Timestamp {
        let mut lists = DeviceListEvidence::new(HashMap::new(), None);
        let users: [UserId; 2] = ["@a:hs".into(), "@b:hs".into()];
        for user in &users {
            lists.opened(&Owner { user: user.clone(), device: "D".into() }, START);
        }
        assert_eq!(lists.questions(INTERVAL, START).len(), 1, "two are doubted");
        let answers = users.iter().cloned().zip(answers).collect();
        lists.take_in(ListKind::KeysQuery, answers, START, START).expect("nobody vanished");
        lists.doubt(&users[0]);
        lists.next_question(INTERVAL, START).expect("one is doubted")
    }

    #[test]
    fn a_server_that_limits_is_asked_for_no_list_until_then_whomever_it_has_answered_for() {
        let has_it = || {
            Ok(DeviceList { devices: [("D".into(), None)].into(), by: ListKind::KeysQuery, account: None })
        };
        assert_eq!(next_after([has_it(), has_it()]), START + GATHER);
        assert_eq!(next_after([has_it(), limited(77)]), START + Duration::from_secs(77));
        assert_eq!(next_after([limited(77), limited(9)]), START + Duration::from_secs(77));
        assert_eq!(next_after([limited(300), has_it()]), START + Duration::from_mins(5));
    }
}
