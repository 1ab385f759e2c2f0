//! Runs a server that cannot outlive the test process, however that ends.
//!
//! A static is never dropped and a `SIGKILL` runs no code, so the server is the child of a small Python script that reads
//! a pipe from us. When the pipe closes, because we let go of it or because we are gone, the script kills the server and
//! removes its data.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{clock, wait::wait_until};

/// `argv`: the data directory, the signal that ends the server when nobody needs it any more, then the command. Words on
/// the pipe: `stop` (ask the server to end) and `kill`; both keep the data. It exits by itself, keeping the data, when the server does.
const SCRIPT: &str = "
import os, select, shutil, signal, subprocess, sys

ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
server = subprocess.Popen(sys.argv[3:], stdin=subprocess.DEVNULL)
while not ended and not select.select([0], [], [], 0.1)[0]:
    if server.poll() is not None:
        sys.exit(1)
word = b'' if ended else os.read(0, 16)
last = {b'stop': 'TERM', b'': sys.argv[2]}.get(word, 'KILL')
server.send_signal(getattr(signal, 'SIG' + last))
try:
    server.wait(10)
except subprocess.TimeoutExpired:
    pass
server.kill()
server.wait()
if not word:
    shutil.rmtree(sys.argv[1], ignore_errors=True)
";

/// What ends a server that is not needed any more, with its data.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Farewell {
    /// SIGKILL: there is nothing to be put in order.
    Kill,
    /// SIGQUIT, for a server that keeps something outside its data, such as shared memory.
    Quit,
}

/// A running server and its guardian.
#[derive(Debug)]
pub(crate) struct Watchdog {
    guardian: Child,
}

impl Watchdog {
    /// Starts a server by `command`, with a guardian that this Python runs; what they print goes to `log`. The server
    /// gets Python's environment.
    pub(crate) fn start(
        mut python: Command,
        command: &[&OsStr],
        data: &Path,
        farewell: Farewell,
        log: std::fs::File,
    ) -> Result<Self> {
        let farewell = match farewell {
            Farewell::Kill => "KILL",
            Farewell::Quit => "QUIT",
        };
        let guardian = python
            .args(["-c", SCRIPT])
            .arg(data)
            .arg(farewell)
            .args(command)
            .current_dir(data)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C in the terminal is for the tests; the guardian hears of it by the pipe and still cleans up.
            .process_group(0)
            .spawn()
            .context("cannot start the Python that guards a server")?;
        Ok(Self { guardian })
    }

    /// How the server ended, if it did so by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.guardian.try_wait().ok().flatten()
    }

    /// Ends the server and keeps its data; `word` is one of the script's.
    pub(crate) async fn end(mut self, word: &str) -> Result<()> {
        if let Some(pipe) = &mut self.guardian.stdin {
            // Nobody reads it if the server has ended by itself, and then there is nothing to end.
            _ = pipe.write_all(word.as_bytes());
        }
        wait_until("the server to end", Duration::from_secs(20), async || self.ended()).await?;
        Ok(())
    }
}

impl Drop for Watchdog {
    /// Closes the pipe and waits the few milliseconds until the server and its data are gone.
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        _ = self.guardian.wait();
    }
}

/// A cold start takes 3 s on an idle machine; a CI runner that also compiles takes longer.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Waits until a server answers; `ended` is how it ended, if it has.
pub(crate) async fn wait_until_up(
    name: &str,
    is_up: impl AsyncFn() -> bool,
    ended: impl Fn() -> Option<ExitStatus>,
    log_tail: impl Fn() -> String,
) -> Result<()> {
    let started = clock::moment();
    while !is_up().await {
        if let Some(status) = ended() {
            bail!("{name} ended while it started ({status})\n{}", log_tail());
        }
        if started.elapsed() > START_LIMIT {
            bail!("{name} did not answer within {START_LIMIT:?}\n{}", log_tail());
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}

/// The last lines of a log.
pub(crate) fn log_tail(file: &Path) -> String {
    let log = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
