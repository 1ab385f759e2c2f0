//! What goes wrong around the bot, one story each: tokens taken back, messages refused, joins that fail or hang, rooms
//! whose history has forked. The real program beside a fake homeserver that is told to misbehave.

use std::time::Duration;

use anyhow::Result;
use rtc_janitor_test_support::{Place, Population, Stage, matching, wait_until};
use serde_json::json;
use tokio::time::Instant;

#[path = "scenarios/admin_room.rs"]
mod admin_room;
#[path = "scenarios/aliases.rs"]
mod aliases;
#[path = "scenarios/backup.rs"]
mod backup;
#[path = "scenarios/forks.rs"]
mod forks;
#[path = "scenarios/joins.rs"]
mod joins;
#[path = "scenarios/messages.rs"]
mod messages;
#[path = "scenarios/redirects.rs"]
mod redirects;
#[path = "scenarios/store.rs"]
mod store;
#[path = "scenarios/tokens.rs"]
mod tokens;
#[path = "scenarios/well_known.rs"]
mod well_known;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// As long as anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// Lets so much time pass for what must not happen in it.
async fn watch_for(time: Duration) -> Result<()> {
    let begun = Instant::now();
    wait_until("time to pass", time * 2, async || begun.elapsed() >= time).await
}

/// The user and device part of a key, as posts name them.
fn device_of(place: &Place) -> &str {
    let device = place.key.rsplit_once("_DEV").map_or(&*place.key, |(_, device)| device);
    device.trim_end_matches("_m.call")
}
