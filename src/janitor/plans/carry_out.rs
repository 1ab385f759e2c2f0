//! Plans that were approved: carried out a few keys at a time, told as they go on, and watched for who
//! comes back.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use rtc_janitor_core::{
    command::PlanId,
    guard::quarantine::RETURN_WINDOW,
    ids::{EventId, UserId},
    judge::policy::Neighbour,
    plan::{Approval, FRESH, HeldBack, PlannedWrite, Proposal, Route},
    render::{
        Message,
        answer::{Outcome, PlanKind, Progress, held_back, unsettled},
    },
    rtc::state_key::Blocked,
    time::Timestamp,
};

use crate::{
    janitor::{
        AdminRoomState, Janitor,
        act::{Done, Errand},
        run::Stop,
        tracker::OpenEvent,
    },
    world::{
        NeighbourError,
        dry_run::Armed,
        journal::{Draft, JournalError, PlanOutcome, StoredPlan, WriteRecord},
    },
};

/// How many keys of a plan are written at a time: in between, somebody can still say stop.
const AT_A_TIME: usize = 10;

/// How often it is tried again what a plan waits for.
const AGAIN: Duration = Duration::from_secs(5);

/// Those who come back together are told together.
const GATHER: Duration = Duration::from_secs(3);

/// How often a plan that takes long says how far it is.
const NEWS: Duration = Duration::from_secs(30);

impl Janitor {
    /// Picks up plans that were approved before this start.
    pub(in crate::janitor) fn pick_up_plans(&mut self) -> Result<(), JournalError> {
        for mut plan in self.journal.plans_under_way()? {
            for write in self.journal.cleared_by(&plan.id)? {
                plan.outcomes.entry(write.event).or_insert(PlanOutcome::Cleared);
            }
            let reply_to = self.journal.event_showing(&plan.id)?.unwrap_or_else(|| "".into());
            self.plans.insert(plan.id.clone(), UnderWay::new(plan, reply_to));
        }
        Ok(())
    }

    /// Goes on with every approved plan, as far as the server lets it.
    pub(in crate::janitor) async fn go_on_with_plans(&mut self, stop: &Stop) -> Result<(), JournalError> {
        for id in self.plans.keys().cloned().collect::<Vec<_>>() {
            let Some(mut under_way) = self.plans.remove(&id) else { continue };
            if under_way.plan.ended.is_none() {
                self.carry_out(&mut under_way, stop).await?;
            }
            self.watch_returns(&mut under_way)?;
            if !under_way.plan.closed {
                self.plans.insert(id, under_way);
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, under_way: &mut UnderWay, stop: &Stop) -> Result<(), JournalError> {
        let now = self.now();
        // Whoever could say stop must be able to.
        if self.admin_room != AdminRoomState::Reachable || stop.is_set() || self.answers_go_first() {
            return Ok(());
        }
        if under_way.not_before.is_some_and(|at| now < at) {
            return Ok(());
        }
        (under_way.waits_for, under_way.not_before) = (None, None);
        if self.hold_writes_until.is_some_and(|until| now < until) {
            // It was approved, and that is to be seen.
            return if under_way.told.is_none() { self.tell_progress(under_way) } else { Ok(()) };
        }
        self.hold_writes_until = None;
        // A write of which nobody knows what came of it may be one of this plan.
        if self.is_unsettled || !self.journal.open_intents()?.is_empty() {
            match stop.or(self.settle_open_intents()).await.transpose()? {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!("the outcome of an earlier write is not known yet: {error}");
                    if matches!(error, NeighbourError::RateLimited { .. }) {
                        self.slow_down(&error);
                    }
                    under_way.wait(unsettled(), now);
                    self.give_up_what_is_too_old(under_way)?;
                    return self.tell_if_time(under_way);
                }
                None => return Ok(()),
            }
        }
        // Also what sync, a sweep or another plan found out.
        for write in self.journal.cleared_by(&under_way.plan.id)? {
            under_way.plan.outcomes.entry(write.event).or_insert(PlanOutcome::Cleared);
        }
        let Some(writes) = stop.or(self.approved_writes(under_way)).await else { return Ok(()) };
        if !writes.is_empty() {
            let by = under_way.plan.approved_by.clone().unwrap_or_else(|| "?".into());
            let errand = Errand::Plan(&under_way.plan.id, &by);
            let port = Armed(Arc::clone(&self.ports.writer));
            let done = self.act(&writes, errand, &port, stop).await?;
            for (event, done) in done {
                let outcome = match done {
                    Done::Cleared | Done::Spared => PlanOutcome::Cleared,
                    Done::Changed => PlanOutcome::Changed,
                    Done::Gone => PlanOutcome::Gone,
                    Done::Refused(why) => PlanOutcome::Refused(why),
                    Done::Later => continue,
                };
                under_way.plan.outcomes.insert(event, outcome);
            }
        }
        self.tell_if_time(under_way)
    }

    /// What cannot be written for too long will not be: all but what may have been written already.
    fn give_up_what_is_too_old(&self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let plan = &mut under_way.plan;
        if self.now().since(plan.made) < FRESH {
            return Ok(());
        }
        let open: BTreeSet<_> = self.journal.open_intents()?.into_iter().map(|write| write.event).collect();
        for one in plan.proposals.iter().filter(|one| !open.contains(&one.event)) {
            let too_old = || PlanOutcome::Held(held_back(HeldBack::TooOld));
            plan.outcomes.entry(one.event.clone()).or_insert_with(too_old);
        }
        Ok(())
    }

    /// Says how far a plan is when it is over, or was not heard of for long and there is news; else only
    /// writes it down.
    fn tell_if_time(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let is_over =
            under_way.plan.proposals.iter().all(|one| under_way.plan.outcomes.contains_key(&one.event));
        if is_over {
            under_way.plan.ended = Some(now);
            under_way.plan.closed = under_way.plan.kind == PlanKind::Sweep;
        }
        let is_time = under_way.told.is_none_or(|told| now.since(told) >= NEWS);
        let is_news = under_way.said.as_ref() != Some(&progress(under_way, now));
        if is_over || (is_time && is_news) {
            self.tell_progress(under_way)
        } else {
            self.journal.save_plan(&under_way.plan)
        }
    }

    /// The next few keys of a plan that are to be written; those that may not be get their outcome.
    async fn approved_writes(&mut self, under_way: &mut UnderWay) -> Vec<PlannedWrite> {
        let now = self.now();
        let made = under_way.plan.made;
        if self.wishes.is_paused(now) && now.since(made) < FRESH {
            under_way.wait(held_back(HeldBack::Paused), now);
            return Vec::new();
        }
        let StoredPlan { proposals, outcomes, .. } = &under_way.plan;
        let pending = proposals.iter().filter(|one| !outcomes.contains_key(&one.event));
        let mut pending: Vec<_> = pending.cloned().collect();
        // What cannot be written now lets the others go first.
        pending.sort_by_key(|one| under_way.put_off.get(&one.event).copied().unwrap_or(0));
        pending.truncate(AT_A_TIME);
        let rooms =
            pending.iter().map(|one| one.room.clone()).filter(|room| self.tracker.knows(room)).collect();
        let powers = self.read_power(rooms).await;
        let mut writes = Vec::new();
        for one in pending {
            let route = powers
                .get(&one.room)
                .map(|power| power.may_write(&self.settings.user_id, &one.key).map(|()| Route::OwnPower));
            let route = if self.tracker.knows(&one.room) { route } else { Some(Err(Blocked::NotInTheRoom)) };
            let now = self.now();
            let approval = Approval {
                is_paused: self.wishes.is_paused(now),
                is_excluded: !self.settings.covers(&one.room)
                    || one.owners.iter().any(|owner| self.settings.leaves_alone(&owner.user)),
                made,
                route,
                now,
            };
            match PlannedWrite::approved(&one, &approval) {
                Ok(write) => writes.push(write),
                // That can change while the plan is good.
                Err(why @ (HeldBack::Paused | HeldBack::RouteUnknown)) => {
                    under_way.wait(held_back(why), now);
                    *under_way.put_off.entry(one.event).or_insert(0) += 1;
                }
                Err(why) => {
                    under_way.plan.outcomes.insert(one.event, PlanOutcome::Held(held_back(why)));
                }
            }
        }
        writes
    }

    /// Whether keys of an approved plan are being written.
    pub(crate) fn is_carrying_out_a_plan(&self) -> bool {
        !self.wishes.is_paused(self.now())
            && self.plans.values().any(|under_way| under_way.plan.ended.is_none())
    }

    /// Tells who came back, and ends a plan when nobody can any more.
    fn watch_returns(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let is_over = under_way.plan.ended.is_some_and(|ended| now >= ended + RETURN_WINDOW);
        // While sync is down nobody knows; it is told when it is known.
        if is_over && !under_way.plan.closed && !self.observed.is_away(Neighbour::Homeserver) {
            self.find_returned(&mut under_way.plan);
            under_way.plan.closed = true;
            self.tell_progress(under_way)
        } else if under_way.tell_at.is_some_and(|at| now >= at) {
            self.tell_progress(under_way)
        } else {
            Ok(())
        }
    }

    /// Who is there again, also where nobody saw them come.
    fn find_returned(&self, plan: &mut StoredPlan) {
        let StoredPlan { kind: PlanKind::Clear, proposals, outcomes, returned, .. } = plan else { return };
        for one in proposals {
            let was_cleared = outcomes.get(&one.event) == Some(&PlanOutcome::Cleared);
            let is_back = |open: &OpenEvent| open.memberships().any(|m| one.owners.contains(&m.owner));
            let open = self.tracker.get(&one.room, &one.key).filter(|open| open.event.event_id != one.event);
            if was_cleared && open.is_some_and(is_back) && !returned.contains(&one.event) {
                returned.push(one.event.clone());
            }
        }
    }

    /// Whether writes wait because somebody waits for an answer and the server takes few events.
    pub(in crate::janitor) fn answers_go_first(&self) -> bool {
        self.is_slowed && self.outbox.is_awaited()
    }

    /// When a plan under way needs something to be done.
    pub(in crate::janitor) fn next_plan_step(&self) -> Option<Timestamp> {
        let now = self.now();
        self.plans
            .values()
            .map(|under_way| match under_way.plan.ended {
                Some(ended) => {
                    let over = ended + RETURN_WINDOW;
                    let waits = over <= now && self.observed.is_away(Neighbour::Homeserver);
                    if waits { now + AGAIN } else { under_way.tell_at.unwrap_or(over).min(over) }
                }
                None if self.admin_room != AdminRoomState::Reachable => now + AGAIN,
                None if self.answers_go_first() => now + Duration::from_millis(100),
                None => self.hold_writes_until.max(under_way.not_before).unwrap_or(now),
            })
            .min()
    }

    fn tell_progress(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let message = progress(under_way, now);
        under_way.said = Some(message.clone());
        under_way.told = Some(now);
        under_way.tell_at = None;
        let reply_to = Some(under_way.reply_to.clone()).filter(|event| !event.as_str().is_empty());
        let draft = Draft { reply_to, ..Draft::of(message) };
        let stored = self.journal.tell_progress(&mut under_way.plan, draft, now)?;
        self.outbox.put(stored);
        Ok(())
    }

    /// Notes that what a plan cleared came back. True when that is all there is to it: a person wanted
    /// it cleared, whatever was known about it.
    pub(in crate::janitor) fn returned_from_plan(
        &mut self,
        write: &WriteRecord,
    ) -> Result<bool, JournalError> {
        let Some(id) = &write.plan else { return Ok(false) };
        let Some(mut under_way) = self.plans.remove(id) else {
            return Ok(self.journal.plan(id)?.is_some_and(|plan| plan.kind == PlanKind::Clear));
        };
        let is_clear = under_way.plan.kind == PlanKind::Clear;
        if is_clear && !under_way.plan.returned.contains(&write.event) {
            under_way.plan.returned.push(write.event.clone());
            self.journal.save_plan(&under_way.plan)?;
            under_way.tell_at.get_or_insert(self.now() + GATHER);
        }
        self.plans.insert(id.clone(), under_way);
        Ok(is_clear)
    }
}

/// A plan that was approved, and how it is told.
#[derive(Clone, Debug)]
pub(in crate::janitor) struct UnderWay {
    plan: StoredPlan,
    /// The event that the progress answers; empty when that is not known any more.
    reply_to: EventId,
    told: Option<Timestamp>,
    /// When something new is to be told.
    tell_at: Option<Timestamp>,
    /// What was told last.
    said: Option<Message>,
    /// What it waits for, in a sentence.
    waits_for: Option<String>,
    /// When it is tried again.
    not_before: Option<Timestamp>,
    /// How often each event could not be dealt with for now.
    put_off: HashMap<EventId, u32>,
}

impl UnderWay {
    pub(super) fn new(plan: StoredPlan, reply_to: EventId) -> Self {
        Self {
            plan,
            reply_to,
            told: None,
            tell_at: None,
            said: None,
            waits_for: None,
            not_before: None,
            put_off: HashMap::new(),
        }
    }
}

impl UnderWay {
    fn wait(&mut self, why: String, now: Timestamp) {
        (self.waits_for, self.not_before) = (Some(why), Some(now + AGAIN));
    }
}

/// All plans under way, by name.
pub(in crate::janitor) type Plans = BTreeMap<PlanId, UnderWay>;

fn progress(UnderWay { plan, waits_for, .. }: &UnderWay, now: Timestamp) -> Message {
    let nobody = UserId::from("?");
    let outcome = |one: &Proposal| match plan.outcomes.get(&one.event) {
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
        by: plan.approved_by.as_ref().unwrap_or(&nobody),
        outcomes: plan.proposals.iter().map(|one| (one, outcome(one))).collect(),
        returned: plan.proposals.iter().filter(|one| plan.returned.contains(&one.event)).collect(),
        waits_for: waits_for.as_deref(),
        watched_until: plan.ended.filter(|_| !plan.closed).map(|ended| ended + RETURN_WINDOW),
        now,
    }
    .message()
}
