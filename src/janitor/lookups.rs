//! Reads that a command waits for: it answers from a fresh view of some rooms.

use std::collections::BTreeSet;

use rtc_janitor_core::{
    ids::{RoomId, StateKey},
    rtc::{
        membership::{Content, FirstSeen, read},
        state_event::StateEvent,
    },
};
use tokio::sync::oneshot;

/// What a look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LookedUp {
    /// Why a room could not be read, for the last of which that is so.
    pub(crate) failed: Option<String>,
    /// The memberships that no client shows, and why.
    pub(crate) malformed: Vec<(StateKey, &'static str)>,
}

#[derive(Debug)]
struct Lookup {
    /// Those that are not complete yet.
    rooms: BTreeSet<RoomId>,
    found: LookedUp,
    reply: oneshot::Sender<LookedUp>,
}

/// All that is waited for.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    waiting: Vec<Lookup>,
}

impl Lookups {
    /// Somebody waits until these rooms were read and the device lists of their owners are in.
    pub(super) fn wait_for(&mut self, rooms: BTreeSet<RoomId>) -> oneshot::Receiver<LookedUp> {
        let (reply, answer) = oneshot::channel();
        self.waiting.push(Lookup { rooms, found: LookedUp::default(), reply });
        answer
    }

    /// A room was read.
    pub(super) fn viewed(&mut self, room: &RoomId, events: &[StateEvent]) {
        for lookup in self.waiting.iter_mut().filter(|lookup| lookup.rooms.contains(room)) {
            let malformed =
                events.iter().filter_map(|event| Some((event.state_key.clone(), malformed(event)?)));
            lookup.found.malformed.extend(malformed);
        }
    }

    /// A room could not be read.
    pub(super) fn failed(&mut self, room: &RoomId, why: &str) {
        for lookup in self.waiting.iter_mut().filter(|lookup| lookup.rooms.contains(room)) {
            lookup.found.failed = Some(why.to_owned());
        }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Answers those of which every room is complete; a room that was once need not be looked at again.
    pub(super) fn answer(&mut self, is_complete: impl Fn(&RoomId) -> bool) {
        for lookup in &mut self.waiting {
            while lookup.rooms.first().is_some_and(&is_complete) {
                lookup.rooms.pop_first();
            }
        }
        let (done, rest) =
            std::mem::take(&mut self.waiting).into_iter().partition(|lookup| lookup.rooms.is_empty());
        self.waiting = rest;
        for Lookup { found, reply, .. } in done as Vec<Lookup> {
            // Whoever asked may have gone.
            let _ = reply.send(found);
        }
    }
}

/// Why no client would show an event; `None` when one does, or nobody is in it.
fn malformed(event: &StateEvent) -> Option<&'static str> {
    if event.event_type != rtc_janitor_core::rtc::state_event::CALL_MEMBER {
        return None;
    }
    match read(event, FirstSeen { at: event.origin_server_ts, live: false }) {
        Content::Malformed(why) => Some(why.why),
        Content::Entries(entries) => entries.into_iter().find_map(Result::err).map(|why| why.why),
        Content::Left => None,
    }
}
