//! Single sweeps, made by hand or by cron, without the loop.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rtc_janitor_core::{
    export::Explained,
    ids::{EventId, RoomId},
    judge::verdict::Verdict,
    ledger::Subject,
    plan::{HeldBack, Route},
    render::{
        Message,
        answer::held_back,
        report::{Report, Row},
    },
    time::Timestamp,
};
use serde::Serialize;
use tokio::time::sleep;

use super::{Janitor, SweepSummary, ingest::Ingest, presence::Presence};
use crate::{
    shutdown::Shutdown,
    world::{
        NeighbourError, Watch,
        backoff::Backoff,
        journal::{FindingKind, JournalError},
    },
};

/// Two sweeps at most this far apart count as looking all the time: cron is the janitor's loop then.
/// Each of them reads everything afresh.
pub const LONGEST_GAP: Duration = Duration::from_hours(2);

/// How long a homeserver that does not answer is waited for: the next run comes, and finds the store free.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The least time to wait for something that is to be tried again.
const SHORTEST: Duration = Duration::from_millis(50);

/// The pauses before a homeserver that did not answer is asked again.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(8));

/// Why a single sweep could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The homeserver did not answer.
    #[error("the homeserver gave no usable answer: {0}")]
    Homeserver(#[from] NeighbourError),
    /// A room that was asked for.
    #[error("I am not in the room {0}: invite me there first, or correct --room")]
    NotInRoom(RoomId),
    /// Rooms whose current state could not be read.
    #[error("nothing can be said before these rooms could be read: {0}")]
    Unread(String),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How far a single sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Rooms with calls are read from their current state.
    Reading {
        /// How many are done.
        done: usize,
        /// How many there are.
        of: usize,
    },
    /// It waits until there is more to do.
    Waiting {
        /// Until then.
        until: Timestamp,
    },
}

/// One membership and what a single sweep did about it.
#[derive(Clone, Debug, Serialize)]
pub struct Swept {
    /// The room.
    pub room_id: RoomId,
    /// Its name, for people.
    #[serde(skip)]
    pub room_name: Option<String>,
    /// What was concluded.
    #[serde(flatten)]
    pub explained: Explained,
    /// When it can be cleared as far as time alone tells: a grace is over, and it is old enough. Milliseconds since the
    /// Unix epoch; null where no reason holds, or the clock of none runs.
    pub due_ms: Option<i64>,
    /// `cleared`, `would_clear`, `blocked`, `refused`, or null when nothing was done yet.
    pub outcome: Option<FindingKind>,
    /// What keeps it from being cleared though it is due, in half a sentence.
    #[serde(skip)]
    pub obstacle: Option<String>,
    /// Whether that passes by itself, as a wait does.
    #[serde(skip)]
    pub waits: bool,
    /// Whether the report of this sweep tells of it.
    #[serde(skip)]
    pub is_told: bool,
}

/// Whether what is held back for this goes on by itself.
const fn waits(why: HeldBack) -> bool {
    matches!(
        why,
        HeldBack::TooYoung
            | HeldBack::OneSighting
            | HeldBack::NotRefreshed
            | HeldBack::SentExpired
            | HeldBack::FirstSync
            | HeldBack::Limit(_)
    )
}

impl Janitor {
    /// Sweeps once; with `wait`, again and again until every grace is over. `progress` is told how far it is.
    ///
    /// # Errors
    ///
    /// When the homeserver does not answer, a room that was asked for is not joined, or the journal cannot
    /// be used.
    pub async fn sweep_once(
        &mut self,
        watch: &mut dyn Watch,
        wait: bool,
        progress: &dyn Fn(Progress),
        shutdown: &Shutdown,
    ) -> Result<(Vec<Swept>, Message), OnceError> {
        // Whoever runs this is told on the terminal.
        self.presence = Presence::at_the_terminal();
        self.has_announced_start = true;
        self.voice.keep_silent();
        self.sweep.keep_judged();
        let since = self.read(watch, None, shutdown).await?;
        // Invitations are followed, and the second answer has the rooms.
        self.step_until_quiet(shutdown).await?;
        let mut since = self.read(watch, Some(&since), shutdown).await?;
        if let Some(room) = self.settings.only.iter().find(|room| !self.is_in(room)) {
            return Err(OnceError::NotInRoom(room.clone()));
        }
        self.caught_up();
        self.see_all(progress, shutdown).await?;
        let mut done: Vec<(Swept, EventId)> = Vec::new();
        let mut report = Report::default();
        loop {
            let summary = self.sweep_until_quiet(shutdown).await?;
            self.collect(&summary, &mut done, &mut report)?;
            let Some(pause) = self.pause_until_more(&summary).filter(|_| wait && !shutdown.is_requested())
            else {
                break;
            };
            progress(Progress::Waiting { until: self.now() + pause });
            if shutdown.or(sleep(pause)).await.is_none() {
                break;
            }
            since = self.read(watch, Some(&since), shutdown).await?;
        }
        let message = report.message(self.now());
        Ok((done.into_iter().map(|(swept, _)| swept).collect(), message))
    }

    /// Waits until every room with a call was read from its current state; for what does not answer, no
    /// longer than [`PATIENCE`].
    async fn see_all(&mut self, progress: &dyn Fn(Progress), shutdown: &Shutdown) -> Result<(), OnceError> {
        let end = self.now() + PATIENCE;
        let of = self.first_views.len();
        loop {
            let read = |janitor: &Self| {
                progress(Progress::Reading { done: of.saturating_sub(janitor.first_views.len()), of });
            };
            self.step_until_quiet_and(read, shutdown).await?;
            if self.first_sync_is_over() || shutdown.is_requested() {
                return Ok(());
            }
            let now = self.now();
            let again = self.reads.next_at(now).unwrap_or(end);
            if now >= end || again > end {
                let rooms: Vec<_> = self.first_views.iter().map(ToString::to_string).collect();
                return Err(OnceError::Unread(rooms.join(", ")));
            }
            let _: Option<()> = shutdown.or(sleep(again.since(now).max(SHORTEST))).await;
        }
    }

    /// Takes in what sync says; a server that does not answer is asked again for a while.
    async fn read(
        &mut self,
        watch: &mut dyn Watch,
        since: Option<&str>,
        shutdown: &Shutdown,
    ) -> Result<String, OnceError> {
        let end = self.now() + PATIENCE;
        let mut backoff = BACKOFF;
        let batch = loop {
            let error = match watch.sync(since, Duration::ZERO).await {
                Ok(batch) => break batch,
                Err(error) => error,
            };
            let may_heal =
                matches!(error, NeighbourError::Unreachable(_) | NeighbourError::RateLimited { .. });
            let pause = backoff.after(&error);
            if !may_heal || self.now() + pause > end {
                return Err(error.into());
            }
            tracing::warn!("{error}; trying again in {}", humantime::format_duration(pause));
            if shutdown.or(sleep(pause)).await.is_none() {
                return Err(error.into());
            }
        };
        let next = batch.next_batch.clone();
        let mut ingest = Ingest::new(batch, false, self.now());
        self.journal.begin_unit();
        while !self.ingest(&mut ingest)? {}
        self.commit()?;
        Ok(next)
    }

    /// What this sweep adds to what earlier ones did.
    fn collect(
        &mut self,
        summary: &SweepSummary,
        done: &mut Vec<(Swept, EventId)>,
        report: &mut Report,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let findings = self.journal.unreported()?;
        let found: BTreeSet<_> = findings.iter().map(|finding| (&finding.event, finding.kind)).collect();
        // What was dealt with stays in the result; what is still open is judged anew.
        let told: BTreeSet<_> =
            done.iter().filter(|(swept, _)| swept.is_told).map(|(_, event)| event.clone()).collect();
        done.retain(|(swept, _)| swept.outcome == Some(FindingKind::Cleared));
        let held: BTreeMap<_, _> = summary.held.iter().map(|(room, key, why)| ((room, key), *why)).collect();
        for judged in &summary.judged {
            let event = &judged.subject.event;
            let mut outcome = None;
            if matches!(judged.judgement.verdict, Verdict::Stale(_)) {
                for kind in [
                    FindingKind::Cleared,
                    FindingKind::Refused,
                    FindingKind::Blocked,
                    FindingKind::WouldClear,
                ] {
                    let was_found = found.contains(&(event, kind)) || self.journal.was_found(event, kind)?;
                    outcome = outcome.or(was_found.then_some(kind));
                }
            }
            let (room, key) = (&judged.subject.room, &judged.subject.key);
            let route = if outcome == Some(FindingKind::Cleared) {
                self.journal.clear_of(room, key, event)?.and_then(|clear| clear.route).map(Route::as_str)
            } else {
                match self.route(room, key) {
                    Some(Ok(route)) => Some(route.as_str()),
                    Some(Err(_)) => Some("none"),
                    // Where that could not be read, nothing is said.
                    None => None,
                }
            };
            let conclusion = (&judged.judgement, &judged.evidence);
            let held = held.get(&(room, key)).copied();
            let swept = Swept {
                room_id: judged.subject.room.clone(),
                room_name: self.name_of(&judged.subject.room),
                explained: Explained::open(&judged.subject.key, &judged.membership, conclusion, now, route),
                due_ms: judged.due_at.map(Timestamp::as_millis),
                outcome,
                obstacle: match self.route(room, key) {
                    Some(Err(blocked)) => Some(held_back(HeldBack::NoRoute(blocked))),
                    _ => held.map(held_back),
                },
                waits: held.is_some_and(waits),
                is_told: told.contains(event) || found.iter().any(|(found, _)| *found == event),
            };
            done.push((swept, event.clone()));
        }
        for finding in &findings {
            let room_name = self.name_of(&finding.room);
            report.add(finding.kind, Row { room_name, ..finding.row.clone() });
        }
        if !findings.is_empty() {
            self.journal.told_elsewhere(&report.message(now), &findings, now)?;
        }
        Ok(())
    }

    /// How long until there is more to do: a grace ends, or what was held back may go on.
    pub(super) fn pause_until_more(&self, summary: &SweepSummary) -> Option<Duration> {
        let now = self.now();
        // When what is too young is old enough is known; it need not be looked for.
        let goes_on = summary.held.iter().any(|(.., why)| match why {
            HeldBack::Breaker(_) => true,
            why => waits(*why) && !why.is_age(),
        });
        let held_until =
            [self.writes.held_until(now), self.reads.held_until(now)].into_iter().flatten().min();
        let regular = (goes_on || held_until.is_some())
            .then(|| now + self.settings.sweep_interval.min(Duration::from_secs(5)));
        // What can be cleared for one reason need not wait for the graces of others; what is due may be too young.
        let next_due = summary.judged.iter().filter_map(|judged| judged.due_at).filter(|at| *at > now).min();
        let at = [next_due, held_until, regular].into_iter().flatten().min()?;
        // Longer than that without a look would not count as looking all the time.
        let pause = at.since(now).min(self.settings.sweep_interval);
        Some(pause + Duration::from_millis(10))
    }

    /// Sweeps everything, and goes on with what follows from it until nothing is under way and nothing is
    /// to be done at this instant: what a loop does, without one.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or written.
    pub(super) async fn sweep_until_quiet(
        &mut self,
        shutdown: &Shutdown,
    ) -> Result<SweepSummary, JournalError> {
        self.sweep.keep_judged();
        self.step_until_quiet(shutdown).await?;
        if shutdown.is_requested() || !self.may_sweep() {
            return Ok(SweepSummary::default());
        }
        let now = self.now();
        let scope = self.sweep.take_all(self.settings.sweep_interval, now);
        let mut summary = self.look(&scope)?;
        self.step_until_quiet(shutdown).await?;
        // What came in meanwhile has changed what was concluded. What was cleared is no longer open, and is
        // what the sweep is about.
        let after = self.with_deadlines(self.judge(None));
        let is_open: BTreeSet<_> = after.iter().map(|judged| judged.subject.event.clone()).collect();
        let mut judged = Vec::new();
        for before in self.sweep.take_kept(|event| is_open.contains(event)) {
            // Others may have been left in the event.
            let Subject { room, key, event, .. } = &before.subject;
            let clear = self.journal.clear_of(room, key, event)?;
            let is_it = clear.is_some_and(|clear| clear.owners.may_include(&before.membership.owner));
            if is_it && self.journal.was_found(event, FindingKind::Cleared)? {
                judged.push(before);
            }
        }
        judged.extend(after);
        summary.judged = judged;
        Ok(summary)
    }

    /// Goes on until nothing is under way and nothing is to be done at this instant.
    pub(super) async fn step_until_quiet(&mut self, shutdown: &Shutdown) -> Result<(), JournalError> {
        self.step_until_quiet_and(|_| {}, shutdown).await
    }

    /// The same; `after_each` step something is looked at.
    async fn step_until_quiet_and(
        &mut self,
        after_each: impl Fn(&Self),
        shutdown: &Shutdown,
    ) -> Result<(), JournalError> {
        self.sweep.look_at_once();
        loop {
            after_each(self);
            if shutdown.is_requested() {
                return self.wind_down().await;
            }
            self.step()?;
            self.commit()?;
            if self.background.is_idle() {
                if self.may_sweep() && self.sweep.has_marked() {
                    continue;
                }
                return Ok(());
            }
            let Some(outcome) = shutdown.or(self.background.next()).await else { continue };
            self.take_in_outcome(outcome)?;
        }
    }
}
