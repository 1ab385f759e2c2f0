//! What one sweep would write, and what it holds back and why.
//!
//! [`Plan::make`] is the one place where a due membership becomes a planned write, and only
//! memberships for which every condition holds get there. Two conditions are checked elsewhere: the
//! mode is the kind of writer the plan is handed to, and the fresh read happens right before each
//! write.

use std::{cmp::Ordering, collections::BTreeSet, time::Duration};

mod approved;
mod held;
mod id;
mod route;
mod taken_back;

pub use approved::{Approval, FRESH, Proposal};
pub use held::{HeldBack, clears_at};
pub use id::{PlanId, PlanKind};
pub use route::{Means, Route, route};

use crate::{
    guard::{
        breaker::{Breakers, Passage},
        limits::Budget,
        quarantine::Quarantine,
    },
    ids::{EventId, RoomId, StateKey},
    judge::policy::{HOURLY_SILENCE, Neighbour, Reason},
    ledger::Due,
    rtc::{membership::Owner, state_key::Blocked},
    time::Timestamp,
};

/// What expired this long ago is seen by nobody and is no emergency: it is counted, and cleared only
/// by a plan that a person approved.
pub const LONG_EXPIRED: Duration = Duration::from_hours(30 * 24);

/// For how long an event that was over before it was sent is a sign of life: so long may a client that
/// refreshes hourly be silent.
pub const SENT_EXPIRED: Duration = HOURLY_SILENCE;

/// How many observations a reason needs.
const SIGHTINGS: u32 = 2;

/// One entry of an event, as far as the plan needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Whom it speaks for.
    pub owner: Owner,
    /// Its place in the event.
    pub index: u32,
    /// The reasons whose grace is over, the strongest first.
    pub due: Vec<Due>,
    /// When it expires.
    pub expires: Timestamp,
    /// Whether that was before it was sent, see [`crate::rtc::membership::Membership::was_expired_when_sent`].
    pub was_expired_when_sent: bool,
    /// From when its age counts.
    pub last_sign: Timestamp,
    /// Whether the owner's account is on another server.
    pub is_remote: bool,
    /// Whether the SFU is ours and did not answer.
    pub sfu_is_silent: bool,
}

/// An event with at least one entry that is due.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact with a line of its own")]
pub struct Candidate {
    /// The room.
    pub room: RoomId,
    /// The key.
    pub key: StateKey,
    /// The event that was judged.
    pub event: EventId,
    /// All of its entries, also those that no client shows.
    pub entries: Vec<Option<Entry>>,
    /// Whether clients still show it: it has not expired, and its owner is in the room.
    pub is_shown: bool,
    /// Whether nothing that looks alive would be left of its call.
    pub ends_call: bool,
    /// Whether the room or an owner is excluded by the configuration.
    pub is_excluded: bool,
    /// Whether its entries can be taken out one by one, where a route writes what is left.
    pub is_divisible: bool,
    /// How it can be cleared; `None` when that could not be read.
    pub route: Option<Result<Route, Blocked>>,
}

impl Candidate {
    /// The places of the entries with something due, where they are not all.
    pub fn due_part(&self) -> Option<Vec<u32>> {
        let due: Vec<_> = self.entries.iter().flatten().filter(|entry| !entry.due.is_empty()).collect();
        (due.len() < self.entries.len()).then(|| due.iter().map(|entry| entry.index).collect())
    }

    /// Whether what is stale of it can be cleared by itself, by the route that was found.
    fn may_be_divided(&self) -> bool {
        self.is_divisible && self.route == Some(Ok(Route::Appservice))
    }
}

/// A key that is to be emptied, or an event some of whose entries are to be taken out. It can only be made
/// from a candidate that passed, from what a person has approved, or to take back what an own write did by accident.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedWrite {
    room: RoomId,
    key: StateKey,
    event: EventId,
    owners: Vec<Owner>,
    part: Option<Vec<u32>>,
    reason: Option<Reason>,
    since: Timestamp,
    route: Route,
    probes: Vec<Neighbour>,
    is_shown: bool,
}

impl PlannedWrite {
    /// The room.
    pub fn room(&self) -> &RoomId {
        &self.room
    }
    /// The key.
    pub fn key(&self) -> &StateKey {
        &self.key
    }
    /// The event that was judged; nothing else may be overwritten.
    pub fn event(&self) -> &EventId {
        &self.event
    }
    /// Whose memberships are cleared: all that the event speaks for, unless only a part of it goes.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }
    /// The places of the entries that are taken out, where others stay; `None`: nothing is left.
    pub fn part(&self) -> Option<&[u32]> {
        self.part.as_deref()
    }
    /// Whether the entry at this place is cleared.
    pub fn clears(&self, entry: u32) -> bool {
        self.part.as_ref().is_none_or(|part| part.contains(&entry))
    }
    /// The reason that it is cleared for; `None` when a person wants it, whatever is known about it.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }
    /// Since when that has been seen.
    pub fn since(&self) -> Timestamp {
        self.since
    }
    /// The route.
    pub fn route(&self) -> Route {
        self.route
    }
    /// The neighbours for which this write tests whether they are to be believed again.
    pub fn probes(&self) -> &[Neighbour] {
        &self.probes
    }
    /// Whether clients still show it.
    pub fn is_shown(&self) -> bool {
        self.is_shown
    }
}

/// What holds for the whole sweep.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent condition with a line of its own")]
pub struct Circumstances<'a> {
    /// Paused by command.
    pub is_paused: bool,
    /// It is not known which room the settings exclude.
    pub exclusion_is_unknown: bool,
    /// The first full sync after the start is over.
    pub first_sync_is_over: bool,
    /// Our clock and the server's differ too much.
    pub clock_is_skewed: bool,
    /// The configured minimum age.
    pub minimum_age: Duration,
    /// Whether `device_gone` may be used against owners on other servers.
    pub remote_device_lists: bool,
    /// The breakers.
    pub breakers: &'a Breakers,
    /// The keys that came back.
    pub quarantine: &'a Quarantine,
    /// The neighbours that are being tested by a write that waits or is under way.
    pub probing: &'a [Neighbour],
    /// Now.
    pub now: Timestamp,
}

/// What one sweep would write, and what it holds back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In the order in which they are to be written.
    pub writes: Vec<PlannedWrite>,
    /// What is due and not written.
    pub held: Vec<(Candidate, HeldBack)>,
}

impl Plan {
    /// Decides for every candidate whether it may be written now.
    pub fn make(
        mut candidates: Vec<Candidate>,
        circumstances: Circumstances<'_>,
        mut budget: Budget,
    ) -> Self {
        candidates.retain(has_due);
        candidates.sort_by(by_rank);
        let mut plan = Self::default();
        let mut probed = circumstances.probing.to_vec();
        for candidate in candidates {
            match pass(&candidate, &circumstances, &probed)
                .and_then(|passed| passed.by(&candidate, candidate.route))
                .and_then(|write| budget.take(&candidate.room).map_err(HeldBack::Limit).map(|()| write))
            {
                Ok(write) => {
                    probed.extend(write.probes.iter().copied());
                    plan.writes.push(write);
                }
                Err(why) => plan.held.push((candidate, why)),
            }
        }
        plan
    }

    /// The rooms whose power has to be read to make a plan of these candidates: those in which something
    /// would be written if there was a route. What is held back by anything else costs no request.
    pub fn rooms_to_read(
        candidates: &[Candidate],
        circumstances: Circumstances<'_>,
        mut budget: Budget,
    ) -> BTreeSet<RoomId> {
        let mut candidates: Vec<_> = candidates.iter().filter(|candidate| has_due(candidate)).collect();
        candidates.sort_by(|a, b| by_rank(a, b));
        let mut rooms = BTreeSet::new();
        let mut probed = Vec::new();
        for candidate in candidates {
            let Ok(passed) = pass(candidate, &circumstances, &probed) else { continue };
            // What has no route takes nothing from the limits.
            if matches!(candidate.route, Some(Err(_))) || budget.take(&candidate.room).is_err() {
                continue;
            }
            if candidate.route.is_none() {
                rooms.insert(candidate.room.clone());
            }
            probed.extend(passed.probes);
        }
        rooms
    }
}

fn has_due(candidate: &Candidate) -> bool {
    candidate.entries.iter().flatten().any(|entry| !entry.due.is_empty())
}

/// What people see first; of that, what keeps a dead call ringing nobody.
fn by_rank(a: &Candidate, b: &Candidate) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| (&a.room, &a.key).cmp(&(&b.room, &b.key)))
}

fn rank(candidate: &Candidate) -> (bool, bool) {
    (!candidate.is_shown, !candidate.ends_call)
}

/// What is left of a candidate that no guard holds back.
struct Passed {
    due: Due,
    owners: Vec<Owner>,
    part: Option<Vec<u32>>,
    probes: Vec<Neighbour>,
}

impl Passed {
    /// The write, by the route that was found.
    fn by(
        self,
        candidate: &Candidate,
        route: Option<Result<Route, Blocked>>,
    ) -> Result<PlannedWrite, HeldBack> {
        let route = route.ok_or(HeldBack::RouteUnknown)?.map_err(HeldBack::NoRoute)?;
        Ok(PlannedWrite {
            room: candidate.room.clone(),
            key: candidate.key.clone(),
            event: candidate.event.clone(),
            owners: self.owners,
            part: self.part,
            reason: Some(self.due.reason),
            since: self.due.first,
            route,
            probes: self.probes,
            is_shown: candidate.is_shown,
        })
    }
}

/// All conditions that cost no request but the limits, one after the other.
fn pass(
    candidate: &Candidate,
    circumstances: &Circumstances<'_>,
    probed: &[Neighbour],
) -> Result<Passed, HeldBack> {
    refuse_if(circumstances.is_paused, HeldBack::Paused)?;
    refuse_if(circumstances.exclusion_is_unknown, HeldBack::ExclusionUnknown)?;
    refuse_if(candidate.is_excluded, HeldBack::Excluded)?;
    refuse_if(!circumstances.first_sync_is_over, HeldBack::FirstSync)?;
    let is_due = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| !entry.due.is_empty());
    let may_be_divided = candidate.may_be_divided();
    refuse_if(!may_be_divided && !candidate.entries.iter().all(is_due), HeldBack::OthersInEvent)?;
    let mut chosen: Option<Due> = None;
    let (mut tests, mut owners, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let mut first_refusal = None;
    for entry in candidate.entries.iter().flatten().filter(|entry| !entry.due.is_empty()) {
        let (due, probe) = match pass_entry(candidate, entry, circumstances, probed) {
            Ok(passed) => passed,
            // The others need not wait for it.
            Err(why) if may_be_divided => {
                first_refusal = first_refusal.or(Some(why));
                continue;
            }
            Err(why) => return Err(why),
        };
        // Should it come back, it is the word of a neighbour that was wrong, if one was needed.
        let rank = |due: Due| (due.reason.neighbour().is_none(), due.reason);
        if chosen.is_none_or(|other| rank(due) < rank(other)) {
            chosen = Some(due);
        }
        tests.extend(probe.filter(|probe| !tests.contains(probe)));
        owners.push(entry.owner.clone());
        places.push(entry.index);
    }
    let due = chosen.ok_or(first_refusal.unwrap_or(HeldBack::OthersInEvent))?;
    let part = (places.len() < candidate.entries.len()).then_some(places);
    Ok(Passed { due, owners, part, probes: tests })
}

/// The conditions on one entry; which of its reasons is acted on.
fn pass_entry(
    candidate: &Candidate,
    entry: &Entry,
    circumstances: &Circumstances<'_>,
    probed: &[Neighbour],
) -> Result<(Due, Option<Neighbour>), HeldBack> {
    let Circumstances { now, .. } = *circumstances;
    refuse_if(now.since(entry.last_sign) < circumstances.minimum_age, HeldBack::TooYoung)?;
    refuse_if(now.since(entry.expires) > LONG_EXPIRED, HeldBack::LongExpired)?;
    believable(candidate, entry, circumstances, probed)
}

/// The strongest due reason that may be acted on; else what holds the strongest one back.
fn believable(
    candidate: &Candidate,
    entry: &Entry,
    circumstances: &Circumstances<'_>,
    probed: &[Neighbour],
) -> Result<(Due, Option<Neighbour>), HeldBack> {
    let mut first_refusal = None;
    for due in &entry.due {
        match believe(candidate, entry, *due, circumstances, probed) {
            Ok(probe) => return Ok((*due, probe)),
            Err(why) => first_refusal = first_refusal.or(Some(why)),
        }
    }
    Err(first_refusal.unwrap_or(HeldBack::OthersInEvent))
}

fn believe(
    candidate: &Candidate,
    entry: &Entry,
    due: Due,
    circumstances: &Circumstances<'_>,
    probed: &[Neighbour],
) -> Result<Option<Neighbour>, HeldBack> {
    let Circumstances { breakers, quarantine, now, .. } = *circumstances;
    refuse_if(due.sightings < SIGHTINGS, HeldBack::OneSighting)?;
    refuse_if(!due.refreshed, HeldBack::NotRefreshed)?;
    let is_fresh = now.since(entry.last_sign) < SENT_EXPIRED;
    refuse_if(
        due.reason == Reason::Expired && entry.was_expired_when_sent && is_fresh,
        HeldBack::SentExpired,
    )?;
    refuse_if(circumstances.clock_is_skewed, HeldBack::ClockSkew)?;
    refuse_if(entry.sfu_is_silent && due.reason != Reason::NotJoined, HeldBack::SfuSilent)?;
    refuse_if(
        due.reason == Reason::DeviceGone && entry.is_remote && !circumstances.remote_device_lists,
        HeldBack::RemoteDeviceList,
    )?;
    let believed = quarantine.believes(&candidate.room, &candidate.key, due.reason, now);
    refuse_if(!believed, HeldBack::Quarantine)?;
    let Some(neighbour) = due.reason.neighbour() else { return Ok(None) };
    match breakers.passage(neighbour, now) {
        Passage::Free => Ok(None),
        Passage::Probe if !probed.contains(&neighbour) => Ok(Some(neighbour)),
        Passage::Probe | Passage::Barred => Err(HeldBack::Breaker(neighbour)),
    }
}

fn refuse_if(condition: bool, why: HeldBack) -> Result<(), HeldBack> {
    if condition { Err(why) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
