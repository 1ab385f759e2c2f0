//! The janitor: observe, judge, plan, act, report.
//!
//! One task owns a [`Janitor`]; others reach it by the channels of its [`Inbox`]. It holds parts that own
//! their state and passes values between them. Sync only says "look again at this room"; whatever takes
//! long on the network runs in the background and comes back as an input.
//!
//! | part | what it owns |
//! | --- | --- |
//! | `memory` | what stands in the rooms |
//! | `evidence` | what the sources say of owners |
//! | `sweep` | ledger, guards, when to look at which room; writes and what comes after them |
//! | `plans` | what people have approved, and how far it came |
//! | `voice` | what is to be said, and when |
//! | `joins`, `reads`, `background`, `pace` | what is wanted of the homeserver, what is under way, how fast |
//! | `lookups` | commands that wait for a fresh view |
//! | `left_behind` | who is gone from the SFU and not from the room |
//! | `server` | what the homeserver can and cannot do |
//! | `appservice` | whether the homeserver lets the appservice act for owners |
//! | `presence` | whether somebody can be told |
//! | `overrides` | what was set by command |
//!
//! | file | what it does with them |
//! | --- | --- |
//! | `apply_overrides` | what was set by command takes effect |
//! | `start` | puts the parts together, as the journal says they stood |
//! | `run` | the loop: one input, one step, one commit |
//! | `step` | does what is to be done now |
//! | `ingest`, `outcomes` | take in what sync and requests bring |
//! | `keys` | opens and closes keys in all parts |
//! | `requests` | starts reads, writes and joins |
//! | `call_server` | when the SFU is asked for what |
//! | `leave_lag` | measures who ends the memberships of those who are gone |
//! | `queries` | what commands ask |
//! | `commands` | what is written down of them |
//! | `digest` | sums up for people, once a day or a week |
//! | `new_journal` | what follows when an earlier journal was lost |
//! | `gauges` | shows how things stand to whoever watches from outside |
//! | `once` | a single sweep without the loop |
//!
//! Calls between these files go one way; `.ci/method-graph` checks it.

mod agenda;
pub mod aliases;
mod apply_overrides;
mod appservice;
mod background;
mod call_server;
mod commands;
mod digest;
mod evidence;
mod gauges;
pub mod handle;
mod ingest;
mod input;
mod joins;
mod keys;
mod leave_lag;
pub(crate) mod lookups;
mod memory;
mod new_journal;
pub mod once;
mod outcomes;
pub(crate) mod overrides;
pub(crate) mod pace;
pub(crate) mod plans;
mod presence;
pub(crate) mod queries;
mod reads;
mod requests;
mod run;
mod server;
pub mod settings;
mod start;
mod step;
mod sweep;
mod voice;
pub mod watcher;

use std::{collections::HashMap, sync::Arc};

pub use input::{Announcement, Inbox, Posted, SyncUpdate};
pub(crate) use overrides::{is_paused, settings_in_effect};
pub use presence::Side;
use rtc_janitor_core::{
    ids::{RoomId, StateKey},
    leave_lag::LeftBehind,
    render::Message,
    time::Timestamp,
};
pub use settings::Settings;
pub use sweep::{Judged, SweepSummary};
use tokio::sync::watch;
pub use voice::{Mail, Outbox};

use crate::{
    metrics::Metrics,
    world::{
        Rooms, StateWriter,
        appservice::ActsForOwners,
        clock::Clock,
        device_lists::{DeviceLists, OwnLists},
        journal::{FindingKind, Journal, JournalError, WriteRecord},
        livekit::CallServer,
    },
};
use appservice::AppserviceHealth;
use background::Background;
use evidence::Evidence;
use ingest::Ingest;
use joins::Joins;
use lookups::Lookups;
use memory::Memory;
use overrides::Overrides;
use plans::Plans;
use presence::Presence;
use reads::Reads;
use server::Server;
use sweep::{Aftermath, Gate, Sweep, Writes};
use voice::Voice;

/// The neighbours, behind their ports.
#[derive(Clone)]
pub struct Ports {
    /// Reads rooms, joins and leaves them.
    pub rooms: Arc<dyn Rooms>,
    /// Empties keys.
    pub writer: Arc<dyn StateWriter>,
    /// Knows devices.
    pub device_lists: Arc<dyn DeviceLists>,
    /// Knows all devices of the server's own users; `None` where nobody may ask for them.
    pub own_lists: Option<Arc<dyn OwnLists>>,
    /// Acts for the owners of keys; `None` where no appservice is set up.
    pub appservice: Option<Arc<dyn ActsForOwners>>,
    /// The homeserver has no admin API at all.
    pub has_no_admin_api: bool,
    /// Knows who is in a call; `None` where none is set up.
    pub call_server: Option<Arc<dyn CallServer>>,
    /// Knows the time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Metrics,
}

/// The parts, and the ports through which they learn and act.
pub struct Janitor {
    /// What applies: `file` and `overrides` together.
    settings: Settings,
    /// What the configuration says.
    file: Settings,
    overrides: Overrides,
    ports: Ports,
    journal: Journal,
    memory: Memory,
    evidence: Evidence,
    server: Server,
    /// When it was started.
    began: Timestamp,
    appservice: AppserviceHealth,
    sweep: Sweep,
    aftermath: Aftermath,
    writes: Writes,
    /// Writes of which nobody knows what came of them, by key.
    unsettled: HashMap<(RoomId, StateKey), WriteRecord>,
    /// Open while a sweep's writes may be made.
    sweep_gate: Gate,
    /// Open while the writes of an approved plan may be made.
    plan_gate: Gate,
    plans: Plans,
    voice: Voice,
    presence: Presence,
    joins: Joins,
    reads: Reads,
    lookups: Lookups,
    left_behind: LeftBehind,
    /// When it may be looked next whether leaves are slow.
    next_look_at_lags: Option<Timestamp>,
    background: Background,
    /// The sync answer that is being taken in.
    ingesting: Option<Ingest>,
    /// The first full sync since the start is taken in.
    has_caught_up: bool,
    /// Rooms with calls that were not read from their current state since the start.
    first_views: std::collections::BTreeSet<RoomId>,
    /// Whether every room with calls was read once since the start.
    has_seen_all: watch::Sender<bool>,
    /// Whether much is being written.
    is_writing: watch::Sender<bool>,
    has_announced_start: bool,
    /// When the journal is pruned next.
    next_prune: Timestamp,
    /// When what was put off is to be on disk.
    flush_at: Option<Timestamp>,
    /// When the last digest was due.
    last_digest: Timestamp,
}

impl Janitor {
    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Whether everything was seen once since the start; before that, nothing can be said of calls.
    pub(crate) fn has_seen_all(&self) -> watch::Receiver<bool> {
        self.has_seen_all.subscribe()
    }

    /// Whether much is being written; then others of this account make room.
    pub(crate) fn is_writing(&self) -> watch::Receiver<bool> {
        self.is_writing.subscribe()
    }

    fn first_sync_is_over(&self) -> bool {
        *self.has_seen_all.borrow()
    }

    /// Whether it is to be found out first if an earlier journal was lost.
    fn waits_for_earlier_journal(&self) -> bool {
        self.overrides.may_be_forgotten() && !self.presence.is_at_the_terminal()
    }

    /// What a report says of a key that a sweep deals with now: it is written for real only in mode
    /// `clean`, only while somebody can be told about it, and not before it is known that nothing set by
    /// command is forgotten.
    fn finding_kind(&self) -> FindingKind {
        if self.settings.is_clean && self.presence.is_heard() && !self.waits_for_earlier_journal() {
            FindingKind::Cleared
        } else {
            FindingKind::WouldClear
        }
    }

    /// A name for people, where there is one.
    pub(crate) fn name_of(&self, room: &RoomId) -> Option<String> {
        self.memory.name_of(room)
    }

    /// Notes something to be said; one of the same subject is said once.
    fn say(&mut self, message: &Message, subject: Option<&str>) -> Result<(), JournalError> {
        self.voice.note(&self.journal, message, subject, false, self.ports.clock.now())
    }

    /// Notes something that needs a person at once: those who are to be alerted are mentioned.
    fn alarm(&mut self, message: &Message, subject: Option<&str>) -> Result<(), JournalError> {
        self.voice.note(&self.journal, message, subject, true, self.ports.clock.now())
    }

    /// How many rooms are watched, the admin room aside, and how many keys are open in them.
    pub fn size(&self) -> (usize, usize) {
        let (rooms, open) = self.memory.size();
        let is_in_admin_room = self.settings.admin_room.as_ref().is_some_and(|room| self.memory.knows(room));
        (rooms - usize::from(is_in_admin_room), open)
    }
}

#[cfg(test)]
pub(crate) mod tests;
