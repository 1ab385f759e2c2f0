//! The plan's writes, each right after a fresh read of its key.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rtc_janitor_core::{
    command::PlanId,
    export::room_member,
    ids::{EventId, UserId},
    judge::{
        evidence::RoomMember,
        policy::{Neighbour, Reason},
    },
    plan::PlannedWrite,
    rtc::{
        membership::{Content, FirstSeen, read},
        state_event::{CALL_MEMBER, StateEvent},
    },
};
use serde_json::Value;
use tokio::time::sleep;

use super::{Janitor, Judged, run::Stop};
use crate::world::{
    NeighbourError, Rooms,
    dry_run::{Clear, Written},
    journal::{Finding, FindingKind, Intent, JournalError, WriteOutcome},
};

/// How many writes are under way at once; a homeserver takes no more from one room any faster.
const CONCURRENCY: usize = 4;

/// How long writes in flight may take when the janitor is told to stop.
const LAST_WRITES: Duration = Duration::from_secs(3);

/// The first pause after a key could not be written; doubled each time up to the second.
const RETRY: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(6));

/// Whether nobody is in an event.
pub(super) fn is_empty(event: &StateEvent) -> bool {
    let seen = FirstSeen { at: event.origin_server_ts, live: false };
    read(event, seen) == Content::Left
}

/// How far one write came.
#[derive(Debug)]
enum Step {
    Written(Written),
    /// Something else stands under the key now, or nothing.
    Replaced(Option<StateEvent>),
    /// Its owner is in the room after all, or it cannot be read whether.
    OwnerIsBack,
    /// It was not reached, so nothing was written.
    NotTried(NeighbourError),
    /// It was tried and failed.
    Failed(NeighbourError),
}

/// Reads the key once more and empties it if it is still what was judged.
async fn clear(rooms: &dyn Rooms, port: &dyn Clear, write: &PlannedWrite) -> Step {
    match rooms.state_event(write.room(), CALL_MEMBER, write.key().as_str()).await {
        Ok(Some(event)) if event.event_id == *write.event() && !is_empty(&event) => {}
        Ok(current) => return Step::Replaced(current),
        Err(error) => return Step::NotTried(error),
    }
    if write.reason() == Some(Reason::NotJoined) {
        for owner in write.owners() {
            match rooms.state_event(write.room(), "m.room.member", owner.user.as_str()).await {
                Ok(event) if matches!(room_member(event.as_ref()), RoomMember::NotJoined { .. }) => {}
                Ok(_) => return Step::OwnerIsBack,
                Err(error) => return Step::NotTried(error),
            }
        }
    }
    match port.clear(write.room(), write.key()).await {
        Ok(written) => Step::Written(written),
        Err(error) => Step::Failed(error),
    }
}

/// On whose behalf keys are emptied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Errand<'a> {
    /// A sweep's, which judged all this.
    Sweep(&'a [Judged]),
    /// A plan's, and of whoever approved it.
    Plan(&'a PlanId, &'a UserId),
}

/// What came of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The key is empty.
    Cleared,
    /// It would be, were this no dry run.
    Spared,
    /// It was no longer what was judged.
    Changed,
    /// Somebody else had emptied it.
    Gone,
    /// The server said no.
    Refused(String),
    /// It is to be tried again, or nobody knows yet.
    Later,
}

impl Janitor {
    /// Carries out a plan. When told to stop, it begins nothing new and finishes what is in flight.
    pub(super) async fn act(
        &mut self,
        plan: &[PlannedWrite],
        errand: Errand<'_>,
        port: &dyn Clear,
        stop: &Stop,
    ) -> Result<Vec<(EventId, Done)>, JournalError> {
        let mut all = Vec::new();
        if plan.is_empty() {
            return Ok(all);
        }
        let intents: Vec<_> = plan.iter().map(|write| self.intent(write, errand)).collect();
        let ids = self.journal.intend(&intents)?;
        let rooms = Arc::clone(&self.ports.rooms);
        let at_once = if std::mem::take(&mut self.is_slowed) { 1 } else { CONCURRENCY };
        let mut in_flight = FuturesUnordered::new();
        let mut begun = 0;
        // What is not answered in time stays an open intent; the next start looks it up.
        let mut too_late = pin!(async {
            stop.wait().await;
            sleep(LAST_WRITES).await;
        });
        loop {
            while begun < plan.len() && in_flight.len() < at_once && self.may_begin(stop) {
                let (rooms, index) = (&*rooms, begun);
                in_flight.push(async move { (index, clear(rooms, port, &plan[index]).await) });
                begun += 1;
            }
            let next = tokio::select! {
                biased;
                next = in_flight.next() => next,
                () = &mut too_late => None,
            };
            let Some((index, reached)) = next else { break };
            let done = self.note(&plan[index], ids[index], reached, port.finding(), errand)?;
            all.push((plan[index].event().clone(), done));
        }
        self.journal.withdraw(&ids[begun..])?;
        Ok(all)
    }

    fn may_begin(&self, stop: &Stop) -> bool {
        !stop.is_set() && self.hold_writes_until.is_none()
    }

    fn intent(&self, write: &PlannedWrite, errand: Errand<'_>) -> Intent {
        let (judged, plan) = match errand {
            Errand::Sweep(judged) => (judged, None),
            Errand::Plan(plan, by) => (&[][..], Some((plan.clone(), by.clone()))),
        };
        let about: Vec<_> = judged.iter().filter(|judged| judged.is_about(write)).collect();
        let old_content = self.tracker.get(write.room(), write.key());
        Intent {
            room: write.room().clone(),
            key: write.key().clone(),
            event: write.event().clone(),
            owners: write.owners().to_vec(),
            reason: write.reason(),
            plan,
            route: write.route().as_str(),
            evidence: about.iter().map(|judged| judged.evidence_json()).collect(),
            old_content: old_content.map_or(Value::Null, |open| open.event.content.clone()),
            at: self.now(),
        }
    }

    fn note(
        &mut self,
        write: &PlannedWrite,
        id: i64,
        step: Step,
        kind: FindingKind,
        errand: Errand<'_>,
    ) -> Result<Done, JournalError> {
        let now = self.now();
        let (room, key) = (write.room(), write.key());
        // What a plan does is told with the plan.
        let found = |kind, obstacle: Option<String>| match errand {
            Errand::Plan(..) => None,
            Errand::Sweep(judged) => Some(Finding {
                room: room.clone(),
                key: key.clone(),
                event: write.event().clone(),
                kind,
                at: now,
                details: Self::details(write, judged, obstacle),
            }),
        };
        Ok(match step {
            Step::Written(written) => {
                let finding = found(kind, None);
                let outcome = match written {
                    Written::Event(event) => WriteOutcome::Cleared(event),
                    Written::Nothing => WriteOutcome::Spared,
                };
                tracing::info!(%room, %key, reason = ?write.reason(), outcome = ?outcome, "dealt with");
                self.journal.finish(id, &outcome, finding.as_ref(), now)?;
                self.has_more_to_say |= finding.is_some();
                if matches!(outcome, WriteOutcome::Cleared(_)) {
                    // A dry run proves nothing: nobody could come back from it.
                    for neighbour in write.probes().iter().copied() {
                        self.breakers.probed(neighbour, room, key, &self.settings.breaker, now);
                        self.journal.save_breakers(&self.breakers)?;
                    }
                    self.close(room, key)?;
                    Done::Cleared
                } else {
                    self.dealt_with.insert((write.event().clone(), kind));
                    Done::Spared
                }
            }
            Step::Replaced(current) => {
                tracing::info!(%room, %key, "changed since it was judged: left alone");
                self.journal.finish(id, &WriteOutcome::Changed, None, now)?;
                // Sync may be late with it, or never say so.
                match current {
                    Some(event) if !is_empty(&event) => {
                        self.take_in_membership(room, event, FirstSeen { at: now, live: true })?;
                        Done::Changed
                    }
                    Some(event) => {
                        self.take_in_membership(room, event, FirstSeen { at: now, live: true })?;
                        Done::Gone
                    }
                    None => {
                        self.close(room, key)?;
                        Done::Gone
                    }
                }
            }
            Step::OwnerIsBack => {
                tracing::info!(%room, %key, "its owner is back in the room: left alone");
                self.journal.finish(id, &WriteOutcome::Changed, None, now)?;
                for owner in write.owners() {
                    self.observed.doubt_member(room, &owner.user);
                }
                Done::Changed
            }
            // What may not be read will not be written either, and asking again in each sweep helps nobody.
            Step::NotTried(error @ NeighbourError::Refused { .. }) => {
                self.note_failure(write, id, &error, found)?
            }
            Step::NotTried(error) => {
                self.slow_down(&error);
                self.journal.finish(id, &WriteOutcome::NotWritten(error.to_string()), None, now)?;
                tracing::warn!(%room, %key, "could not be read again before the write: {error}");
                Done::Later
            }
            Step::Failed(error) => self.note_failure(write, id, &error, found)?,
        })
    }

    fn note_failure(
        &mut self,
        write: &PlannedWrite,
        id: i64,
        error: &NeighbourError,
        found: impl Fn(FindingKind, Option<String>) -> Option<Finding>,
    ) -> Result<Done, JournalError> {
        let now = self.now();
        let place = (write.room().clone(), write.key().clone());
        tracing::warn!(room = %place.0, key = %place.1, "not cleared: {error}");
        self.slow_down(error);
        match error {
            // Nobody knows whether it was written: the intent stays open until the key is read.
            NeighbourError::Unreachable(_) => self.is_unsettled = true,
            NeighbourError::RateLimited { .. } | NeighbourError::SignedOut(_) => {
                self.journal.finish(id, &WriteOutcome::NotWritten(error.to_string()), None, now)?;
            }
            NeighbourError::Refused { errcode, message, .. } => {
                let said = rtc_janitor_core::render::message::harmless(&format!("{errcode}: {message}"));
                let finding = found(FindingKind::Refused, Some(said.clone()));
                self.journal.finish(
                    id,
                    &WriteOutcome::NotWritten(error.to_string()),
                    finding.as_ref(),
                    now,
                )?;
                self.has_more_to_say |= finding.is_some();
                let tries = self.retry_at.get(&place).map_or(0, |(_, tries)| *tries);
                let pause = RETRY.0.saturating_mul(1 << tries.min(10)).min(RETRY.1);
                self.retry_at.insert(place, (now + pause, tries + 1));
                return Ok(Done::Refused(said));
            }
        }
        Ok(Done::Later)
    }

    /// Obeys a server that asks for less, or does not answer: only writes wait, everything else goes on.
    pub(super) fn slow_down(&mut self, error: &NeighbourError) {
        let now = self.now();
        match error {
            NeighbourError::RateLimited { retry_after } => {
                self.hold_writes_until = Some(now + *retry_after);
                self.is_slowed = true;
            }
            NeighbourError::Unreachable(_) => {
                self.hold_writes_until = Some(now + Duration::from_secs(5));
                self.observed.failed(Neighbour::Homeserver, now);
                self.ledger.pause(None);
            }
            NeighbourError::SignedOut(_) | NeighbourError::Refused { .. } => {}
        }
    }
}
