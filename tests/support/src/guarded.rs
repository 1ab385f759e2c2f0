//! A server on data of its own that a test may end and start again.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};

use crate::watchdog::{self, Farewell, Watchdog};

/// A server, running or not. Dropping it ends it and removes its data.
#[derive(Debug)]
pub(crate) struct Guarded {
    name: &'static str,
    data: PathBuf,
    running: Mutex<Option<Watchdog>>,
}

impl Guarded {
    /// One that does not run yet.
    pub(crate) fn new(name: &'static str, data: PathBuf) -> Self {
        Self { name, data, running: Mutex::default() }
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Starts it by `command`, with a guardian that this Python runs, and waits until it answers. What it prints goes
    /// into its log, which `log` opens.
    pub(crate) async fn start(
        &self,
        python: Command,
        command: &[&OsStr],
        log: &OpenOptions,
        is_up: impl AsyncFn() -> bool,
    ) -> Result<()> {
        let log = log.open(self.log_file())?;
        let watchdog = Watchdog::start(python, command, &self.data, Farewell::Kill, log)?;
        *self.running() = Some(watchdog);

        let ended = || self.running().as_mut().and_then(Watchdog::ended);
        watchdog::wait_until_up(self.name, is_up, ended, || self.log_tail()).await
    }

    /// Whether it was started and not ended since.
    pub(crate) fn is_running(&self) -> bool {
        self.running().is_some()
    }

    /// Ends it and keeps its data; `word` is one of the watchdog's.
    pub(crate) async fn end(&self, word: &str) -> Result<()> {
        let running = self.running().take();
        running.with_context(|| format!("{} is not running", self.name))?.end(word).await
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        watchdog::log_tail(&self.log_file())
    }

    fn running(&self) -> MutexGuard<'_, Option<Watchdog>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_file(&self) -> PathBuf {
        self.data.join(format!("{}.log", self.name.to_lowercase()))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The watchdog removes the data of a running server; this is for one that was ended.
        drop(self.running().take());
        _ = fs::remove_dir_all(&self.data);
    }
}

/// A log that tells of all starts.
pub(crate) fn goes_on() -> OpenOptions {
    let mut log = File::options();
    log.create(true).append(true);
    log
}

/// A log that tells of the last start alone.
pub(crate) fn begins_anew() -> OpenOptions {
    let mut log = File::options();
    log.create(true).write(true).truncate(true);
    log
}
