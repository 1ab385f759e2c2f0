//! The task that follows sync and tells the loop. It decides nothing.

use std::{sync::Arc, time::Duration};

use rtc_janitor_core::time::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::SyncUpdate;
use crate::{
    shutdown::Shutdown,
    world::{NeighbourError, SyncBatch, Watch, backoff::Backoff, clock::Clock},
};

/// How long one `/sync` stays open when nothing happens.
const LONG_POLL: Duration = Duration::from_secs(30);

/// The pauses after a failure.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

/// The pauses after a token was refused: each leads to a view of everything.
const REFUSALS: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(10));

/// While much is being written, what changes is asked for no more often than this: each write wakes the stream, and a
/// server that answers it has less time for the next.
const WHILE_WRITING: Duration = Duration::from_secs(1);

/// So often it is asked what happened while nobody looked.
const TRIES_TO_CATCH_UP: u32 = 3;

/// Follows one account's sync.
pub struct Watcher {
    watch: Box<dyn Watch>,
    clock: Arc<dyn Clock>,
    reread_interval: Duration,
    updates: mpsc::Sender<SyncUpdate>,
    /// When the homeserver last answered.
    synced: watch::Sender<Option<Timestamp>>,
    /// Whether the janitor writes much.
    is_writing: watch::Receiver<bool>,
    backoff: Backoff,
    refusals: Backoff,
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
    /// A watcher that sends `updates`, notes in `synced` when the homeserver last answered, and makes room while much
    /// `is_writing`.
    pub fn new(
        watch: Box<dyn Watch>,
        clock: Arc<dyn Clock>,
        reread_interval: Duration,
        updates: mpsc::Sender<SyncUpdate>,
        synced: watch::Sender<Option<Timestamp>>,
        is_writing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            watch,
            clock,
            reread_interval,
            updates,
            synced,
            is_writing,
            backoff: BACKOFF,
            refusals: REFUSALS,
        }
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
                Some(since) => {
                    self.make_room_for_writes().await;
                    self.ask(Some(since), LONG_POLL, true).await
                }
            };
            next = match step? {
                // A token that the server no longer takes: its database was restored, or it is another one.
                Answer::TokenRefused => None,
                Answer::Next(_) if self.is_old(read_at) => None,
                Answer::Next(since) => Some(since),
            };
        }
    }

    async fn make_room_for_writes(&mut self) {
        // Over when there is no more to write, or no janitor.
        let _ = timeout(WHILE_WRITING, self.is_writing.wait_for(|is_writing| !is_writing)).await;
    }

    fn answered(&mut self) {
        self.backoff.reset();
        self.synced.send_replace(Some(self.clock.now()));
    }

    /// Whether everything is to be read anew.
    fn is_old(&self, read_at: Option<Timestamp>) -> bool {
        read_at.is_some_and(|at| self.clock.now().since(at) >= self.reread_interval)
    }

    /// What happened while nobody looked. A token that the server no longer knows is no matter.
    async fn catch_up(&mut self, since: &str) -> Result<(), Ended> {
        for tries in 1..=TRIES_TO_CATCH_UP {
            let error = match self.watch.sync(Some(since), Duration::ZERO).await {
                Ok(batch) => {
                    self.answered();
                    return self.tell(SyncUpdate::Batch { batch, live: false }).await;
                }
                Err(error) => error,
            };
            let may_heal =
                matches!(error, NeighbourError::Unreachable(_) | NeighbourError::RateLimited { .. });
            if !may_heal || tries == TRIES_TO_CATCH_UP {
                tracing::warn!("what happened while I was away cannot be read: {error}");
                break;
            }
            sleep(self.backoff.after(&error)).await;
        }
        Ok(())
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
                    self.answered();
                    if since.is_some() {
                        self.refusals.reset();
                    }
                    let SyncBatch { next_batch, .. } = &batch;
                    let next = next_batch.clone();
                    self.tell(SyncUpdate::Batch { batch, live }).await?;
                    return Ok(Answer::Next(next));
                }
                Err(NeighbourError::SignedOut(why)) => return Err(Ended::SignedOut(why)),
                Err(error) => {
                    let is_refused = matches!(error, NeighbourError::Refused { .. });
                    if is_refused && since.is_some() {
                        let pause = self.refusals.after(&error);
                        tracing::warn!(
                            "the homeserver does not take the sync token: reading everything ({error})"
                        );
                        sleep(pause).await;
                        return Ok(Answer::TokenRefused);
                    }
                    let pause = self.backoff.after(&error);
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    };

    use async_trait::async_trait;

    use super::*;
    use crate::world::clock::SystemClock;

    /// A server that gives tokens and takes none.
    struct Forgetful(Arc<AtomicU32>);

    #[async_trait]
    impl Watch for Forgetful {
        async fn sync(&mut self, since: Option<&str>, _: Duration) -> Result<SyncBatch, NeighbourError> {
            if since.is_some() {
                let (errcode, message) = ("M_UNKNOWN".to_owned(), "no such token".to_owned());
                return Err(NeighbourError::Refused { status: 400, errcode, message });
            }
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(SyncBatch { full: true, next_batch: "t".to_owned(), ..SyncBatch::default() })
        }
    }

    /// A server that is down for so many requests, and what was asked of it since when.
    struct Down {
        requests: u32,
        asked: Arc<Mutex<Vec<Option<String>>>>,
    }

    #[async_trait]
    impl Watch for Down {
        async fn sync(&mut self, since: Option<&str>, _: Duration) -> Result<SyncBatch, NeighbourError> {
            self.asked.lock().unwrap().push(since.map(str::to_owned));
            if let Some(left) = self.requests.checked_sub(1) {
                self.requests = left;
                return Err(NeighbourError::Unreachable("503".to_owned()));
            }
            sleep(Duration::from_mins(1)).await;
            Ok(SyncBatch { full: since.is_none(), next_batch: "t".to_owned(), ..SyncBatch::default() })
        }
    }

    /// What a server that is down for so many requests is asked for by a watch that goes on from `old`.
    async fn asked_when_down_for(requests: u32) -> Vec<Option<String>> {
        let asked = Arc::default();
        let (updates, mut taken) = mpsc::channel(4);
        tokio::spawn(async move { while taken.recv().await.is_some() {} });
        let watch = Box::new(Down { requests, asked: Arc::clone(&asked) });
        let watcher = Watcher::new(
            watch,
            Arc::new(SystemClock),
            Duration::from_hours(6),
            updates,
            watch::Sender::new(None),
            watch::Sender::new(false).subscribe(),
        );
        let shutdown = Shutdown::new();
        let task = tokio::spawn(watcher.follow(Some("old".to_owned()), shutdown.clone()));
        sleep(Duration::from_hours(1)).await;
        shutdown.request();
        task.await.expect("it ends");
        let asked = asked.lock().unwrap();
        asked.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missed_is_asked_for_until_it_is_answered_but_not_for_ever() {
        let old = Some("old".to_owned());
        let asked = asked_when_down_for(TRIES_TO_CATCH_UP - 1).await;
        let tries = TRIES_TO_CATCH_UP as usize;
        assert!(asked[..tries].iter().all(|since| *since == old), "{asked:?}");
        assert_eq!(asked[tries], None, "then everything is read");

        let asked = asked_when_down_for(3 * TRIES_TO_CATCH_UP).await;
        assert_eq!(asked.iter().filter(|since| **since == old).count(), tries);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_no_token_is_asked_for_everything_less_and_less_often() {
        let views = Arc::new(AtomicU32::new(0));
        let (updates, mut taken) = mpsc::channel(4);
        tokio::spawn(async move { while taken.recv().await.is_some() {} });
        let watch = Box::new(Forgetful(Arc::clone(&views)));
        let watcher = Watcher::new(
            watch,
            Arc::new(SystemClock),
            Duration::from_hours(6),
            updates,
            watch::Sender::new(None),
            watch::Sender::new(false).subscribe(),
        );
        let shutdown = Shutdown::new();
        let task = tokio::spawn(watcher.follow(None, shutdown.clone()));
        sleep(Duration::from_hours(2)).await;
        shutdown.request();
        task.await.expect("it ends");
        let views = views.load(Ordering::SeqCst);
        assert!((10..=25).contains(&views), "{views} views of everything in 2 h");
    }

    /// A server on which something happens all the time, and when it was asked.
    struct Busy(Arc<Mutex<Vec<tokio::time::Instant>>>);

    #[async_trait]
    impl Watch for Busy {
        async fn sync(&mut self, _: Option<&str>, _: Duration) -> Result<SyncBatch, NeighbourError> {
            self.0.lock().unwrap().push(tokio::time::Instant::now());
            sleep(Duration::from_millis(10)).await;
            Ok(SyncBatch { full: true, next_batch: "t".to_owned(), ..SyncBatch::default() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_much_is_written_it_asks_once_a_second_and_otherwise_at_once() {
        let asked = Arc::default();
        let (updates, mut taken) = mpsc::channel(4);
        tokio::spawn(async move { while taken.recv().await.is_some() {} });
        let is_writing = watch::Sender::new(true);
        let watch = Box::new(Busy(Arc::clone(&asked)));
        let clock = Arc::new(SystemClock);
        let hours = Duration::from_hours(6);
        let synced = watch::Sender::new(None);
        let watcher = Watcher::new(watch, clock, hours, updates, synced, is_writing.subscribe());
        let shutdown = Shutdown::new();
        let task = tokio::spawn(watcher.follow(None, shutdown.clone()));
        let in_ten_seconds = async || {
            let before = asked.lock().unwrap().len();
            sleep(Duration::from_secs(10)).await;
            asked.lock().unwrap().len() - before
        };
        let busy = in_ten_seconds().await;
        assert!((9..=12).contains(&busy), "{busy}");
        is_writing.send_replace(false);
        let quiet = in_ten_seconds().await;
        assert!(quiet > 900, "{quiet}");
        is_writing.send_replace(true);
        sleep(Duration::from_millis(100)).await;
        shutdown.request();
        tokio::time::timeout(Duration::from_millis(1), task)
            .await
            .expect("it ends at once")
            .expect("it ends");
    }
}
