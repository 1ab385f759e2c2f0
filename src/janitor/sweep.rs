//! One pass: observe, judge, plan, act, report.

use std::{collections::BTreeMap, time::Duration};

use rtc_janitor_core::{
    guard::limits::Budget,
    ids::{RoomId, StateKey},
    judge::{
        policy::Neighbour,
        room::{Placed, gather},
        verdict::judge,
    },
    ledger::Subject,
    plan::{Candidate, Circumstances, Entry, HeldBack, Plan},
    render::report,
    rtc::membership::Membership,
    time::Timestamp,
};

use super::{Janitor, Judged, act::Errand, judged::Index, observe::RoomObservations, run::Stop};
use crate::world::journal::{Finding, FindingKind, JournalError};

/// By how much our clock and the server's may differ. `Date` counts whole seconds.
pub(super) const MOST_SKEW: Duration = Duration::from_secs(30);

/// How long a comparison of the clocks is good for.
const CLOCK_CHECK: Duration = Duration::from_mins(5);

/// The longest a sweep may be late before the time since the last one no longer counts: the process
/// was suspended, or the machine asleep.
const LATE: Duration = Duration::from_mins(2);

/// What a sweep came to.
#[derive(Clone, Debug, Default)]
pub struct SweepSummary {
    /// Every open membership, judged.
    pub judged: Vec<Judged>,
    /// What was held back, and why.
    pub held: Vec<(RoomId, StateKey, HeldBack)>,
}

/// How the clocks compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockCheck {
    at: Timestamp,
    is_skewed: bool,
}

impl Janitor {
    /// Looks at every open membership and does what is to be done about it.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or written. A neighbour that fails is no error: what it would
    /// have said is unknown.
    pub async fn sweep(&mut self, stop: &Stop) -> Result<SweepSummary, JournalError> {
        let summary = self.sweep_untold(stop).await?;
        self.speak()?;
        Ok(summary)
    }

    /// A sweep of which nobody is told yet: what it found waits in the journal.
    pub(super) async fn sweep_untold(&mut self, stop: &Stop) -> Result<SweepSummary, JournalError> {
        let now = self.now();
        let late = self.settings.sweep_interval + LATE;
        if self.last_look.is_some_and(|last| now.since(last) > late) && self.tracker.calls().next().is_some()
        {
            self.ledger.pause(None);
        }
        self.last_look = Some(now);
        self.turns.settle(now);
        if self.hold_writes_until.is_some_and(|until| now >= until) {
            // Somebody waits for an answer: that goes first where the server takes few events.
            self.hold_writes_until = self.answers_go_first().then(|| now + Duration::from_secs(1));
        }
        // Reading may be broken off at any time; only a write is always finished.
        let Some(settled) = stop.or(self.settle_open_intents()).await else {
            return Ok(SweepSummary::default());
        };
        if let Err(error) = settled? {
            tracing::warn!("the outcome of an earlier write is not known yet: {error}");
            self.ledger.pause(None);
            return Ok(SweepSummary::default());
        }
        for change in self.breakers.settle(now) {
            self.alarm(&report::breaker(&change, now), None, now)?;
        }
        let Some(observed) = stop.or(self.observe()).await else { return Ok(SweepSummary::default()) };
        observed?;
        let judged = self.judge_all();
        self.remember(&judged)?;
        let judged = self.with_deadlines(judged);
        let Some(plan) = stop.or(self.plan(&judged)).await else { return Ok(SweepSummary::default()) };
        let plan = plan?;
        self.journal_held(&plan, &judged)?;
        if !stop.is_set() && self.hold_writes_until.is_none() {
            let port = self.writer();
            self.act(&plan.writes, Errand::Sweep(&judged), &*port, stop).await?;
        }
        self.long_expired = plan.held.iter().filter(|(_, why)| *why == HeldBack::LongExpired).count();
        self.journal.save_breakers(&self.breakers)?;
        let held = plan.held.into_iter().map(|(c, why)| (c.room, c.key, why)).collect();
        Ok(SweepSummary { judged, held })
    }

    pub(super) fn judge_all(&self) -> Vec<Judged> {
        let now = self.now();
        let mut by_room: BTreeMap<RoomId, Vec<(Subject, &Membership)>> = BTreeMap::new();
        for (subject, membership) in self.subjects() {
            by_room.entry(subject.room.clone()).or_default().push((subject, membership));
        }
        let mut all = Vec::new();
        for (room, open) in by_room {
            let placed: Vec<_> =
                open.iter().map(|(subject, membership)| Placed { key: &subject.key, membership }).collect();
            let observations =
                RoomObservations { room: &room, observed: &self.observed, devices: &self.devices, now };
            let evidence = gather(&room, &placed, &observations, now);
            all.extend(open.into_iter().zip(evidence).map(|((subject, membership), evidence)| Judged {
                judgement: judge(membership, &evidence, &self.settings.policy, now),
                membership: membership.clone(),
                subject,
                evidence,
                due: Vec::new(),
                due_at: None,
            }));
        }
        all
    }

    /// Takes the judgements into the ledger and the breakers.
    pub(super) fn remember(&mut self, judged: &[Judged]) -> Result<(), JournalError> {
        let now = self.now();
        let (tracker, settings) = (&self.tracker, &self.settings);
        // Where nobody looks, no grace goes by.
        self.ledger.retain(|subject| {
            settings.covers(&subject.room) && tracker.is_open(&subject.room, &subject.key, &subject.event)
        });
        if self.observed.is_settling(Neighbour::Homeserver, now) {
            self.ledger.pause(None);
        } else {
            for one in judged {
                let at = self.observed.observed_at(&one.subject.room, &one.membership.owner, now);
                let policy = &self.settings.policy;
                self.ledger.observe(&one.subject, &one.judgement, at, |reason| {
                    policy.grace(reason, one.evidence.device)
                });
            }
        }
        self.journal.save_sightings(&self.ledger.take_changes())?;
        let owners = judged.iter().map(|one| (&one.membership.owner, &one.judgement));
        for change in self.breakers.observe(owners, &self.settings.breaker, now) {
            tracing::warn!(?change, "breaker");
            self.journal.save_breakers(&self.breakers)?;
            self.alarm(&report::breaker(&change, now), None, now)?;
        }
        Ok(())
    }

    pub(super) fn with_deadlines(&self, mut judged: Vec<Judged>) -> Vec<Judged> {
        let now = self.now();
        for one in &mut judged {
            one.due = self.ledger.due(&one.subject, now);
            one.due_at = self.ledger.due_at(&one.subject);
        }
        judged
    }

    async fn plan(&mut self, judged: &[Judged]) -> Result<Plan, JournalError> {
        let mut candidates = self.candidates(judged);
        if candidates.is_empty() {
            return Ok(Plan::default());
        }
        let clock_is_skewed = self.clock_is_skewed().await?;
        self.find_routes(&mut candidates).await;
        let budget = Budget::new(self.settings.limits, self.in_last_hour()?);
        Ok(Plan::make(candidates, self.circumstances(clock_is_skewed), budget))
    }

    /// How many keys were emptied in the last hour, or would have been.
    pub(crate) fn in_last_hour(&self) -> Result<u32, JournalError> {
        self.journal.count_since(self.writer().finding(), self.now() - Duration::from_hours(1))
    }

    pub(super) fn circumstances(&self, clock_is_skewed: bool) -> Circumstances<'_> {
        let now = self.now();
        Circumstances {
            is_paused: self.wishes.is_paused(now),
            first_sync_is_over: self.first_sync_is_over(),
            clock_is_skewed,
            minimum_age: self.settings.minimum_age,
            remote_device_lists: self.settings.remote_device_lists,
            breakers: &self.breakers,
            quarantine: &self.quarantine,
            now,
        }
    }

    /// Events with something due that was not dealt with before.
    fn candidates(&self, judged: &[Judged]) -> Vec<Candidate> {
        let now = self.now();
        let done = self.writer().finding();
        let mut candidates = self.due_candidates(judged);
        candidates.retain(|candidate| {
            let place = (candidate.room.clone(), candidate.key.clone());
            let waits = self.retry_at.get(&place).is_some_and(|(at, _)| now < *at);
            !waits && !self.dealt_with.contains(&(candidate.event.clone(), done))
        });
        candidates
    }

    /// Events with something due.
    pub(super) fn due_candidates(&self, judged: &[Judged]) -> Vec<Candidate> {
        let mut candidates = self.open_candidates(judged);
        candidates.retain(|candidate| candidate.entries.iter().flatten().any(|entry| !entry.due.is_empty()));
        candidates
    }

    /// Every open event, with what was concluded of it.
    pub(super) fn open_candidates(&self, judged: &[Judged]) -> Vec<Candidate> {
        let now = self.now();
        let index = Index::new(judged);
        let mut candidates = Vec::new();
        for (room, key, open) in self.tracker.open() {
            let event = &open.event.event_id;
            let about = index.about(room, event);
            if about.is_empty() {
                continue;
            }
            let entries = (0..open.entries.len())
                .map(|index| about.iter().find(|one| one.subject.entry as usize == index))
                .map(|one| one.map(|one| self.entry(one)))
                .collect();
            candidates.push(Candidate {
                room: room.clone(),
                key: key.clone(),
                event: event.clone(),
                entries,
                is_shown: about.iter().any(|one| one.membership.expires > now),
                ends_call: !about.iter().any(|one| index.has_life(one)),
                is_excluded: about.iter().any(|one| self.leaves_alone(one)),
                route: None,
            });
        }
        candidates
    }

    /// Whether the room or the owner is left alone by wish.
    pub(super) fn leaves_alone(&self, one: &Judged) -> bool {
        !self.settings.covers(&one.subject.room) || self.settings.leaves_alone(&one.membership.owner.user)
    }

    fn entry(&self, one: &Judged) -> Entry {
        let owner = &one.membership.owner;
        Entry {
            owner: owner.clone(),
            index: one.subject.entry,
            due: one.due.clone(),
            expires: one.membership.expires,
            last_sign: one.membership.last_sign,
            is_remote: owner.user.server_name() != self.settings.user_id.server_name(),
            sfu_is_silent: one.evidence.sfu == rtc_janitor_core::judge::evidence::Sfu::Unknown,
        }
    }

    /// Compares the clocks when the last comparison is old. Not being able to is reason to wait.
    pub(super) async fn clock_is_skewed(&mut self) -> Result<bool, JournalError> {
        let before = self.clock_check;
        let now = self.now();
        if let Some(check) = before.filter(|check| !check.is_skewed && now.since(check.at) < CLOCK_CHECK) {
            return Ok(check.is_skewed);
        }
        let theirs = match self.ports.rooms.server_time().await {
            Ok(theirs) => theirs,
            Err(error) => {
                tracing::warn!("the homeserver's clock could not be read: {error}");
                return Ok(true);
            }
        };
        let ours = self.now();
        let is_skewed = ours.since(theirs).max(theirs.since(ours)) > MOST_SKEW;
        self.clock_check = Some(ClockCheck { at: ours, is_skewed });
        let was_skewed = before.is_some_and(|check| check.is_skewed);
        if is_skewed && !was_skewed {
            self.say(&report::clock_skew(ours, theirs), None, ours)?;
        } else if was_skewed && !is_skewed {
            self.say(&report::clock_agrees(), None, ours)?;
        }
        Ok(is_skewed)
    }

    /// Notes what is due and cannot be cleared here, once, with what would help.
    fn journal_held(&mut self, plan: &Plan, judged: &[Judged]) -> Result<(), JournalError> {
        let now = self.now();
        let index = Index::new(judged);
        for (candidate, why) in &plan.held {
            tracing::debug!(room = %candidate.room, key = %candidate.key, ?why, "held back");
            let obstacle = match why {
                HeldBack::NoRoute(blocked) => report::obstacle(*blocked),
                HeldBack::RemoteDeviceList => report::remote_device_list(),
                _ => continue,
            };
            let about = index.about(&candidate.room, &candidate.event);
            let details = Self::details_of(about, None, Some(obstacle));
            self.has_more_to_say |= self.journal.find(&Finding {
                room: candidate.room.clone(),
                key: candidate.key.clone(),
                event: candidate.event.clone(),
                kind: FindingKind::Blocked,
                at: now,
                details,
            })?;
        }
        Ok(())
    }

    /// When to look again if nothing happens; while nobody is in a call, only for what is left to be
    /// found out and said.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        let now = self.now();
        let regular = self.last_look.map_or(now, |last| last + self.settings.sweep_interval);
        if self.tracker.calls().next().is_none() {
            let unsettled = self.is_unsettled.then_some(regular);
            let others = [unsettled, self.held_until(), self.breakers.next_change(now)];
            return others.into_iter().flatten().min();
        }
        let others = [
            self.ledger.next_due(now),
            self.breakers.next_change(now),
            self.held_until(),
            self.observed.next_device_check(self.settings.device_check_interval),
            self.observed.settles_at(now),
        ];
        others.into_iter().flatten().chain([regular]).min()
    }
}
