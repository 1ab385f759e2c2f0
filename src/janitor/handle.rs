//! How other tasks ask something of the task that owns the janitor.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use super::Janitor;
use crate::world::journal::JournalError;

/// Sends the answer, once what it rests on is on disk.
pub(super) type Reply = Box<dyn FnOnce() + Send>;

/// A request: done between two steps of the loop, with everything the janitor knows, and without waiting
/// for anybody.
pub(super) type Request = Box<dyn FnOnce(&mut Janitor) -> Result<Reply, JournalError> + Send>;

/// How many requests may wait.
const REQUESTS: usize = 64;

/// Where to ask. Cheap to clone.
#[derive(Clone)]
pub struct JanitorHandle(mpsc::Sender<Request>);

/// The other end.
pub struct Requests(pub(super) mpsc::Receiver<Request>);

impl JanitorHandle {
    /// A pair: one to ask, one for the janitor.
    pub fn new() -> (Self, Requests) {
        let (sender, receiver) = mpsc::channel(REQUESTS);
        (Self(sender), Requests(receiver))
    }

    /// Has something done and waits for what comes of it; `None` when the janitor has ended.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Janitor) -> Result<T, JournalError> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let request: Request = Box::new(move |janitor| {
            let done = work(janitor)?;
            Ok(Box::new(move || {
                // Whoever asked may have gone.
                let _ = reply.send(done);
            }))
        });
        self.0.send(request).await.ok()?;
        answer.await.ok()
    }
}

impl fmt::Debug for JanitorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JanitorHandle").finish_non_exhaustive()
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}
