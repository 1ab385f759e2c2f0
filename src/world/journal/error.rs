//! Why the journal cannot be used, each in a sentence that says what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use rtc_janitor_core::ids::UserId;
use rusqlite::{ErrorCode, ffi};

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
    /// An older rtc-janitor wrote it, and it is not to be changed now.
    #[error(
        "the journal {} has version {found}, and this rtc-janitor reads version {known}: start the bot once, which \
         brings it up to date",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version known here.
        known: i64,
    },
    /// There is none.
    #[error("there is no journal {}: the bot has not run with this store.path yet", path.display())]
    Missing {
        /// The file that is not there.
        path: PathBuf,
    },
    /// An account has signed in with this store before, and it is another one.
    #[error(
        "the store belongs to {found}, and the configuration says {expected}: \
         put homeserver.user_id right, or use another store.path"
    )]
    OtherAccount {
        /// The account that signed in with it.
        found: UserId,
        /// The account of the configuration.
        expected: UserId,
    },
    /// No space is left, or a quota is used up (`SQLITE_FULL`).
    #[error(
        "the disk is full, and the journal cannot be written: make room under store.path, then start again"
    )]
    Full,
    /// The file is not what SQLite left there (`SQLITE_CORRUPT`, `SQLITE_NOTADB`).
    #[error(
        "the journal is damaged ({0}): put a copy of journal.sqlite3 back into store.path, \
         or move the file away to begin anew"
    )]
    Damaged(#[source] rusqlite::Error),
    /// Another program has it open and writes (`SQLITE_BUSY`, `SQLITE_LOCKED`).
    #[error("another program holds the journal: close what has journal.sqlite3 open, then start again")]
    Locked,
    /// The system does not let it be written (`SQLITE_READONLY`, `SQLITE_CANTOPEN`, `SQLITE_PERM`).
    #[error("the journal cannot be written ({0}): check who owns store.path, and whether it is read-only")]
    NotWritable(#[source] rusqlite::Error),
    /// The file cannot be created.
    #[error("the journal {} cannot be created: {source}. Check store.path and who owns it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A value has no JSON form. Nothing is written in its place.
    #[error("the journal cannot hold {what}: {source}. This is a bug of rtc-janitor, please report it")]
    Unwritable {
        /// What was to be kept.
        what: &'static str,
        /// Why it cannot be.
        source: serde_json::Error,
    },
    /// An earlier write of the same unit of work failed, and all of the unit was rolled back.
    #[error("what came before in the same unit of work could not be written, so nothing of it was")]
    UnitFailed,
    /// Anything else that SQLite says.
    #[error("the journal cannot be used: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

impl JournalError {
    pub(super) fn of_file(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::File { path: path.to_owned(), source },
        }
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error() else { return Self::Sqlite(error) };
        // The shared memory of the write-ahead log grows by a call of its own.
        if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
            return Self::Full;
        }
        match code.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged(error),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked,
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Self::NotWritable(error)
            }
            _ => Self::Sqlite(error),
        }
    }
}

/// What a call of the journal returns.
pub type Result<T> = std::result::Result<T, JournalError>;
