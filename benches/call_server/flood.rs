//! Webhooks without end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use rtc_janitor_test_support::{LiveKit, LiveKitOptions, Population, Recipe};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{polls::Set, process};

/// How many connections they come by.
const CONNECTIONS: u32 = 20;

/// How many are sent before answers are waited for.
const BURST: u32 = 10;

/// `flood:RATE:SECONDS`: believed ones, each that another of 500 people has left.
pub(crate) async fn flood(bot: &str, rate: u32, seconds: u32) -> Result<()> {
    let population = Population::new().rooms(1000).call_rooms(100).open(500);
    let set = Set::new(bot, &population, LiveKitOptions::default()).await?;
    let _people = set.connect().await?;
    let bot = set.stage.start().await?;
    sleep(Duration::from_secs(20)).await;
    let address = bot.http_url().await?.trim_start_matches("http://").to_owned();
    let requests = requests(&set, &address);

    println!("   before              status after {:.0} ms", 1000.0 * answer(&set).await?);
    println!("   memory              {}", process::memory(bot.id())?);
    set.asked();
    let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut senders = Vec::new();
    for connection in 0..CONNECTIONS {
        let sender = Sender {
            address: address.clone(),
            requests: requests.clone(),
            place: (connection as usize * 31) % requests.len(),
            pause: Duration::from_secs(1) * CONNECTIONS * BURST / rate,
            stop: stop.clone(),
            sent: taken.clone(),
        };
        senders.push(tokio::spawn(sender.run()));
    }
    let (begun, processor) = (Instant::now(), process::processor(bot.id())?);
    let mut answers = Vec::new();
    while begun.elapsed() < Duration::from_secs(seconds.into()) {
        answers.push(answer(&set).await?);
        sleep(Duration::from_millis(500)).await;
    }
    let span = begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await??;
    }
    answers.sort_by(f64::total_cmp);
    let taken = u32::try_from(taken.load(Ordering::Relaxed))?;
    println!("   taken               {:.0} a second for {span:.0} s", f64::from(taken) / span);
    let (half, most) = (answers[answers.len() / 2], answers[answers.len() - 1]);
    println!("   meanwhile           status after {:.0} ms, at most {:.0} ms", 1000.0 * half, 1000.0 * most);
    println!("   the SFU was asked   {:?}", set.asked());
    println!("   CPU s               {:.1}", process::processor(bot.id())? - processor);
    println!("   memory              {}", process::memory(bot.id())?);
    bot.stop().await?;
    Ok(())
}

/// How long `!janitor status` takes, in seconds.
async fn answer(set: &Set) -> Result<f64> {
    let begun = Instant::now();
    let said = set.stage.say("!janitor status");
    set.stage.reply_to(&said, Duration::from_mins(1)).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// What is sent, signed once: the token is good for minutes.
fn requests(set: &Set, address: &str) -> Arc<Vec<Vec<u8>>> {
    let places = set.stage.open();
    let mut requests = Vec::new();
    // More than are remembered by their ids.
    for number in 0..6000 {
        let place = &places[number % places.len()];
        let identity =
            place.key.trim_start_matches('_').trim_end_matches("_m.call").replacen("_DEV", ":DEV", 1);
        let body = json!({
            "event": "participant_left", "id": format!("EV_{number}"),
            "room": {"sid": "RM_1", "name": Recipe::Base64Json.sfu_room(&place.room), "turnPassword": "x"},
            "participant": {"sid": "PA_1", "identity": identity, "state": "DISCONNECTED",
                "disconnectReason": "CONNECTION_TIMEOUT"},
        })
        .to_string();
        let token = LiveKit::webhook_token(body.as_bytes(), TimeDelta::zero(), LiveKit::SECRET);
        let head = format!(
            "POST /livekit/webhook HTTP/1.1\r\nHost: {address}\r\nAuthorization: {token}\r\n\
             Content-Type: application/webhook+json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        requests.push([head.into_bytes(), body.into_bytes()].concat());
    }
    Arc::new(requests)
}

/// One connection.
struct Sender {
    address: String,
    requests: Arc<Vec<Vec<u8>>>,
    place: usize,
    pause: Duration,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
}

impl Sender {
    async fn run(mut self) -> Result<()> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let mut next = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        while !self.stop.load(Ordering::Relaxed) {
            let mut burst = Vec::new();
            for _ in 0..BURST {
                burst.extend_from_slice(&self.requests[self.place % self.requests.len()]);
                self.place += 1;
            }
            stream.write_all(&burst).await?;
            let mut answered = 0;
            while answered < BURST as usize {
                let read = stream.read(&mut buffer).await?;
                let read = buffer.get(..read).filter(|read| !read.is_empty()).context("it was cut off")?;
                answered += read.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
            }
            self.sent.fetch_add(answered, Ordering::Relaxed);
            next += self.pause;
            tokio::time::sleep_until(next).await;
        }
        Ok(())
    }
}
