//! How others ask something of the task that owns the janitor.

use std::{fmt, future::Future, pin::Pin};

use tokio::sync::{mpsc, oneshot};

use super::Janitor;
use crate::world::journal::JournalError;

/// Work that is done between two steps of the loop, with everything the janitor knows.
pub(super) type Job = Box<dyn for<'a> FnOnce(&'a mut Janitor) -> Work<'a, ()> + Send>;

/// Work under way.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// How many jobs may wait.
const JOBS: usize = 64;

/// Where to ask. Cheap to clone.
#[derive(Clone)]
pub struct Desk(mpsc::Sender<Job>);

/// The other end.
pub struct Jobs(pub(super) mpsc::Receiver<Job>);

impl Desk {
    /// A pair: one to ask, one for the janitor.
    pub fn new() -> (Self, Jobs) {
        let (sender, receiver) = mpsc::channel(JOBS);
        (Self(sender), Jobs(receiver))
    }

    /// Has something done and waits for what comes of it; `None` when the janitor is gone.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Janitor) -> Work<'a, T> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |janitor| {
            Box::pin(async move {
                let done = work(janitor).await?;
                // Whoever asked may have gone.
                let _ = reply.send(done);
                Ok(())
            })
        });
        self.0.send(job).await.ok()?;
        answer.await.ok()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}
