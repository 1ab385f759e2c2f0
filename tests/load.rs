//! Much to do, and a homeserver that is slow, hangs or limits: commands and signals are obeyed at once, limits hold, and
//! what is asked grows with what has changed. The real program beside a fake homeserver that counts.

use std::time::Duration;

use anyhow::{Context, Result};
use rtc_janitor_test_support::{Arrival, Bot, CALL_MEMBER, Place, Population, Stage, matching, wait_until};
use tokio::time::Instant;

#[path = "load/limits.rs"]
mod limits;
#[path = "load/pause.rs"]
mod pause;
#[path = "load/requests.rs"]
mod requests;
#[path = "load/situations.rs"]
mod situations;
#[path = "load/stop.rs"]
mod stop;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// As long as anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// Lets so much time pass for what must not happen in it.
async fn watch_for(time: Duration) -> Result<()> {
    let begun = Instant::now();
    wait_until("time to pass", time * 2, async || begun.elapsed() >= time).await
}

/// Waits until nothing but long polls has been asked for so long.
async fn is_quiet_for(stage: &Stage, time: Duration) -> Result<()> {
    wait_until("the bot to be quiet", LIMIT, async || {
        let arrivals = stage.arrivals();
        let last = arrivals.iter().rev().find(|arrival| !arrival.is_long_poll());
        last.is_none_or(|arrival| arrival.at.elapsed() >= time)
    })
    .await
}
