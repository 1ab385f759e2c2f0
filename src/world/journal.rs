//! The durable record, in SQLite: what was seen, what was done, and what was said.
//!
//! Every call is one transaction and is on disk when it returns, so a killed process leaves a journal
//! that says exactly how far it came. The janitor's one task owns it; a call takes a few milliseconds
//! at most, so it is made in place.

mod devices;
mod findings;
mod messages;
mod meta;
mod plans;
mod schema;
mod seen;
mod settings;
mod sightings;
mod writes;

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rtc_janitor_core::{ids::UserId, time::Timestamp};
use rusqlite::Connection;

pub use findings::Finding;
pub use messages::{Draft, Note, StoredMessage};
pub use plans::{NewPlan, PlanOutcome, StoredPlan};
pub use rtc_janitor_core::render::report::FindingKind;
pub use settings::StoredSetting;
pub use writes::{Intent, Past, WriteOutcome, WriteRecord};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A newer rtc-janitor wrote it.
    #[error(
        "the journal {} has version {found}, and this rtc-janitor knows up to {known}: \
         a newer one has used it. Run that one again, or give this one a store.path of its own",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// It was written for another account.
    #[error(
        "the store belongs to {found}, and the configuration says {expected}: \
         put homeserver.user_id right, or use another store.path"
    )]
    OtherAccount {
        /// The account it was written for.
        found: UserId,
        /// The account of the configuration.
        expected: UserId,
    },
    /// SQLite failed: a full disk, a damaged file, missing rights.
    #[error("the journal cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be created.
    #[error("the journal {} cannot be created: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What a call of the journal returns.
pub type Result<T> = std::result::Result<T, JournalError>;

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    db: Connection,
}

impl Journal {
    /// Opens `journal.sqlite3` in the store, creates or migrates it, and checks whose it is.
    ///
    /// # Errors
    ///
    /// When it is newer than this program, belongs to another account, or cannot be written.
    pub fn open(store: &Path, account: &UserId, now: Timestamp) -> Result<Self> {
        let path = store.join("journal.sqlite3");
        // SQLite creates its side files with the rights of the main one.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| JournalError::File { path: path.clone(), source })?;
        Self::prepare(Connection::open(&path)?, &path, account, now)
    }

    /// A journal that is gone with the process, for tests.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn in_memory(account: &UserId) -> Result<Self> {
        let now = Timestamp::from_millis(0);
        Self::prepare(Connection::open_in_memory()?, Path::new(":memory:"), account, now)
    }

    fn prepare(mut db: Connection, path: &Path, account: &UserId, now: Timestamp) -> Result<Self> {
        db.pragma_update(None, "journal_mode", "WAL")?;
        // On disk when a call returns, also when the power fails.
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut db, path)?;
        let journal = Self { db };
        match journal.meta(meta::ACCOUNT)? {
            None => journal.begin(account, now)?,
            Some(found) if found == account.as_str() => {}
            Some(found) => {
                return Err(JournalError::OtherAccount {
                    found: found.as_str().into(),
                    expected: account.clone(),
                });
            }
        }
        Ok(journal)
    }
}

#[cfg(test)]
mod tests;
