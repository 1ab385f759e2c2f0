//! The durable record, in SQLite: what was seen, what was done, and what was said.
//!
//! Every call that writes is one transaction and is on disk when it returns, so a killed process leaves a
//! journal that says exactly how far it came. Between [`Journal::begin_unit`] and [`Journal::commit_unit`]
//! all calls are one transaction together; one of nothing but what a start reads anew may be put off for a
//! minute ([`Journal::put_off_unit`]). The janitor's one task owns the journal; a call takes a few
//! milliseconds at most, so it is made in place.
//!
//! What it holds and can no longer read is unknown: [`Stored`] has the table of what that leads to.

mod aliases;
mod commands;
mod devices;
mod earlier;
mod error;
mod findings;
mod history;
mod join_plans;
mod leave_lags;
mod messages;
mod meta;
mod notes;
mod plan_record;
mod plans;
mod prune;
mod record;
mod rooms;
mod schema;
mod seen;
mod settings;
mod sfu;
mod sightings;
mod statement;
mod stored;
mod unit;
mod writes;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rtc_janitor_core::{ids::UserId, time::Timestamp};
use rusqlite::{Connection, OpenFlags};

pub use earlier::EarlierJournal;
pub use error::{JournalError, Result};
pub use findings::Finding;
pub use history::{HistoryOf, Past};
pub use join_plans::JoinPlan;
pub use messages::{Draft, StoredMessage};
pub use meta::Hello;
pub use notes::{HELLO, Note};
pub use plan_record::{KeptPlan, PlanOutcome, StoredPlan};
pub use plans::NewPlan;
pub use record::{Owners, WriteRecord};
pub use rtc_janitor_core::render::report::FindingKind;
pub use settings::StoredSetting;
pub use sfu::SfuMemory;
pub use stored::Stored;
pub use writes::{Intent, Mark, WriteOutcome};

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    db: Connection,
    /// The unit of work under way; what it has written is gone when this drops.
    unit: Cell<unit::Unit>,
    /// What could not be read since it was opened.
    unreadable: RefCell<BTreeSet<String>>,
}

impl Journal {
    /// Opens `journal.sqlite3` in the store, creates or migrates it, and refuses one that another account
    /// has signed in with. A new one belongs to nobody before [`Journal::bind_account`].
    ///
    /// # Errors
    ///
    /// When it is newer than this program, belongs to another account, is damaged, or cannot be written.
    pub fn open(store: &Path, account: &UserId, now: Timestamp) -> Result<Self> {
        let path = store.join("journal.sqlite3");
        // SQLite creates its side files with the rights of the main one.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| JournalError::of_file(&path, source))?;
        Self::prepare(Connection::open(&path)?, &path, account, now)
    }

    /// The journal of a store, to read what was done; a bot may be running on it, and nothing is changed.
    ///
    /// # Errors
    ///
    /// Where there is none, another version wrote it, or `SQLite` fails.
    pub fn open_to_read(store: &Path) -> Result<Self> {
        let path = store.join("journal.sqlite3");
        if !path.exists() {
            return Err(JournalError::Missing { path });
        }
        // Not read-only to SQLite, which shares its log with a running bot by a file of its own beside it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags)?;
        db.pragma_update(None, "query_only", true)?;
        schema::check(&db, &path)?;
        Ok(Self { db, unit: Cell::default(), unreadable: RefCell::default() })
    }

    /// A journal that is gone with the process, for tests.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn in_memory(account: &UserId) -> Result<Self> {
        let now = Timestamp::from_millis(0);
        let journal = Self::prepare(Connection::open_in_memory()?, Path::new(":memory:"), account, now)?;
        journal.bind_account(account)?;
        Ok(journal)
    }

    fn prepare(mut db: Connection, path: &Path, account: &UserId, now: Timestamp) -> Result<Self> {
        db.pragma_update(None, "journal_mode", "WAL")?;
        // On disk when a call returns, also when the power fails.
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        db.set_prepared_statement_cache_capacity(statement::CACHE);
        let is_new = schema::migrate(&mut db, path)? == 0;
        let journal = Self { db, unit: Cell::default(), unreadable: RefCell::default() };
        journal.check_account(account)?;
        journal.begin(is_new, now)?;
        journal.settle_by_messages()?;
        Ok(journal)
    }
}

#[cfg(test)]
mod tests;
