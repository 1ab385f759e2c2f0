//! One look at some rooms or at all: judge, remember, plan. It asks for nothing itself; what it misses is
//! marked as wanted, and the rooms that wait for it are looked at again when it has come.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use rtc_janitor_core::{
    finding::Row,
    guard::limits::{Budget, Used},
    ids::{RoomId, StateKey},
    judge::{
        evidence::Sfu,
        policy::{Neighbour, Reason},
        room::{Placed, gather},
        verdict::judge,
    },
    ledger::Subject,
    plan::{Circumstances, HeldBack, Plan, PlannedWrite, clears_at},
    render::report,
    rtc::{membership::Membership, power::Blocked},
    time::Timestamp,
};
use tokio::time::Instant;

use super::{Index, Judged, Outgoing, Scope, Trigger, naming_reason};
use crate::{
    janitor::{
        Janitor,
        evidence::{RoomObservations, SfuEvidence},
        reads::{Read, Urgency},
    },
    world::journal::{Finding, FindingKind, JournalError},
};

/// What a sweep came to.
#[derive(Clone, Debug, Default)]
pub struct SweepSummary {
    /// Every membership that was looked at, judged.
    pub judged: Vec<Judged>,
    /// What was held back, and why.
    pub held: Vec<(RoomId, StateKey, HeldBack)>,
    /// How many writes it put in the queue.
    pub planned: usize,
}

/// How long after its membership a client may need to be on the SFU; seen were up to 8.5 s.
const REACHES_SFU: Duration = Duration::from_secs(20);

impl Janitor {
    /// Looks at `scope`, and puts what is to be done about it into the queue of writes.
    pub(in crate::janitor) fn look(&mut self, scope: &Scope) -> Result<SweepSummary, JournalError> {
        let now = self.now();
        let began = Instant::now();
        let only = match scope {
            Scope::All => None,
            Scope::Rooms(rooms) => Some(rooms),
        };
        for change in self.sweep.breakers.settle(now) {
            self.alarm(&report::breaker(&change, &self.settings.command_prefix, now), None)?;
        }
        if only.is_none() {
            self.want_views_of_hearsay();
        }
        let judged = self.judge(only);
        self.remember(&judged, only)?;
        let judged = self.with_deadlines(judged);
        self.sweep.keep(&judged);
        self.refresh_what_is_due(&judged);
        let (plan, outgoing) = self.plan(&judged, only)?;
        self.journal_held(&plan, &judged)?;
        self.count_long_expired(&plan, only);
        let held = plan.held.into_iter().map(|(c, why)| (c.room, c.key, why)).collect();
        let planned = outgoing.len();
        self.writes.replan(only, outgoing);
        let verdicts = judged.iter().map(|one| (&one.subject.room, one.judgement.verdict));
        self.sweep.tally.take_in(only, verdicts);
        self.ports.metrics.swept(began.elapsed());
        Ok(SweepSummary { judged, held, planned })
    }

    /// Judges what is open in some rooms, or in all, by what is known now.
    pub(in crate::janitor) fn judge(&self, only: Option<&BTreeSet<RoomId>>) -> Vec<Judged> {
        let now = self.now();
        let with_calls = self.memory.with_calls();
        let mut all = Vec::new();
        for room in only.unwrap_or(with_calls).iter().filter(|room| with_calls.contains(*room)) {
            if !self.settings.looks_at(room) {
                continue;
            }
            let open: Vec<_> = self.subjects_of(room).collect();
            let placed: Vec<_> =
                open.iter().map(|(subject, membership)| Placed { key: &subject.key, membership }).collect();
            let observations =
                RoomObservations { room, evidence: &self.evidence, settings: &self.settings, now };
            let evidence = gather(room, &placed, &observations, now);
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

    pub(in crate::janitor) fn subjects_of<'a>(
        &'a self,
        room: &'a RoomId,
    ) -> impl Iterator<Item = (Subject, &'a Membership)> {
        let keys = self.memory.keys(room).into_iter().flatten();
        keys.flat_map(move |(key, open)| {
            open.entries.iter().enumerate().filter_map(move |(index, entry)| {
                let subject = Subject {
                    room: room.clone(),
                    key: key.clone(),
                    event: open.event_id.clone(),
                    entry: u32::try_from(index).unwrap_or(u32::MAX),
                };
                entry.as_ref().ok().map(|membership| (subject, membership))
            })
        })
    }

    /// Has the rooms with calls read that are known by sync alone.
    fn want_views_of_hearsay(&mut self) {
        let hearsay: Vec<_> =
            self.memory.with_calls().iter().filter(|room| !self.memory.may_judge(room)).cloned().collect();
        for room in hearsay {
            self.want_view(&room);
        }
    }

    /// Takes the judgements into the ledger and the breakers. In a room that is known by hearsay alone
    /// nothing is seen.
    fn remember(&mut self, judged: &[Judged], only: Option<&BTreeSet<RoomId>>) -> Result<(), JournalError> {
        let now = self.now();
        if only.is_none() {
            // In rooms that are not looked at any more, no grace runs.
            let (memory, settings) = (&self.memory, &self.settings);
            self.sweep.ledger.retain(|subject| {
                settings.covers(&subject.room) && memory.is_open(&subject.room, &subject.key, &subject.event)
            });
        }
        if self.evidence.homeserver.is_settling(now) || self.evidence.homeserver.is_away() {
            self.sweep.ledger.pause(None);
        } else {
            for judged in judged.iter().filter(|judged| self.memory.may_judge(&judged.subject.room)) {
                let at = self.evidence.observed_at(&judged.subject.room, &judged.membership.owner, now);
                let policy = &self.settings.policy;
                self.sweep.ledger.observe(&judged.subject, &judged.judgement, at, |reason| {
                    policy.grace(reason, judged.evidence.device)
                });
            }
        }
        self.journal.save_sightings(&self.sweep.ledger.take_changes())?;
        let lists = &self.evidence.lists;
        let owners = judged.iter().map(|judged| {
            let owner = &judged.membership.owner;
            (owner, lists.way(&owner.user), &judged.judgement)
        });
        for change in self.sweep.breakers.observe_judged(owners, &self.settings.breaker, now) {
            let message = report::breaker(&change, &self.settings.command_prefix, now);
            tracing::warn!("{}", message.plain.replace('\n', " "));
            // What waits was planned while its word was believed.
            self.writes.withdraw(|_, outgoing| outgoing.is_of_sweep());
            self.sweep.mark_all();
            self.alarm(&message, None)?;
        }
        Ok(())
    }

    pub(in crate::janitor) fn with_deadlines(&self, mut judged: Vec<Judged>) -> Vec<Judged> {
        let (now, minimum_age) = (self.now(), self.settings.minimum_age);
        let mut of_events: HashMap<_, Timestamp> = HashMap::new();
        for judged in &mut judged {
            judged.due = self.sweep.ledger.due(&judged.subject, now);
            let ends = self.sweep.ledger.ends(&judged.subject);
            let clears = ends.map(|(reason, at)| clears_at(&judged.membership, reason, at, minimum_age));
            judged.due_at = clears.min();
            if let Some(at) = judged.due_at {
                let of_event = of_events.entry(judged.subject.event.clone()).or_insert(at);
                *of_event = at.max(*of_event);
            }
        }
        // An event goes as a whole.
        for judged in judged.iter_mut().filter(|judged| judged.due_at.is_some()) {
            judged.due_at = of_events.get(&judged.subject.event).copied();
        }
        judged
    }

    /// Has asked anew what something that is due rests on: only what still says so after its grace counts.
    fn refresh_what_is_due(&mut self, judged: &[Judged]) {
        for judged in judged {
            let (room, user) = (&judged.subject.room, &judged.membership.owner.user);
            for due in judged.due.iter().filter(|due| !due.refreshed) {
                match due.reason.neighbour() {
                    Some(Neighbour::Homeserver) => {
                        self.reads.want(Read::Member(room.clone(), user.clone()), Urgency::Due);
                    }
                    Some(Neighbour::DeviceLists) => self.evidence.lists.doubt(user),
                    Some(Neighbour::Sfu) => self.evidence.sfu.iter_mut().for_each(SfuEvidence::doubt),
                    None => {}
                }
            }
            let is_old = !judged.due.is_empty() && self.sfu_answer_is_old(judged);
            let Some(sfu) = &mut self.evidence.sfu else { continue };
            match judged.evidence.sfu {
                _ if is_old => sfu.doubt(),
                // It is not asked about this one so far.
                Sfu::Unknown => sfu.opened(),
                // Whether that means anything can be found out, once whoever joins a call has reached the SFU.
                Sfu::Absent { counts: false }
                    if sfu.observed_at() > Some(judged.membership.last_sign + REACHES_SFU) =>
                {
                    sfu.names.want(judged.membership.start);
                }
                Sfu::Absent { .. } | Sfu::Listed | Sfu::NotOurs => {}
            }
        }
    }

    /// What may be written, and what is held back. Guards that cost nothing come first: power levels are
    /// read only for what would be written.
    fn plan(
        &mut self,
        judged: &[Judged],
        only: Option<&BTreeSet<RoomId>>,
    ) -> Result<(Plan, Vec<Outgoing>), JournalError> {
        let now = self.now();
        let index = Index::new(judged);
        let mut candidates = self.candidates(judged, &index);
        if candidates.is_empty() {
            return Ok((Plan::default(), Vec::new()));
        }
        if self.sweep.wants_clock(now) {
            self.reads.want(Read::Clock, Urgency::Due);
        }
        let mut unread = BTreeSet::new();
        for candidate in &mut candidates {
            candidate.route = self.route(&candidate.room, &candidate.key).or_else(|| {
                unread.insert(candidate.room.clone());
                Some(Ok(self.assumed_route(candidate)))
            });
        }
        let budget = self.budget(only)?;
        let mut probing = self.writes.probing(only);
        // What came of a probe must be known before there is another.
        probing.extend(self.unsettled.values().filter_map(|write| write.reason?.neighbour()));
        let circumstances = Circumstances { probing: &probing, ..self.circumstances() };
        let mut plan = Plan::make(candidates.clone(), circumstances, budget);
        let unread_writes: BTreeSet<_> = plan
            .writes
            .iter()
            .filter(|write| unread.contains(write.room()))
            .map(|write| write.event().clone())
            .collect();
        for room in plan.writes.iter().map(PlannedWrite::room) {
            if unread.contains(room) {
                self.reads.want(Read::Power(room.clone()), Urgency::Due);
            }
        }
        plan.writes.retain(|write| !unread_writes.contains(write.event()));
        let unread = candidates.into_iter().filter(|candidate| unread_writes.contains(&candidate.event));
        plan.held.extend(unread.map(|candidate| (candidate, HeldBack::RouteUnknown)));
        for (candidate, why) in &plan.held {
            tracing::debug!(room = %candidate.room, key = %candidate.key, ?why, "held back");
            if matches!(
                why,
                HeldBack::RouteUnknown | HeldBack::ClockSkew | HeldBack::NotRefreshed | HeldBack::SfuSilent
            ) {
                self.sweep.waiting.insert(candidate.room.clone());
            }
            if why.is_age()
                && let Some(at) = why.may_end(candidate, &self.circumstances())
            {
                self.sweep.look_again(&candidate.room, at);
            }
        }
        let outgoing = self.outgoing(&plan, &index);
        Ok((plan, outgoing))
    }

    fn outgoing(&self, plan: &Plan, index: &Index<'_>) -> Vec<Outgoing> {
        let kind = self.finding_kind();
        let writes = plan.writes.iter().filter_map(|write| {
            let judged = index.for_event(write.room(), write.event());
            let cleared: Vec<_> =
                judged.iter().copied().filter(|judged| write.clears(judged.subject.entry)).collect();
            let row = row_for(&cleared, write.reason()?, None)?;
            let row = Row { since: write.since(), route: Some(write.route()), ..row };
            Some(Outgoing {
                write: write.clone(),
                trigger: Trigger::Sweep { kind, row },
                evidence: judged.iter().map(|judged| judged.evidence_json()).collect(),
            })
        });
        writes.collect()
    }

    /// What is left of the limits. What waits or is under way counts before it is made.
    pub(in crate::janitor) fn budget(&self, only: Option<&BTreeSet<RoomId>>) -> Result<Budget, JournalError> {
        let now = self.now();
        let kind = self.finding_kind();
        let in_hour = self.journal.count_since(kind, now - Duration::from_hours(1))?;
        let (in_interval, by_room) = self.journal.counts_since(kind, now - self.settings.sweep_interval)?;
        let mut used = Used { in_hour, in_interval, in_interval_by_room: by_room };
        for (room, number) in self.writes.pending(only) {
            used.in_hour += number;
            used.in_interval += number;
            *used.in_interval_by_room.entry(room).or_default() += number;
        }
        Ok(Budget::new(self.settings.limits, used))
    }

    pub(in crate::janitor) fn circumstances(&self) -> Circumstances<'_> {
        let now = self.now();
        Circumstances {
            is_paused: self.overrides.is_paused(now),
            exclusion_is_unknown: self.settings.writes_forbidden_because().is_some(),
            first_sync_is_over: self.first_sync_is_over(),
            clock_is_skewed: !self.sweep.clocks_agree(now),
            minimum_age: self.settings.minimum_age,
            remote_device_lists: self.settings.remote_device_lists,
            breakers: &self.sweep.breakers,
            quarantine: &self.sweep.quarantine,
            probing: &[],
            now,
        }
    }

    /// Notes what is due and cannot be cleared here, once, with what would help.
    fn journal_held(&mut self, plan: &Plan, judged: &[Judged]) -> Result<(), JournalError> {
        let now = self.now();
        let index = Index::new(judged);
        for (candidate, why) in &plan.held {
            let obstacle = match why {
                // That is told of all of them at once.
                HeldBack::NoRoute(Blocked::AppserviceAway) => continue,
                HeldBack::NoRoute(blocked) => report::obstacle(*blocked),
                HeldBack::RemoteDeviceList => report::remote_device_list(),
                _ => continue,
            };
            if self.sweep.dealt_with.contains(&(candidate.event.clone(), FindingKind::Blocked)) {
                continue;
            }
            let judged = index.for_event(&candidate.room, &candidate.event);
            let row = naming_reason(judged).and_then(|reason| row_for(judged, reason, Some(obstacle)));
            let Some(row) = row else { continue };
            self.sweep.is_dealt_with(&candidate.event, FindingKind::Blocked);
            let is_new = self.journal.find(&Finding {
                room: candidate.room.clone(),
                key: candidate.key.clone(),
                event: candidate.event.clone(),
                kind: FindingKind::Blocked,
                at: now,
                row,
            })?;
            self.voice.has_more_to_say(is_new);
        }
        Ok(())
    }

    fn count_long_expired(&mut self, plan: &Plan, only: Option<&BTreeSet<RoomId>>) {
        let counts = &mut self.sweep.long_expired;
        match only {
            None => counts.clear(),
            Some(rooms) => counts.retain(|room, _| !rooms.contains(room)),
        }
        for (candidate, _) in plan.held.iter().filter(|(_, why)| *why == HeldBack::LongExpired) {
            *counts.entry(candidate.room.clone()).or_default() += 1;
        }
    }
}

/// A line of a report about one event; `None` where nothing is due.
fn row_for(judged: &[&Judged], reason: Reason, obstacle: Option<String>) -> Option<Row> {
    let first = judged.first()?;
    let due = || judged.iter().flat_map(|judged| &judged.due);
    // Another reason may have held for longer.
    let since = due().filter(|due| due.reason == reason).map(|due| due.first).min();
    Some(Row {
        room: first.subject.room.clone(),
        room_name: None,
        user: first.membership.owner.user.clone(),
        devices: judged.iter().map(|judged| judged.membership.owner.device.to_string()).collect(),
        reason,
        missing_from: first.evidence.device.missing_from(),
        since: since.or_else(|| due().map(|due| due.first).min())?,
        is_shown: !first.judgement.reasons().any(|(reason, _)| reason == Reason::Expired),
        obstacle,
        route: None,
        times: 1,
    })
}
