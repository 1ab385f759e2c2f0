//! The directory in which everything lasting is kept, for one process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What a start needs at least: the databases of the chat device begin with several hundred kilobytes, and
/// one that cannot be created is easily taken for one with another passphrase.
const ROOM: usize = 2 << 20;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error(
        "another rtc-janitor is already running on the store {}: the bot, which sweeps by itself and takes \
         `!janitor sweep` and `!janitor survey` in its admin room, or a sweep or survey that has not ended. Wait for it or stop it, or give this \
         one a store.path of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// The disk is full, or a quota is used up.
    #[error("the disk is full: the store {} has no room for 2 MiB more. Make room there, then start again", .0.display())]
    Full(PathBuf),
    /// It cannot be created or written.
    #[error("the store {} cannot be used: {source}. Check store.path and who owns it", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl StoreError {
    fn of(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path.to_owned()),
            _ => Self::Unusable { path: path.to_owned(), source },
        }
    }
}

/// The store, locked for as long as this lives. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    _lock: File,
}

impl Store {
    /// Creates the directory where it is missing (mode 0700), locks it, and tries whether there is room.
    ///
    /// # Errors
    ///
    /// When another process has it, it cannot be written, or the disk is full.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::of(path, source);
        if path.is_file() {
            let source = io::Error::new(io::ErrorKind::NotADirectory, "it is a file, not a folder");
            return Err(unusable(source));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        try_room(&mut lock).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Fills the lock file and empties it again.
fn try_room(lock: &mut File) -> io::Result<()> {
    let filled = lock.write_all(&vec![0; ROOM]);
    lock.set_len(0)?;
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_for_one_process_and_leaves_no_room_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let store = Store::open(&path).expect("a store");
        assert_eq!(fs::metadata(path.join("lock")).expect("a file").len(), 0);
        let error = Store::open(&path).expect_err("it is in use");
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
        drop(store);
        Store::open(&path).expect("it is free again");
    }

    #[test]
    fn a_full_disk_is_named_as_such_and_anything_else_as_it_is() {
        // A device that is always full.
        let mut full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let error = full.write_all(b"x").map_err(|source| StoreError::of(Path::new("/data"), source));
        let error = error.expect_err("it is full");
        assert!(error.to_string().starts_with("the disk is full: the store /data has no room"), "{error}");
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(StoreError::of(Path::new("/data"), denied), StoreError::Unusable { .. }));
    }
}
