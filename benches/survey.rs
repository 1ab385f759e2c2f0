//! What a survey takes, and what it takes from others.
//!
//! 10,000 rooms of a fake homeserver that answers after 10 ms, a tenth of them with a call; and 500 rooms of a real
//! one on the same machine, half of them with a call, where somebody else asks for something all the time: how long
//! their answers take while nobody surveys, and meanwhile.
//!
//! `cargo bench --bench survey` (release), or quicker to build `cargo bench --profile dev --bench survey`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use rtc_janitor_test_support::{
    Arrival, BotSetup, Device, Membership, Method, Population, RoomOptions, Stage, Synapse, SynapseOptions,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// Rooms of the fake.
const MANY: usize = 10_000;

/// Rooms of the real one.
const ROOMS: usize = 500;

#[tokio::main]
async fn main() -> Result<()> {
    on_the_fake().await?;
    on_synapse().await
}

async fn on_the_fake() -> Result<()> {
    let population = Population::new()
        .rooms(MANY)
        .unseen(MANY * 9 / 10)
        .call_rooms(MANY / 10)
        .open(MANY / 10)
        .ghosts(MANY / 10);
    let stage = Stage::new(PROGRAM, &population)?;
    stage.program.set("synapse_admin.access_token", stage.admin_token());
    stage.be_slow(Duration::from_millis(10));
    let begun = Instant::now();
    let output = stage.program.run(&["survey", "--json"]).await?;
    let took = begun.elapsed();
    let rooms: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let asked: Vec<_> = stage.arrivals().into_iter().filter(Arrival::is_admin).collect();
    let mut edges: Vec<_> = asked
        .iter()
        .filter_map(|arrival| Some([(arrival.at, 1), (arrival.answered?.0, -1)]))
        .flatten()
        .collect();
    edges.sort_by_key(|(at, _)| *at);
    let (mut now, mut most) = (0, 0);
    for (_, step) in edges {
        now += step;
        most = most.max(now);
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for arrival in &asked {
        *kinds.entry(&arrival.kind).or_default() += 1;
    }
    println!(
        "fake, {MANY} rooms, answers after 10 ms: {:.1} s, {} rooms with a call, {} questions, {most} at once: \
         {kinds:?}",
        took.as_secs_f64(),
        rooms.len(),
        asked.len()
    );
    Ok(())
}

async fn on_synapse() -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    setup.set("synapse_admin.access_token", synapse.admin_token());
    let host = synapse.sign_in_new("host").await?;
    for number in 0..ROOMS {
        let room = synapse.create_room(&host, RoomOptions::new().name(&format!("Room {number}"))).await?;
        if number % 2 == 0 {
            let ghost = Membership::session(&host.user_id, "DEAD").aged(Duration::from_hours(5));
            synapse.write_membership(&room, ghost).await?;
        }
    }
    let quiet = latencies(&synapse, &host, sleep(Duration::from_secs(10))).await?.1;
    println!("Synapse, {ROOMS} rooms, nobody surveys: {}", in_words(quiet)?);
    let begun = Instant::now();
    let (output, busy) = latencies(&synapse, &host, setup.run(&["survey", "--json"])).await?;
    let took = begun.elapsed();
    let output = output?;
    let rooms: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(rooms.len() == ROOMS / 2, "{} rooms with a call", rooms.len());
    println!(
        "Synapse, {ROOMS} rooms: {:.1} s, {} rooms with a call; others meanwhile: {}",
        took.as_secs_f64(),
        rooms.len(),
        in_words(busy)?
    );
    Ok(())
}

/// How long somebody's questions take while something goes on.
async fn latencies<T>(
    synapse: &Synapse,
    device: &Device,
    meanwhile: impl Future<Output = T>,
) -> Result<(T, Vec<Duration>)> {
    let mut meanwhile = std::pin::pin!(meanwhile);
    let mut took = Vec::new();
    loop {
        let begun = Instant::now();
        synapse.as_device(device, Method::GET, &["account", "whoami"]).send().await?;
        took.push(begun.elapsed());
        tokio::select! {
            done = &mut meanwhile => return Ok((done, took)),
            () = sleep(Duration::from_millis(20)) => {}
        }
    }
}

fn in_words(mut took: Vec<Duration>) -> Result<String> {
    took.sort_unstable();
    let most = took.last().context("somebody has asked")?;
    Ok(format!(
        "{} answers, p50 {:?}, p99 {:?}, most {most:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() * 99 / 100]
    ))
}
