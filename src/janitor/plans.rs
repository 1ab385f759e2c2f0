//! Plans: what a person is shown, approves, and has carried out.
//!
//! An approval is in the journal before the first write of it, and each key is written down as it is
//! dealt with; so a plan is carried out once, also when the process ends in the middle.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rtc_janitor_core::{
    command::PlanId,
    guard::{
        limits::{Budget, Limits},
        quarantine::RETURN_WINDOW,
    },
    ids::{EventId, RoomId, UserId},
    judge::{policy::Neighbour, verdict::Verdict},
    plan::{Approval, Candidate, FRESH, HeldBack, Plan, PlannedWrite, Proposal, Route},
    render::{
        Message,
        answer::{Outcome, PlanKind, Progress, ShownPlan, held_back},
        report, words,
    },
    rtc::{state_event::StateEvent, state_key::Blocked},
    time::Timestamp,
};

use super::{
    AdminRoomState, Janitor, Judged,
    act::{Done, Errand},
    run::Stop,
    tracker::OpenEvent,
};
use crate::world::{
    NeighbourError,
    dry_run::Armed,
    journal::{Draft, JournalError, NewPlan, PlanOutcome, StoredPlan, WriteRecord},
};

/// A plan before anybody has seen it.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    kind: PlanKind,
    proposals: Vec<Proposal>,
    blocked: Vec<(Proposal, String)>,
    undue: (usize, Option<Timestamp>),
}

/// What became of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Approved {
    /// It is carried out.
    Begun,
    /// There is no such plan.
    Unknown,
    /// It is too old.
    TooOld(PlanId),
    /// Somebody approved it before.
    Taken(PlanId, UserId),
    /// Nothing is written at all now.
    Paused(PlanId),
}

/// How an approval names its plan.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// By its name.
    Named(PlanId),
    /// By the message that shows it.
    ShownIn(EventId),
}

/// How many keys of a plan are written at a time: in between, somebody can still say stop.
const AT_A_TIME: usize = 10;

/// How often it is tried again what a plan waits for.
const AGAIN: Duration = Duration::from_secs(5);

/// Those who come back together are told together.
const GATHER: Duration = Duration::from_secs(3);

/// How often a plan that takes long says how far it is.
const NEWS: Duration = Duration::from_secs(30);

impl Janitor {
    /// Reads one room anew: its memberships, and what bears on them.
    ///
    /// # Errors
    ///
    /// The inner error is the homeserver's.
    pub(crate) async fn reread(
        &mut self,
        room: &RoomId,
    ) -> Result<Result<Vec<StateEvent>, NeighbourError>, JournalError> {
        let events = match self.ports.rooms.memberships(room).await {
            Ok(events) => events,
            Err(error) => return Ok(Err(error)),
        };
        self.take_in_memberships(room, events.clone()).await?;
        let here = self.subjects().filter(|(subject, _)| subject.room == *room);
        let users: BTreeSet<_> = here.map(|(_, membership)| membership.owner.user.clone()).collect();
        for user in users {
            self.observed.doubt_member(room, &user);
            self.observed.doubt_devices(&user);
        }
        Ok(Ok(events))
    }

    /// Looks at everything, as a sweep does, and writes nothing.
    pub(crate) async fn look(&mut self) -> Result<Vec<Judged>, JournalError> {
        self.observe().await?;
        let judged = self.judge_all();
        self.remember(&judged)?;
        Ok(self.with_deadlines(judged))
    }

    /// What a sweep would write now if nothing but a person's word held it back.
    pub(crate) async fn propose_sweep(&mut self, room: Option<&RoomId>) -> Result<Proposed, JournalError> {
        let judged = self.look().await?;
        let wanted = |one: &&Judged| room.is_none_or(|room| one.subject.room == *room);
        let mut candidates = self.due_candidates(&judged);
        candidates.retain(|candidate| room.is_none_or(|room| candidate.room == *room));
        self.find_routes(&mut candidates).await;
        let clock_is_skewed = if candidates.is_empty() { false } else { self.clock_is_skewed().await? };
        let no_limit = Limits { per_sweep: u32::MAX, per_room: u32::MAX, per_hour: u32::MAX };
        let mut circumstances = self.circumstances(clock_is_skewed);
        // A plan is for later; whether it may be written is asked again then.
        circumstances.is_paused = false;
        let plan = Plan::make(candidates.clone(), circumstances, Budget::new(no_limit, 0));
        let shown = |candidate: &Candidate| self.proposal(candidate, &judged, true);
        let mut proposals: Vec<_> = plan
            .writes
            .iter()
            .filter_map(|write| candidates.iter().find(|candidate| candidate.event == *write.event()))
            .map(shown)
            .collect();
        let mut blocked = Vec::new();
        for (candidate, why) in &plan.held {
            // Left alone by wish, alive for somebody, or not yet due.
            if matches!(
                why,
                HeldBack::Excluded
                    | HeldBack::OthersInEvent
                    | HeldBack::TooYoung
                    | HeldBack::OneSighting
                    | HeldBack::NotRefreshed
                    | HeldBack::FirstSync
            ) {
                continue;
            }
            // The rest is for a person to decide, where it can be written at all.
            match candidate.route {
                Some(Ok(_)) => {
                    proposals.push(Proposal { reservation: Some(held_back(*why)), ..shown(candidate) });
                }
                Some(Err(why)) => blocked.push((shown(candidate), report::obstacle(why))),
                None => blocked.push((shown(candidate), held_back(HeldBack::RouteUnknown))),
            }
        }
        let dealt: BTreeSet<_> =
            proposals.iter().chain(blocked.iter().map(|(one, _)| one)).map(|one| one.event.clone()).collect();
        let undue: Vec<_> = judged
            .iter()
            .filter(wanted)
            .filter(|one| matches!(one.judgement.verdict, Verdict::Stale(_)))
            .filter(|one| !dealt.contains(&one.subject.event) && !self.leaves_alone(one))
            .collect();
        let now = self.now();
        let next = undue.iter().filter_map(|one| one.due_at).filter(|at| *at > now).min();
        Ok(Proposed { kind: PlanKind::Sweep, proposals, blocked, undue: (undue.len(), next) })
    }

    /// Everything that is open in a room, dead or alive.
    pub(crate) async fn propose_clear(
        &mut self,
        room: &RoomId,
        user: Option<&UserId>,
    ) -> Result<Proposed, JournalError> {
        let judged = self.look().await?;
        let mut candidates = self.open_candidates(&judged);
        candidates.retain(|candidate| {
            let owners = || candidate.entries.iter().flatten();
            let of_user = user.is_none_or(|user| owners().any(|entry| entry.owner.user == *user));
            candidate.room == *room && !candidate.is_excluded && of_user
        });
        self.find_routes(&mut candidates).await;
        let (mut proposals, mut blocked) = (Vec::new(), Vec::new());
        for candidate in &candidates {
            let proposal = self.proposal(candidate, &judged, false);
            match candidate.route {
                Some(Ok(_)) => proposals.push(proposal),
                Some(Err(why)) => blocked.push((proposal, report::obstacle(why))),
                None => blocked.push((proposal, held_back(HeldBack::RouteUnknown))),
            }
        }
        Ok(Proposed { kind: PlanKind::Clear, proposals, blocked, undue: (0, None) })
    }

    /// One key as it is shown. A plan to clear everything names no reason: it needs none.
    fn proposal(&self, candidate: &Candidate, judged: &[Judged], with_reason: bool) -> Proposal {
        let now = self.now();
        let about: Vec<_> = judged.iter().filter(|one| one.subject.event == candidate.event).collect();
        let due = about.iter().flat_map(|one| &one.due).min_by_key(|due| due.reason);
        let is_unknown = about.iter().any(|one| matches!(one.judgement.verdict, Verdict::Unknown(_)));
        let is_alive = about.iter().any(|one| !matches!(one.judgement.verdict, Verdict::Stale(_)));
        let mut whys: Vec<_> =
            about.iter().map(|one| words::why(&one.membership, &one.judgement, &one.evidence, now)).collect();
        whys.dedup();
        Proposal {
            room: candidate.room.clone(),
            room_name: self.name_of(&candidate.room),
            key: candidate.key.clone(),
            event: candidate.event.clone(),
            owners: about.iter().map(|one| one.membership.owner.clone()).collect(),
            reason: due.filter(|_| with_reason).map(|due| due.reason),
            since: due.map_or(now, |due| due.first),
            is_shown: candidate.is_shown,
            is_alive,
            is_unknown,
            why: whys.join("; "),
            reservation: None,
        }
    }

    /// Writes a plan down and shows it in the answer to a command; a ✅ is there to be pressed. What
    /// there is no room to show is no part of it.
    pub(crate) fn show_plan(&mut self, proposed: &Proposed, command: &EventId) -> Result<(), JournalError> {
        let now = self.now();
        let id = self.journal.next_plan()?;
        let shown = ShownPlan {
            id: &id.1,
            kind: proposed.kind,
            proposals: &proposed.proposals,
            undue: proposed.undue,
            blocked: &proposed.blocked,
            is_paused: self.wishes.is_paused(now),
            prefix: &self.settings.command_prefix,
            now,
        };
        let (message, proposals) = shown.message();
        let plan = NewPlan { id, kind: proposed.kind, proposals: &proposals };
        for stored in self.journal.show(command, &message, &plan, now)? {
            self.outbox.put(stored);
        }
        Ok(())
    }

    /// Takes an approval; what comes of it is said in reply to `event`.
    pub(crate) fn approve(
        &mut self,
        which: &Which,
        by: &UserId,
        event: &EventId,
    ) -> Result<Approved, JournalError> {
        let plan = match which {
            Which::Named(id) => self.journal.plan(id)?,
            Which::ShownIn(message) => self.journal.plan_shown_in(message)?,
        };
        let Some(mut plan) = plan else { return Ok(Approved::Unknown) };
        let now = self.now();
        if let Some(by) = plan.approved_by {
            return Ok(Approved::Taken(plan.id, by));
        }
        if now.since(plan.made) >= FRESH {
            return Ok(Approved::TooOld(plan.id));
        }
        if self.wishes.is_paused(now) {
            return Ok(Approved::Paused(plan.id));
        }
        if !self.journal.approve(&plan.id, by, now)? {
            let by = self.journal.plan(&plan.id)?.and_then(|plan| plan.approved_by);
            return Ok(Approved::Taken(plan.id, by.unwrap_or_else(|| "?".into())));
        }
        // From here on the plan itself says what comes of it.
        self.journal.done(event)?;
        tracing::info!(plan = %plan.id, %by, "approved");
        plan.approved_by = Some(by.clone());
        self.plans.insert(plan.id.clone(), UnderWay::new(plan, event.clone()));
        Ok(Approved::Begun)
    }

    /// Picks up plans that were approved before this start.
    pub(super) fn pick_up_plans(&mut self) -> Result<(), JournalError> {
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
    pub(super) async fn go_on_with_plans(&mut self, stop: &Stop) -> Result<(), JournalError> {
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
        if self.hold_writes_until.is_some_and(|until| now < until) || stop.is_set() || self.answers_go_first()
        {
            return Ok(());
        }
        // Whoever could say stop must be able to.
        if self.admin_room != AdminRoomState::Reachable {
            return Ok(());
        }
        self.hold_writes_until = None;
        // A write of which nobody knows what came of it may be one of this plan.
        if self.is_unsettled || !self.journal.open_intents()?.is_empty() {
            match stop.or(self.settle_open_intents()).await.transpose()? {
                Some(Ok(())) => {}
                _ => return Ok(()),
            }
            for write in self.journal.cleared_by(&under_way.plan.id)? {
                under_way.plan.outcomes.entry(write.event).or_insert(PlanOutcome::Cleared);
            }
        }
        let writes = self.approved_writes(under_way).await?;
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
        let is_over =
            under_way.plan.proposals.iter().all(|one| under_way.plan.outcomes.contains_key(&one.event));
        if is_over {
            under_way.plan.ended = Some(self.now());
            under_way.plan.closed = under_way.plan.kind == PlanKind::Sweep;
        }
        let is_time = under_way.told.is_none_or(|told| self.now().since(told) >= NEWS);
        if is_over || is_time {
            self.tell_progress(under_way)?;
        } else {
            self.journal.save_plan(&under_way.plan)?;
        }
        Ok(())
    }

    /// The next few keys of a plan that are to be written; those that may not be get their outcome.
    async fn approved_writes(&mut self, under_way: &mut UnderWay) -> Result<Vec<PlannedWrite>, JournalError> {
        let plan = &mut under_way.plan;
        let now = self.now();
        if self.wishes.is_paused(now) && now.since(plan.made) < FRESH {
            under_way.waits_for = Some(held_back(HeldBack::Paused));
            return Ok(Vec::new());
        }
        let pending: Vec<_> = plan
            .proposals
            .iter()
            .filter(|one| !plan.outcomes.contains_key(&one.event))
            .take(AT_A_TIME)
            .cloned()
            .collect();
        under_way.waits_for = None;
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
                made: plan.made,
                route,
                now,
            };
            match PlannedWrite::approved(&one, &approval) {
                Ok(write) => writes.push(write),
                // That can change while the plan is good.
                Err(why @ (HeldBack::Paused | HeldBack::RouteUnknown)) => {
                    under_way.waits_for = Some(held_back(why));
                }
                Err(why) => {
                    plan.outcomes.insert(one.event, PlanOutcome::Held(held_back(why)));
                }
            }
        }
        Ok(writes)
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
    pub(super) fn answers_go_first(&self) -> bool {
        self.is_slowed && self.outbox.is_awaited()
    }

    /// When a plan under way needs something to be done.
    pub(super) fn next_plan_step(&self) -> Option<Timestamp> {
        let now = self.now();
        self.plans
            .values()
            .map(|under_way| match under_way.plan.ended {
                Some(ended) => under_way.tell_at.unwrap_or(ended + RETURN_WINDOW).min(ended + RETURN_WINDOW),
                None if self.admin_room != AdminRoomState::Reachable || under_way.waits_for.is_some() => {
                    now + AGAIN
                }
                None if self.answers_go_first() => now + Duration::from_millis(100),
                None => self.hold_writes_until.unwrap_or(now),
            })
            .min()
    }

    fn tell_progress(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let message = progress(under_way, now);
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
    pub(super) fn returned_from_plan(&mut self, write: &WriteRecord) -> Result<bool, JournalError> {
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
pub(super) struct UnderWay {
    plan: StoredPlan,
    /// The event that the progress answers; empty when that is not known any more.
    reply_to: EventId,
    told: Option<Timestamp>,
    /// When something new is to be told.
    tell_at: Option<Timestamp>,
    /// What it waits for, in a sentence.
    waits_for: Option<String>,
}

impl UnderWay {
    fn new(plan: StoredPlan, reply_to: EventId) -> Self {
        Self { plan, reply_to, told: None, tell_at: None, waits_for: None }
    }
}

/// All plans under way, by name.
pub(super) type Plans = BTreeMap<PlanId, UnderWay>;

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
