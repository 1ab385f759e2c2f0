//! What was asked and when: every request, every write, and when a message was first handed to the bot.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::{
    event::event_id,
    reply::Reply,
    request::{Call, Caller},
};
use crate::{CALL_MEMBER, ProxiedRequest};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// What was asked.
    pub request: ProxiedRequest,
    /// A name for all requests of its kind, such as `GET state/m.room.member`.
    pub kind: String,
    /// The device that asked; the chat connection's begins with `CHAT`, the watch's with `WATCH`.
    pub device: String,
    /// By whose right.
    pub caller: Caller,
    /// When it came.
    pub at: Instant,
    /// When it was answered and with what status; `None` as long as it is not, or where it was cut.
    pub answered: Option<(Instant, u16)>,
}

impl Arrival {
    /// Whether it is to write a call membership.
    pub fn is_clear(&self) -> bool {
        self.request.method == "PUT" && self.request.path.contains(&format!("/state/{CALL_MEMBER}/"))
    }

    /// Whether it is one of the requests that wait for something to tell.
    pub fn is_long_poll(&self) -> bool {
        self.kind.ends_with("sync since") || self.kind.ends_with("sliding since")
    }

    /// Whether it asks for everything there is.
    pub fn is_full_view(&self) -> bool {
        self.kind.ends_with("sync full") || self.kind.ends_with("sliding full")
    }

    /// Whether it reads the state of a room.
    pub fn is_read(&self) -> bool {
        let reads = ["state", "members", "joined_members", "event", "context", "messages"];
        let what = self.kind.strip_prefix("GET ").unwrap_or_default();
        reads.contains(&what) || what.starts_with("state/")
    }

    /// Whether it asks for the device lists of people in calls.
    pub fn is_device_query(&self) -> bool {
        self.kind == "POST keys/query" && self.request.body["device_keys"].to_string().contains("@user")
    }

    /// Whether it goes to the admin API.
    pub fn is_admin(&self) -> bool {
        self.request.path.starts_with("/_synapse/admin/")
    }

    /// Whether it was answered with success.
    pub fn has_succeeded(&self) -> bool {
        self.answered.is_some_and(|(_, status)| status < 300)
    }
}

/// Requests since the last reset.
#[derive(Debug, Default)]
pub(super) struct Counts {
    arrivals: Vec<Arrival>,
    /// How many were forgotten: numbers of requests go on.
    forgotten: usize,
    /// Numbers of events that somebody waits to see handed over, and when they were.
    awaited: HashMap<u64, Option<Instant>>,
    /// Bytes of answers to sync.
    synced: usize,
}

impl Counts {
    pub(super) fn arrive(&mut self, call: &Call, request: ProxiedRequest, at: Instant) -> usize {
        let (kind, device) = (call.kind(), call.device().to_owned());
        self.arrivals.push(Arrival { request, kind, device, caller: call.caller, at, answered: None });
        self.forgotten + self.arrivals.len() - 1
    }

    pub(super) fn leave(&mut self, number: usize, status: u16) {
        let arrival = number.checked_sub(self.forgotten).and_then(|index| self.arrivals.get_mut(index));
        if let Some(arrival) = arrival {
            arrival.answered = Some((crate::clock::moment(), status));
        }
    }

    /// Notes which awaited events an answer to sync hands over.
    pub(super) fn serve(&mut self, call: &Call, reply: &Reply) {
        self.synced += reply.len();
        // Only the chat connection is there to hear of messages.
        if !call.device().starts_with("CHAT") {
            return;
        }
        for (number, served) in self.awaited.iter_mut().filter(|(_, served)| served.is_none()) {
            if reply.contains(&event_id(*number)) {
                *served = Some(crate::clock::moment());
            }
        }
    }

    pub(super) fn wait_for(&mut self, event: u64) {
        self.awaited.insert(event, None);
    }

    pub(super) fn served(&self, event: u64) -> Option<Instant> {
        self.awaited.get(&event).copied().flatten()
    }

    pub(super) fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    pub(super) fn by_kind(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for arrival in &self.arrivals {
            *kinds.entry(arrival.kind.clone()).or_default() += 1;
        }
        kinds
    }

    pub(super) fn synced(&self) -> usize {
        self.synced
    }

    pub(super) fn reset(&mut self) {
        self.forgotten += self.arrivals.len();
        self.arrivals.clear();
        self.synced = 0;
    }
}
