//! Device lists: asked for together, many users in one request.
//!
//! A list that is asked for by itself grows old by itself; a thousand of them wake the bot a thousand
//! times in each interval. So when any list is old, all are asked for that are older than half the
//! interval; and a refresh, which proves its device alive, asks for nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    judge::evidence::{Device, DeviceHistory, Listing},
    rtc::membership::Owner,
    time::Timestamp,
};

use super::source::{Fact, Health, Source};
use crate::world::{
    NeighbourError,
    backoff::Backoff,
    device_lists::{DeviceAnswers, DeviceList, UnknownDevices},
};

/// The least time between two questions: what arises meanwhile is put together.
const GATHER: Duration = Duration::from_secs(1);

/// The pauses after no list could be had at all.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(5));

/// What is kept of a list: the devices that own something open.
#[derive(Clone, Debug)]
struct KnownList {
    devices: BTreeMap<DeviceId, Option<Timestamp>>,
    is_empty: bool,
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
    pub(in crate::janitor) users: BTreeSet<UserId>,
}

/// What came of taking answers in.
#[derive(Debug, Default)]
pub(in crate::janitor) struct ListsTaken {
    /// Owners that were in their lists, for the journal.
    pub(in crate::janitor) listed: Vec<Owner>,
    /// Users whose answers were taken in: what they own is to be judged again.
    pub(in crate::janitor) users: BTreeSet<UserId>,
}

/// The device lists of owners.
#[derive(Debug)]
pub(in crate::janitor) struct DeviceListEvidence {
    lists: Source<UserId, Result<KnownList, UnknownDevices>>,
    /// Owners of something open, by user.
    owners: BTreeMap<UserId, BTreeMap<DeviceId, OpenDevice>>,
    /// Users whose lists are to be asked for soon.
    doubted: BTreeSet<UserId>,
    last_question: Option<Timestamp>,
    /// What earlier starts and this one learned of devices.
    history: HashMap<Owner, DeviceHistory>,
    health: Health,
    /// By age: when each list was answered.
    ages: BTreeSet<(Timestamp, UserId)>,
    /// Whose lists are being asked for.
    asking: BTreeSet<UserId>,
    /// Answers that wait for those of everybody else, see [`Self::take_in`].
    held: Option<(Timestamp, DeviceAnswers)>,
    /// Nothing is asked before this: nobody answered.
    not_before: Option<Timestamp>,
    pause: Backoff,
}

impl DeviceListEvidence {
    pub(super) fn new(history: HashMap<Owner, DeviceHistory>) -> Self {
        Self {
            lists: Source::default(),
            owners: BTreeMap::new(),
            doubted: BTreeSet::new(),
            last_question: None,
            history,
            health: Health::default(),
            ages: BTreeSet::new(),
            asking: BTreeSet::new(),
            held: None,
            not_before: None,
            pause: BACKOFF,
        }
    }

    pub(in crate::janitor) fn health(&self) -> &Health {
        &self.health
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
            self.doubted.remove(&owner.user);
            if let Some(fact) = self.lists.get(&owner.user) {
                self.ages.remove(&(fact.at, owner.user.clone()));
            }
            self.lists.forget(&owner.user);
        }
        true
    }

    /// A user's list is to be asked for soon.
    pub(in crate::janitor) fn doubt(&mut self, user: &UserId) {
        self.doubted.insert(user.clone());
    }

    /// Whether a user's list is being asked for, or soon will be.
    pub(in crate::janitor) fn is_expected(&self, user: &UserId) -> bool {
        self.doubted.contains(user) || self.asking.contains(user)
    }

    /// When there is something to ask: what is doubted, and what grows old.
    pub(in crate::janitor) fn next_question(&self, interval: Duration, now: Timestamp) -> Option<Timestamp> {
        if !self.asking.is_empty() {
            return None;
        }
        let gathered = self.last_question.map_or(now, |last| last + GATHER);
        let doubted = (!self.doubted.is_empty()).then_some(gathered);
        let old = self.ages.first().map(|(at, _)| *at + interval);
        let at = [doubted, old].into_iter().flatten().min()?;
        Some(at.max(self.not_before.unwrap_or(at)))
    }

    /// Whose lists are to be asked for now.
    pub(in crate::janitor) fn question(
        &mut self,
        interval: Duration,
        now: Timestamp,
    ) -> Option<ListQuestion> {
        if self.next_question(interval, now).is_none_or(|at| at > now) {
            return None;
        }
        let mut users = std::mem::take(&mut self.doubted);
        if self.ages.first().is_some_and(|(at, _)| *at + interval <= now) {
            let half_old = now - interval / 2;
            users
                .extend(self.ages.iter().take_while(|(at, _)| *at <= half_old).map(|(_, user)| user.clone()));
        }
        users.retain(|user| self.owners.contains_key(user));
        if users.is_empty() {
            return None;
        }
        self.asking.clone_from(&users);
        self.last_question = Some(now);
        Some(ListQuestion { users })
    }

    /// Keeps of earlier devices what the journal has kept of them; all that is known is there.
    pub(in crate::janitor) fn remember(&mut self, history: HashMap<Owner, DeviceHistory>) {
        self.history = history;
    }

    #[cfg(test)]
    pub(in crate::janitor) fn remembers(&self, owner: &Owner) -> bool {
        self.history.contains_key(owner)
    }

    /// Takes answers in. When a device vanished, everybody else is asked before any of it counts: only
    /// when all lists are looked at together does it show that everybody vanished, and the breaker can
    /// tell a wrong list from a dead device.
    pub(in crate::janitor) fn take_in(
        &mut self,
        answers: DeviceAnswers,
        asked: Timestamp,
        now: Timestamp,
    ) -> Result<ListsTaken, ListQuestion> {
        // A device that joined while they were on their way is younger than they are.
        let (asked, answers) = match self.held.take() {
            Some((first_asked, mut held)) => {
                held.extend(answers);
                (first_asked, held)
            }
            None if self.somebody_vanished(&answers) => {
                let others = self.owners.keys().filter(|user| !answers.contains_key(*user));
                let users: BTreeSet<_> = others.cloned().collect();
                if !users.is_empty() {
                    self.held = Some((asked, answers));
                    self.asking.extend(users.iter().cloned());
                    return Err(ListQuestion { users });
                }
                (asked, answers)
            }
            None => (asked, answers),
        };
        self.asking.clear();
        // One user's server may fail; the source fails when nobody was answered for.
        if answers.values().any(|answer| !matches!(answer, Err(UnknownDevices::NoAnswer(_)))) {
            if self.health.answered(now) {
                tracing::warn!("the device lists are back after a gap; they count again in 5 min");
            }
            (self.not_before, self.pause) = (None, BACKOFF);
        } else {
            self.health.failed(now);
            self.not_before = Some(now + self.pause.next());
        }
        // A server that asks for patience gets it, whomever else it has answered for.
        let retry_after = answers.values().filter_map(|answer| match answer {
            Err(UnknownDevices::NoAnswer(NeighbourError::RateLimited { retry_after })) => Some(*retry_after),
            _ => None,
        });
        if let Some(pause) = retry_after.max() {
            self.not_before = self.not_before.max(Some(now + pause));
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
                        if !std::mem::replace(&mut history.seen_in_list, true) {
                            tracing::debug!(%user, %device, "seen in a device list");
                        }
                        taken.listed.push(owner);
                    }
                    Ok(known(list, devices))
                }
                Err(why) => {
                    tracing::debug!(%user, "device list not known: {why}");
                    Err(why)
                }
            };
            if let Some(before) = self.lists.get(&user) {
                self.ages.remove(&(before.at, user.clone()));
            }
            self.ages.insert((asked, user.clone()));
            self.lists.put(user.clone(), known, asked);
            taken.users.insert(user);
        }
        Ok(taken)
    }

    /// Whether an answer lacks a device that the one before did not lack.
    fn somebody_vanished(&self, answers: &DeviceAnswers) -> bool {
        answers.iter().any(|(user, answer)| {
            let Ok(list) = answer else { return false };
            let before = self.lists.get(user).map(|fact| &fact.value);
            let lacked = |device| matches!(before, Some(Ok(list)) if !list.devices.contains_key(device));
            let devices = self.owners.get(user).into_iter().flat_map(BTreeMap::keys);
            devices.into_iter().any(|device| !list.devices.contains_key(device) && !lacked(device))
        })
    }

    /// When a user's list was answered.
    pub(in crate::janitor) fn observed_at(&self, user: &UserId) -> Option<Timestamp> {
        self.lists.get(user).map(|fact| fact.at)
    }

    /// A device came back after it was cleared because no list had it: `/keys/query` was wrong about it.
    pub(in crate::janitor) fn came_back(&mut self, owner: &Owner) {
        self.history.entry(owner.clone()).or_default().came_back = true;
    }

    /// What the lists say of a device.
    pub(in crate::janitor) fn says(&self, owner: &Owner, now: Timestamp) -> Device {
        if self.health.is_settling(now) {
            return Device::Unknown;
        }
        let since = self.owners.get(&owner.user).and_then(|devices| devices.get(&owner.device));
        let keys_query = match self.lists.get(&owner.user) {
            None => Listing::NotAsked,
            Some(Fact { value: Err(_), .. }) => Listing::Unknown,
            Some(Fact { value: Ok(list), at }) => match list.devices.get(&owner.device).copied() {
                // Its membership is younger than the list, which is asked for again.
                None if since.is_some_and(|device| *at < device.since) => Listing::NotAsked,
                device => Listing::Known { device, empty: list.is_empty },
            },
        };
        let history = self.history.get(owner).copied().unwrap_or_default();
        Device::from_lists(Listing::NotAsked, keys_query, history)
    }
}

fn known(list: DeviceList, owners: &BTreeMap<DeviceId, OpenDevice>) -> KnownList {
    let is_empty = list.devices.is_empty();
    let devices = list.devices.into_iter().filter(|(device, _)| owners.contains_key(device)).collect();
    KnownList { devices, is_empty }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000);
    const INTERVAL: Duration = Duration::from_mins(5);

    fn limited(seconds: u64) -> Result<DeviceList, UnknownDevices> {
        let retry_after = Duration::from_secs(seconds);
        Err(UnknownDevices::NoAnswer(NeighbourError::RateLimited { retry_after }))
    }

    /// After these answers for two users, when somebody's list is asked for next.
    fn next_after(answers: [Result<DeviceList, UnknownDevices>; 2]) -> Timestamp {
        let mut lists = DeviceListEvidence::new(HashMap::new());
        let users: [UserId; 2] = ["@a:hs".into(), "@b:hs".into()];
        for user in &users {
            lists.opened(&Owner { user: user.clone(), device: "D".into() }, START);
        }
        lists.question(INTERVAL, START).expect("two are doubted");
        let answers = users.iter().cloned().zip(answers).collect();
        lists.take_in(answers, START, START).expect("nobody vanished");
        lists.doubt(&users[0]);
        lists.next_question(INTERVAL, START).expect("one is doubted")
    }

    #[test]
    fn a_server_that_limits_is_asked_for_no_list_until_then_whomever_it_has_answered_for() {
        let has_it = || Ok(DeviceList { devices: [("D".into(), None)].into() });
        assert_eq!(next_after([has_it(), has_it()]), START + GATHER);
        assert_eq!(next_after([has_it(), limited(77)]), START + Duration::from_secs(77));
        assert_eq!(next_after([limited(77), limited(9)]), START + Duration::from_secs(77));
        assert_eq!(next_after([limited(300), has_it()]), START + Duration::from_mins(5));
    }
}
