//! Puts a janitor together from what the journal says of the last one.

use std::collections::BTreeSet;

use rtc_janitor_core::{guard::breaker::Breakers, ids::UserId, leave_lag::LeftBehind, time::Timestamp};
use tokio::sync::watch;

use super::{
    Janitor, Outbox, Ports, Settings,
    appservice::AppserviceHealth,
    background::Background,
    evidence::{Covers, Evidence, SfuEvidence},
    joins::Joins,
    lookups::Lookups,
    memory::Memory,
    overrides::Overrides,
    plans::Plans,
    presence::Presence,
    reads::Reads,
    server::Server,
    sweep::{Aftermath, Gate, Sweep, Writes},
    voice::{self, Voice},
};
use crate::world::journal::{Journal, JournalError, Stored};

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
        let now = ports.clock.now();
        let overrides = Overrides::read(&journal)?;
        voice::give_up_unreadable_plans(&journal, &settings.command_prefix, now)?;
        let unsettled = journal.open_intents()?.into_iter();
        let last_digest = if let Some(last) = journal.last_digest()? {
            last
        } else {
            // The first one tells of a whole day.
            journal.set_last_digest(now)?;
            now
        };
        let sfu = match &ports.call_server {
            Some(_) => Some(SfuEvidence::new(
                settings.sfu_names.clone(),
                settings.sfu_interval,
                journal.sfu_memory(&settings.sfu)?,
            )),
            None => None,
        };
        let own_lists = ports.own_lists.clone();
        let own_lists = own_lists.map(|lists| Box::new(move |user: &UserId| lists.covers(user)) as Covers);
        Ok(Self {
            sweep: Sweep::new(
                journal.ledger(now, settings.bridge)?,
                breakers(&journal, &settings, now)?,
                journal.quarantine()?,
            ),
            server: Server::default(),
            began: now,
            appservice: AppserviceHealth::default(),
            aftermath: Aftermath::new(journal.awaited()?),
            memory: Memory::new(journal.rooms()?),
            evidence: Evidence::new(journal.devices()?, own_lists, sfu),
            unsettled: unsettled.map(|write| ((write.room.clone(), write.key.clone()), write)).collect(),
            plans: Plans::pick_up(&journal, now)?,
            voice: Voice::new(outbox, journal.unsent()?),
            writes: Writes::default(),
            sweep_gate: Gate::default(),
            plan_gate: Gate::default(),
            presence: Presence::new(),
            joins: Joins::default(),
            reads: Reads::default(),
            lookups: Lookups::default(),
            left_behind: LeftBehind::default(),
            next_look_at_lags: None,
            background: Background::default(),
            ingesting: None,
            has_caught_up: false,
            first_views: BTreeSet::new(),
            has_seen_all: watch::Sender::new(false),
            is_writing: watch::Sender::new(false),
            has_announced_start: false,
            next_prune: now,
            flush_at: None,
            last_digest,
            settings: overrides.over(&settings),
            file: settings,
            overrides,
            ports,
            journal,
        })
    }
}

/// The breakers from the journal. When they cannot be read, all of them are open: then nothing is written.
fn breakers(journal: &Journal, settings: &Settings, now: Timestamp) -> Result<Breakers, JournalError> {
    Ok(match journal.breakers()? {
        Stored::Read(breakers) => breakers,
        Stored::Never => Breakers::default(),
        Stored::Unreadable(_) => Breakers::unreadable(&settings.breaker, now),
    })
}
