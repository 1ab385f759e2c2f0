//! The one place of this crate that reads the time.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// The time of day, for timestamps written into events.
#[expect(clippy::disallowed_methods, reason = "tests against a real server live in real time")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A moment to measure limits from; it stands still where a test has paused tokio's time.
pub(crate) fn moment() -> Instant {
    Instant::now()
}
