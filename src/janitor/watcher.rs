//! The task that follows sync and tells the loop. It decides nothing.

use std::{sync::Arc, time::Duration};

use rtc_janitor_core::time::Timestamp;
use tokio::{sync::mpsc, time::sleep};

use super::{SyncUpdate, pace::Backoff};
use crate::{
    shutdown::Shutdown,
    world::{NeighbourError, SyncBatch, Watch, clock::Clock},
};

/// How long one `/sync` stays open when nothing happens.
const LONG_POLL: Duration = Duration::from_secs(30);

/// The pauses after a failure.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

/// Follows one account's sync.
pub struct Watcher {
    watch: Box<dyn Watch>,
    clock: Arc<dyn Clock>,
    reread_interval: Duration,
    updates: mpsc::Sender<SyncUpdate>,
    backoff: Backoff,
}

/// Why following ended.
#[derive(Debug)]
pub enum Ended {
    /// The loop is gone or told to stop.
    Stopped,
    /// The server has ended the session.
    SignedOut(String),
}

impl Watcher {
    /// A watcher that sends `updates`.
    pub fn new(
        watch: Box<dyn Watch>,
        clock: Arc<dyn Clock>,
        reread_interval: Duration,
        updates: mpsc::Sender<SyncUpdate>,
    ) -> Self {
        Self { watch, clock, reread_interval, updates, backoff: PAUSES }
    }

    /// Follows until told to stop. First what happened since the token of the journal, which says who
    /// removed the bot from where and what its last writes replaced; then everything.
    pub async fn follow(mut self, since: Option<String>, shutdown: Shutdown) -> Ended {
        match shutdown.or(self.follow_on(since)).await {
            Some(Err(ended)) => ended,
            None => Ended::Stopped,
        }
    }

    async fn follow_on(&mut self, since: Option<String>) -> Result<Never, Ended> {
        if let Some(since) = since {
            self.catch_up(&since).await?;
        }
        let mut next: Option<String> = None;
        let mut read_at = None;
        loop {
            let step = match &next {
                None => self.read_everything(&mut read_at).await,
                Some(since) => self.ask(Some(since), LONG_POLL, true).await,
            };
            next = match step? {
                // A token that the server no longer takes: its database was restored, or it is another one.
                Answer::TokenRefused => None,
                Answer::Next(_) if self.is_old(read_at) => None,
                Answer::Next(since) => Some(since),
            };
        }
    }

    /// Whether everything is to be read anew.
    fn is_old(&self, read_at: Option<Timestamp>) -> bool {
        read_at.is_some_and(|at| self.clock.now().since(at) >= self.reread_interval)
    }

    /// What happened while nobody looked. A token that the server no longer knows is no matter.
    async fn catch_up(&mut self, since: &str) -> Result<(), Ended> {
        match self.watch.sync(Some(since), Duration::ZERO).await {
            Ok(batch) => self.tell(SyncUpdate::Batch { batch, live: false }).await,
            Err(error) => {
                tracing::warn!("what happened while I was away cannot be read: {error}");
                Ok(())
            }
        }
    }

    /// Everything, and what came while it was read: the server may answer from a cache, and what
    /// follows from there is always fresh.
    async fn read_everything(&mut self, read_at: &mut Option<Timestamp>) -> Result<Answer, Ended> {
        let Answer::Next(since) = self.ask(None, Duration::ZERO, false).await? else {
            return Ok(Answer::TokenRefused);
        };
        let answer = self.ask(Some(&since), Duration::ZERO, false).await?;
        if matches!(answer, Answer::Next(_)) && read_at.replace(self.clock.now()).is_none() {
            self.tell(SyncUpdate::CaughtUp).await?;
        }
        Ok(answer)
    }

    /// Asks until there is an answer.
    async fn ask(&mut self, since: Option<&str>, timeout: Duration, live: bool) -> Result<Answer, Ended> {
        loop {
            match self.watch.sync(since, timeout).await {
                Ok(batch) => {
                    self.backoff.reset();
                    let SyncBatch { next_batch, .. } = &batch;
                    let next = next_batch.clone();
                    self.tell(SyncUpdate::Batch { batch, live }).await?;
                    return Ok(Answer::Next(next));
                }
                Err(NeighbourError::SignedOut(why)) => return Err(Ended::SignedOut(why)),
                Err(error) => {
                    let pause = self.backoff.after(&error);
                    let is_refused = matches!(error, NeighbourError::Refused { .. });
                    if is_refused && since.is_some() {
                        tracing::warn!(
                            "the homeserver does not take the sync token: reading everything ({error})"
                        );
                        sleep(pause).await;
                        return Ok(Answer::TokenRefused);
                    }
                    // A server that asks for patience is there.
                    if matches!(error, NeighbourError::RateLimited { .. }) {
                        tracing::warn!("sync: {error}");
                    } else {
                        self.tell(SyncUpdate::Lost(error)).await?;
                    }
                    sleep(pause).await;
                }
            }
        }
    }

    async fn tell(&mut self, update: SyncUpdate) -> Result<(), Ended> {
        self.updates.send(update).await.map_err(|_| Ended::Stopped)
    }
}

/// What asking came to.
enum Answer {
    /// An answer; from here on it goes on.
    Next(String),
    /// The server does not take the token.
    TokenRefused,
}

/// Following ends with a reason only.
type Never = std::convert::Infallible;
