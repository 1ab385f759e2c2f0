//! What the SFU tells by itself, and what follows from it.

use matrix_sdk::reqwest;
use rtc_janitor_test_support::{CALL_MEMBER, WebhookSink, free_port};

use super::*;

/// A bot that our SFU tells who has left, and the address where it does.
async fn told<'a>(synapse: &'a Synapse, also: &[String]) -> Result<Scene<'a>> {
    let listen = format!("127.0.0.1:{}", free_port()?);
    let webhooks = [&[format!("http://{listen}/livekit/webhook")], also].concat();
    let scene = Scene::with(synapse, LiveKitOptions { webhooks, ..LiveKitOptions::default() }).await?;
    scene.setup.set("http.listen", &listen);
    Ok(scene)
}

/// How many leaves were counted, by who made them; or how many webhooks, by event and reason. Text, as it is shown.
async fn count(bot: &Bot, series: &str) -> Result<String> {
    let scrape = reqwest::get(format!("{}/metrics", bot.http_url().await?)).await?.text().await?;
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(line.unwrap_or("0").to_owned())
}

const CRASHES: &str = r#"rtc_janitor_webhooks_total{event="participant_left",reason="CONNECTION_TIMEOUT"}"#;
const SECONDS: &str = r#"rtc_janitor_webhooks_total{event="participant_left",reason="DUPLICATE_IDENTITY"}"#;
const BY_OWNERS: &str = r#"rtc_janitor_leave_lag_seconds_count{by="owner"}"#;
const BY_THE_BOT: &str = r#"rtc_janitor_leave_lag_seconds_count{by="janitor"}"#;

#[tokio::test]
async fn who_is_told_to_be_gone_is_cleared_in_time_and_a_second_connection_is_no_departure() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = told(Synapse::shared().await?, &[]).await?;
    let bot = scene.start().await?;
    let (killed, twice) = (scene.member("killed").await?, scene.member("twice").await?);
    let (crash, first) = (scene.client(&killed).await?, scene.client(&twice).await?);
    for device in [&killed, &twice] {
        scene.is_seen(&bot, device).await?;
    }
    let begun = Instant::now();
    crash.kill()?;
    // The same identity connects anew: the SFU puts the first one out.
    let second = scene.client(&twice).await?;
    wait_until("the SFU to tell of the second connection", LIMIT, async || {
        anyhow::Ok(count(&bot, SECONDS).await? == "1")
    })
    .await?;
    drop(first);
    let after_kill = scene.cleared(&killed, begun).await?;
    println!("cleared {after_kill:?} after a kill that the SFU told of");
    assert_eq!(count(&bot, CRASHES).await?, "1");
    assert_eq!(count(&bot, BY_THE_BOT).await?, "1");
    // As long as the other: it would be gone by now.
    assert!(scene.is_open(&twice).await?, "{}", bot.log());
    drop(second);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_delegated_leave_that_is_sent_in_time_leaves_the_bot_nothing_to_do() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let synapse = Synapse::shared().await?;
    // What the authorisation service hears, which holds the leave.
    let service = WebhookSink::start()?;
    let scene = told(synapse, &[service.url()]).await?;
    let bot = scene.start().await?;
    let (wired, control) = (scene.member("wired").await?, scene.member("control").await?);
    let stays = scene.member("stays").await?;
    let leave = synapse.schedule_leave(&wired, &scene.room, Duration::from_hours(1)).await?;
    let crashes = (scene.client(&wired).await?, scene.client(&control).await?);
    let _stays = scene.stays(&stays).await?;
    for device in [&wired, &control] {
        scene.is_seen(&bot, device).await?;
    }
    let begun = Instant::now();
    crashes.0.kill()?;
    crashes.1.kill()?;
    wait_until("the authorisation service to hear of it", LIMIT, async || {
        anyhow::Ok(!service.about("participant_left", &identity(&wired)).is_empty())
    })
    .await?;
    synapse.send_leave(&leave).await?;
    let by_owner = scene.cleared(&wired, begun).await?;
    let by_the_bot = scene.cleared(&control, begun).await?;
    println!("gone {by_owner:?} after the kill by the owner, {by_the_bot:?} by the bot");
    wait_until("both leaves to be counted", LIMIT, async || {
        anyhow::Ok(count(&bot, BY_OWNERS).await? == "1" && count(&bot, BY_THE_BOT).await? == "1")
    })
    .await
    .with_context(|| bot.log())?;
    let state = synapse.state_event(&scene.room, CALL_MEMBER, &call_key(&wired)).await?;
    let state = state.context("there is no such event")?;
    assert_eq!(state["sender"], wired.user_id.as_str(), "{state}");
    let status = scene.ask("status").await?;
    assert!(
        status.contains("people leave the call list") && status.contains("I clear who is left"),
        "{status}"
    );
    assert!(bot.stop().await?.success());
    Ok(())
}
