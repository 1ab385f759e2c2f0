//! How things stand, for whoever watches from outside: it is left where nobody need ask the loop for it.

use rtc_janitor_core::{guard::breaker, judge::policy::Neighbour};

use super::Janitor;
use crate::metrics::RoomCounts;

impl Janitor {
    /// Shows how things stand now.
    pub(super) fn show(&self) {
        let metrics = &self.ports.metrics;
        metrics.memberships(self.sweep.tally.total());
        metrics.rooms(RoomCounts {
            joined: self.size().0,
            with_calls: self.memory.with_calls().len(),
            not_joined: self.joins.len(),
        });
        let are_many = self.writes.are_many();
        self.is_writing.send_if_modified(|is_writing| std::mem::replace(is_writing, are_many) != are_many);
        let now = self.now();
        for source in Neighbour::ALL {
            metrics.breaker(source, *self.sweep.breakers.state(source) != breaker::State::Closed);
            if let Some(health) = self.evidence.health(source) {
                let counts = !health.is_away() && !self.evidence.is_settling(source, now);
                metrics.source(source, counts && self.evidence.why_unidentified(source).is_none());
            }
        }
    }
}
