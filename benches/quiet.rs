//! What the bot costs while nothing is to be done: memory, processor time, requests and bytes, in 300 rooms
//! without a call, first for a silent minute and then for a minute in which 1000 messages are sent in rooms
//! other than the admin room.
//!
//! `cargo bench --bench quiet` (release), or quicker to build `cargo bench --profile dev --bench quiet`.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use rtc_janitor_test_support::{
    Bot, BotSetup, FaultProxy, RoomOptions, Synapse, SynapseOptions, matching, wait_until,
};
use tokio::time::{Instant, sleep};

const ROOMS: usize = 300;
const MESSAGES: usize = 1000;
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let setup = BotSetup::new(&synapse, env!("CARGO_BIN_EXE_rtc-janitor")).await?;
    setup.unset("janitor.sweep_interval");
    let proxy = setup.proxied()?;
    let synced = Arc::new(AtomicUsize::new(0));
    let counter = synced.clone();
    let _counting = proxy.rewrite(matching("GET", "/sync"), move |answer| {
        counter.fetch_add(answer.to_string().len(), Ordering::Relaxed);
    });
    // The bot's own account, on another device, lets the bot into the rooms before it starts.
    let account = synapse.login(&setup.account).await?;
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        let options = RoomOptions::new().public().name(&format!("Room {number}"));
        let room = synapse.create_room(&setup.admin, options).await?;
        synapse.join(&account, &room).await?;
        rooms.push(room);
    }
    synapse.logout(&account).await?;
    let begun = Instant::now();
    let bot = setup.start().await?;
    println!("{ROOMS} rooms; watching {:.1} s after the start", begun.elapsed().as_secs_f64());
    wait_until("the start to be over", MINUTE, async || {
        let greetings = setup.times_said("recovery key").await? + setup.times_said("is watching").await?;
        anyhow::Ok(greetings > 1)
    })
    .await?;
    sleep(Duration::from_secs(15)).await;

    measure("silent", &bot, &proxy, &synced, async || Ok(())).await?;
    measure("1000 messages elsewhere", &bot, &proxy, &synced, async || {
        for number in 0..MESSAGES {
            synapse.send_text(&setup.admin, &rooms[number % ROOMS], "nothing for the bot").await?;
        }
        Ok(())
    })
    .await?;
    bot.stop().await?;
    Ok(())
}

/// A minute, or as long as `busy` takes where that is more.
async fn measure(
    name: &str,
    bot: &Bot,
    proxy: &FaultProxy,
    synced: &AtomicUsize,
    busy: impl AsyncFn() -> Result<()>,
) -> Result<()> {
    proxy.reset();
    synced.store(0, Ordering::Relaxed);
    let (begun, ticks) = (Instant::now(), processor_ticks(bot.id())?);
    busy().await?;
    sleep(MINUTE.saturating_sub(begun.elapsed())).await;
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for request in proxy.requests() {
        *requests.entry(request.to_string()).or_default() += 1;
    }
    println!(
        "{name}: {:.0} s, {} resident, {} ticks of 10 ms of processor time, {} bytes of /sync, requests {requests:?}",
        begun.elapsed().as_secs_f64(),
        resident(bot.id())?,
        processor_ticks(bot.id())? - ticks,
        synced.load(Ordering::Relaxed),
    );
    Ok(())
}

/// `VmRSS` of a process, with its unit.
fn resident(process: u32) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().to_owned())
}

/// User and system time of a process (`proc_pid_stat(5)`, fields 14 and 15).
fn processor_ticks(process: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after_the_name) = stat.rsplit_once(')').context("the name of the process")?;
    let fields: Vec<&str> = after_the_name.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}
