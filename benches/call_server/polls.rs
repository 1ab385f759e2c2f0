//! What the SFU is asked.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use rtc_janitor_test_support::{
    Bot, FaultProxy, LiveKit, LiveKitOptions, Participant, Population, Recipe, Stage, wait_until,
};
use tokio::time::{Instant, sleep};

use super::{SERVICE, process};

/// How long anything may take to get under way.
const LIMIT: Duration = Duration::from_mins(3);

/// A bot with a fake homeserver, and a proxy before its SFU.
pub(crate) struct Set {
    pub(crate) stage: Stage,
    pub(crate) proxy: FaultProxy,
    pub(crate) livekit: LiveKit,
}

impl Set {
    pub(crate) async fn new(bot: &str, population: &Population, options: LiveKitOptions) -> Result<Self> {
        let livekit = LiveKit::start(options).await?;
        let proxy = FaultProxy::start(livekit.url())?;
        let stage = Stage::new(bot, population)?;
        stage
            .program
            .unset("janitor.sweep_interval")
            .set("livekit.url", proxy.url())
            .set("livekit.api_key", LiveKit::KEY)
            .set("livekit.api_secret", LiveKit::SECRET)
            .set_raw("livekit.service_urls", &format!("[\"{SERVICE}\"]"))
            .set("log.filter", "info");
        Ok(Self { stage, proxy, livekit })
    }

    /// Connects the owner of every open membership.
    pub(crate) async fn connect(&self) -> Result<Vec<Participant>> {
        let mut people = Vec::new();
        for place in self.stage.open() {
            let (user, device) = owner(&place.key).context("the key of a membership")?;
            let room = Recipe::Base64Json.sfu_room(&place.room);
            people.push(Participant::stay(&self.livekit, &room, &format!("{user}:{device}")).await?);
        }
        Ok(people)
    }

    /// What the SFU was asked since the last time, by method.
    pub(crate) fn asked(&self) -> BTreeMap<String, usize> {
        let mut methods = BTreeMap::new();
        for request in self.proxy.requests() {
            let text = request.to_string();
            let method = text.rsplit('/').next().unwrap_or_default().to_owned();
            *methods.entry(method).or_default() += 1;
        }
        self.proxy.reset();
        methods
    }
}

/// `_@user:server_DEVICE_m.call`
fn owner(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix('_')?.strip_suffix("_m.call")?.rsplit_once('_')
}

/// `polls:CALLS:SECONDS`
pub(crate) async fn polls(bot: &str, calls: u32, seconds: u32) -> Result<()> {
    let calls = calls as usize;
    let population = Population::new().rooms(calls).call_rooms(calls).open(calls);
    let set = Set::new(bot, &population, LiveKitOptions::default()).await?;
    let people = set.connect().await?;
    let bot = set.stage.start().await?;
    wait_until("a poll that finds all calls", LIMIT, async || {
        set.proxy.requests().iter().filter(|request| request.to_string().contains("ListParticipants")).count()
            >= calls
    })
    .await?;
    measure(&set, &bot, seconds).await?;
    println!("   connected           {}", people.len());
    bot.stop().await?;
    Ok(())
}

/// `idle:ROOMS:SECONDS`
pub(crate) async fn idle(bot: &str, rooms: u32, seconds: u32) -> Result<()> {
    let population = Population::new().rooms(rooms as usize);
    let set = Set::new(bot, &population, LiveKitOptions::default()).await?;
    let bot = set.stage.start().await?;
    sleep(Duration::from_secs(5)).await;
    measure(&set, &bot, seconds).await?;
    bot.stop().await?;
    Ok(())
}

async fn measure(set: &Set, bot: &Bot, seconds: u32) -> Result<()> {
    set.asked();
    let (begun, processor) = (Instant::now(), process::processor(bot.id())?);
    sleep(Duration::from_secs(seconds.into())).await;
    let asked = set.asked();
    let polls = asked.get("ListRooms").copied().unwrap_or(0);
    println!("   in {:.0} s             {asked:?}", begun.elapsed().as_secs_f64());
    if polls > 0 {
        let all: usize = asked.values().sum();
        println!(
            "   requests per poll   {:.1}",
            f64::from(u32::try_from(all)?) / f64::from(u32::try_from(polls)?)
        );
    }
    println!("   CPU s               {:.2}", process::processor(bot.id())? - processor);
    println!("   memory              {}", process::memory(bot.id())?);
    Ok(())
}
