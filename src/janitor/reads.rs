//! What is to be read of the homeserver: each thing once, the most urgent first, and after a failure
//! only after a pause.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    time::Timestamp,
};

use super::pace::{Hold, READS};
use crate::world::{NeighbourError, backoff::Backoff};

/// The pauses after a read that failed.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

/// What the server refuses to tell is not asked for again before this.
const REFUSED: Duration = Duration::from_mins(10);

/// The least time between two reads of rooms in which nothing is known to be open.
const BACKGROUND: Duration = Duration::from_millis(500);

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::janitor) enum Read {
    /// A room's memberships and what bears on them, from its current state.
    View(RoomId),
    /// One user's membership of a room.
    Member(RoomId, UserId),
    /// A room's power levels.
    Power(RoomId),
    /// What came of a write, by its number in the journal.
    Intent(i64),
    /// The homeserver's clock.
    Clock,
    /// The room of an alias that the configuration names.
    Alias(String),
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::janitor) enum Urgency {
    /// Somebody waits for an answer.
    Asked,
    /// A write waits for it.
    Due,
    /// A verdict waits for it.
    Needed,
    /// Nothing waits for it.
    Background,
}

/// Everything that is to be read, and what is under way.
#[derive(Debug, Default)]
pub(in crate::janitor) struct Reads {
    queue: BTreeSet<(Urgency, u64, Read)>,
    wanted: BTreeMap<Read, (Urgency, u64)>,
    /// With how urgent it was.
    under_way: HashMap<Read, Urgency>,
    /// What failed, and when it may be tried again.
    failed: HashMap<Read, (Backoff, Timestamp)>,
    hold: Hold,
    next_background: Option<Timestamp>,
    count: u64,
}

impl Reads {
    /// Queues a read, unless it is queued as urgently already. One under way is queued once more: its answer
    /// may be older than what made it wanted again.
    pub(in crate::janitor) fn want(&mut self, read: Read, urgency: Urgency) {
        if urgency == Urgency::Asked {
            // Somebody waits for the answer, though it be that there is none.
            self.failed.remove(&read);
        }
        match self.wanted.get(&read) {
            Some((known, _)) if *known <= urgency => return,
            Some((known, count)) => {
                self.queue.remove(&(*known, *count, read.clone()));
            }
            None => {}
        }
        self.count += 1;
        self.queue.insert((urgency, self.count, read.clone()));
        self.wanted.insert(read, (urgency, self.count));
    }

    /// Whether something is to be read or being read, and may still come.
    pub(in crate::janitor) fn is_expected(&self, read: &Read, now: Timestamp) -> bool {
        let is_put_off = self.failed.get(read).is_some_and(|(_, at)| now < *at);
        (self.wanted.contains_key(read) && !is_put_off) || self.under_way.contains_key(read)
    }

    /// Whether something is being read.
    pub(in crate::janitor) fn is_under_way(&self, read: &Read) -> bool {
        self.under_way.contains_key(read)
    }

    /// Whether something is to be read, once more if it is being read.
    pub(in crate::janitor) fn is_wanted(&self, read: &Read) -> bool {
        self.wanted.contains_key(read)
    }

    /// Whether something failed and is not to be tried yet.
    pub(in crate::janitor) fn is_put_off(&self, read: &Read, now: Timestamp) -> bool {
        self.failed.get(read).is_some_and(|(_, at)| now < *at)
    }

    /// Forgets a room.
    pub(in crate::janitor) fn forget_room(&mut self, room: &RoomId) {
        let is_of = |read: &Read| match read {
            Read::View(of) | Read::Member(of, _) | Read::Power(of) => of == room,
            Read::Intent(_) | Read::Clock | Read::Alias(_) => false,
        };
        self.queue.retain(|(_, _, read)| !is_of(read));
        self.wanted.retain(|read, _| !is_of(read));
        self.failed.retain(|read, _| !is_of(read));
    }

    /// Forgets failures of what nobody has wanted for long.
    pub(in crate::janitor) fn forget_failures(&mut self, before: Timestamp) {
        let wanted = &self.wanted;
        self.failed.retain(|read, (_, at)| *at >= before || wanted.contains_key(read));
    }

    /// The next thing that may be read now; it is under way from here on.
    pub(in crate::janitor) fn next(&mut self, now: Timestamp) -> Option<Read> {
        if self.under_way.len() >= READS || self.hold.ends(now).is_some() {
            return None;
        }
        let may_begin = |(.., read): &&(Urgency, u64, Read)| {
            !self.under_way.contains_key(read) && self.failed.get(read).is_none_or(|(_, at)| *at <= now)
        };
        let may_be_background = self.next_background.is_none_or(|at| at <= now);
        // What may be in the background may be long, and stands at the end.
        let is_in_reach =
            |(urgency, ..): &&(Urgency, u64, Read)| *urgency < Urgency::Background || may_be_background;
        let found = self.queue.iter().take_while(is_in_reach).find(may_begin).cloned()?;
        self.queue.remove(&found);
        let (urgency, _, read) = found;
        if urgency == Urgency::Background {
            self.next_background = Some(now + BACKGROUND);
        }
        self.wanted.remove(&read);
        self.under_way.insert(read.clone(), urgency);
        Some(read)
    }

    /// A read came back. One that failed is wanted again, after a pause.
    pub(in crate::janitor) fn done(&mut self, read: Read, error: Option<&NeighbourError>, now: Timestamp) {
        let urgency = self.under_way.remove(&read).unwrap_or(Urgency::Needed);
        let Some(error) = error else {
            self.failed.remove(&read);
            return;
        };
        let mut backoff = self.failed.get(&read).map_or(BACKOFF, |(backoff, _)| *backoff);
        let pause = backoff.after(error);
        let again = match error {
            NeighbourError::RateLimited { .. } => {
                self.hold.until(now + pause);
                self.want(read, urgency);
                return;
            }
            NeighbourError::Unreachable(_) | NeighbourError::SignedOut(_) => now + pause,
            // The server refuses: whoever needs it goes without, and it is asked for again much later.
            _ => now + REFUSED,
        };
        self.failed.insert(read.clone(), (backoff, again));
        if matches!(error, NeighbourError::Unreachable(_)) {
            // Whoever asked is told so; only then it may be asked for again before the pause is over.
            self.want(read, urgency.max(Urgency::Due));
        }
    }

    /// When something may be read that may not be now.
    pub(in crate::janitor) fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.queue.is_empty() || self.under_way.len() >= READS {
            return None;
        }
        if let Some(end) = self.hold.ends(now) {
            return Some(end);
        }
        let at = |(urgency, _, read): &(Urgency, u64, Read)| {
            let failed = self.failed.get(read).map_or(now, |(_, at)| *at);
            let background = self.next_background.filter(|_| *urgency == Urgency::Background);
            failed.max(background.unwrap_or(now))
        };
        // What is more urgent is at the front; all else is looked at again when that is done.
        self.queue.iter().filter(|(.., read)| !self.under_way.contains_key(read)).take(64).map(at).min()
    }

    /// Until when the server wants to be asked for nothing.
    pub(in crate::janitor) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.hold.ends(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn view(room: &str) -> Read {
        Read::View(room.into())
    }

    #[test]
    fn the_most_urgent_is_read_first_and_each_thing_once() {
        let mut reads = Reads::default();
        reads.want(view("!a"), Urgency::Needed);
        reads.want(view("!b"), Urgency::Needed);
        reads.want(view("!b"), Urgency::Asked);
        reads.want(view("!a"), Urgency::Background);
        assert_eq!(reads.next(now()), Some(view("!b")));
        assert_eq!(reads.next(now()), Some(view("!a")));
        assert_eq!(reads.next(now()), None);
    }

    #[test]
    fn what_failed_is_tried_again_less_and_less_often_and_holds_up_nothing_else() {
        let mut reads = Reads::default();
        let down = NeighbourError::Unreachable("down".into());
        let mut at = now();
        for pause in [1, 2, 4] {
            reads.want(view("!a"), Urgency::Needed);
            assert_eq!(reads.next(at), Some(view("!a")));
            reads.done(view("!a"), Some(&down), at);
            assert_eq!(reads.next(at), None);
            assert_eq!(reads.next_at(at), Some(at + Duration::from_secs(pause)));
            reads.want(view("!b"), Urgency::Needed);
            assert_eq!(reads.next(at), Some(view("!b")), "another room");
            reads.done(view("!b"), None, at);
            at = at + Duration::from_secs(pause);
        }
    }

    #[test]
    fn a_server_that_limits_is_asked_for_nothing_until_then() {
        let mut reads = Reads::default();
        reads.want(view("!a"), Urgency::Needed);
        reads.want(view("!b"), Urgency::Needed);
        let first = reads.next(now()).expect("one");
        let limited = NeighbourError::RateLimited { retry_after: Duration::from_secs(9) };
        reads.done(first, Some(&limited), now());
        assert_eq!(reads.next(now()), None);
        let then = now() + Duration::from_secs(9);
        assert_eq!(reads.next_at(now()), Some(then));
        assert!(reads.next(then).is_some() && reads.next(then).is_some());
    }

    #[test]
    fn rooms_without_a_call_are_read_one_after_the_other_in_the_background() {
        let mut reads = Reads::default();
        for room in ["!a", "!b"] {
            reads.want(view(room), Urgency::Background);
        }
        assert!(reads.next(now()).is_some());
        assert_eq!(reads.next(now()), None);
        assert_eq!(reads.next_at(now()), Some(now() + BACKGROUND));
        assert!(reads.next(now() + BACKGROUND).is_some());
    }

    #[test]
    fn what_waits_for_nothing_is_paced_also_after_a_failure() {
        let mut reads = Reads::default();
        for room in ["!a", "!b"] {
            reads.want(view(room), Urgency::Background);
        }
        let first = reads.next(now()).expect("one");
        reads.done(first, Some(&NeighbourError::RateLimited { retry_after: Duration::from_secs(9) }), now());
        let then = now() + Duration::from_secs(9);
        assert!(reads.next(then).is_some());
        assert_eq!(reads.next(then), None);
    }

    #[test]
    fn failures_are_forgotten_once_nobody_wants_it_for_long() {
        let mut reads = Reads::default();
        let no =
            NeighbourError::Refused { status: 403, errcode: "M_FORBIDDEN".into(), message: String::new() };
        reads.want(view("!a"), Urgency::Needed);
        let read = reads.next(now()).expect("one");
        reads.done(read, Some(&no), now());
        reads.forget_failures(now());
        assert_eq!(reads.failed.len(), 1);
        reads.forget_failures(now() + REFUSED + Duration::from_secs(1));
        assert_eq!(reads.failed.len(), 0);
    }
}
