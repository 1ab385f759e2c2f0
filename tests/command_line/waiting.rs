//! What can heal: it is warned of and tried again, and asked to end meanwhile the program ends at once.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use rtc_janitor_test_support::{BotSetup, Method, PATIENCE, Synapse, matching, wait_until};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::PROGRAM;

#[tokio::test]
async fn a_server_that_does_not_answer_is_waited_for() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let outage = proxy.outage();
    let bot = setup.spawn()?;
    bot.logs(&["WARN", "cannot sign in: no usable answer", "trying again in 2s"]).await?;
    bot.logs(&["WARN", "cannot sign in: no usable answer", "trying again in 4s"]).await?;
    outage.lift();
    setup.hear("is watching").await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn while_it_waits_for_a_server_it_ends_within_5_s_when_told_to() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    // Nothing listens there.
    let bot = setup.set("homeserver.url", "http://127.0.0.1:1").spawn()?;
    bot.logs(&["WARN", "no connection", "trying again"]).await?;
    let told = Instant::now();
    assert!(bot.stop().await?.success());
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_server_that_asks_for_patience_at_sign_in_gets_it() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let slow = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 1000});
    let limit = proxy.answer(429, slow, matching("POST", "/login"));
    let bot = setup.spawn()?;
    bot.logs(&["WARN", "asked to slow down", "trying again"]).await?;
    limit.lift();
    setup.hear("is watching").await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_session_that_the_server_has_ended_ends_it_with_1_and_the_next_start_signs_in_anew() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    for device in ["watch", "chat"] {
        let mut bot = setup.start().await?;
        let session = fs::read_to_string(setup.directory().join(format!("data/session-{device}.json")))?;
        let session: Value = serde_json::from_str(&session)?;
        let id = session["device_id"].as_str().context("a session has a device")?;
        let delete = ["v2", "users", &setup.account.user_id, "devices", id];
        synapse.admin_request(Method::DELETE, &delete).send().await?;
        assert_eq!(bot.ended().await?.code(), Some(1));
        let log = bot.log();
        let last = log.lines().last().unwrap_or_default();
        let expected = format!("error: the homeserver has ended the session of the {device} device (");
        assert!(last.starts_with(&expected) && last.ends_with("start me again to sign in anew"), "{last}");
    }
    let bot = setup.start().await?;
    assert!(bot.stop().await?.success());
    assert_eq!(synapse.devices(&setup.account.user_id).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_admin_room_that_it_is_not_in_is_asked_for_and_entered_when_it_is_invited() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let user = &setup.account.user_id;
    // Takes the invitation back.
    synapse.kick(&setup.admin, &setup.admin_room, user).await?;
    let bot = setup.spawn()?;
    let asks = format!("{user} is not in the admin room {}: invite it there", setup.admin_room);
    bot.logs(&["WARN", "the admin room is out of reach", &asks]).await?;

    synapse.invite(&setup.admin, &setup.admin_room, user).await?;
    wait_until("the bot to say hello", PATIENCE, async || {
        Ok::<_, anyhow::Error>(setup.times_said("is watching").await? == 1)
    })
    .await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
