//! The breaker: when most people in calls look dead all at once, it is the device lists that are wrong. The real program
//! beside a real Synapse whose device lists can be made to lie.

use std::time::Duration;

use anyhow::{Context, Result};
use rtc_janitor_test_support::{
    Bot, BotSetup, CALL_MEMBER, Device, FaultProxy, PATIENCE, RoomOptions, Rule, Synapse, call_key,
    is_open_content, matching, wait_until,
};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

const OPENED: &str = "turned stale at once";
const STAYS_OPEN: &str = "its breaker stays open. I try another";
const CLOSED: &str = "stayed away: I trust the device lists again";

/// People in a call, each with one device that the bot knows.
struct Call {
    room: String,
    people: Vec<Device>,
}

impl Call {
    async fn of(people: usize, setup: &BotSetup<'_>, bot: &Bot) -> Result<Self> {
        let host = setup.synapse.sign_in_new("host").await?;
        let room = setup.watched_room(&host, RoomOptions::new()).await?;
        let mut call = Self { room, people: Vec::new() };
        for _ in 0..people {
            call.people.push(setup.caller(bot, &host, &call.room).await?);
        }
        Ok(call)
    }

    /// What the bot has written into the room: key and time of each, in order.
    async fn emptied(&self, setup: &BotSetup<'_>) -> Result<Vec<(String, Duration)>> {
        let changes = setup.changes_by_the_bot(&self.room).await?;
        changes
            .iter()
            .map(|event| Ok((event["state_key"].as_str().context("a key")?.to_owned(), time_of(event)?)))
            .collect()
    }
}

fn time_of(event: &Value) -> Result<Duration> {
    Ok(Duration::from_millis(event["origin_server_ts"].as_u64().context("a time")?))
}

/// From now on the device lists of these people are empty.
fn hide(proxy: &FaultProxy, people: &[Device]) -> Rule {
    let users: Vec<_> = people.iter().map(|device| device.user_id.clone()).collect();
    proxy.rewrite(matching("POST", "/keys/query"), move |answer| {
        for user in &users {
            if !answer["device_keys"][user].is_null() {
                answer["device_keys"][user] = json!({});
            }
        }
    })
}

#[tokio::test]
async fn when_most_of_ten_people_vanish_at_once_nothing_is_written_and_it_is_said_once() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let bot = setup.start().await?;
    let call = Call::of(10, &setup, &bot).await?;

    let lie = hide(&proxy, &call.people[..7]);
    setup.hear(OPENED).await?;
    // What rests on other evidence goes on.
    synapse.leave(&call.people[8], &call.room).await?;
    setup.wait_until_cleared(&call.room, &call_key(&call.people[8])).await?;
    let caught = lie.caught().len();
    wait_until("the lists to be asked for", PATIENCE, async || lie.caught().len() >= caught + 3).await?;
    bot.kill()?;

    // It is remembered.
    let bot = setup.start().await?;
    let caught = lie.caught().len();
    wait_until("the lists to be asked for", PATIENCE, async || lie.caught().len() >= caught + 3).await?;
    synapse.leave(&call.people[9], &call.room).await?;
    setup.wait_until_cleared(&call.room, &call_key(&call.people[9])).await?;
    bot.sweeps_again().await?;
    assert_eq!(call.emptied(&setup).await?.len(), 2);
    assert_eq!(proxy.count(matching("PUT", CALL_MEMBER)), 2);
    assert_eq!(setup.times_said(OPENED).await?, 1);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn when_the_probe_stays_away_the_breaker_closes_and_the_rest_is_cleared() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    setup.set("breaker.open_for", "3s").set("breaker.probe_for", "4s");
    let proxy = setup.proxied()?;
    let bot = setup.start().await?;
    let call = Call::of(10, &setup, &bot).await?;
    let (gone, live) = call.people.split_at(8);

    // At one moment for the bot; it takes us longer.
    let _at_once = hide(&proxy, gone);
    setup.hear(OPENED).await?;
    for device in gone {
        synapse.logout(device).await?;
    }
    setup.hear(CLOSED).await?;
    for device in gone {
        setup.wait_until_cleared(&call.room, &call_key(device)).await?;
    }
    let emptied = call.emptied(&setup).await?;
    assert_eq!(emptied.len(), gone.len());
    let waited = emptied[1].1.saturating_sub(emptied[0].1);
    assert!(waited >= Duration::from_secs(4), "the probe was alone for {waited:?} only");
    for device in live {
        assert!(synapse.is_open(&call.room, &call_key(device)).await?);
    }
    for words in [OPENED, CLOSED] {
        assert_eq!(setup.times_said(words).await?, 1, "{words}");
    }
    assert_eq!(setup.times_said(STAYS_OPEN).await?, 0);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn when_the_probe_comes_back_the_breaker_stays_open_and_waits_twice_as_long() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    setup.set("breaker.open_for", "3s").set("breaker.probe_for", "20s");
    let proxy = setup.proxied()?;
    let bot = setup.start().await?;
    let call = Call::of(10, &setup, &bot).await?;
    let _lie = hide(&proxy, &call.people[..8]);

    setup.hear(OPENED).await?;
    let mut probes = Vec::new();
    for _ in 0..2 {
        let probe = wait_until("the next probe", PATIENCE, async || {
            let memberships = synapse.memberships(&call.room).await?;
            let emptied = |device: &&Device| {
                memberships.get(&call_key(device)).is_some_and(|event| !is_open_content(&event["content"]))
            };
            Ok::<_, anyhow::Error>(call.people.iter().find(emptied))
        })
        .await?;
        // The client is alive: it finds itself out of the call and joins again.
        synapse.join_call(probe, &call.room).await?;
        probes.push(probe);
        wait_until("the bot to say that it waits", PATIENCE, async || {
            Ok::<_, anyhow::Error>(setup.times_said(STAYS_OPEN).await? == probes.len())
        })
        .await?;
    }
    assert_ne!(probes[0], probes[1], "the same one is not tried again");
    let emptied = call.emptied(&setup).await?;
    assert_eq!(emptied.len(), 2);
    let back = synapse.call_member(&call.room, &call_key(probes[0])).await?.context("it is back")?;
    let waited = emptied[1].1.saturating_sub(time_of(&back)?);
    assert!(
        waited >= Duration::from_secs(6),
        "after the first probe came back it waited for {waited:?} only"
    );
    for device in &call.people {
        assert!(synapse.is_open(&call.room, &call_key(device)).await?);
    }
    assert_eq!(setup.times_said(OPENED).await?, 1);
    assert_eq!(setup.times_said(CLOSED).await?, 0);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn on_a_server_with_two_people_the_breaker_does_not_get_in_the_way() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let bot = setup.start().await?;
    let call = Call::of(2, &setup, &bot).await?;
    let _at_once = hide(&proxy, &call.people);
    for device in &call.people {
        synapse.logout(device).await?;
    }
    for device in &call.people {
        setup.wait_until_cleared(&call.room, &call_key(device)).await?;
    }
    assert_eq!(setup.times_said(OPENED).await?, 0);
    assert!(bot.stop().await?.success());
    Ok(())
}
