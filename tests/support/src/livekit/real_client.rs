//! A real client: a process of its own with LiveKit's SDK in it, which crashes, stalls and recovers as real ones do.

use std::{
    fs::{self, File},
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::LiveKit;
use crate::{install, signal::signal, wait_until};

/// Connects, and stays until its input ends.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/livekit_client.py");

/// It takes 0.2 s on an idle machine, after the start of Python.
const JOIN_LIMIT: Duration = Duration::from_mins(1);

/// Saying goodbye takes 0.1 s.
const LEAVE_LIMIT: Duration = Duration::from_secs(20);

/// Somebody in a room of the SFU, with media connections that the SFU watches. Dropping it kills it.
///
/// After a stall or a restart of the SFU it comes back by itself.
#[derive(Debug)]
pub struct RealClient {
    process: Child,
    /// Holds its log.
    directory: TempDir,
}

impl RealClient {
    /// Starts one and waits until the SFU lists it as `ACTIVE`. Installs the SDK if need be.
    pub async fn join(livekit: &LiveKit, room: &str, identity: &str) -> Result<Self> {
        let installed = tokio::task::spawn_blocking(install::install).await??;
        let directory = tempfile::Builder::new().prefix("rtc-janitor-client-").tempdir()?;
        let log = File::create(directory.path().join("log"))?;
        let process = installed
            .python()
            .arg(PROGRAM)
            .arg(livekit.ws_url())
            .arg(LiveKit::join_token(identity, room))
            // The SDK's own log.
            .env("RUST_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the Python of a LiveKit client")?;
        let mut client = Self { process, directory };
        let joined = wait_until("a LiveKit client to join", JOIN_LIMIT, async || {
            if let Some(status) = client.process.try_wait()? {
                // To be told at once, not when the time is over.
                return Ok(Some(Err(status)));
            }
            let is_active = client.has_printed("connected") && {
                let listed = livekit.participants(room).await?;
                listed.iter().any(|it| it["identity"] == identity && it["state"] == "ACTIVE")
            };
            anyhow::Ok(is_active.then_some(Ok(())))
        });
        let joined: Result<(), ExitStatus> = joined.await.with_context(|| client.log())?;
        match joined {
            Ok(()) => Ok(client),
            Err(status) => bail!("a LiveKit client ended while it joined ({status})\n{}", client.log()),
        }
    }

    /// SIGKILL: the crash of a client. The SFU lists it for another 20 s, and then reports `CONNECTION_TIMEOUT`.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Stops it in its tracks. The SFU notices after 20 s.
    pub fn stall(&self) -> Result<()> {
        signal(&self.process, "STOP")
    }

    /// Lets it go on after a stall.
    pub fn go_on(&self) -> Result<()> {
        signal(&self.process, "CONT")
    }

    /// Says goodbye and ends; the SFU knows when this returns.
    pub async fn leave(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let status = wait_until("a LiveKit client to leave", LEAVE_LIMIT, async || {
            Ok::<_, anyhow::Error>(self.process.try_wait()?)
        })
        .await
        .with_context(|| self.log())?;
        ensure!(status.success(), "a LiveKit client ended with {status}\n{}", self.log());
        Ok(())
    }

    /// What it has printed: a line for each change of its connection, and errors.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn has_printed(&self, line: &str) -> bool {
        self.log().lines().any(|it| it == line)
    }
}

impl Drop for RealClient {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
