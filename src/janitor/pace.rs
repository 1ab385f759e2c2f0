//! How fast the homeserver may be asked: at most so much at once, less when it says so (429), and after
//! a failure only after a pause that grows.

use std::time::Duration;

use rtc_janitor_core::time::Timestamp;

/// How many reads may be under way at once.
pub(in crate::janitor) const READS: usize = 16;

/// How many joins may be under way at once: one of a server that is gone takes a minute.
pub(in crate::janitor) const JOINS: usize = 4;

/// When one kind of request may be made again.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::janitor) struct Hold(Option<Timestamp>);

impl Hold {
    /// Nothing more before then.
    pub(in crate::janitor) fn until(&mut self, at: Timestamp) {
        self.0 = self.0.max(Some(at));
    }

    /// Until when nothing may be asked, while that is so.
    pub(in crate::janitor) fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.filter(|at| now < *at)
    }

    pub(in crate::janitor) fn lift(&mut self) {
        self.0 = None;
    }
}

/// How many writes are made at once. It is found by itself: more as long as answers take no longer for
/// it, fewer when they do, and one after the other while the server limits.
///
/// A server that writes one after the other anyway (one `SQLite` database, one event persister) answers
/// later in proportion, and is then asked for little at once; one behind a slow line is asked for more.
#[derive(Clone, Copy, Debug)]
pub(in crate::janitor) struct Concurrency {
    limit: f64,
    /// The shortest that one write took lately, milliseconds.
    best: Option<f64>,
    /// Whether more at once has cost time in this burst; until then their number doubles with each round.
    is_strained: bool,
    /// How many writes have to be taken before the server no longer counts as limiting.
    to_be_taken: u32,
}

/// The bounds of what [`Concurrency`] finds.
const AT_LEAST: f64 = 1.0;
const AT_MOST: f64 = Concurrency::AT_MOST as f64;
/// By how much the shortest time is taken to have grown with each write, so that a server that became slower
/// is learned anew.
const DRIFT: f64 = 1.0005;
/// How much longer than alone a write may take for more at once to be worth it. Synapse on PostgreSQL makes four at
/// once in 1.2 to 1.8 times less time than one after the other, and each then takes 2 to 3 times as long. With
/// the fresh reads between the writes the janitor settles at 4 to 7 there (`benches/clearing.rs`).
const STRAIN: f64 = 4.0;
/// Where each burst begins: what one write takes alone is what the others are measured by.
const AT_FIRST: f64 = 1.0;
/// After a server has asked for less, so many writes in a row are made one after the other: where it allows
/// a rate, each one more at once is one more that it refuses.
const IN_A_ROW: u32 = 20;

impl Default for Concurrency {
    fn default() -> Self {
        Self { limit: AT_FIRST, best: None, is_strained: false, to_be_taken: 0 }
    }
}

impl Concurrency {
    /// Never more at once than this.
    pub(in crate::janitor) const AT_MOST: u8 = 16;

    /// How many writes may be under way.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 16")]
    pub(in crate::janitor) fn limit(&self) -> usize {
        if self.is_limited() { 1 } else { self.limit as usize }
    }

    /// A write was taken after so long, while `under_way` were.
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    pub(in crate::janitor) fn taken(&mut self, took: Duration, under_way: usize) {
        self.to_be_taken = self.to_be_taken.saturating_sub(1);
        let took = took.as_secs_f64().mul_add(1000.0, 1.0);
        let best = self.best.map_or(took, |best| (best * DRIFT).min(took));
        self.best = Some(best);
        if (under_way as f64) + 1.0 < self.limit {
            return; // it was not what held anything up
        }
        // As long as the time beyond the best is small, more at once costs nobody anything.
        let strain = took / best;
        self.is_strained |= strain >= STRAIN || self.is_limited();
        if !self.is_strained {
            self.limit = (self.limit + 1.0).min(AT_MOST);
            return;
        }
        let wanted = if strain < STRAIN { self.limit + 1.0 } else { self.limit * (STRAIN / strain).max(0.5) };
        self.limit = (self.limit * 0.7 + wanted * 0.3).clamp(AT_LEAST, AT_MOST);
    }

    /// Nothing is left to be written.
    pub(in crate::janitor) const fn rest(&mut self) {
        self.limit = AT_FIRST;
        self.is_strained = false;
    }

    /// The server has asked for less: one at a time until it has taken some in a row.
    pub(in crate::janitor) const fn limited(&mut self) {
        self.to_be_taken = IN_A_ROW;
        self.limit = AT_LEAST;
    }

    /// Whether the server has lately asked for less.
    pub(in crate::janitor) const fn is_limited(&self) -> bool {
        self.to_be_taken > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes against a server that takes `at_once` side by side, 20 ms each, and queues the rest.
    fn settled(at_once: usize) -> usize {
        let mut concurrency = Concurrency::default();
        for _ in 0..500 {
            let under_way = concurrency.limit();
            let rounds = under_way.div_ceil(at_once).max(1);
            concurrency.taken(Duration::from_millis(20) * u32::try_from(rounds).expect("few"), under_way);
        }
        concurrency.limit()
    }

    #[test]
    fn a_server_that_writes_one_after_the_other_is_asked_for_few_and_a_parallel_one_for_many() {
        assert!(settled(1) <= 6, "{}", settled(1));
        assert!(settled(64) >= 15, "{}", settled(64));
    }

    #[test]
    fn once_the_server_limits_writes_are_made_one_at_a_time_until_it_has_taken_some() {
        let mut concurrency = Concurrency::default();
        concurrency.taken(Duration::from_millis(20), 1);
        concurrency.taken(Duration::from_millis(20), 1);
        concurrency.taken(Duration::from_millis(20), 1);
        concurrency.taken(Duration::from_millis(20), 1);
        concurrency.limited();
        for _ in 0..IN_A_ROW {
            assert_eq!(concurrency.limit(), 1);
            concurrency.taken(Duration::from_millis(20), 1);
        }
        concurrency.taken(Duration::from_millis(20), 1);
        concurrency.taken(Duration::from_millis(20), 1);
        assert!(concurrency.limit() > 1, "{}", concurrency.limit);
    }
}
