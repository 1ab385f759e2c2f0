//! Plans: what a person is shown and approves.
//!
//! An approval is in the journal before the first write of it, and each key is written down as it is
//! dealt with; so a plan is carried out once, also when the process ends in the middle.

mod carry_out;

use std::collections::{BTreeSet, HashMap};

use rtc_janitor_core::{
    command::PlanId,
    guard::limits::{Budget, Limits},
    ids::{EventId, RoomId, UserId},
    judge::verdict::Verdict,
    plan::{Candidate, FRESH, HeldBack, Plan, Proposal},
    render::{
        answer::{PlanKind, ShownPlan, held_back},
        report, words,
    },
    rtc::state_event::StateEvent,
    time::Timestamp,
};

pub(super) use self::carry_out::Plans;
use self::carry_out::UnderWay;
use super::{Janitor, Judged, judged::Index};
use crate::world::{
    NeighbourError,
    journal::{JournalError, NewPlan},
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
        let index = Index::new(&judged);
        let shown = |candidate: &Candidate| self.proposal(candidate, &index, true);
        let by_event: HashMap<_, _> =
            candidates.iter().map(|candidate| ((&candidate.room, &candidate.event), candidate)).collect();
        let mut proposals: Vec<_> = plan
            .writes
            .iter()
            .filter_map(|write| by_event.get(&(write.room(), write.event())))
            .map(|candidate| shown(candidate))
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
            candidate.room == *room && of_user
        });
        self.find_routes(&mut candidates).await;
        let (mut proposals, mut blocked) = (Vec::new(), Vec::new());
        let index = Index::new(&judged);
        for candidate in &candidates {
            let proposal = self.proposal(candidate, &index, false);
            match candidate.route {
                _ if candidate.is_excluded => blocked.push((proposal, held_back(HeldBack::Excluded))),
                Some(Ok(_)) => proposals.push(proposal),
                Some(Err(why)) => blocked.push((proposal, report::obstacle(why))),
                None => blocked.push((proposal, held_back(HeldBack::RouteUnknown))),
            }
        }
        Ok(Proposed { kind: PlanKind::Clear, proposals, blocked, undue: (0, None) })
    }

    /// One key as it is shown. A plan to clear everything names no reason: it needs none.
    fn proposal(&self, candidate: &Candidate, index: &Index<'_>, with_reason: bool) -> Proposal {
        let now = self.now();
        let about = index.about(&candidate.room, &candidate.event);
        let due = about.iter().flat_map(|one| &one.due).min_by_key(|due| due.reason);
        // One who looks alive is what counts, whatever is not known of the others under the key.
        let is_alive = about.iter().any(|one| one.judgement.verdict == Verdict::Active);
        let is_unknown =
            !is_alive && about.iter().any(|one| matches!(one.judgement.verdict, Verdict::Unknown(_)));
        let why = |one: &&Judged| words::why(&one.membership, &one.judgement, &one.evidence, now);
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
            why: words::several(about.iter().map(why)),
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
        if !self.journal.approve(&plan.id, by, event, now)? {
            let by = self.journal.plan(&plan.id)?.and_then(|plan| plan.approved_by);
            return Ok(Approved::Taken(plan.id, by.unwrap_or_else(|| "?".into())));
        }
        tracing::info!(plan = %plan.id, %by, "approved");
        plan.approved_by = Some(by.clone());
        self.plans.insert(plan.id.clone(), UnderWay::new(plan, event.clone()));
        Ok(Approved::Begun)
    }
}
