//! Pauses after failures, the same for all who ask a neighbour again.

use std::time::Duration;

use super::NeighbourError;

/// The longest that a server's `retry_after` is obeyed: a proxy's `Retry-After: 86400` would blind the
/// bot for a day.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Pauses that grow: doubled after each failure up to a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, failures: 0 }
    }

    /// The pause after one more failure; what the server asks for goes first, up to a limit.
    pub(crate) fn after(&mut self, error: &NeighbourError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if let NeighbourError::RateLimited { retry_after } = error {
            return (*retry_after).min(LONGEST_RETRY_AFTER);
        }
        self.grown()
    }

    /// The pause after one more failure, whatever it was.
    pub(crate) fn next(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.grown()
    }

    fn grown(&self) -> Duration {
        self.first.saturating_mul(1 << self.failures.saturating_sub(1).min(16)).min(self.cap)
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> NeighbourError {
        NeighbourError::Unreachable("down".into())
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let pauses: Vec<_> = (0..5).map(|_| backoff.after(&down()).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.after(&down()), Duration::from_secs(1));
    }

    #[test]
    fn what_the_server_asks_for_is_obeyed_but_not_for_a_day() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let limited = |secs| NeighbourError::RateLimited { retry_after: Duration::from_secs(secs) };
        assert_eq!(backoff.after(&limited(77)), Duration::from_secs(77));
        assert_eq!(backoff.after(&limited(86_400)), LONGEST_RETRY_AFTER);
    }
}
