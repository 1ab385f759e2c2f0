//! What is being done for the admin room, and in which order.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use tokio::{sync::watch, task::JoinSet};

use crate::admin_room::{commands::Course, request::Stopped};

/// How it ends.
type Done = Result<(), Stopped>;

/// What is being done for the admin room. None of what is beside holds up another.
#[derive(Default)]
pub(super) struct UnderWay {
    /// How many there have been.
    count: u64,
    beside: JoinSet<Done>,
    /// Those that go at once, until they are done: what is said after them is to find them done.
    now: Vec<watch::Receiver<()>>,
    /// One after the other, the first of them now.
    in_turn: VecDeque<BoxFuture<'static, Done>>,
}

impl UnderWay {
    /// The number of the next, in the order in which they were said.
    pub(super) fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Begins one, or lets it wait for its turn.
    pub(super) fn add(&mut self, course: Course, work: impl Future<Output = Done> + Send + 'static) {
        match course {
            Course::Now => {
                let (done, is_done) = watch::channel(());
                self.now.retain(|earlier| earlier.has_changed().is_ok());
                self.now.push(is_done);
                self.beside.spawn(Box::pin(async move {
                    let _done = done;
                    work.await
                }));
            }
            Course::InTurn => {
                let earlier = self.now.clone();
                self.in_turn.push_back(Box::pin(async move {
                    for mut is_done in earlier {
                        // Nothing is ever sent: it ends when the other side is gone.
                        let _ = is_done.changed().await;
                    }
                    work.await
                }));
            }
            Course::Beside => {
                self.beside.spawn(Box::pin(work));
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.beside.is_empty() && self.in_turn.is_empty()
    }

    /// Waits until one is done.
    pub(super) async fn next(&mut self) -> Done {
        tokio::select! {
            done = async {
                match self.in_turn.front_mut() {
                    Some(first) => first.await,
                    None => std::future::pending().await,
                }
            } => {
                self.in_turn.pop_front();
                done
            }
            Some(done) = self.beside.join_next() => match done {
                Ok(done) => done,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => Ok(()),
            },
        }
    }
}
