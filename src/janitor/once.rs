//! Single sweeps, made by hand or by cron, without the loop.

use std::{collections::HashMap, time::Duration};

use rtc_janitor_core::{
    export::Explained,
    ids::RoomId,
    judge::verdict::Verdict,
    plan::{HeldBack, Route},
    render::{Message, report::Report},
    time::Timestamp,
};
use serde::Serialize;
use tokio::time::sleep;

use super::{AdminRoomState, Janitor, Judged, SweepSummary, run::Stop};
use crate::world::{
    NeighbourError, Watch,
    journal::{FindingKind, JournalError},
};

/// Two sweeps at most this far apart count as looking all the time: cron is the janitor's loop then.
/// Each of them reads everything afresh.
pub const LONGEST_GAP: Duration = Duration::from_hours(2);

/// How long a homeserver that does not answer is waited for: the next run comes, and finds the store free.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before a homeserver that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Why a single sweep could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The homeserver did not answer.
    #[error("the homeserver gave no usable answer: {0}")]
    Homeserver(#[from] NeighbourError),
    /// A room that was asked for.
    #[error("I am not in the room {0}: invite me there first, or correct --room")]
    NotInRoom(RoomId),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// One membership and what a single sweep did about it.
#[derive(Clone, Debug, Serialize)]
pub struct Swept {
    /// The room.
    pub room_id: RoomId,
    /// What was concluded.
    #[serde(flatten)]
    pub explained: Explained,
    /// When its grace is over, milliseconds since the Unix epoch; null when nothing speaks against it.
    pub due_ms: Option<i64>,
    /// `cleared`, `would_clear`, `blocked`, `refused`, or null when nothing was done yet.
    pub outcome: Option<FindingKind>,
}

impl Janitor {
    /// Sweeps once; with `wait`, again and again until every grace is over.
    ///
    /// # Errors
    ///
    /// When the homeserver does not answer, a room that was asked for is not joined, or the journal cannot
    /// be used.
    pub async fn sweep_once(
        &mut self,
        watch: &mut dyn Watch,
        wait: bool,
        stop: &Stop,
    ) -> Result<(Vec<Swept>, Message), OnceError> {
        // Whoever runs this is told on the terminal.
        self.admin_room = AdminRoomState::Reachable;
        let since = self.read(watch, None, stop).await?;
        // The second answer has the rooms whose invitations the first one brought.
        let mut since = self.read(watch, Some(&since), stop).await?;
        if let Some(room) = self.settings.only.iter().find(|room| !self.is_in(room)) {
            return Err(OnceError::NotInRoom(room.clone()));
        }
        self.has_seen_all.send_replace(true);
        let mut done: Vec<(Swept, rtc_janitor_core::ids::EventId)> = Vec::new();
        let mut report = Report::default();
        let judged = loop {
            let summary = self.sweep_untold(stop).await?;
            self.collect(&summary, &mut done, &mut report)?;
            let Some(pause) = self.pause_until_more(&summary).filter(|_| wait && !stop.is_set()) else {
                break summary.judged;
            };
            if stop.or(sleep(pause)).await.is_none() {
                break summary.judged;
            }
            since = self.read(watch, Some(&since), stop).await?;
        };
        if stop.or(self.add_routes(&judged, &mut done)).await.is_none() {
            tracing::debug!("told to stop before it was known who may write");
        }
        let message = report.message(self.now());
        Ok((done.into_iter().map(|(swept, _)| swept).collect(), message))
    }

    /// Says how each key that is still there could be emptied; where that cannot be read, nothing is said.
    async fn add_routes(&mut self, judged: &[Judged], done: &mut [(Swept, rtc_janitor_core::ids::EventId)]) {
        let mut candidates = self.open_candidates(judged);
        self.find_routes(&mut candidates).await;
        let routes: HashMap<_, _> = candidates.iter().map(|one| (&one.event, one.route)).collect();
        for (swept, event) in done {
            match routes.get(event) {
                Some(Some(Ok(route))) => swept.explained.route = Some(route.as_str()),
                Some(Some(Err(_))) => swept.explained.route = Some("none"),
                Some(None) | None => {}
            }
        }
    }

    /// Takes in what sync says; a server that does not answer is asked again for a while.
    async fn read(
        &mut self,
        watch: &mut dyn Watch,
        since: Option<&str>,
        stop: &Stop,
    ) -> Result<String, OnceError> {
        let end = self.now() + PATIENCE;
        let batch = loop {
            let error = match watch.sync(since, Duration::ZERO).await {
                Ok(batch) => break batch,
                Err(error) => error,
            };
            let pause = match &error {
                NeighbourError::Unreachable(_) => AGAIN,
                NeighbourError::RateLimited { retry_after } => *retry_after,
                NeighbourError::SignedOut(_) | NeighbourError::Refused { .. } => return Err(error.into()),
            };
            if self.now() + pause > end {
                return Err(error.into());
            }
            tracing::warn!("{error}; trying again in {}", humantime::format_duration(pause));
            if stop.or(sleep(pause)).await.is_none() {
                return Err(error.into());
            }
        };
        let next = batch.next_batch.clone();
        self.take_in(batch, false).await?;
        Ok(next)
    }

    /// What this sweep adds to what earlier ones did.
    fn collect(
        &mut self,
        summary: &SweepSummary,
        done: &mut Vec<(Swept, rtc_janitor_core::ids::EventId)>,
        report: &mut Report,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let findings = self.journal.unreported()?;
        // What was dealt with stays in the result; what is still open is judged anew.
        done.retain(|(swept, _)| swept.outcome == Some(FindingKind::Cleared));
        for one in &summary.judged {
            let event = &one.subject.event;
            let found = |kind| {
                let now_found = findings.iter().any(|f| f.event == *event && f.kind == kind);
                Ok::<_, JournalError>(now_found || self.journal.was_found(event, kind)?)
            };
            let mut outcome = None;
            if matches!(one.judgement.verdict, Verdict::Stale(_)) {
                for kind in [
                    FindingKind::Cleared,
                    FindingKind::Refused,
                    FindingKind::Blocked,
                    FindingKind::WouldClear,
                ] {
                    if outcome.is_none() && found(kind)? {
                        outcome = Some(kind);
                    }
                }
            }
            // What was cleared could be; of the rest it is asked at the end.
            let route = (outcome == Some(FindingKind::Cleared)).then(|| Route::OwnPower.as_str());
            let judged = (&one.judgement, &one.evidence);
            let swept = Swept {
                room_id: one.subject.room.clone(),
                explained: Explained::open(&one.subject.key, &one.membership, judged, now, route),
                due_ms: one.due_at.map(Timestamp::as_millis),
                outcome,
            };
            done.push((swept, event.clone()));
        }
        for finding in &findings {
            let Some(row) = Self::row_of(finding) else { continue };
            report.add(finding.kind, row);
        }
        if !findings.is_empty() {
            self.journal.told_elsewhere(&report.message(now), &findings, now)?;
        }
        Ok(())
    }

    /// How long until there is more to do: a grace ends, or what was held back may go on.
    fn pause_until_more(&self, summary: &SweepSummary) -> Option<Duration> {
        let now = self.now();
        let goes_on = summary.held.iter().any(|(.., why)| {
            matches!(
                why,
                HeldBack::TooYoung
                    | HeldBack::OneSighting
                    | HeldBack::NotRefreshed
                    | HeldBack::Limit(_)
                    | HeldBack::Breaker(_)
            )
        });
        let regular = (goes_on || self.held_until().is_some())
            .then(|| now + self.settings.sweep_interval.min(Duration::from_secs(5)));
        // What is due by one reason need not wait for the graces of others.
        let undue = summary.judged.iter().filter(|one| one.due.is_empty());
        let next_due = undue.filter_map(|one| one.due_at).filter(|at| *at > now).min();
        let at = [next_due, self.held_until(), regular].into_iter().flatten().min()?;
        // Longer than that without a look would not count as looking all the time.
        let pause = at.since(now).min(self.settings.sweep_interval);
        Some(pause + Duration::from_millis(10))
    }
}
