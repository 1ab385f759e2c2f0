//! Whose SFU it is, and how it names rooms.

use super::*;

#[tokio::test]
async fn who_was_never_seen_on_an_sfu_whose_rooms_are_named_nobody_knows_how_is_not_absent() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let _refuses = scene.service.refuse(401);
    scene.hurry();
    let bot = scene.start().await?;
    let (seen, never) = (scene.member("seen").await?, scene.member("never").await?);
    let was_there = scene.stays(&seen).await?;
    scene.is_seen(&bot, &seen).await?;
    let begun = Instant::now();
    was_there.leave();
    scene.cleared(&seen, begun).await?;
    bot.sweeps_again().await?;
    assert!(scene.is_open(&never).await?, "{}", bot.log());
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn without_a_name_for_it_the_sfu_is_found_by_the_token_that_its_service_gives() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    // The homeserver names two services, of which one stands before another SFU.
    let other = AuthorisationService::start(scene.livekit.url())?;
    other.sign_with("the-secret-of-another-sfu-which-is-long-enough");
    let proxy = scene.setup.proxied()?;
    let transports = json!({"rtc_transports": [
        {"type": "livekit", "livekit_service_url": other.url()},
        {"type": "livekit", "livekit_service_url": scene.service.url()},
    ]});
    let _transports = proxy.answer(200, transports, matching("GET", "/rtc/transports"));
    scene.setup.unset("livekit.service_urls");
    scene.hurry();
    let bot = scene.start().await?;
    let (ours, theirs) = (scene.member("ours").await?, scene.foreigner("theirs", other.url()).await?);
    // Neither was ever there; that means something on our SFU alone.
    scene.cleared(&ours, Instant::now()).await?;
    bot.sweeps_again().await?;
    assert!(scene.is_open(&theirs).await?, "{}", bot.log());
    assert!(other.count(matching("POST", "/sfu/get")) > 0);
    assert!(!bot.log().contains("eyJ"), "a token was shown: {}", bot.log());
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn after_an_upgrade_of_the_service_calls_are_found_under_their_new_names() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.service.use_recipe(Recipe::RoomId);
    scene.hurry();
    let bot = scene.start().await?;
    let before = scene.member("before").await?;
    let old =
        Participant::stay(&scene.livekit, &Recipe::RoomId.sfu_room(&scene.room), &identity(&before)).await?;
    scene.is_seen(&bot, &before).await?;
    scene.service.use_recipe(Recipe::Base64Json);
    let (after, never) = (scene.member("after").await?, scene.member("never").await?);
    let _new = scene.stays(&after).await?;
    scene.is_seen(&bot, &after).await?;
    scene.cleared(&never, Instant::now()).await?;
    for device in [&before, &after] {
        assert!(scene.is_open(device).await?, "{}\n{}", device.user_id, bot.log());
    }
    old.leave();
    scene.cleared(&before, Instant::now()).await?;
    assert!(scene.is_open(&after).await?, "{}", bot.log());
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn two_names_of_one_sfu_and_both_ways_to_choose_it_lead_to_the_same() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let second = "https://second-name.test/livekit/jwt";
    scene
        .hurry()
        .setup
        .set_raw("livekit.service_urls", &format!("[\"{}\", \"{second}\"]", scene.service.url()));
    let bot = scene.start().await?;
    let (oldest, stays) = (scene.member("oldest").await?, scene.newcomer("stays").await?);
    let leaves = scene.newcomer("leaves").await?;
    let _oldest = scene.stays(&oldest).await?;
    // One publishes under the second name, one where the oldest does, whatever its own focus says.
    let by_name = Membership::of(&stays).focus(second);
    let by_oldest =
        Membership::of(&leaves).focus("https://elsewhere.test").focus_selection("oldest_membership");
    scene.synapse.write_membership(&scene.room, by_name).await?;
    scene.synapse.write_membership(&scene.room, by_oldest).await?;
    let _stays = scene.stays(&stays).await?;
    let left = scene.stays(&leaves).await?;
    for device in [&oldest, &stays, &leaves] {
        scene.is_seen(&bot, device).await?;
    }
    left.leave();
    scene.cleared(&leaves, Instant::now()).await?;
    bot.sweeps_again().await?;
    for device in [&oldest, &stays] {
        assert!(scene.is_open(device).await?, "{}\n{}", device.user_id, bot.log());
    }
    assert!(bot.stop().await?.success());
    Ok(())
}
