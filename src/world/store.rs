//! The directory in which everything lasting is kept, for one process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error(
        "another rtc-janitor is already running on the store {}: the bot, which sweeps by itself and takes \
         `!janitor sweep` in its admin room, or a sweep that has not ended. Wait for it or stop it, or give this \
         one a store.path of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// It cannot be created or written.
    #[error("the store {} cannot be used: {source}. Check store.path and who owns it", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The store, locked for as long as this lives. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    _lock: File,
}

impl Store {
    /// Creates the directory where it is missing (mode 0700), and locks it.
    ///
    /// # Errors
    ///
    /// When another process has it, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Unusable { path: path.to_owned(), source };
        if path.is_file() {
            let source = io::Error::new(io::ErrorKind::NotADirectory, "it is a file, not a folder");
            return Err(unusable(source));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
