//! An SFU that fails: nothing alive is cleared, it is said once, and it heals by itself.

use super::*;

#[tokio::test]
async fn an_sfu_that_is_killed_and_started_again_costs_nobody_a_membership() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.hurry();
    let bot = scene.start().await?;
    let (alice, bob, ghost) =
        (scene.member("alice").await?, scene.member("bob").await?, scene.member("ghost").await?);
    let clients = (scene.client(&alice).await?, scene.client(&bob).await?);
    let was_there = scene.stays(&ghost).await?;
    for device in [&alice, &bob, &ghost] {
        scene.is_seen(&bot, device).await?;
    }
    // For longer than the grace it lists nobody: its clients are slow to come back.
    clients.0.stall()?;
    clients.1.stall()?;
    was_there.leave();
    scene.livekit.kill().await?;
    scene.livekit.restart().await?;
    wait_until("the bot to take it for a restart", LIMIT, async || {
        anyhow::Ok(bot.log().contains("everybody is gone from the call server at once"))
    })
    .await?;
    let begun = Instant::now();
    // Three times the grace.
    pass(Duration::from_secs(15)).await?;
    for device in [&alice, &bob, &ghost] {
        assert!(scene.is_open(device).await?, "{}\n{}", device.user_id, bot.log());
    }
    clients.0.go_on()?;
    clients.1.go_on()?;
    wait_until("the clients to be back", LIMIT, async || {
        anyhow::Ok(scene.livekit.identities(&scene.sfu_room()).await?.len() == 2)
    })
    .await?;
    // The control: who has not come back.
    scene.cleared(&ghost, begun).await?;
    bot.sweeps_again().await?;
    for device in [&alice, &bob] {
        assert!(scene.is_open(device).await?, "{}", bot.log());
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_sfu_that_refuses_the_key_is_named_once_and_clears_nobody() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.setup.set("livekit.api_secret", "another-secret-that-is-at-least-32-characters");
    scene
        .setup
        .set("grace.default", "1s")
        .set("janitor.minimum_age", "1s")
        .set("janitor.sweep_interval", "2s");
    scene.setup.set("livekit.poll_interval", "2s");
    let bot = scene.start().await?;
    let (stale, outside) = (scene.member("stale").await?, scene.member("outside").await?);
    scene.synapse.logout(&stale).await?;
    let said = scene
        .setup
        .hear("livekit.api_secret does not belong to livekit.api_key")
        .await
        .with_context(|| bot.log())?;
    // The control: who has left the room is in no call, whatever an SFU would say.
    scene.synapse.leave(&outside, &scene.room).await?;
    scene.cleared(&outside, Instant::now()).await?;
    bot.sweeps_again().await?;
    assert!(scene.is_open(&stale).await?, "{}", bot.log());
    assert_eq!(scene.setup.times_said("livekit.api_secret").await?, 1);
    let everything = json!([said.body, bot.log()]).to_string();
    assert!(!everything.contains("eyJ"), "a token was shown: {everything}");
    assert!(!everything.contains("another-secret"), "{everything}");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn while_the_sfu_hangs_nobody_is_cleared_whom_it_might_list_and_afterwards_all_goes_on() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let proxy = scene.hurry().proxied("")?;
    let bot = scene.start().await?;
    let ghost = scene.member("ghost").await?;
    let was_there = scene.stays(&ghost).await?;
    scene.is_seen(&bot, &ghost).await?;
    let hanging = proxy.hold(|_| true);
    hanging.first(LIMIT).await?;
    was_there.leave();
    // The control: the same, on an SFU that is not ours, about which ours need say nothing.
    let foreign = scene.foreigner("foreign", "https://elsewhere.test").await?;
    for device in [&ghost, &foreign] {
        scene.synapse.upload_keys(device).await?;
        bot.knows(device).await?;
        scene.synapse.logout(device).await?;
    }
    scene.cleared(&foreign, Instant::now()).await?;
    bot.sweeps_again().await?;
    assert!(scene.is_open(&ghost).await?, "{}", bot.log());
    drop(hanging);
    scene.cleared(&ghost, Instant::now()).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
