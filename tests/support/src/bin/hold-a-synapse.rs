//! Starts the shared server, writes its URL and its folder into the named file, and waits to be killed:
//! the process of which a test shows that nothing is left.

use std::{env, fs};

use anyhow::{Context, Result};
use rtc_janitor_test_support::Synapse;

#[tokio::main]
async fn main() -> Result<()> {
    let started = env::args_os().nth(1).context("name a file")?;
    let synapse = Synapse::shared().await?;
    fs::write(started, format!("{} {}\n", synapse.url(), synapse.data_directory().display()))?;
    std::future::pending().await
}
