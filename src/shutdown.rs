//! Shutdown: one token that every task holds.
//!
//! A soft stop lets what is under way finish; who waits for something slow waits with [`Shutdown::or`]
//! and is free at once.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// Whether the program is to end. Cheap to clone; every clone can ask for it and hears of it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A token that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to end.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether somebody has asked.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves once somebody has asked.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// The result of `work`, or `None` when shutdown comes first; `work` is dropped then.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.requested() => None,
            done = work => Some(done),
        }
    }
}
