//! How fast a survey may ask: the server answers other people, too.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{NeighbourError, backoff::Backoff};

/// How many questions are under way at a time.
pub(super) const AT_ONCE: usize = 4;

/// After each answer whoever asked rests for as long as it took, at most this long: so on average two questions are under
/// way, and there are the fewer the slower the server answers.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// The pauses of all after one question that was not answered.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// How often one question is asked before it is given up.
const TRIES: u32 = 4;

/// How often one question is put off because the server asks for that.
const TIMES_PUT_OFF: u32 = 100;

/// So many questions given up in a row, and nothing else answered: then it may be the server, and not a room.
pub(super) const GIVEN_UP: u32 = 3;

/// So many, and it is the server, whatever else it answers.
pub(super) const MOST_GIVEN_UP: u32 = 30;

/// The pace of one survey.
#[derive(Debug)]
pub(super) struct Pace {
    /// Until when nobody asks.
    hold: Mutex<Instant>,
    /// How many questions in a row were given up.
    given_up: AtomicU32,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { hold: Mutex::new(Instant::now()), given_up: AtomicU32::new(0) }
    }

    /// Asks, and asks again what may heal.
    pub(super) async fn ask<T, F>(&self, question: impl Fn() -> F + Send) -> Result<T, NeighbourError>
    where
        F: Future<Output = Result<T, NeighbourError>> + Send,
    {
        let (mut backoff, mut tries, mut put_off) = (BACKOFF, 0, 0);
        loop {
            self.wait().await;
            let begun = Instant::now();
            let answer = question().await;
            sleep(begun.elapsed().min(LONGEST_REST)).await;
            let error = match answer {
                Err(error @ (NeighbourError::RateLimited { .. } | NeighbourError::Unreachable(_))) => error,
                settled => {
                    self.given_up.store(0, Ordering::Relaxed);
                    return settled;
                }
            };
            let is_limited = matches!(error, NeighbourError::RateLimited { .. });
            *(if is_limited { &mut put_off } else { &mut tries }) += 1;
            if tries >= TRIES || put_off >= TIMES_PUT_OFF {
                self.given_up.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            }
            self.hold_for(backoff.after(&error));
        }
    }

    /// How many questions in a row were given up.
    pub(super) fn given_up(&self) -> u32 {
        self.given_up.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        loop {
            let until = *self.hold.lock().unwrap_or_else(PoisonError::into_inner);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn hold_for(&self, pause: Duration) {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        *hold = (*hold).max(Instant::now() + pause);
    }
}
