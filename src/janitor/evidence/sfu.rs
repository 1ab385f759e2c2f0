//! Our own SFU: who is connected to it, by name of its rooms.
//!
//! It is asked for all names at once, and only while somebody may be in a call there. An SFU that has just
//! been restarted lists nobody, as if all had left, until its clients come back by themselves: so when all are
//! gone at once, nothing counts against anybody until it lists somebody again or five minutes have passed.

mod names;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rtc_janitor_core::{
    ids::{RoomId, StateKey},
    judge::room::SfuRoom,
    rtc::membership::Membership,
    time::Timestamp,
};

pub(in crate::janitor) use names::{Proofs, SfuNames};

use super::source::Health;
use crate::world::{
    backoff::Backoff,
    journal::SfuMemory,
    livekit::{
        SfuError, SfuRoomView, SfuView,
        webhook::{Departure, Departures},
    },
};

/// The least time between two questions: what arises meanwhile is put together.
const GATHER: Duration = Duration::from_secs(1);

/// A question is put off by so many times what the last one took: however much happens there, the SFU has most of
/// its time for itself.
const REST: u32 = 9;

/// While somebody is connected it is asked at least this often. A room that the last one has left is still
/// listed for 20 s (LiveKit's `departure_timeout`), which tells it from one that went with a restart.
const WHILE_LISTED: Duration = Duration::from_secs(15);

/// For how long nobody counts as absent after a restart.
const RESTART: Duration = Duration::from_mins(5);

/// For how long it may be away before people are told.
const TOLD_AFTER: Duration = Duration::from_mins(2);

/// Between answers that are further apart nobody knows when somebody left.
const IN_STEP: Duration = Duration::from_mins(2);

/// Its webhooks tell times without fractions.
const WHOLE_SECONDS: Duration = Duration::from_secs(1);

/// The pauses after it did not answer.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(1));

/// The last answer.
#[derive(Debug)]
struct Answer {
    /// When it was asked for.
    at: Timestamp,
    /// All names that were asked for, with the Matrix room that each is of.
    names: BTreeMap<String, RoomId>,
    view: SfuView,
}

impl Answer {
    /// What it says of the rooms that were asked for again in another one: calls that have ended meanwhile say
    /// nothing of the SFU.
    fn among(&self, other: &Self) -> impl Iterator<Item = (&String, &SfuRoomView)> {
        self.view.iter().filter(|(name, _)| other.names.contains_key(*name))
    }

    /// Who is connected, with the Matrix room whose call it is, under whatever name.
    fn listed(&self) -> impl Iterator<Item = (&RoomId, &String)> {
        let rooms = self.view.iter().filter_map(|(name, room)| Some((self.names.get(name)?, room)));
        rooms.flat_map(|(id, room)| room.participants.identities.iter().map(move |identity| (id, identity)))
    }

    /// Whether anybody is connected; recorders, agents and phones are nobody.
    fn has_people(&self) -> bool {
        self.view.values().any(has_people)
    }
}

fn has_people(room: &SfuRoomView) -> bool {
    room.participants.identities.difference(&room.participants.machines).next().is_some()
}

/// What came of taking an answer in.
#[derive(Debug, Default)]
pub(in crate::janitor) struct SfuTaken {
    /// Matrix rooms of which it says something else than before.
    pub(in crate::janitor) changed: BTreeSet<RoomId>,
    /// Matrix rooms in whose calls somebody is connected.
    pub(in crate::janitor) live: BTreeSet<RoomId>,
    /// Every grace by its word is to begin anew: it was away, or has restarted.
    pub(in crate::janitor) begins_anew: bool,
    /// It has answered again after people were told that it does not.
    pub(in crate::janitor) is_back: bool,
    /// What people are to be told: why it does not answer.
    pub(in crate::janitor) tell: Option<SfuError>,
    /// Nobody is believed to be absent for a while: it looks as if it had been restarted.
    pub(in crate::janitor) has_restarted: bool,
    /// Whom of which Matrix room's call it listed before and does not list now, and when they went, by all that
    /// is known.
    pub(in crate::janitor) gone: BTreeMap<(RoomId, String), Timestamp>,
}

/// What our SFU says.
#[derive(Debug)]
pub(in crate::janitor) struct SfuEvidence {
    pub(in crate::janitor) names: SfuNames,
    interval: Duration,
    answer: Option<Answer>,
    /// Why it did not answer last, when that began, and whether people were told.
    failure: Option<(SfuError, Timestamp, bool)>,
    health: Health,
    is_asking: bool,
    /// It is to be asked soon.
    is_doubted: bool,
    /// Nobody may be in a call there.
    is_idle: bool,
    last_question: Option<Timestamp>,
    /// How long the last answer took.
    took: Duration,
    /// When those left who, by its webhooks, have since the last answer; of those that it listed.
    announced: Departures,
    /// Nothing is asked before this.
    not_before: Option<Timestamp>,
    pause: Backoff,
    /// How often somebody whom it did not list was alive, since the last outage.
    returns: usize,
    /// After a restart: until when nobody is absent.
    doubtful_until: Option<Timestamp>,
    /// Who is listed in which room and was not by the answer before.
    appeared: BTreeSet<(String, String)>,
    /// Memberships that it has listed, by where they stand and when they began.
    seen: HashMap<(RoomId, StateKey), BTreeSet<Timestamp>>,
}

impl SfuEvidence {
    /// `memory` is what earlier starts learned of this SFU.
    pub(in crate::janitor) fn new(
        service_urls: BTreeSet<String>,
        interval: Duration,
        memory: SfuMemory,
    ) -> Self {
        let SfuMemory { seen: known, services, recipes } = memory;
        let mut seen: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (room, key, start) in known {
            seen.entry((room, key)).or_default().insert(start);
        }
        Self {
            names: SfuNames::new(service_urls, services, recipes),
            interval,
            answer: None,
            failure: None,
            health: Health::default(),
            is_asking: false,
            is_doubted: true,
            is_idle: false,
            last_question: None,
            took: Duration::ZERO,
            announced: Departures::new(),
            not_before: None,
            pause: BACKOFF,
            returns: 0,
            doubtful_until: None,
            appeared: BTreeSet::new(),
            seen,
        }
    }

    pub(in crate::janitor) fn health(&self) -> &Health {
        &self.health
    }

    /// Why it does not answer, while it does not.
    pub(in crate::janitor) fn failure(&self) -> Option<&SfuError> {
        self.failure.as_ref().map(|(error, ..)| error)
    }

    /// When the last answer was asked for.
    pub(in crate::janitor) fn observed_at(&self) -> Option<Timestamp> {
        self.answer.as_ref().map(|answer| answer.at)
    }

    /// Until when nobody counts as absent, after a restart or a long gap.
    pub(super) fn settles_at(&self, now: Timestamp) -> Option<Timestamp> {
        let doubtful = self.doubtful_until.filter(|until| now < *until);
        doubtful.max(self.health.settles_at(now))
    }

    /// It is to be asked soon.
    pub(in crate::janitor) fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// Something is open that was not: the next question asks for it, and that is soon where there was none.
    pub(in crate::janitor) fn opened(&mut self) {
        self.is_doubted |= self.is_idle;
    }

    /// When it is to be asked next.
    pub(in crate::janitor) fn next_question(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_asking || (self.is_idle && !self.is_doubted) {
            return None;
        }
        let is_anybody_there = self.answer.as_ref().is_some_and(Answer::has_people);
        let interval = if is_anybody_there { self.interval.min(WHILE_LISTED) } else { self.interval };
        let soon = GATHER.max(self.took * REST).min(interval);
        let pause = if self.is_doubted { soon } else { interval };
        let at = self.last_question.map_or(now, |last| last + pause);
        Some(at.max(self.not_before.unwrap_or(at)))
    }

    /// It tells by webhook who has left. That proves nothing: whoever it listed is looked for at once. Returns how many
    /// those are.
    pub(in crate::janitor) fn announced(&mut self, departures: Departures) -> usize {
        let Some(answer) = &self.answer else { return 0 };
        let is_listed = |departure: &Departure| {
            let room = answer.view.get(&departure.sfu_room);
            room.is_some_and(|room| room.participants.identities.contains(&departure.identity))
        };
        let listed: Vec<_> = departures.into_iter().filter(|(departure, _)| is_listed(departure)).collect();
        self.is_doubted |= !listed.is_empty();
        let count = listed.len();
        self.announced.extend(listed);
        count
    }

    /// It is being asked; without any names there is nothing to ask for.
    pub(in crate::janitor) fn is_asked(&mut self, has_names: bool, now: Timestamp) {
        self.is_doubted = false;
        self.is_idle = !has_names;
        self.is_asking = has_names;
        self.last_question = Some(now);
        if !has_names {
            // Nothing of it is known any more when somebody calls again, neither how it was.
            (self.answer, self.failure, self.health) = (None, None, Health::default());
            (self.not_before, self.pause) = (None, BACKOFF);
            self.announced.clear();
        }
    }

    /// Takes an answer in, with what was asked for and when.
    pub(in crate::janitor) fn take_in(
        &mut self,
        names: BTreeMap<String, RoomId>,
        answer: Result<SfuView, SfuError>,
        asked: Timestamp,
        now: Timestamp,
    ) -> SfuTaken {
        self.is_asking = false;
        self.took = now.since(asked);
        let taken = match answer {
            Ok(view) => self.answered(Answer { at: asked, names, view }, now),
            Err(error) => self.failed(error, now),
        };
        if taken.begins_anew {
            self.returns = 0;
        }
        taken
    }

    fn failed(&mut self, error: SfuError, now: Timestamp) -> SfuTaken {
        self.health.failed(now);
        self.announced.clear();
        let pause = match &error {
            SfuError::RateLimited { retry_after } => *retry_after,
            _ => self.pause.next(),
        };
        self.not_before = Some(now + pause);
        let (since, was_told) =
            self.failure.as_ref().map_or((now, false), |(_, since, was_told)| (*since, *was_told));
        let is_told = error.needs_person() || now.since(since) >= TOLD_AFTER;
        let tell = (is_told && !was_told).then(|| error.clone());
        let begins_anew = self.failure.is_none();
        self.failure = Some((error, since, was_told || is_told));
        SfuTaken { begins_anew, tell, ..SfuTaken::default() }
    }

    fn answered(&mut self, answer: Answer, now: Timestamp) -> SfuTaken {
        let was_away = self.failure.take();
        let was_there = was_away.is_none();
        self.health.answered(now);
        (self.not_before, self.pause) = (None, BACKOFF);
        let mut taken =
            SfuTaken { is_back: was_away.is_some_and(|(.., was_told)| was_told), ..SfuTaken::default() };
        let is_anybody_there = answer.has_people();
        let all_are_gone = !is_anybody_there
            && match &self.answer {
                Some(before) => {
                    before.among(&answer).any(|(_, room)| has_people(room))
                        && !is_emptied_by_leaving(before, &answer)
                }
                // It may have been restarted together with the janitor, or while that was away.
                None => !self.seen.is_empty(),
            };
        if all_are_gone {
            taken.begins_anew = self.doubtful_until.is_none();
            taken.has_restarted = true;
            self.doubtful_until = Some(now + RESTART);
            tracing::warn!("everybody is gone from the call server at once: taken for a restart of it");
        } else if is_anybody_there {
            self.doubtful_until = None;
        }
        // While it was away anything may have happened, and after a restart all seem to go.
        let before = self.answer.as_ref();
        let is_in_step = before.is_some_and(|before| answer.at.since(before.at) <= IN_STEP);
        let tells_who_left = was_there && is_in_step && self.doubtful_until.is_none();
        let listed: BTreeSet<_> = answer.listed().collect();
        self.appeared.clear();
        for (name, room) in &answer.names {
            let there = answer.view.get(name).map(|room| &room.participants);
            let was_asked = before.is_some_and(|before| before.names.contains_key(name));
            let before = before.and_then(|before| before.view.get(name)).map(|room| &room.participants);
            if !was_asked || there != before {
                taken.changed.insert(room.clone());
            }
            let before_them = before.iter().flat_map(|before| &before.identities);
            let is_listed = |identity: &String| listed.contains(&(room, identity));
            for identity in before_them.filter(|identity| tells_who_left && !is_listed(identity)) {
                let departure = Departure { sfu_room: name.clone(), identity: identity.clone() };
                let at = self.announced.get(&departure).copied().unwrap_or(answer.at);
                taken.gone.insert((room.clone(), departure.identity), at);
            }
            for identity in there.iter().flat_map(|there| &there.identities) {
                taken.live.insert(room.clone());
                if was_asked && before.is_none_or(|before| !before.identities.contains(identity)) {
                    self.appeared.insert((name.clone(), identity.clone()));
                }
            }
        }
        // Who left while it was being asked may be in the answer.
        self.announced.retain(|_, at| *at + WHOLE_SECONDS >= answer.at);
        self.answer = Some(answer);
        taken
    }

    /// Who is connected to a room of this name.
    pub(super) fn room(&self, name: &str, now: Timestamp) -> SfuRoom {
        let Some(answer) = self.answer.as_ref().filter(|_| self.failure.is_none()) else {
            return SfuRoom::Unknown;
        };
        if !answer.names.contains_key(name) {
            return SfuRoom::Unknown;
        }
        let participants = answer.view.get(name).map(|room| room.participants.clone()).unwrap_or_default();
        if self.settles_at(now).is_some() {
            SfuRoom::AtLeast(participants)
        } else {
            SfuRoom::Participants(participants)
        }
    }

    /// Whether somebody was listed in a call of a Matrix room by the last answer.
    pub(in crate::janitor) fn lists(&self, room: &RoomId, identity: &str) -> bool {
        let mut listed = self.answer.iter().flat_map(Answer::listed);
        listed.any(|(of, listed)| of == room && listed == identity)
    }

    /// When somebody has left a call of a Matrix room since the last answer, by the SFU's webhooks.
    pub(in crate::janitor) fn announced_at(&self, room: &RoomId, identity: &str) -> Option<Timestamp> {
        let names = &self.answer.as_ref()?.names;
        let mut announced = self.announced.iter();
        let (_, at) = announced.find(|(departure, _)| {
            departure.identity == identity && names.get(&departure.sfu_room) == Some(room)
        })?;
        Some(*at)
    }

    /// By which names of its rooms somebody is listed.
    pub(in crate::janitor) fn rooms_with<'a>(&'a self, identity: &'a str) -> impl Iterator<Item = &'a str> {
        let view = self.answer.iter().flat_map(|answer| &answer.view);
        view.filter(move |(_, room)| room.participants.identities.contains(identity))
            .map(|(name, _)| name.as_str())
    }

    /// Whether somebody has come into a room of this name since the answer before.
    pub(in crate::janitor) fn has_appeared(&self, name: &str, identity: &str) -> bool {
        self.appeared.contains(&(name.to_owned(), identity.to_owned()))
    }

    /// Notes that it lists a membership; true when that is new.
    pub(in crate::janitor) fn saw(&mut self, room: &RoomId, key: &StateKey, membership: &Membership) -> bool {
        self.seen.entry((room.clone(), key.clone())).or_default().insert(membership.start)
    }

    /// Whether it has ever listed this very membership; a refresh makes no new one.
    pub(in crate::janitor) fn has_seen(
        &self,
        room: &RoomId,
        key: &StateKey,
        membership: &Membership,
    ) -> bool {
        let seen = self.seen.get(&(room.clone(), key.clone()));
        seen.is_some_and(|starts| starts.contains(&membership.start))
    }

    /// Notes that somebody was alive whom it did not list; true for the first after each outage of it, for which
    /// people are told what helps.
    pub(in crate::janitor) fn is_first_return(&mut self) -> bool {
        self.returns += 1;
        self.returns == 1
    }

    /// Forgets what was seen of a key: nothing is open there any more.
    pub(in crate::janitor) fn forget_key(&mut self, room: &RoomId, key: &StateKey) {
        self.seen.remove(&(room.clone(), key.clone()));
    }
}

/// Whether a room that somebody was in is still there, the very same and with nobody in it: then they have
/// left. After a restart there is no room, or another one.
fn is_emptied_by_leaving(before: &Answer, now: &Answer) -> bool {
    let mut occupied = before.among(now).filter(|(_, room)| has_people(room));
    occupied.any(|(name, room)| now.view.get(name).is_some_and(|now| now.sid == room.sid))
}

#[cfg(test)]
mod tests;
