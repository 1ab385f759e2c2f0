//! How long from due to cleared, beside a bare loop of the same writes on the same server.
//!
//! 200 memberships in 20 rooms fall due together. Three ways to empty them take turns in one run: the
//! janitor, and a loop of plain PUTs at concurrency 1 and at 4. The figures to quote are the ratios.
//!
//! `cargo bench --bench clearing` (release), or quicker to build `cargo bench --profile dev --bench clearing`.
//!
//! Most servers keep `PostgreSQL`, not `SQLite`: `CLEARING_DATABASE` is Synapse's `database` section as JSON, such as
//! `{"name": "psycopg2", "args": {"host": "127.0.0.1", "port": 5432, "user": "synapse", "dbname": "synapse"}}`, of an
//! empty database with the locale C; `psycopg2` has to be in Synapse's environment (`target/synapse/installed-*`).

#![expect(clippy::cast_precision_loss, reason = "milliseconds and counts")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use rtc_janitor_test_support::{
    BotSetup, CALL_MEMBER, Device, FaultProxy, Membership, Method, RoomOptions, Synapse, SynapseOptions,
    wait_until,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const ROOMS: usize = 20;
const PER_ROOM: usize = 10;
const ROUNDS: usize = 3;
const GRACE: Duration = Duration::from_secs(1);

/// Milliseconds from due to cleared, one for each key.
type Latencies = Vec<u64>;

#[tokio::main]
async fn main() -> Result<()> {
    let extra = match std::env::var("CLEARING_DATABASE") {
        Ok(database) => {
            println!("database: {database}");
            json!({"database": serde_json::from_str::<Value>(&database).context("CLEARING_DATABASE")?})
        }
        Err(_) => json!({}),
    };
    let synapse = Synapse::start(SynapseOptions { extra, ..SynapseOptions::default() }).await?;
    let program = env!("CARGO_BIN_EXE_rtc-janitor");
    let setup = BotSetup::new(&synapse, program).await?;
    let proxy = FaultProxy::start(synapse.url())?;
    setup.set("homeserver.url", proxy.url()).set("grace.expired", &format!("{}s", GRACE.as_secs()));
    let admin = &setup.admin;
    // The bot's own account, on a device of the loop's.
    let writer = synapse.login(&setup.account).await?;
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        let room = synapse.create_room(admin, RoomOptions::new().public()).await?;
        synapse.join(&writer, &room).await?;
        rooms.push(room);
    }
    let mut results: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for round in 1..=ROUNDS {
        for (name, concurrency, reads) in
            [("loop, 1 at a time", 1, false), ("loop, 4 at a time", 4, false), ("reading loop of 4", 4, true)]
        {
            let ghosts = stage(&synapse, &rooms).await?;
            note(&mut results, name, round, loop_over(&synapse, &writer, &ghosts, concurrency, reads).await?);
        }
        let ghosts = stage(&synapse, &rooms).await?;
        proxy.reset();
        let latencies = janitor(&setup, &ghosts).await?;
        note(&mut results, "janitor", round, latencies);
        println!("           requests: {}", requests(&proxy, ghosts.len()));
    }
    let median = |name: &str, pick: fn(&(u64, u64)) -> u64| {
        let mut values: Vec<_> = results[name].iter().map(pick).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    for (label, pick) in [("p50", (|r: &(u64, u64)| r.0) as fn(&(u64, u64)) -> u64), ("p99", |r| r.1)] {
        let best = median("loop, 1 at a time", pick).min(median("loop, 4 at a time", pick));
        let ours = median("janitor", pick);
        println!("{label}: janitor {ours} ms, better loop {best} ms, ratio {:.2}", ours as f64 / best as f64);
    }
    Ok(())
}

fn note(
    results: &mut BTreeMap<&'static str, Vec<(u64, u64)>>,
    name: &'static str,
    round: usize,
    mut ms: Latencies,
) {
    ms.sort_unstable();
    let (p50, p99) = (ms[ms.len() / 2], ms[ms.len() * 99 / 100]);
    println!("round {round}: {name:<18} {} keys, p50 {p50} ms, p99 {p99} ms", ms.len());
    results.entry(name).or_default().push((p50, p99));
}

/// Fresh memberships that have expired.
async fn stage(synapse: &Synapse, rooms: &[String]) -> Result<Vec<(String, String)>> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let owner = synapse.sign_in_new("ghost").await?;
    let mut ghosts = Vec::new();
    for room in rooms {
        synapse.join(&owner, room).await?;
        for _ in 0..PER_ROOM {
            let device = format!("D{}", COUNT.fetch_add(1, Ordering::Relaxed));
            let membership = Membership::session(&owner.user_id, &device)
                .aged(Duration::from_hours(1))
                .expires(Duration::from_mins(1));
            ghosts.push((room.clone(), membership.state_key()));
            synapse.write_membership(room, membership).await?;
        }
    }
    Ok(ghosts)
}

/// Empties the keys in a plain loop; with `reads`, each is read right before.
async fn loop_over(
    synapse: &Synapse,
    writer: &Device,
    ghosts: &[(String, String)],
    concurrency: usize,
    reads: bool,
) -> Result<Latencies> {
    let due = Instant::now();
    stream::iter(ghosts)
        .map(|(room, key)| async move {
            let path = ["rooms", room.as_str(), "state", CALL_MEMBER, key.as_str()];
            if reads {
                synapse.as_device(writer, Method::GET, &path).query("format", "event").send().await?;
            }
            synapse.as_device(writer, Method::PUT, &path).body(json!({})).send().await?;
            anyhow::Ok(millis(due.elapsed()))
        })
        .buffer_unordered(concurrency)
        .try_collect()
        .await
}

/// Lets the janitor find and empty them; from when each was due to when its room was told.
async fn janitor(setup: &BotSetup<'_>, ghosts: &[(String, String)]) -> Result<Latencies> {
    let bot = setup.start().await?;
    let journal = setup.directory().join("data/journal.sqlite3");
    let keys: Vec<_> = ghosts.iter().map(|(_, key)| key.clone()).collect();
    let cleared = wait_until("all to be cleared", Duration::from_mins(2), async || {
        let cleared = cleared(&journal, &keys)?;
        anyhow::Ok((cleared.len() == keys.len()).then_some(cleared))
    })
    .await?;
    bot.stop().await?;
    println!("           writes: {}", timeline(&journal, keys.len())?);
    Ok(cleared)
}

/// From the journal: how long the last so many writes took, and how many were under way at once, reads included.
fn timeline(journal: &std::path::Path, number: usize) -> Result<String> {
    let db = rusqlite::Connection::open(journal)?;
    let mut query = db.prepare("SELECT intended_ms, finished_ms FROM writes ORDER BY id DESC LIMIT ?1")?;
    let number = i64::try_from(number)?;
    let rows = query.query_map([number], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let writes: Vec<(i64, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    let first = writes.iter().map(|(began, _)| *began).min().context("a write")?;
    let last = writes.iter().map(|(_, ended)| *ended).max().context("a write")?;
    let each: i64 = writes.iter().map(|(began, ended)| ended - began).sum();
    let at_once = each as f64 / (last - first).max(1) as f64;
    Ok(format!(
        "{} ms from the first to the last, {} ms each, {at_once:.1} at once",
        last - first,
        each / number.max(1)
    ))
}

/// From the journal: first seen stale, plus the grace, is when it was due.
fn cleared(journal: &std::path::Path, keys: &[String]) -> Result<Latencies> {
    let db = rusqlite::Connection::open(journal)?;
    let mut query = db.prepare("SELECT details, at_ms FROM findings WHERE kind = 'cleared' AND key = ?1")?;
    let mut latencies = Vec::new();
    for key in keys {
        let Ok((details, at)) =
            query.query_row([key], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
        else {
            continue;
        };
        let details: Value = serde_json::from_str(&details)?;
        let since = details["since"].as_i64().context("since")?;
        latencies.push(u64::try_from(at - since).unwrap_or(0).saturating_sub(millis(GRACE)));
    }
    Ok(latencies)
}

fn requests(proxy: &FaultProxy, ghosts: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for request in proxy.requests() {
        let kind = if request.path.contains("/state/") {
            let event_type = request.path.split("/state/").nth(1).and_then(|rest| rest.split('/').next());
            format!("{} state {}", request.method, event_type.unwrap_or_default())
        } else {
            format!("{} {}", request.method, request.path.rsplit('/').next().unwrap_or_default())
        };
        *counts.entry(kind).or_default() += 1;
    }
    let state: usize =
        counts.iter().filter(|(kind, _)| kind.contains(" state ")).map(|(_, count)| count).sum();
    let each = state as f64 / ghosts as f64;
    format!("{each:.2} reads and writes of state for each membership; {counts:?}")
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
