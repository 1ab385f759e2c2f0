//! Who is gone from the SFU, and who is there.

use super::*;

#[tokio::test]
async fn who_is_gone_from_the_sfu_is_cleared_in_time_and_whom_it_lists_is_not() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let bot = scene.start().await?;
    let (killed, stayed) = (scene.member("killed").await?, scene.member("stayed").await?);
    let (left, signed_out) = (scene.member("left").await?, scene.member("signedout").await?);
    let never = scene.member("never").await?;
    let (crash, _stays) = (scene.client(&killed).await?, scene.client(&stayed).await?);
    let leaves = scene.stays(&left).await?;
    let _veto = scene.stays(&signed_out).await?;
    for device in [&killed, &stayed, &left, &signed_out] {
        scene.is_seen(&bot, device).await?;
    }
    // Whatever a device list says: it is in the call.
    scene.synapse.logout(&signed_out).await?;
    // Expired, and in the call; the control differs in the latter alone.
    let (long, gone) = (scene.member("long").await?, scene.member("gone").await?);
    for device in [&long, &gone] {
        let expired = Membership::of(device).aged(Duration::from_hours(1)).expires(Duration::from_mins(30));
        scene.write(expired).await?;
    }
    let _long = scene.stays(&long).await?;
    let begun = Instant::now();
    crash.kill()?;
    leaves.leave();
    let (after_kill, after_leaving) =
        tokio::try_join!(scene.cleared(&killed, begun), scene.cleared(&left, begun))?;
    println!("cleared {after_kill:?} after a kill, {after_leaving:?} after leaving");
    scene.cleared(&never, begun).await?;
    scene.cleared(&gone, begun).await?;
    bot.sweeps_again().await?;
    for (device, why) in
        [(&stayed, "is there"), (&signed_out, "signed out, there"), (&long, "expired, there")]
    {
        assert!(scene.is_open(device).await?, "{why}\n{}", bot.log());
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn somebody_under_another_identity_or_after_a_standstill_is_there() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    // Longer than the standstill.
    scene.hurry().setup.set("grace.not_on_sfu", "25s");
    let bot = scene.start().await?;
    let (stalled, hashed, control) =
        (scene.member("stalled").await?, scene.member("hashed").await?, scene.member("control").await?);
    let absent = scene.member("absent").await?;
    let client = scene.client(&stalled).await?;
    let was_there = scene.stays(&control).await?;
    // Element Call is listed so on every SFU of a call but its own, and on its own for a moment.
    let _under_hash = Participant::stay(&scene.livekit, &scene.sfu_room(), &hashed_identity(&hashed)).await?;
    // No membership explains a recorder, and none need: who was never there counts as absent beside one.
    let recorder = async |name| {
        Participant::join_with(&scene.livekit, &LiveKit::recorder_token(name, &scene.sfu_room())).await
    };
    let _recorder = recorder("EG_1").await?;
    for device in [&stalled, &control] {
        scene.is_seen(&bot, device).await?;
    }
    for device in [&hashed, &control] {
        scene.synapse.logout(device).await?;
    }
    client.stall()?;
    let begun = Instant::now();
    was_there.leave();
    wait_until("half a standstill to be over", LIMIT, async || {
        anyhow::Ok(begun.elapsed() >= Duration::from_secs(14))
    })
    .await?;
    client.go_on()?;
    scene.cleared(&control, begun).await?;
    // One that has no media is put out after a minute.
    let _another = recorder("EG_2").await?;
    scene.cleared(&absent, begun).await?;
    bot.sweeps_again().await?;
    for device in [&stalled, &hashed] {
        assert!(scene.is_open(device).await?, "{}\n{}", device.user_id, bot.log());
    }
    let explained = scene.explain().await?;
    assert!(explained.contains("connected, which outweighs everything but leaving the room"), "{explained}");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_delegated_leave_that_stays_pending_for_ever_protects_nobody() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.service.take_delayed_leaves(true);
    scene.hurry();
    let bot = scene.start().await?;
    let (ghost, alive) = (scene.member("ghost").await?, scene.member("alive").await?);
    for device in [&ghost, &alive] {
        let leave = scene.synapse.schedule_leave(device, &scene.room, Duration::from_hours(1)).await?;
        scene.service.delegate(&scene.room, &leave).await?;
    }
    let (was_there, _alive) = (scene.stays(&ghost).await?, scene.stays(&alive).await?);
    for device in [&ghost, &alive] {
        scene.is_seen(&bot, device).await?;
    }
    // Nobody tells the service, whose webhook is not wired: it goes on restarting what is pending.
    was_there.leave();
    assert_eq!(scene.synapse.delayed_leaves(&ghost).await?.len(), 1);
    scene.cleared(&ghost, Instant::now()).await?;
    bot.sweeps_again().await?;
    scene.was_left_alone(&alive, &bot).await?;
    assert_eq!(scene.setup.times_emptied(&scene.room, &ghost).await?, 1);
    assert_eq!(scene.synapse.delayed_leaves(&alive).await?.len(), 1);
    assert_eq!(scene.service.count(matching("POST", "/delegate_delayed_leave")), 2);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn whom_the_sfu_lists_is_there_however_silent_and_by_whichever_membership_is_the_newest() -> Result<()>
{
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.hurry();
    // What is written while the bot looks is a sign of life.
    let silent = async |name| {
        let device = scene.synapse.sign_in_new(name).await?;
        scene.synapse.bring_in(&scene.host, &scene.room, &device).await?;
        let membership =
            Membership::of(&device).aged(Duration::from_hours(52)).expires(Duration::from_hours(100));
        scene.write(membership).await?;
        anyhow::Ok(device)
    };
    let (talks, gone) = (silent("talks").await?, silent("gone").await?);
    let _talks = scene.stays(&talks).await?;
    let bot = scene.start().await?;
    scene.is_seen(&bot, &talks).await?;
    // One device with two memberships of the same call, of which the newest has the older form of a key.
    let twice = scene.member("twice").await?;
    let older_form = format!("_{}_{}", twice.user_id, twice.device_id);
    scene.write(Membership::of(&twice).key(&older_form)).await?;
    let _twice = scene.stays(&twice).await?;
    let begun = Instant::now();
    // The controls: silent like the other, and the membership that is not the newest.
    scene.cleared(&gone, begun).await?;
    scene.cleared(&twice, begun).await?;
    bot.sweeps_again().await?;
    assert!(scene.is_open(&talks).await?, "{}", bot.log());
    assert!(scene.synapse.is_open(&scene.room, &older_form).await?, "{}", bot.log());
    let explained = scene.explain().await?;
    assert_eq!(
        explained.matches("which outweighs everything but leaving the room").count(),
        2,
        "{explained}"
    );
    assert!(bot.stop().await?.success());
    Ok(())
}
