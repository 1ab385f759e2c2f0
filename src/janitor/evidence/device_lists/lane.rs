//! One way of asking for device lists: who is to be asked for when, and what waits for the answers of others.

use std::{collections::BTreeSet, time::Duration};

use rtc_janitor_core::{ids::UserId, time::Timestamp};

use crate::{
    janitor::evidence::source::Health,
    world::{
        NeighbourError,
        backoff::Backoff,
        device_lists::{DeviceAnswers, UnknownDevices},
    },
};

/// The least time between two questions: what arises meanwhile is put together.
pub(super) const GATHER: Duration = Duration::from_secs(1);

/// The pauses after no list could be had at all.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(5));

/// When a device has vanished, answers for this many users tell whether everybody's have.
const SAMPLE: usize = 100;

/// Fewer than one in so many of them: then it is those devices, and not the source. The breaker opens at half.
const ONE_IN: usize = 4;

/// Questions and answers of one way of asking.
#[derive(Debug)]
pub(super) struct Lane {
    /// How many users one question is about at most: so long does a new one wait.
    most: usize,
    /// Users whose lists are to be asked for soon.
    doubted: BTreeSet<UserId>,
    last_question: Option<Timestamp>,
    pub(super) health: Health,
    /// Why nobody was answered for when it was last asked, while that is so.
    pub(super) failure: Option<UnknownDevices>,
    /// By age: when each list was answered.
    ages: BTreeSet<(Timestamp, UserId)>,
    /// Whose lists are being asked for.
    asking: BTreeSet<UserId>,
    /// Answers that wait for those of others, see [`Self::together`].
    held: Option<Held>,
    /// Nothing is asked before this: nobody answered.
    not_before: Option<Timestamp>,
    pause: Backoff,
}

/// Answers among which a device has vanished.
#[derive(Debug)]
struct Held {
    /// When the first of them was asked for.
    asked: Timestamp,
    answers: DeviceAnswers,
    vanished: usize,
}

impl Lane {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            doubted: BTreeSet::new(),
            last_question: None,
            health: Health::default(),
            failure: None,
            ages: BTreeSet::new(),
            asking: BTreeSet::new(),
            held: None,
            not_before: None,
            pause: BACKOFF,
        }
    }

    /// A user's list is to be asked for soon.
    pub(super) fn doubt(&mut self, user: &UserId) {
        self.doubted.insert(user.clone());
    }

    /// Nothing of a user is open any more; `answered` is when the list was.
    pub(super) fn forget(&mut self, user: &UserId, answered: Option<Timestamp>) {
        self.doubted.remove(user);
        if let Some(at) = answered {
            self.ages.remove(&(at, user.clone()));
        }
    }

    /// Whether a user's list is being asked for, or soon will be.
    pub(super) fn is_expected(&self, user: &UserId) -> bool {
        self.doubted.contains(user) || self.asking.contains(user)
    }

    /// When there is something to ask: what is doubted, and what grows old.
    pub(super) fn next_question(&self, interval: Duration, now: Timestamp) -> Option<Timestamp> {
        if !self.asking.is_empty() {
            return None;
        }
        let gathered = self.last_question.map_or(now, |last| last + GATHER);
        let doubted = (!self.doubted.is_empty()).then_some(gathered);
        // More than can be asked for in an interval waits its turn.
        let old = self.ages.first().map(|(at, _)| (*at + interval).max(gathered));
        let at = [doubted, old].into_iter().flatten().min()?;
        Some(at.max(self.not_before.unwrap_or(at)))
    }

    /// Whose lists are to be asked for now, of those of whom something is open.
    pub(super) fn question(
        &mut self,
        interval: Duration,
        now: Timestamp,
        is_open: impl Fn(&UserId) -> bool,
    ) -> Option<BTreeSet<UserId>> {
        if self.next_question(interval, now).is_none_or(|at| at > now) {
            return None;
        }
        self.doubted.retain(is_open);
        let mut users: BTreeSet<_> = self.doubted.iter().take(self.most).cloned().collect();
        self.doubted.retain(|user| !users.contains(user));
        if self.ages.first().is_some_and(|(at, _)| *at + interval <= now) {
            let half_old = now - interval / 2;
            let old = self.ages.iter().take_while(|(at, _)| *at <= half_old).map(|(_, user)| user);
            let old: Vec<_> =
                old.filter(|user| !users.contains(*user)).take(self.most - users.len()).collect();
            users.extend(old.into_iter().cloned());
        }
        if users.is_empty() {
            return None;
        }
        self.asking.clone_from(&users);
        self.last_question = Some(now);
        Some(users)
    }

    /// Keeps answers until they can be taken in together. When a device vanished, others are asked before any of it
    /// counts: only when lists are looked at together does it show that everybody vanished, and the breaker can
    /// tell a wrong list from a dead device. Of very many a sample is enough to tell that it is not everybody.
    ///
    /// `vanished` of these answers lack a device that the one before did not lack; `all` are those of whom
    /// something is open.
    ///
    /// # Errors
    ///
    /// Whose lists are to be asked for first.
    pub(super) fn together<'a>(
        &mut self,
        answers: DeviceAnswers,
        vanished: usize,
        asked: Timestamp,
        all: impl Iterator<Item = &'a UserId>,
    ) -> Result<(Timestamp, DeviceAnswers), BTreeSet<UserId>> {
        let held = match self.held.take() {
            None if vanished == 0 => return Ok((asked, answers)),
            None => Held { asked, answers, vanished },
            // A device that joined while the first were on their way is younger than they are.
            Some(mut held) => {
                held.answers.extend(answers);
                Held { vanished: held.vanished + vanished, ..held }
            }
        };
        // Who was not answered for says nothing of whether the lists are right.
        let number = held.answers.values().filter(|answer| answer.is_ok()).count();
        if self.most < usize::MAX && number >= SAMPLE && held.vanished * ONE_IN < number {
            return Ok((held.asked, held.answers));
        }
        let others = all.filter(|user| !held.answers.contains_key(*user)).take(self.most);
        let others: BTreeSet<_> = others.cloned().collect();
        if others.is_empty() {
            return Ok((held.asked, held.answers));
        }
        self.held = Some(held);
        self.asking.extend(others.iter().cloned());
        Err(others)
    }

    /// All answers to a question are in; true when the source had been away for so long that it is not believed at
    /// once.
    pub(super) fn answered(&mut self, answers: &DeviceAnswers, now: Timestamp) -> bool {
        self.asking.clear();
        // One user's server may fail; the source fails when nobody was answered for.
        let failed = answers
            .values()
            .all(|answer| matches!(answer, Err(UnknownDevices::NoAnswer(_) | UnknownDevices::NotProven)));
        let was_away = if failed {
            self.health.failed(now);
            self.failure = answers.values().find_map(|answer| answer.clone().err());
            self.not_before = Some(now + self.pause.next());
            false
        } else {
            (self.not_before, self.pause, self.failure) = (None, BACKOFF, None);
            self.health.answered(now)
        };
        // A server that asks for patience gets it, whomever else it has answered for.
        let retry_after = answers.values().filter_map(|answer| match answer {
            Err(UnknownDevices::NoAnswer(NeighbourError::RateLimited { retry_after })) => Some(*retry_after),
            _ => None,
        });
        if let Some(pause) = retry_after.max() {
            self.not_before = self.not_before.max(Some(now + pause));
        }
        was_away
    }

    /// A list was taken in; `before` is when the one before was answered.
    pub(super) fn taken(&mut self, user: &UserId, before: Option<Timestamp>, asked: Timestamp) {
        if let Some(before) = before {
            self.ages.remove(&(before, user.clone()));
        }
        self.ages.insert((asked, user.clone()));
    }
}
