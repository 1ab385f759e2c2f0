//! What can heal: it is warned of and tried again, and asked to end meanwhile the program ends at once.

use std::time::Duration;

use anyhow::Result;
use rtc_janitor_test_support::{BotSetup, PATIENCE, Synapse, matching, wait_until};
use serde_json::json;
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
