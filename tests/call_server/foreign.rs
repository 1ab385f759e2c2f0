//! Memberships on an SFU that is not ours: it is asked for nothing, and ours says nothing against them.

use super::*;

/// What `explain` says of one device.
fn about<'a>(explained: &'a str, device: &Device) -> &'a str {
    // It is named at the beginning, and in the key at the end.
    explained.split(device.device_id.as_str()).nth(1).unwrap_or_default()
}

#[tokio::test]
async fn who_is_on_no_sfu_is_cleared_only_where_the_sfu_is_ours_and_explain_says_so() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.hurry();
    let bot = scene.start().await?;
    let theirs = scene.foreigner("theirs", "https://elsewhere.test").await?;
    let ours = scene.member("ours").await?;
    scene.cleared(&ours, Instant::now()).await?;
    bot.sweeps_again().await?;
    scene.was_left_alone(&theirs, &bot).await?;
    let explained = scene.explain().await?;
    let words = "not asked; this membership is on none of yours, as far as I know";
    assert!(about(&explained, &theirs).contains(words), "{explained}");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn who_publishes_on_a_foreign_sfu_is_alive_while_ours_lists_them_and_never_absent_from_it() -> Result<()>
{
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.hurry();
    let bot = scene.start().await?;
    let elsewhere = LiveKit::start(LiveKitOptions::default()).await?;
    let other = AuthorisationService::start(elsewhere.url())?;
    // The oldest publishes there, and so does whoever follows the oldest, whatever their own focus says.
    let publisher = scene.foreigner("publisher", other.url()).await?;
    let (roams, unheard) =
        (scene.foreigner("roams", other.url()).await?, scene.foreigner("unheard", other.url()).await?);
    let (stays, gone) = (scene.member("stays").await?, scene.member("gone").await?);
    let (never, follows) = (scene.member("never").await?, scene.newcomer("follows").await?);
    scene.write(Membership::of(&follows).focus_selection("oldest_membership")).await?;
    let mut there = Vec::new();
    for device in [&publisher, &roams, &unheard, &follows] {
        there.push(Participant::stay(&elsewhere, &scene.sfu_room(), &identity(device)).await?);
    }
    let listens =
        async |device| Participant::stay(&scene.livekit, &scene.sfu_room(), &hashed_identity(device)).await;
    let (listening, roaming) = (listens(&publisher).await?, listens(&roams).await?);
    let recorder = LiveKit::recorder_token("EG_1", &scene.sfu_room());
    let _recorder = Participant::join_with(&scene.livekit, &recorder).await?;
    let (_stays, was_there) = (scene.stays(&stays).await?, scene.stays(&gone).await?);
    scene.is_seen(&bot, &gone).await?;
    for device in [&publisher, &unheard] {
        scene.synapse.upload_keys(device).await?;
        bot.knows(device).await?;
        scene.synapse.logout(device).await?;
    }
    was_there.leave();
    roaming.leave();
    // The controls: no veto; absent from their own SFU, which nobody fills whom no membership explains.
    for device in [&unheard, &gone, &never] {
        scene.cleared(device, Instant::now()).await?;
    }
    bot.sweeps_again().await?;
    let alive = [publisher.clone(), roams, stays, follows];
    scene.were_left_alone(&alive, &bot).await?;
    let explained = scene.explain().await?;
    let words = "connected, which outweighs everything but leaving the room";
    assert!(about(&explained, &publisher).contains(words), "{explained}");
    listening.leave();
    scene.cleared(&publisher, Instant::now()).await?;
    bot.sweeps_again().await?;
    scene.were_left_alone(&alive[1..], &bot).await?;
    assert!(other.requests().is_empty(), "{:?}", other.requests());
    assert!(bot.stop().await?.success());
    Ok(())
}
