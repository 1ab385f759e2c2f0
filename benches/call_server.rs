//! What asking a real LiveKit costs and brings, and what its webhooks cost: one block of figures for each scenario.
//!
//! ```text
//! cargo bench --bench call_server -- [--bot PATH] [SCENARIO...]
//!
//! polls:CALLS:SECONDS        requests to the SFU for each poll with so many calls, each with somebody connected
//! idle:ROOMS:SECONDS         the same without an open membership
//! flood:RATE:SECONDS         webhooks at RATE a second: how long a command waits, memory, what the SFU is asked
//! kills:COUNT                so many clients killed one after the other, beside a bot that is told by webhook and one
//!                            that polls: when they are gone at the SFU, and cleared; 60 MB of memory for each client
//! ```
//!
//! Needs the SFU that `tests/livekit/build` makes. The homeserver is a fake, but for `kills`: a real Synapse.

use anyhow::{Context, Result, bail};

#[path = "call_server/flood.rs"]
mod flood;
#[path = "call_server/kills.rs"]
mod kills;
#[path = "call_server/polls.rs"]
mod polls;
#[path = "scale/process.rs"]
#[expect(dead_code, reason = "made for another bench, which needs more of it")]
mod process;

/// Without arguments: a few minutes that show the most.
const USUAL: [&str; 6] =
    ["polls:1:60", "polls:100:60", "polls:1000:60", "idle:1000:60", "flood:10000:10", "kills:20"];

/// What memberships of the fake homeserver call their SFU.
const SERVICE: &str = "https://livekit.fake.test/livekit/jwt";

#[tokio::main]
async fn main() -> Result<()> {
    let mut bot = env!("CARGO_BIN_EXE_rtc-janitor").to_owned();
    let mut scenarios = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bot" => bot = arguments.next().context("--bot needs a path")?,
            // What cargo adds.
            "--bench" => {}
            _ => scenarios.push(argument),
        }
    }
    if scenarios.is_empty() {
        scenarios = USUAL.map(ToOwned::to_owned).to_vec();
    }
    for scenario in scenarios {
        println!("== {scenario} (load {})", process::load());
        // One that fails must not end the others.
        if let Err(error) = Box::pin(play(&bot, &scenario)).await {
            println!("   failed              {error:#}");
        }
    }
    Ok(())
}

async fn play(bot: &str, scenario: &str) -> Result<()> {
    let (name, numbers) = scenario.split_once(':').unwrap_or((scenario, ""));
    let numbers: Vec<u32> =
        numbers.split(':').filter(|number| !number.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    match (name, numbers.as_slice()) {
        ("polls", [calls, seconds]) => polls::polls(bot, *calls, *seconds).await,
        ("idle", [rooms, seconds]) => polls::idle(bot, *rooms, *seconds).await,
        ("flood", [rate, seconds]) => flood::flood(bot, *rate, *seconds).await,
        ("kills", [count]) => kills::kills(bot, *count).await,
        _ => bail!("no such scenario, or not its numbers; they stand at the top of benches/call_server.rs"),
    }
}
