//! Approved plans: the progress of each, and when it is posted.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rtc_janitor_core::{
    command::PlanId,
    guard::quarantine::RETURN_WINDOW,
    ids::{EventId, UserId},
    plan::Proposal,
    render::{
        Message,
        answer::{Outcome, PlanKind, Progress},
    },
    time::Timestamp,
};

use crate::{
    janitor::sweep::Trigger,
    world::journal::{Journal, JournalError, PlanOutcome, StoredPlan, WriteRecord},
};

/// How often it is tried again what a plan waits for.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// Those who come back together are told together.
const GATHER: Duration = Duration::from_secs(3);

/// An approved plan, its progress, and what was posted of it.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    pub(super) plan: StoredPlan,
    /// Who approved it.
    pub(super) by: UserId,
    /// When that was, or when this start picked it up.
    pub(super) begun: Timestamp,
    /// The event that the progress answers, where that is known.
    pub(super) reply_to: Option<EventId>,
    pub(super) told: Option<Timestamp>,
    /// When something new is to be told.
    pub(super) tell_at: Option<Timestamp>,
    /// What was told last.
    pub(super) said: Option<Message>,
    /// What it waits for, in a sentence.
    pub(super) waits_for: Option<String>,
    /// When it is tried again.
    pub(super) not_before: Option<Timestamp>,
    /// How often each event could not be dealt with for now.
    pub(super) put_off: HashMap<EventId, u32>,
    /// Something became of a key since it was last written down.
    pub(super) has_news: bool,
}

impl UnderWay {
    fn new(plan: StoredPlan, by: UserId, reply_to: Option<EventId>, begun: Timestamp) -> Self {
        Self {
            plan,
            by,
            begun,
            reply_to,
            told: None,
            tell_at: None,
            said: None,
            waits_for: None,
            not_before: None,
            put_off: HashMap::new(),
            has_news: true,
        }
    }

    pub(super) fn wait(&mut self, why: String, now: Timestamp) {
        (self.waits_for, self.not_before) = (Some(why), Some(now + AGAIN));
    }

    /// Something became of a key.
    pub(super) fn settle(&mut self, event: &EventId, outcome: PlanOutcome) {
        self.plan.outcomes.insert(event.clone(), outcome);
        self.has_news = true;
    }

    /// Whether something became of every key.
    pub(super) fn is_over(&self) -> bool {
        self.plan.proposals.iter().all(|proposal| self.plan.outcomes.contains_key(&proposal.event))
    }

    /// What is said of it.
    pub(super) fn progress(&self, now: Timestamp) -> Message {
        let plan = &self.plan;
        let outcome = |proposal: &Proposal| match plan.outcomes.get(&proposal.event) {
            None => Outcome::Pending,
            Some(PlanOutcome::Cleared) => Outcome::Cleared,
            Some(PlanOutcome::Changed) => Outcome::Changed,
            Some(PlanOutcome::Gone) => Outcome::Gone,
            Some(PlanOutcome::Held(why)) => Outcome::Held(why.clone()),
            Some(PlanOutcome::Refused(why)) => Outcome::Refused(why.clone()),
        };
        Progress {
            id: &plan.id,
            kind: plan.kind,
            by: &self.by,
            outcomes: plan.proposals.iter().map(|proposal| (proposal, outcome(proposal))).collect(),
            returned: plan
                .proposals
                .iter()
                .filter(|proposal| plan.returned.contains(&proposal.event))
                .collect(),
            waits_for: self.waits_for.as_deref(),
            watched_until: plan.ended.filter(|_| !plan.closed).map(|ended| ended + RETURN_WINDOW),
            now,
        }
        .message()
    }
}

/// All plans under way, by name.
#[derive(Debug, Default)]
pub(in crate::janitor) struct Plans(BTreeMap<PlanId, UnderWay>);

impl Plans {
    /// Those that were approved before this start and are not over.
    pub(in crate::janitor) fn pick_up(journal: &Journal, now: Timestamp) -> Result<Self, JournalError> {
        let mut plans = Self::default();
        for mut plan in journal.plans_under_way::<StoredPlan>()? {
            for write in journal.cleared_by(&plan.id)? {
                plan.outcomes.entry(write.event).or_insert(PlanOutcome::Cleared);
            }
            let Some(by) = plan.approved_by.clone() else { continue };
            let reply_to = journal.event_showing(&plan.id)?;
            plans.0.insert(plan.id.clone(), UnderWay::new(plan, by, reply_to, now));
        }
        Ok(plans)
    }

    /// A plan was approved by somebody, with `event`.
    pub(in crate::janitor) fn begin(&mut self, plan: StoredPlan, by: UserId, event: EventId, now: Timestamp) {
        self.0.insert(plan.id.clone(), UnderWay::new(plan, by, Some(event), now));
    }

    pub(super) fn ids(&self) -> Vec<PlanId> {
        self.0.keys().cloned().collect()
    }

    /// Takes one out, to work on it; one that is not closed is put back.
    pub(super) fn take(&mut self, id: &PlanId) -> Option<UnderWay> {
        self.0.remove(id)
    }

    pub(super) fn put_back(&mut self, under_way: UnderWay) {
        self.0.insert(under_way.plan.id.clone(), under_way);
    }

    /// Something became of a key that a plan had written.
    pub(in crate::janitor) fn dealt_with(
        &mut self,
        trigger: &Trigger,
        event: &EventId,
        outcome: PlanOutcome,
    ) {
        if let Some(under_way) = self.of(trigger) {
            under_way.settle(event, outcome);
        }
    }

    /// A key of a plan turned out to have been cleared by an earlier write of it.
    pub(in crate::janitor) fn cleared(&mut self, event: &EventId, plan: Option<&PlanId>) {
        if let Some(under_way) = plan.and_then(|plan| self.0.get_mut(plan)) {
            under_way.settle(event, PlanOutcome::Cleared);
        }
    }

    /// A key of a plan could not be written for now.
    pub(in crate::janitor) fn put_off(&mut self, trigger: &Trigger, event: &EventId, now: Timestamp) {
        if let Some(under_way) = self.of(trigger) {
            *under_way.put_off.entry(event.clone()).or_insert(0) += 1;
            under_way.not_before = under_way.not_before.max(Some(now + AGAIN));
        }
    }

    fn of(&mut self, trigger: &Trigger) -> Option<&mut UnderWay> {
        match trigger {
            Trigger::Plan(plan, _) => self.0.get_mut(plan),
            Trigger::Sweep { .. } | Trigger::TakeBack => None,
        }
    }

    /// Notes that what a plan cleared came back. True when that is all there is to it: a person wanted
    /// it cleared, whatever was known about it.
    pub(in crate::janitor) fn returned(
        &mut self,
        journal: &mut Journal,
        write: &WriteRecord,
        now: Timestamp,
    ) -> Result<bool, JournalError> {
        let Some(id) = &write.plan else { return Ok(false) };
        let Some(under_way) = self.0.get_mut(id) else {
            // Of a plan that cannot be read, the stricter holds: it may have been a sweep's.
            return Ok(journal.plan(id)?.read().is_some_and(|plan: StoredPlan| plan.kind == PlanKind::Clear));
        };
        let is_clear = under_way.plan.kind == PlanKind::Clear;
        if is_clear && !under_way.plan.returned.contains(&write.event) {
            under_way.plan.returned.push(write.event.clone());
            journal.save_plan(&under_way.plan)?;
            under_way.tell_at.get_or_insert(now + GATHER);
        }
        Ok(is_clear)
    }

    /// Whether keys of an approved plan are still to be written.
    pub(in crate::janitor) fn are_under_way(&self) -> bool {
        self.0.values().any(|under_way| under_way.plan.ended.is_none())
    }

    /// When a plan needs something to be done. One that waits for its writes is woken by them.
    pub(in crate::janitor) fn next_step(&self, is_heard: bool, now: Timestamp) -> Option<Timestamp> {
        let step = |under_way: &UnderWay| match under_way.plan.ended {
            Some(ended) => {
                let over = ended + RETURN_WINDOW;
                let at = under_way.tell_at.unwrap_or(over).min(over);
                // While sync is down nobody knows who came back.
                if at <= now { now + AGAIN } else { at }
            }
            None if !is_heard => now + AGAIN,
            None => under_way.not_before.filter(|at| *at > now).unwrap_or(now + AGAIN),
        };
        self.0.values().map(step).min()
    }
}
