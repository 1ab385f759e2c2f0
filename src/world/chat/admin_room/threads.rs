//! In which threads of the admin room commands came, so that answers stay there.

use std::collections::{HashMap, VecDeque};

use rtc_janitor_core::ids::EventId;

/// So many events are kept in mind. An answer comes soon after its command; one after a restart is a plain reply.
const KEPT: usize = 200;

/// The roots of threads, by the events in them.
#[derive(Debug, Default)]
pub(super) struct Threads {
    roots: HashMap<EventId, EventId>,
    /// The oldest first.
    order: VecDeque<EventId>,
}

impl Threads {
    /// Notes that an event stands in a thread.
    pub(super) fn note(&mut self, event: EventId, root: EventId) {
        if self.roots.insert(event.clone(), root).is_none() {
            self.order.push_back(event);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.roots.remove(&oldest);
        }
    }

    /// Notes that an event answers another, and so stands in its thread; false where that is in none.
    pub(super) fn follow(&mut self, event: &EventId, answered: &EventId) -> bool {
        let root = self.root_of(answered).cloned();
        root.map(|root| self.note(event.clone(), root)).is_some()
    }

    /// The thread in which an event stands.
    pub(super) fn root_of(&self, event: &EventId) -> Option<&EventId> {
        self.roots.get(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut threads = Threads::default();
        for number in 0..=KEPT {
            threads.note(format!("${number}").into(), "$root".into());
        }
        assert_eq!(threads.root_of(&"$0".into()), None);
        assert_eq!(threads.root_of(&"$1".into()), Some(&"$root".into()));
        assert_eq!(threads.root_of(&format!("${KEPT}").into()), Some(&"$root".into()));
        assert_eq!((threads.roots.len(), threads.order.len()), (KEPT, KEPT));
        assert!(threads.follow(&"$answer".into(), &"$1".into()), "though that goes for it");
        assert!(!threads.follow(&"$other".into(), &"$nowhere".into()));
        assert_eq!(threads.root_of(&"$answer".into()), Some(&"$root".into()));
    }
}
