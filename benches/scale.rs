//! What the bot costs and how quick it is in small and large worlds, on a fake homeserver that is quicker than any real
//! one: one block of figures for each scenario.
//!
//! ```text
//! cargo bench --bench scale -- [--bot PATH] [SCENARIO...]
//!
//! start:ROOMS:OPEN:LATENCY_MS            first start and restart: seconds to the first sweep, memory, disk
//! fsyncs:ROOMS:OPEN:GHOSTS               of a first start, and of clearing so many; needs strace
//! rereads:ROOMS:OPEN:SECONDS             memory over full re-reads
//! idle:ROOMS:OPEN:SECONDS                what going on costs with nothing to do
//! refresh:ROOMS:OPEN:RATE:SECONDS        with RATE refreshes a second
//! afterglow:ROOMS:OPEN:RATE:SECONDS      five minutes after refreshes have stopped
//! backlog:ROOMS:OPEN:GHOSTS:SECONDS      with ghosts that wait for the limits
//! blocked:ROOMS:OPEN:GHOSTS:SECONDS      with ghosts where the bot may not write
//! clear:ROOMS:OPEN:GHOSTS:LATENCY_MS     due to cleared, beside bare loops of the same writes
//! resume:ROOMS:OPEN:GHOSTS:LATENCY_MS    killed in the middle of a mass clear
//! busy:ROOMS:OPEN:GHOSTS:LATENCY_MS      how long a command waits
//! ```
//!
//! Stores are made in `TMPDIR`: on a memory file system the disk is out of the figures. The fake runs in this process, and
//! shares the machine with the bot.

use anyhow::{Context, Result, bail};

#[path = "scale/clear.rs"]
mod clear;
#[path = "scale/process.rs"]
mod process;
#[path = "scale/run.rs"]
mod run;
#[path = "scale/start.rs"]
mod start;
#[path = "scale/steady.rs"]
mod steady;

/// Without arguments: a few minutes that show the most.
const USUAL: [&str; 7] = [
    "start:10000:5000:0",
    "start:10000:5000:30",
    "refresh:10000:5000:20:60",
    "backlog:2000:500:2000:60",
    "clear:300:500:200:5",
    "busy:1000:2000:2000:30",
    "resume:1000:500:8000:0",
];

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
        println!("   load at the end     {}", process::load());
    }
    Ok(())
}

async fn play(bot: &str, scenario: &str) -> Result<()> {
    let (name, numbers) = scenario.split_once(':').unwrap_or((scenario, ""));
    let numbers: Vec<u32> =
        numbers.split(':').filter(|number| !number.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    let size = |index: usize| numbers[index] as usize;
    let number = |index: usize| u64::from(numbers[index]);
    match (name, numbers.len()) {
        ("start", 3) => start::start(bot, size(0), size(1), number(2)).await,
        ("fsyncs", 3) => start::fsyncs(bot, size(0), size(1), size(2)).await,
        ("rereads", 3) => start::rereads(bot, size(0), size(1), number(2)).await,
        ("idle", 3) => steady::idle(bot, size(0), size(1), number(2)).await,
        ("refresh", 4) => steady::refresh(bot, size(0), size(1), numbers[2], number(3)).await,
        ("afterglow", 4) => steady::afterglow(bot, size(0), size(1), numbers[2], number(3)).await,
        ("backlog", 4) => steady::backlog(bot, size(0), size(1), size(2), number(3)).await,
        ("blocked", 4) => steady::blocked(bot, size(0), size(1), size(2), number(3)).await,
        ("clear", 4) => clear::clear(bot, size(0), size(1), size(2), number(3)).await,
        ("resume", 4) => clear::resume(bot, size(0), size(1), size(2), number(3)).await,
        ("busy", 4) => clear::busy(bot, size(0), size(1), size(2), number(3)).await,
        _ => bail!("no such scenario, or not its numbers; they stand at the top of benches/scale.rs"),
    }
}
