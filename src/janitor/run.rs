//! The loop: news from sync, the clock, the admin room, and the wish to stop.

use std::{future::Future, time::Duration};

use rtc_janitor_core::{
    ids::EventId,
    judge::policy::Neighbour,
    mode::Pause,
    render::{Message, answer, report},
    time::Timestamp,
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{AdminRoomState, Janitor, desk::Jobs, wishes::Wish};
use crate::world::{NeighbourError, SyncBatch, journal::JournalError};

/// Sync brings things in bursts; a sweep waits this long for the rest of one.
const SETTLE: Duration = Duration::from_millis(100);

/// How often the journal forgets what is old.
const PRUNE: Duration = Duration::from_hours(24);

/// Whether the program is to end; cheap to clone, and everybody who works for long has one.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// The other end of [`Stop`].
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stop {
    /// A pair: one to say it, one to hear it.
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Self(receiver))
    }

    /// Whether it was said.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is said; also when nobody is left who could.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        let _ = receiver.wait_for(|set| *set).await;
    }

    /// Waits for `work`, but not longer than until it is said.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.wait() => None,
            done = work => Some(done),
        }
    }
}

impl Stopper {
    /// Says it.
    pub fn set(&self) {
        let _ = self.0.send(true);
    }
}

/// What the task that follows sync has to tell.
#[derive(Debug)]
pub enum News {
    /// One answer; `live` is false for what happened before the janitor looked.
    Batch {
        /// What it says.
        batch: SyncBatch,
        /// Whether its events were seen to arrive.
        live: bool,
    },
    /// The first view of everything is complete, and nothing in it came from a cache.
    CaughtUp,
    /// The homeserver did not answer.
    Lost(NeighbourError),
}

/// Something that is to be said in the admin room once and never again.
#[derive(Debug)]
pub struct Announcement {
    /// What tells it from others.
    pub subject: String,
    /// The text.
    pub message: Message,
}

/// What other tasks tell the loop.
#[derive(Debug)]
pub struct Inbox {
    /// From the task that follows sync.
    pub news: mpsc::Receiver<News>,
    /// Messages that the server has.
    pub sent: mpsc::UnboundedReceiver<(String, EventId)>,
    /// Whether the admin room can be spoken in; `None` before that is known.
    pub admin_room: watch::Receiver<Option<Result<(), String>>>,
    /// What others want said in the admin room, each once.
    pub announcements: mpsc::UnboundedReceiver<Announcement>,
    /// What others ask of the janitor.
    pub jobs: Jobs,
}

impl Janitor {
    /// Runs until told to stop.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or written: without it nothing can be done safely.
    pub async fn run(mut self, mut inbox: Inbox, stop: Stop) -> Result<(), JournalError> {
        let mut said_hello = false;
        let mut pruned = self.now();
        while !stop.is_set() {
            let knows_admin_room = inbox.admin_room.borrow().is_some();
            let may_look = self.first_sync_is_over() && knows_admin_room;
            let look_in = self.time_to_next_look().filter(|_| may_look);
            let chore_in = self.time_to_next_chore()?;
            tokio::select! {
                biased;
                () = stop.wait() => break,
                Some(news) = inbox.news.recv() => {
                    // What is broken off here is read again after the next start.
                    stop.or(self.hear(news)).await.transpose()?;
                    while let Ok(news) = inbox.news.try_recv() {
                        stop.or(self.hear(news)).await.transpose()?;
                    }
                }
                Some((txn, event)) = inbox.sent.recv() => self.journal.sent(&txn, &event)?,
                Some(Announcement { subject, message }) = inbox.announcements.recv() => {
                    self.say(&message, Some(&subject), self.now())?;
                }
                Some(job) = inbox.jobs.0.recv() => {
                    // What is broken off here is answered after the next start.
                    stop.or(job(&mut self)).await.transpose()?;
                }
                Ok(()) = inbox.admin_room.changed() => {
                    let state = inbox.admin_room.borrow_and_update().clone();
                    self.hear_of_admin_room(state)?;
                }
                () = sleep(look_in.unwrap_or(PRUNE)) => {
                    self.wants_look = look_in.is_some();
                }
                () = sleep(chore_in.unwrap_or(PRUNE)) => {}
            }
            let knows_admin_room = inbox.admin_room.borrow().is_some();
            if !(self.first_sync_is_over() && knows_admin_room) {
                continue;
            }
            if !said_hello {
                said_hello = true;
                self.say_hello()?;
            }
            self.end_pause()?;
            self.go_on_with_plans(&stop).await?;
            if self.wants_look && self.look_is_due() {
                self.wants_look = false;
                self.sweep_unless_stopped(&stop).await?;
            }
            self.digest()?;
            self.speak()?;
            if self.now().since(pruned) >= PRUNE {
                pruned = self.now();
                self.journal.prune(pruned - self.settings.retention)?;
            }
        }
        Ok(())
    }

    /// How long until something is to be done that is no look at calls.
    fn time_to_next_chore(&self) -> Result<Option<Duration>, JournalError> {
        let now = self.now();
        let pause_ends = self.wishes().pause.and_then(Pause::ends);
        let at = [self.next_word(), self.next_plan_step(), pause_ends, self.next_digest()?];
        // Never in a busy loop, whatever the deadlines say.
        Ok(at.into_iter().flatten().min().map(|at| at.since(now).max(Duration::from_millis(10))))
    }

    /// A pause that was set for a time ends by itself.
    pub(super) fn end_pause(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        if let Some(pause) = self.wishes().pause.filter(|pause| !pause.holds(now)) {
            self.unwish(&Wish::Pause(pause))?;
            self.say(&answer::pause_over(), None, now)?;
        }
        Ok(())
    }

    async fn sweep_unless_stopped(&mut self, stop: &Stop) -> Result<(), JournalError> {
        if self.observed.is_away(Neighbour::Homeserver) {
            return Ok(());
        }
        let summary = self.sweep(stop).await?;
        tracing::debug!(memberships = summary.judged.len(), held = summary.held.len(), "swept");
        Ok(())
    }

    async fn hear(&mut self, news: News) -> Result<(), JournalError> {
        let now = self.now();
        match news {
            News::Batch { batch, live } => {
                self.observed.answered(Neighbour::Homeserver, now);
                let touches_calls = batch.full || batch.joined.iter().any(|update| !update.is_quiet());
                self.take_in(batch, live).await?;
                self.wants_look |= touches_calls && self.next_look().is_some();
            }
            News::CaughtUp => {
                self.has_seen_all.send_replace(true);
                self.wants_look = true;
            }
            News::Lost(error) => {
                tracing::warn!("the homeserver does not answer: {error}");
                self.observed.failed(Neighbour::Homeserver, now);
                self.ledger.pause(None);
            }
        }
        Ok(())
    }

    fn hear_of_admin_room(&mut self, state: Option<Result<(), String>>) -> Result<(), JournalError> {
        let now = self.now();
        match (state, self.admin_room) {
            (Some(Ok(())), AdminRoomState::Away(since)) => {
                self.admin_room = AdminRoomState::Reachable;
                if self.admin_room_was_there {
                    self.say(&report::admin_room_back(now.since(since)), None, now)?;
                }
                self.admin_room_was_there = true;
                self.wants_look = true;
            }
            (Some(Err(why)), AdminRoomState::Reachable) => {
                tracing::warn!("nothing is written until the admin room is back: {why}");
                self.admin_room = AdminRoomState::Away(now);
            }
            _ => {}
        }
        Ok(())
    }

    fn say_hello(&mut self) -> Result<(), JournalError> {
        let (rooms, open) = self.size();
        let start = report::Start {
            version: env!("CARGO_PKG_VERSION"),
            mode: self.mode(),
            mode_of_file: self.mode_of_file(),
            mode_by_command: self.wishes().mode,
            paused: self.wishes().pause,
            rooms,
            open,
            silent_after: self.settings.policy.silent_after,
            prefix: &self.settings.command_prefix,
            now: self.now(),
        };
        self.say(&start.message(), None, self.now())
    }

    fn look_is_due(&self) -> bool {
        self.last_look.is_none_or(|last| self.now() >= last + SETTLE)
    }

    fn time_to_next_look(&self) -> Option<Duration> {
        if self.observed.is_away(Neighbour::Homeserver) {
            return None; // it is looked again when it answers
        }
        let now = self.now();
        let soon = self.last_look.filter(|_| self.wants_look).map(|last| last + SETTLE);
        let at: Timestamp = [self.next_look(), soon].into_iter().flatten().min()?;
        // Never in a busy loop, whatever the deadlines say.
        Some(at.since(now).max(Duration::from_millis(10)))
    }
}
