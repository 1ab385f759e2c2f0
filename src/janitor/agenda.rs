//! When the loop wakes up next by itself, and for what.

use std::time::Duration;

use rtc_janitor_core::time::Timestamp;

/// Something that is overdue could not be done when it was looked at; it is looked at again no sooner
/// than this.
const FLOOR: Duration = Duration::from_millis(10);

/// Without anything to wake up for, the loop looks around this often.
const IDLE: Duration = Duration::from_hours(1);

/// Why the loop wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Look,
    Read,
    Write,
    Join,
    Appservice,
    DeviceLists,
    Sfu,
    SourceSettles,
    Plan,
    PauseEnds,
    Word,
    Digest,
    Prune,
    Flush,
}

/// The instants at which something is to be done.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    next: Option<(Timestamp, Why)>,
}

impl Agenda {
    /// Something is to be done at `at`, if at any time.
    pub(super) fn add(&mut self, why: Why, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        if self.next.is_none_or(|(next, _)| at < next) {
            self.next = Some((at, why));
        }
    }

    /// The first of them.
    #[cfg(test)]
    fn next(&self) -> Option<(Timestamp, Why)> {
        self.next
    }

    /// How long until then.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        self.next.map_or(IDLE, |(at, _)| at.since(now).clamp(FLOOR, IDLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_wakes_up_for_what_comes_first_and_never_spins() {
        let now = Timestamp::from_millis(1_000_000);
        let mut agenda = Agenda::default();
        assert_eq!(agenda.wait(now), IDLE);
        agenda.add(Why::Look, Some(now + Duration::from_secs(9)));
        agenda.add(Why::Word, Some(now + Duration::from_secs(3)));
        agenda.add(Why::Join, None);
        assert_eq!(agenda.next(), Some((now + Duration::from_secs(3), Why::Word)));
        assert_eq!(agenda.wait(now), Duration::from_secs(3));
        agenda.add(Why::Plan, Some(now - Duration::from_secs(5)));
        assert_eq!(agenda.wait(now), FLOOR);
    }
}
