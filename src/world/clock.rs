//! The only place that reads the time.

use rtc_janitor_core::time::Timestamp;

/// Where the janitor gets the time from.
pub trait Clock: Send + Sync {
    /// Now, by the wall clock.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now().into()
    }
}
