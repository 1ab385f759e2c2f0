//! What the server's own device lists cost the server: requests to the admin API of a fake homeserver, minute by
//! minute, with 1 to 10,000 open memberships of as many owners.
//!
//! `cargo bench --bench own_lists` (release), or quicker to build `cargo bench --profile dev --bench own_lists`.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use rtc_janitor_test_support::{Arrival, Population, Stage};
use tokio::time::{Instant, sleep_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// One round of the default `janitor.device_check_interval` of 5 min, and the beginning of the next.
const MINUTES: usize = 7;

#[tokio::main]
async fn main() -> Result<()> {
    let measured = [1, 100, 1000, 10_000].map(measure);
    for line in futures_util::future::try_join_all(measured).await? {
        println!("{line}");
    }
    Ok(())
}

async fn measure(open: usize) -> Result<String> {
    let rooms = open.div_ceil(5);
    let stage = Stage::new(PROGRAM, &Population::new().rooms(rooms).call_rooms(rooms).open(open))?;
    stage.program.set("synapse_admin.access_token", stage.admin_token());
    // As they are by default.
    stage.program.unset("janitor.device_check_interval").unset("janitor.sweep_interval");
    let begun = Instant::now();
    let bot = stage.spawn()?;
    let mut by_minute = Vec::new();
    let mut before = 0;
    for minute in 1..=MINUTES {
        sleep_until(begun + Duration::from_mins(1) * u32::try_from(minute)?).await;
        let now = stage.count(Arrival::is_admin);
        by_minute.push(now - before);
        before = now;
    }
    let asked: BTreeSet<_> = stage
        .arrivals()
        .into_iter()
        .filter(|arrival| arrival.kind == "GET admin/user/devices")
        .map(|arrival| arrival.request.path)
        .collect();
    bot.stop().await?;
    Ok(format!("{open} memberships: {by_minute:?} requests a minute, {} lists", asked.len()))
}
