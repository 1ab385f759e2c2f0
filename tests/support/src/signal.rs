//! Signals to processes that tests have started.

use std::process::{Child, Command};

use anyhow::{Result, ensure};

/// Sends a signal by its name, such as `TERM`.
pub(crate) fn signal(process: &Child, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status()?;
    ensure!(status.success(), "cannot send {name} to process {}", process.id());
    Ok(())
}
