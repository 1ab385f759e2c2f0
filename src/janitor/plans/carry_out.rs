//! Carries out approved plans, a few keys at a time; posts their progress, and watches who comes back.

use std::{collections::BTreeSet, time::Duration};

use rtc_janitor_core::{
    guard::quarantine::RETURN_WINDOW,
    ids::EventId,
    plan::{Approval, FRESH, HeldBack, PlannedWrite},
    render::answer::{PlanKind, held_back, unsettled},
    rtc::state_key::Blocked,
};
use serde_json::Value;

use super::under_way::UnderWay;
use crate::{
    janitor::{
        Janitor,
        memory::OpenEvent,
        reads::{Read, Urgency},
        sweep::{Outgoing, Trigger},
    },
    world::journal::{Draft, JournalError, PlanOutcome, StoredPlan},
};

/// How many keys of a plan wait or are under way at a time: the rest can still be stopped, and is told.
const AT_A_TIME: usize = 32;

/// A plan that takes longer than this says how far it is for the first time.
const FIRST_NEWS: Duration = Duration::from_secs(5);

/// How often it says so afterwards.
const NEWS: Duration = Duration::from_secs(30);

impl Janitor {
    /// Goes on with every approved plan, as far as that is possible now.
    pub(in crate::janitor) fn go_on_with_plans(&mut self) -> Result<(), JournalError> {
        for id in self.plans.ids() {
            let Some(mut under_way) = self.plans.take(&id) else { continue };
            if under_way.plan.ended.is_none() {
                self.carry_out(&mut under_way)?;
            }
            self.watch_returns(&mut under_way)?;
            if !under_way.plan.closed {
                self.plans.put_back(under_way);
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let is_put_off = under_way.not_before.is_some_and(|at| now < at);
        // Only while it can be stopped from the admin room.
        if self.presence.is_heard() && !is_put_off {
            (under_way.waits_for, under_way.not_before) = (None, None);
            self.put_next_writes(under_way);
        }
        self.tell_if_time(under_way)
    }

    /// Puts the next few keys of a plan into the queue; those that may not be written get their outcome.
    fn put_next_writes(&mut self, under_way: &mut UnderWay) {
        let now = self.now();
        let made = under_way.plan.made;
        let plan = under_way.plan.id.clone();
        if now.since(made) >= FRESH {
            self.writes.withdraw(|_, outgoing| outgoing.is_of_plan(&plan));
        } else if let Some(why) = self.settings.writes_forbidden_because() {
            under_way.wait(why, now);
            return;
        } else if self.overrides.is_paused(now) {
            self.writes.withdraw(|_, outgoing| outgoing.is_of_plan(&plan));
            under_way.wait(held_back(HeldBack::Paused), now);
            return;
        }
        let waiting = self.writes.of_plan(&plan);
        let StoredPlan { proposals, outcomes, .. } = &under_way.plan;
        let is_pending = |event: &EventId| !outcomes.contains_key(event) && !waiting.contains(event);
        let mut pending: Vec<_> =
            proposals.iter().filter(|proposal| is_pending(&proposal.event)).cloned().collect();
        // What cannot be written now lets the others go first.
        pending.sort_by_key(|proposal| under_way.put_off.get(&proposal.event).copied().unwrap_or(0));
        pending.truncate(AT_A_TIME.saturating_sub(waiting.len()));
        let by = under_way.by.clone();
        for proposal in pending {
            let place = (proposal.room.clone(), proposal.key.clone());
            if self.writes.is_under_way(&proposal.room, &proposal.key) {
                continue;
            }
            // What came of an earlier write must be known first: it may be one of this plan.
            if self.unsettled.contains_key(&place) {
                under_way.waits_for = Some(unsettled());
                continue;
            }
            let is_known = self.memory.knows(&proposal.room);
            let route = if is_known {
                self.route(&proposal.room, &proposal.key)
            } else {
                Some(Err(Blocked::NotInTheRoom))
            };
            let approval = Approval {
                is_paused: self.overrides.is_paused(now),
                is_excluded: !self.settings.covers(&proposal.room)
                    || proposal.owners.iter().any(|owner| self.settings.leaves_alone(&owner.user)),
                made,
                route,
                now,
            };
            match PlannedWrite::approved(&proposal, &approval) {
                Ok(write) => self.writes.put(Outgoing {
                    write,
                    trigger: Trigger::Plan(under_way.plan.id.clone(), by.clone()),
                    evidence: Value::Null,
                }),
                // That can change while the plan is good.
                Err(why @ (HeldBack::Paused | HeldBack::RouteUnknown)) => {
                    let read = Read::Power(proposal.room.clone());
                    self.reads.want(read.clone(), Urgency::Due);
                    if self.reads.is_put_off(&read, now) {
                        under_way.wait(held_back(why), now);
                        *under_way.put_off.entry(proposal.event).or_insert(0) += 1;
                    }
                }
                Err(why @ HeldBack::NoRoute(Blocked::AppserviceAway)) => {
                    under_way.wait(held_back(why), now);
                    *under_way.put_off.entry(proposal.event).or_insert(0) += 1;
                }
                Err(why) => under_way.settle(&proposal.event, PlanOutcome::Held(held_back(why))),
            }
        }
        self.give_up_what_is_too_old(under_way, &waiting);
    }

    /// What cannot be written for too long will not be: all but what may have been written already.
    fn give_up_what_is_too_old(&self, under_way: &mut UnderWay, waiting: &BTreeSet<EventId>) {
        if self.now().since(under_way.plan.made) < FRESH {
            return;
        }
        let open: BTreeSet<_> = self.unsettled.values().map(|write| &write.event).collect();
        let late: Vec<_> = under_way.plan.proposals.iter().map(|proposal| proposal.event.clone()).collect();
        for event in late {
            let is_pending = !under_way.plan.outcomes.contains_key(&event);
            if is_pending && !open.contains(&event) && !waiting.contains(&event) {
                under_way.settle(&event, PlanOutcome::Held(held_back(HeldBack::TooOld)));
            }
        }
    }

    /// Posts how far a plan is when it is over, or when something changed and the last post is long ago; else
    /// only writes it to the journal.
    fn tell_if_time(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let is_over = under_way.is_over();
        if is_over {
            under_way.plan.ended = Some(now);
            under_way.plan.closed = under_way.plan.kind == PlanKind::Sweep;
        }
        // It was approved, and that is to be seen: at once where it has to wait.
        let has_to_wait = under_way.waits_for.is_some() || self.writes.held_until(now).is_some();
        let is_time = match under_way.told {
            None => has_to_wait || now.since(under_way.begun) >= FIRST_NEWS,
            Some(told) => now.since(told) >= NEWS,
        };
        let is_news = || under_way.said.as_ref() != Some(&under_way.progress(now));
        if is_over || (is_time && is_news()) {
            return self.tell_progress(under_way);
        }
        if std::mem::take(&mut under_way.has_news) {
            return self.journal.save_plan(&under_way.plan);
        }
        Ok(())
    }

    /// Tells who came back, and ends a plan when nobody can any more.
    fn watch_returns(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let is_over = under_way.plan.ended.is_some_and(|ended| now >= ended + RETURN_WINDOW);
        // While sync is down nobody knows; it is told when it is known.
        if is_over && !under_way.plan.closed && !self.evidence.homeserver.is_away() {
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
        for proposal in proposals {
            let was_cleared = outcomes.get(&proposal.event) == Some(&PlanOutcome::Cleared);
            let is_back = |open: &OpenEvent| open.memberships().any(|m| proposal.owners.contains(&m.owner));
            let open = self.memory.get(&proposal.room, &proposal.key);
            let open = open.filter(|open| open.event_id != proposal.event);
            if was_cleared && open.is_some_and(is_back) && !returned.contains(&proposal.event) {
                returned.push(proposal.event.clone());
            }
        }
    }

    fn tell_progress(&mut self, under_way: &mut UnderWay) -> Result<(), JournalError> {
        let now = self.now();
        let message = under_way.progress(now);
        under_way.said = Some(message.clone());
        under_way.told = Some(now);
        (under_way.tell_at, under_way.has_news) = (None, false);
        let draft = Draft { reply_to: under_way.reply_to.clone(), ..Draft::of(message) };
        let stored = self.journal.tell_progress(&mut under_way.plan, draft, now)?;
        self.voice.send(stored);
        Ok(())
    }
}
