//! The janitor: observe, judge, plan, act, report.
//!
//! One task owns a [`Janitor`] and everything in it; others talk to that task over channels. Sync only
//! says "look again" ([`Janitor::take_in`]); a verdict is made from a whole view, in [`Janitor::sweep`].
//!
//! | file | what it does |
//! | --- | --- |
//! | `tracker` | which memberships are open, by room |
//! | `observe` | what the neighbours say about them |
//! | `judged` | what a look at one membership came to |
//! | `sweep` | one pass from evidence to plan |
//! | `act` | the plan's writes, each after a fresh read |
//! | `verify` | own writes seen again, and memberships that come back |
//! | `news` | what a sync brought: rooms gained, lost, upgraded |
//! | `plans` | what a person approves, and how far it came |
//! | `wishes` | what was set by command |
//! | `report` | findings and notes into messages |
//! | `desk`, `outbox` | how others ask, and how answers leave |
//! | `run` | the loop |

mod act;
pub mod desk;
mod judged;
mod news;
mod observe;
pub mod once;
mod outbox;
pub(crate) mod plans;
mod power;
mod report;
pub mod run;
pub mod settings;
mod sweep;
pub(crate) mod tell;
mod tracker;
mod verify;
pub mod watcher;
pub(crate) mod wishes;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

pub use judged::Judged;
pub use outbox::{Mail, Outbox};
use rtc_janitor_core::{
    guard::{breaker::Breakers, quarantine::Quarantine},
    ids::{EventId, RoomId, StateKey},
    judge::evidence::DeviceHistory,
    ledger::Ledger,
    rtc::membership::Owner,
    time::Timestamp,
};
pub use settings::Settings;
pub use sweep::SweepSummary;
use tokio::sync::watch;

use crate::world::{
    Rooms, StateWriter,
    clock::Clock,
    device_lists::DeviceLists,
    dry_run::{Armed, Clear, DryRun},
    journal::{FindingKind, Journal, JournalError},
};
use observe::Observed;
use plans::Plans;
use power::Turns;
use sweep::ClockCheck;
use tracker::Tracker;
use wishes::Wishes;

/// The neighbours, behind their ports.
#[derive(Clone)]
pub struct Ports {
    /// Reads rooms.
    pub rooms: Arc<dyn Rooms>,
    /// Empties keys.
    pub writer: Arc<dyn StateWriter>,
    /// Knows devices.
    pub device_lists: Arc<dyn DeviceLists>,
    /// Knows the time.
    pub clock: Arc<dyn Clock>,
}

/// Whether the admin room can be spoken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRoomState {
    /// It can.
    Reachable,
    /// It cannot, since then: nothing is written.
    Away(Timestamp),
}

/// Everything the janitor knows, and the ports through which it learns and acts.
#[expect(clippy::struct_excessive_bools, reason = "each says one independent thing about the present")]
pub struct Janitor {
    /// What holds: `file` and `wishes` together.
    settings: Settings,
    /// What the settings of the machine say.
    file: Settings,
    /// What was set by command.
    wishes: Wishes,
    ports: Ports,
    journal: Journal,
    /// Messages on their way; the journal has them too.
    outbox: Outbox,
    tracker: Tracker,
    observed: Observed,
    ledger: Ledger,
    breakers: Breakers,
    quarantine: Quarantine,
    devices: HashMap<Owner, DeviceHistory>,
    /// Events that were dealt with in one way and need no second time.
    dealt_with: HashSet<(EventId, FindingKind)>,
    /// Keys that the server refused to write: when to try again.
    retry_at: HashMap<(RoomId, StateKey), (Timestamp, u32)>,
    /// Nothing is written before this: the server asked to slow down.
    hold_writes_until: Option<Timestamp>,
    /// Whose power levels are read next, and not before when.
    turns: Turns,
    /// The server has lately asked to slow down: writes are made one at a time.
    is_slowed: bool,
    /// A write was made of which nobody knows what came of it.
    is_unsettled: bool,
    admin_room: AdminRoomState,
    /// Whether everything was seen once since the start.
    has_seen_all: watch::Sender<bool>,
    /// When a sweep last looked at everything.
    last_look: Option<Timestamp>,
    /// Something happened that a sweep should look at soon.
    wants_look: bool,
    /// The admin room could be spoken in at some time since the start.
    admin_room_was_there: bool,
    clock_check: Option<ClockCheck>,
    room_names: BTreeMap<RoomId, Option<String>>,
    /// Approved plans of which the last word is not said.
    plans: Plans,
    /// How many expired over 30 days ago.
    long_expired: usize,
    /// When something was last said that nobody asked for.
    last_word: Option<Timestamp>,
    /// There are notes or findings to be told.
    has_more_to_say: bool,
}

impl Janitor {
    /// A janitor that goes on where the journal says the last one stopped.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub fn new(
        settings: Settings,
        ports: Ports,
        journal: Journal,
        outbox: Outbox,
    ) -> Result<Self, JournalError> {
        for message in journal.unsent()? {
            outbox.put(message);
        }
        let wishes = Wishes::read(&journal.settings()?);
        let mut janitor = Self {
            ledger: journal.ledger(ports.clock.now(), settings.bridge)?,
            breakers: journal.breakers()?,
            quarantine: journal.quarantine()?,
            devices: journal.devices()?,
            room_names: journal.rooms()?,
            admin_room: AdminRoomState::Away(ports.clock.now()),
            tracker: Tracker::default(),
            observed: Observed::default(),
            dealt_with: HashSet::new(),
            retry_at: HashMap::new(),
            hold_writes_until: None,
            turns: Turns::default(),
            is_slowed: false,
            is_unsettled: false,
            has_seen_all: watch::Sender::new(false),
            last_look: None,
            wants_look: false,
            admin_room_was_there: false,
            clock_check: None,
            plans: Plans::new(),
            long_expired: 0,
            last_word: None,
            has_more_to_say: true,
            settings: wishes.over(&settings),
            file: settings,
            wishes,
            ports,
            journal,
            outbox,
        };
        janitor.pick_up_plans()?;
        Ok(janitor)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Whether everything was seen once since the start; before that, nothing can be said of calls.
    pub(crate) fn has_seen_all(&self) -> watch::Receiver<bool> {
        self.has_seen_all.subscribe()
    }

    fn first_sync_is_over(&self) -> bool {
        *self.has_seen_all.borrow()
    }

    /// How the last step of a sweep is done now: for real only in mode `clean`, and only while
    /// somebody can be told about it.
    fn writer(&self) -> Box<dyn Clear> {
        let writer = Arc::clone(&self.ports.writer);
        if self.settings.is_clean && self.admin_room == AdminRoomState::Reachable {
            Box::new(Armed(writer))
        } else {
            Box::new(DryRun(writer))
        }
    }

    /// How many rooms are watched, and how many memberships are open in them.
    pub fn size(&self) -> (usize, usize) {
        (self.tracker.rooms().count(), self.tracker.open().count())
    }
}

#[cfg(test)]
mod tests;
