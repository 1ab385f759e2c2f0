//! Clients that the SFU does not list though they are in the call: for a moment, or until somebody reloads them.

use tokio::{task::JoinHandle, time::sleep};

use super::{
    crowds::{OPENED, STAYS_OPEN},
    *,
};

/// What people are told of them.
const RELOAD: &str = "should reload the client";

/// How soon a client writes its membership again that somebody emptied. Element Call needs a quarter of a second.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Clients that write their memberships again, whenever these are emptied, until this is dropped.
struct Insisting(JoinHandle<()>);

impl Drop for Insisting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Scene<'static> {
    /// As Element Call does it, be it on the SFU or not.
    fn insist(&self, devices: &[Device]) -> Insisting {
        let (synapse, room) = (self.synapse, self.room.clone());
        let memberships: Vec<_> =
            devices.iter().map(|device| Membership::of(device).focus(self.service.url())).collect();
        Insisting(tokio::spawn(async move {
            loop {
                for membership in &memberships {
                    if let Ok(false) = synapse.is_open(&room, &membership.state_key()).await {
                        // One that fails is tried again.
                        _ = synapse.write_membership(&room, membership.clone()).await;
                    }
                }
                sleep(AT_ONCE).await;
            }
        }))
    }

    /// Waits until at least so many memberships were emptied in all.
    async fn were_emptied(&self, count: usize, bot: &Bot) -> Result<()> {
        wait_until(&format!("{count} memberships to be emptied"), LIMIT, async || {
            anyhow::Ok(self.setup.emptied(&self.room).await?.len() >= count)
        })
        .await
        .with_context(|| bot.log())
    }
}

#[tokio::test]
async fn clients_that_never_reconnect_after_an_outage_of_the_sfu_are_cleared_once_at_most() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.hurry().with_breaker();
    let bot = scene.start().await?;
    let (returning, lost) = (scene.members("returns", 4).await?, scene.members("lost", 4).await?);
    let _return = scene.all_stay(&returning).await?;
    let were_there = scene.all_stay(&lost).await?;
    scene.all_are_seen(&bot, &returning).await?;
    scene.all_are_seen(&bot, &lost).await?;
    let _insisting = scene.insist(&lost);

    // Element Call gives up after 35 s, and goes on showing its call screen.
    scene.livekit.kill().await?;
    drop(were_there);
    pass(Duration::from_mins(1)).await?;
    scene.livekit.restart().await?;
    scene.is_said(OPENED, 1, &bot).await?;
    for probes in 1..=2 {
        scene.is_said(STAYS_OPEN, probes, &bot).await?;
        assert_eq!(scene.setup.emptied(&scene.room).await?.len(), probes, "{}", bot.log());
    }

    // The control: gone from the SFU like them, and its client does not come back. Nobody waits for the breaker.
    let ghost = scene.member("ghost").await?;
    let was_there = scene.stays(&ghost).await?;
    scene.is_seen(&bot, &ghost).await?;
    was_there.leave();
    let setup = &scene.setup;
    scene.synapse.send_text(&setup.admin, &setup.admin_room, "!janitor breaker close").await?;
    scene.cleared(&ghost, Instant::now()).await?;
    scene.were_emptied(lost.len() + 1, &bot).await?;
    // In quarantine, whatever the SFU says of them.
    bot.sweeps_again().await?;
    bot.sweeps_again().await?;
    for device in lost.iter().chain([&ghost]) {
        assert_eq!(setup.times_emptied(&scene.room, device).await?, 1, "{}\n{}", device.user_id, bot.log());
    }
    for device in &lost {
        assert!(scene.is_open(device).await?, "{}\n{}", device.user_id, bot.log());
    }
    scene.were_left_alone(&returning, &bot).await?;
    assert_eq!(setup.times_said(RELOAD).await?, 1);
    assert_eq!(setup.times_said("so it was active").await?, lost.len());
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_reload_is_nothing_and_who_does_not_come_back_from_one_is_cleared() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    // Longer than one reload, and shorter than all of them.
    let proxy = scene.hurry().proxied("")?;
    scene.setup.set("grace.not_on_sfu", "12s");
    let bot = scene.start().await?;
    let (silent, anew) = (scene.member("silent").await?, scene.member("anew").await?);
    let (ghost, steady) = (scene.member("ghost").await?, scene.member("steady").await?);
    let _steady = scene.stays(&steady).await?;
    let mut there = scene.all_stay(&[silent.clone(), anew.clone(), ghost.clone()]).await?;
    scene.all_are_seen(&bot, &[silent.clone(), anew.clone(), ghost.clone()]).await?;

    let lists = || proxy.count(matching("POST", "/ListParticipants"));
    let begun = Instant::now();
    for reload in 1..=4 {
        there.clear();
        let (gone, before) = (Instant::now(), lists());
        wait_until("the reload to be over, and seen", LIMIT, async || {
            let is_there = scene.livekit.identities(&scene.sfu_room()).await?.contains(&identity(&silent));
            anyhow::Ok(!is_there && gone.elapsed() >= Duration::from_secs(5) && lists() >= before + 2)
        })
        .await?;
        // Same content, same event id: the room shows nothing of it. Or another content, and a new event.
        there = scene.all_stay(&[silent.clone(), anew.clone()]).await?;
        scene.write(Membership::of(&anew).field("m.call.intent", format!("reload {reload}"))).await?;
        let before = lists();
        wait_until("the bot to look", LIMIT, async || lists() >= before + 2).await?;
    }
    // The control: it left with them for the first time.
    scene.cleared(&ghost, begun).await?;
    bot.sweeps_again().await?;
    scene.were_left_alone(&[silent, anew, steady], &bot).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
