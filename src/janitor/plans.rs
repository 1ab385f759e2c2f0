//! Plans: what a person is shown and approves.
//!
//! An approval is in the journal before the first write of it, and each key is written down as it is
//! dealt with; so a plan is carried out once, also when the process ends in the middle.

mod carry_out;
mod joins;
mod under_way;

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
    time::Timestamp,
};

pub(super) use self::under_way::Plans;
use super::{
    Janitor,
    sweep::{Index, Judged, Scope},
};
use crate::world::journal::{JoinPlan, JournalError, NewPlan, Stored, StoredPlan};

/// A plan before anybody has seen it.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    kind: PlanKind,
    proposals: Vec<Proposal>,
    blocked: Vec<(Proposal, String)>,
    undue: (usize, Option<Timestamp>),
}

/// What became of an approval.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Approved {
    /// It is carried out.
    Begun,
    /// It is to be carried out beside the loop.
    Joins(JoinPlan),
    /// There is no such plan.
    Unknown,
    /// The journal cannot read it any more, so nobody knows what was shown.
    Unreadable,
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

/// A plan of either kind.
enum Approvable {
    Clears(StoredPlan),
    Joins(JoinPlan),
}

impl Janitor {
    /// What a sweep would write now if all that held it back was that nobody has approved it.
    pub(crate) fn propose_sweep(&mut self, room: Option<&RoomId>) -> Result<Proposed, JournalError> {
        let judged = self.look_now(room)?;
        let index = Index::new(&judged);
        let mut candidates = self.due_candidates(&judged, &index);
        self.add_routes(&mut candidates);
        let no_limit = Limits { per_sweep: u32::MAX, per_room: u32::MAX, per_hour: u32::MAX };
        let mut circumstances = self.circumstances();
        // A plan is for later; whether it may be written is asked again then.
        circumstances.is_paused = false;
        circumstances.exclusion_is_unknown = false;
        let plan = Plan::make(candidates.clone(), circumstances, Budget::new(no_limit, 0));
        let shown = |candidate: &Candidate, part| self.proposal(candidate, &index, true, part);
        let by_event: HashMap<_, _> =
            candidates.iter().map(|candidate| ((&candidate.room, &candidate.event), candidate)).collect();
        let mut proposals: Vec<_> = plan
            .writes
            .iter()
            .filter_map(|write| Some((by_event.get(&(write.room(), write.event()))?, write.part())))
            .map(|(candidate, part)| shown(candidate, part.map(<[_]>::to_vec)))
            .collect();
        let mut blocked = Vec::new();
        for (candidate, why) in &plan.held {
            // Excluded, alive for somebody, or not yet due.
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
                    let due = shown(candidate, candidate.due_part());
                    proposals.push(Proposal { reservation: Some(held_back(*why)), ..due });
                }
                Some(Err(why)) => blocked.push((shown(candidate, None), report::obstacle(why))),
                None => blocked.push((shown(candidate, None), held_back(HeldBack::RouteUnknown))),
            }
        }
        let dealt: BTreeSet<_> =
            proposals.iter().chain(blocked.iter().map(|(one, _)| one)).map(|one| one.event.clone()).collect();
        let undue: Vec<_> = judged
            .iter()
            .filter(|one| matches!(one.judgement.verdict, Verdict::Stale(_)))
            .filter(|one| !dealt.contains(&one.subject.event) && !self.is_excluded(one))
            .collect();
        let now = self.now();
        let next = undue.iter().filter_map(|one| one.due_at).filter(|at| *at > now).min();
        Ok(Proposed { kind: PlanKind::Sweep, proposals, blocked, undue: (undue.len(), next) })
    }

    /// Everything that is open in a room, dead or alive.
    pub(crate) fn propose_clear(
        &mut self,
        room: &RoomId,
        user: Option<&UserId>,
    ) -> Result<Proposed, JournalError> {
        let judged = self.look_now(Some(room))?;
        let index = Index::new(&judged);
        let mut candidates = self.open_candidates(&judged, &index);
        candidates.retain(|candidate| {
            let mut owners = candidate.entries.iter().flatten();
            user.is_none_or(|user| owners.any(|entry| entry.owner.user == *user))
        });
        self.add_routes(&mut candidates);
        let (mut proposals, mut blocked) = (Vec::new(), Vec::new());
        for candidate in &candidates {
            let proposal = self.proposal(candidate, &index, false, None);
            match candidate.route {
                _ if candidate.is_excluded => blocked.push((proposal, held_back(HeldBack::Excluded))),
                Some(Ok(_)) => proposals.push(proposal),
                Some(Err(why)) => blocked.push((proposal, report::obstacle(why))),
                None => blocked.push((proposal, held_back(HeldBack::RouteUnknown))),
            }
        }
        Ok(Proposed { kind: PlanKind::Clear, proposals, blocked, undue: (0, None) })
    }

    /// Looks at one room, or at all, as a sweep does, and writes nothing.
    fn look_now(&mut self, room: Option<&RoomId>) -> Result<Vec<Judged>, JournalError> {
        let scope = room.map_or(Scope::All, |room| Scope::Rooms([room.clone()].into()));
        self.look(&scope).map(|summary| summary.judged)
    }

    /// By which route each key can be cleared, as far as that is known.
    fn add_routes(&self, candidates: &mut [Candidate]) {
        for candidate in candidates {
            candidate.route = self.route(&candidate.room, &candidate.key);
        }
    }

    /// One key as it is shown, or the part of its event that goes. A plan to clear everything names no
    /// reason: it needs none.
    fn proposal(
        &self,
        candidate: &Candidate,
        index: &Index<'_>,
        with_reason: bool,
        part: Option<Vec<u32>>,
    ) -> Proposal {
        let now = self.now();
        let goes = |one: &&Judged| part.as_ref().is_none_or(|part| part.contains(&one.subject.entry));
        let of_event = index.for_event(&candidate.room, &candidate.event);
        let about: Vec<_> = of_event.iter().copied().filter(goes).collect();
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
            route: candidate.route.and_then(Result::ok),
            reason: due.filter(|_| with_reason).map(|due| due.reason),
            since: due.map_or(now, |due| due.first),
            is_shown: candidate.is_shown,
            is_alive,
            is_unknown,
            why: words::several(about.iter().map(why)),
            part,
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
            is_paused: self.overrides.is_paused(now),
            prefix: &self.settings.command_prefix,
            now,
        };
        let (message, proposals) = shown.message();
        let plan = NewPlan { id, kind: proposed.kind, proposals: &proposals };
        for stored in self.journal.show(command, &message, &plan, now)? {
            self.voice.send(stored);
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
        let plan = match self.plan_of(which)? {
            Stored::Read(plan) => plan,
            Stored::Never => return Ok(Approved::Unknown),
            Stored::Unreadable(_) => return Ok(Approved::Unreadable),
        };
        let now = self.now();
        let (id, made, approved_by) = match &plan {
            Approvable::Clears(plan) => (plan.id.clone(), plan.made, plan.approved_by.clone()),
            Approvable::Joins(plan) => (plan.id.clone(), plan.made, plan.approved_by.clone()),
        };
        if let Some(by) = approved_by {
            return Ok(Approved::Taken(id, by));
        }
        if now.since(made) >= FRESH {
            return Ok(Approved::TooOld(id));
        }
        if self.overrides.is_paused(now) {
            return Ok(Approved::Paused(id));
        }
        if !self.journal.approve(&id, by, event, now)? {
            let by = match self.plan_of(which)?.read() {
                Some(Approvable::Clears(plan)) => plan.approved_by,
                Some(Approvable::Joins(plan)) => plan.approved_by,
                None => None,
            };
            return Ok(by.map_or(Approved::Unknown, |by| Approved::Taken(id, by)));
        }
        tracing::info!(plan = %id, %by, "approved");
        match plan {
            Approvable::Joins(plan) => {
                Ok(Approved::Joins(JoinPlan { approved_by: Some(by.clone()), ..plan }))
            }
            Approvable::Clears(mut plan) => {
                plan.approved_by = Some(by.clone());
                self.plans.begin(plan, by.clone(), event.clone(), now);
                Ok(Approved::Begun)
            }
        }
    }

    /// The plan that an approval names.
    fn plan_of(&self, which: &Which) -> Result<Stored<Approvable>, JournalError> {
        let clears: Stored<StoredPlan> = match which {
            Which::Named(id) => self.journal.plan(id)?,
            Which::ShownIn(message) => self.journal.plan_shown_in(message)?,
        };
        if clears.is_kept() {
            return Ok(clears.map(Approvable::Clears));
        }
        let joins: Stored<JoinPlan> = match which {
            Which::Named(id) => self.journal.plan(id)?,
            Which::ShownIn(message) => self.journal.plan_shown_in(message)?,
        };
        Ok(joins.map(Approvable::Joins))
    }
}
