//! The task that follows sync and tells the loop. It decides nothing.

use std::{sync::Arc, time::Duration};

use rtc_janitor_core::time::Timestamp;
use tokio::{sync::mpsc, time::sleep};

use super::run::{News, Stop};
use crate::world::{NeighbourError, SyncBatch, Watch, clock::Clock};

/// How long one `/sync` stays open when nothing happens.
const LONG_POLL: Duration = Duration::from_secs(30);

/// The pause after a failure: doubled each time up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Follows one account's sync.
pub struct Watcher {
    watch: Box<dyn Watch>,
    clock: Arc<dyn Clock>,
    reread_interval: Duration,
    news: mpsc::Sender<News>,
    pause: Duration,
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
    /// A watcher that tells `news`.
    pub fn new(
        watch: Box<dyn Watch>,
        clock: Arc<dyn Clock>,
        reread_interval: Duration,
        news: mpsc::Sender<News>,
    ) -> Self {
        Self { watch, clock, reread_interval, news, pause: PAUSES.0 }
    }

    /// Follows until told to stop. First what happened since the token of the journal, which says who
    /// removed the bot from where and what its last writes replaced; then everything.
    pub async fn follow(mut self, since: Option<String>, stop: Stop) -> Ended {
        stop.or(self.follow_on(since)).await.unwrap_or(Ended::Stopped)
    }

    async fn follow_on(&mut self, since: Option<String>) -> Ended {
        if let Some(since) = since
            && let Err(ended) = self.catch_up(&since).await
        {
            return ended;
        }
        let mut next: Option<String> = None;
        let mut read_at = None;
        loop {
            let step = match next {
                None => self.read_everything(&mut read_at).await,
                Some(since) => self.ask(Some(&since), LONG_POLL, true).await,
            };
            next = match step {
                Err(ended) => return ended,
                Ok(_) if read_at.is_some_and(|at| self.clock.now().since(at) >= self.reread_interval) => None,
                Ok(since) => Some(since),
            };
        }
    }

    /// What happened while nobody looked. A token that the server no longer knows is no matter.
    async fn catch_up(&mut self, since: &str) -> Result<(), Ended> {
        match self.watch.sync(Some(since), Duration::ZERO).await {
            Ok(batch) => self.tell(News::Batch { batch, live: false }).await,
            Err(error) => {
                tracing::warn!("what happened while I was away cannot be read: {error}");
                Ok(())
            }
        }
    }

    /// Everything, and what came while it was read: the server may answer from a cache, and what
    /// follows from there is always fresh.
    async fn read_everything(&mut self, read_at: &mut Option<Timestamp>) -> Result<String, Ended> {
        let since = self.ask(None, Duration::ZERO, false).await?;
        let since = self.ask(Some(&since), Duration::ZERO, false).await?;
        if read_at.replace(self.clock.now()).is_none() {
            self.tell(News::CaughtUp).await?;
        }
        Ok(since)
    }

    /// Asks until there is an answer.
    async fn ask(&mut self, since: Option<&str>, timeout: Duration, live: bool) -> Result<String, Ended> {
        loop {
            match self.watch.sync(since, timeout).await {
                Ok(batch) => {
                    self.pause = PAUSES.0;
                    let SyncBatch { next_batch, .. } = &batch;
                    let next = next_batch.clone();
                    self.tell(News::Batch { batch, live }).await?;
                    return Ok(next);
                }
                Err(NeighbourError::SignedOut(why)) => return Err(Ended::SignedOut(why)),
                Err(error) => {
                    let pause = match &error {
                        NeighbourError::RateLimited { retry_after } => *retry_after,
                        _ => self.pause,
                    };
                    self.pause = (self.pause * 2).min(PAUSES.1);
                    self.tell(News::Lost(error)).await?;
                    sleep(pause).await;
                }
            }
        }
    }

    async fn tell(&mut self, news: News) -> Result<(), Ended> {
        self.news.send(news).await.map_err(|_| Ended::Stopped)
    }
}
