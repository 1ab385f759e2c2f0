//! How long from a command's arrival at the homeserver to its answer there, as somebody in the admin room sees it.
//!
//! 100 times `status`, one after the other, on an idle bot beside a real homeserver on the same machine; the
//! time is from the answer to the send request to the arrival of the bot's reply by the sender's own `/sync`.
//!
//! `cargo bench --bench answers` (release), or quicker to build `cargo bench --profile dev --bench answers`.

use std::time::Duration;

use anyhow::{Context, Result};
use rtc_janitor_test_support::{BotSetup, Device, Method, Synapse, SynapseOptions, wait_until};
use serde_json::Value;
use tokio::time::Instant;

const TIMES: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let setup = BotSetup::new(&synapse, env!("CARGO_BIN_EXE_rtc-janitor")).await?;
    let bot = setup.start().await?;
    wait_until("the notice of the first start", Duration::from_mins(1), async || {
        anyhow::Ok(setup.times_said("recovery key").await? > 0)
    })
    .await?;
    let admin = &setup.admin;
    let mut since = sync(&synapse, admin, None).await?.1;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let command = synapse.send_text(admin, &setup.admin_room, "!janitor status").await?;
        let begun = Instant::now();
        loop {
            let (events, next) = sync(&synapse, admin, Some(&since)).await?;
            since = next;
            let answers = |event: &Value| {
                event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == command.as_str()
            };
            if events.iter().any(answers) {
                break;
            }
        }
        took.push(begun.elapsed());
    }
    bot.stop().await?;
    took.sort_unstable();
    println!(
        "{TIMES} × status: p50 {:?}, p99 {:?}, most {:?}",
        took[TIMES / 2],
        took[TIMES * 99 / 100],
        took[TIMES - 1]
    );
    Ok(())
}

/// One `/sync`: the events of all timelines, and where the next goes on.
async fn sync(synapse: &Synapse, device: &Device, since: Option<&str>) -> Result<(Vec<Value>, String)> {
    let mut request = synapse.as_device(device, Method::GET, &["sync"]);
    if let Some(since) = since {
        request = request.query("since", since).query("timeout", "30000");
    }
    let answer = request.send().await?;
    let next = answer["next_batch"].as_str().context("a token")?.to_owned();
    let rooms = answer["rooms"]["join"].as_object().into_iter().flat_map(|rooms| rooms.values());
    let events = rooms.filter_map(|room| room["timeline"]["events"].as_array()).flatten().cloned().collect();
    Ok((events, next))
}
