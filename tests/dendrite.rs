//! The main promises on a homeserver that is no Synapse: the real program beside a real Dendrite.
//!
//! Without one that was built (`tests/dendrite/build`) nothing here is tried, and `cargo test` says so at its end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rtc_janitor_test_support::{
    Bot, BotSetup, CALL_MEMBER, Dendrite, Device, FaultProxy, Membership, PATIENCE, RoomOptions, call_key,
    matching,
};
use serde_json::json;
use tokio::sync::OnceCell;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// After this a membership of [`Scene::fading`] has expired. Dendrite lets nobody send events of the past.
const SOON: Duration = Duration::from_secs(2);

/// A running bot in a room that somebody made.
struct Scene<'a> {
    dendrite: &'a Dendrite,
    setup: BotSetup<'a, Dendrite>,
    bot: Bot,
    host: Device,
    room: String,
}

impl<'a> Scene<'a> {
    async fn set(dendrite: &'a Dendrite) -> Result<Self> {
        let setup = BotSetup::new(dendrite, PROGRAM).await?;
        Self::begin(dendrite, setup).await
    }

    /// The same with a proxy between the bot and the server.
    async fn proxied(dendrite: &'a Dendrite) -> Result<(Self, FaultProxy)> {
        let setup = BotSetup::new(dendrite, PROGRAM).await?;
        let proxy = setup.proxied()?;
        Ok((Self::begin(dendrite, setup).await?, proxy))
    }

    async fn begin(dendrite: &'a Dendrite, setup: BotSetup<'a, Dendrite>) -> Result<Self> {
        let bot = setup.start().await.with_context(|| dendrite.log_tail())?;
        let host = dendrite.sign_in_new("host").await?;
        let room = setup.watched_room(&host, RoomOptions::new()).await?;
        Ok(Self { dendrite, setup, bot, host, room })
    }

    /// Somebody in the room's call, on a device that stays signed in.
    async fn member(&self, name: &str) -> Result<Device> {
        let device = self.newcomer(name).await?;
        self.dendrite.join_call(&device, &self.room).await?;
        Ok(device)
    }

    /// Somebody whose membership expires soon.
    async fn fading(&self, name: &str) -> Result<Device> {
        let device = self.newcomer(name).await?;
        self.fade(&self.room, &device).await?;
        Ok(device)
    }

    async fn newcomer(&self, name: &str) -> Result<Device> {
        let device = self.dendrite.sign_in_new(name).await?;
        self.dendrite.bring_in(&self.host, &self.room, &device).await?;
        Ok(device)
    }

    async fn fade(&self, room: &str, device: &Device) -> Result<()> {
        let membership = Membership::of(device).expires(SOON);
        let (key, content) = (membership.state_key(), membership.content(room));
        self.dendrite.put_state(device, room, CALL_MEMBER, &key, content).await?;
        Ok(())
    }

    async fn cleared(&self, device: &Device) -> Result<()> {
        self.setup.wait_until_cleared(&self.room, &call_key(device)).await.with_context(|| self.bot.log())
    }

    /// The room's own record: it was never cleared, and is open.
    async fn was_left_alone(&self, device: &Device) -> Result<()> {
        let emptied = self.setup.times_emptied(&self.room, device).await?;
        ensure!(emptied == 0, "{} was cleared {emptied} times\n{}", device.user_id, self.bot.log());
        ensure!(self.dendrite.is_open(&self.room, &call_key(device)).await?, "{}", self.bot.log());
        Ok(())
    }

    async fn hears(&self, words: &str) -> Result<()> {
        self.setup.hear(words).await.map(drop).with_context(|| self.bot.log())
    }
}

/// The server that those share who do not end it; `None` where there is none to try it with.
async fn shared() -> Result<Option<&'static Dendrite>> {
    static SHARED: OnceCell<Dendrite> = OnceCell::const_new();
    if Dendrite::installed().is_none() {
        return Ok(None);
    }
    SHARED.get_or_try_init(Dendrite::start).await.map(Some)
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_calls_are_cleared_and_told_and_a_living_one_is_left_alone() -> Result<()> {
    let Some(dendrite) = shared().await? else { return Ok(()) };
    let scene = Scene::set(dendrite).await?;
    let live = scene.member("live").await?;
    let signed_out = scene.member("signed-out").await?;
    let expired = scene.fading("expired").await?;
    scene.bot.knows(&signed_out).await?;

    scene.dendrite.logout(&signed_out).await?;

    scene.cleared(&expired).await?;
    scene.cleared(&signed_out).await?;
    for device in [&expired, &signed_out] {
        scene.hears(&device.user_id).await?;
    }
    scene.was_left_alone(&live).await?;
    let status = scene.setup.ask("status", PATIENCE).await?;
    ensure!(status.contains("Clean mode") && status.contains("1 active, 0 stale"), "{status}");
    // Without federation it does not say what it is.
    let limits = "homeserver limits: no sliding sync, no wildcards in filters, no room version above 11, does not tell \
                  what a write replaced, no admin API\n";
    ensure!(!status.contains("[synapse_admin]"), "{status}");
    ensure!(status.contains(limits), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_in_the_instant_of_the_write_has_left_and_was_not_cleared() -> Result<()> {
    let Some(dendrite) = shared().await? else { return Ok(()) };
    let (scene, proxy) = Scene::proxied(dendrite).await?;
    let leaver = scene.newcomer("leaver").await?;
    let write = proxy.hold(matching("PUT", &call_key(&leaver)));
    scene.fade(&scene.room, &leaver).await?;

    write.first(PATIENCE).await?;
    dendrite.leave_call(&leaver, &scene.room).await?;
    write.lift();

    let later = scene.fading("later").await?;
    scene.cleared(&later).await?;
    scene.hears(&later.user_id).await?;
    ensure!(scene.setup.times_emptied(&scene.room, &leaver).await? == 0, "{}", scene.bot.log());
    ensure!(scene.setup.times_said(&leaver.user_id).await? == 0, "it says that it cleared who had left");
    let history = scene.setup.ask(&format!("history {}", leaver.user_id), PATIENCE).await?;
    ensure!(history.contains("not cleared, it had changed"), "{history}");
    let status = scene.setup.ask("status", PATIENCE).await?;
    ensure!(status.contains("answers a write with another's event of the same content"), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_rejoins_in_the_instant_of_the_write_is_noticed_though_the_server_does_not_tell() -> Result<()> {
    let Some(dendrite) = shared().await? else { return Ok(()) };
    let (scene, proxy) = Scene::proxied(dendrite).await?;
    let back = scene.newcomer("back").await?;
    let write = proxy.hold(matching("PUT", &call_key(&back)));
    scene.fade(&scene.room, &back).await?;

    write.first(PATIENCE).await?;
    dendrite.refresh_call(&back, &scene.room).await?;
    write.lift();

    scene.hears("had rejoined in the instant between my last read and my write").await?;
    ensure!(scene.setup.times_said("rejoined the call").await? == 0, "{}", scene.bot.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_cleared_is_told_as_blocked() -> Result<()> {
    let Some(dendrite) = shared().await? else { return Ok(()) };
    let scene = Scene::set(dendrite).await?;
    let levels =
        json!({"users": {&scene.host.user_id: 100}, "users_default": 0, "events": {CALL_MEMBER: 50}});
    let options = RoomOptions::new().power_levels(levels);
    let strict = scene.setup.watched_room(&scene.host, options).await?;

    scene.fade(&strict, &scene.host).await?;

    scene.hears("Cannot clear 1 stale membership: I may not write there").await?;
    let problems = scene.setup.ask("rooms problems", PATIENCE).await?;
    ensure!(problems.contains(&strict), "{problems}");
    ensure!(scene.setup.changes_by_the_bot(&strict).await?.is_empty(), "it wrote");
    ensure!(scene.dendrite.is_open(&strict, &call_key(&scene.host)).await?, "it is open");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_being_cleared_is_left_alone() -> Result<()> {
    let Some(dendrite) = shared().await? else { return Ok(()) };
    let scene = Scene::set(dendrite).await?;
    let back = scene.fading("back").await?;
    scene.cleared(&back).await?;

    scene.fade(&scene.room, &back).await?;

    scene.hears("rejoined the call").await?;
    let later = scene.fading("later").await?;
    scene.cleared(&later).await?;
    ensure!(scene.setup.times_emptied(&scene.room, &back).await? == 1, "{}", scene.bot.log());
    let status = scene.setup.ask("status", PATIENCE).await?;
    ensure!(status.contains("1 membership in quarantine"), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_when_the_server_was_killed_and_is_back() -> Result<()> {
    if Dendrite::installed().is_none() {
        return Ok(());
    }
    let dendrite = Dendrite::start().await?;
    let scene = Scene::set(&dendrite).await?;
    let live = scene.member("live").await?;
    scene.bot.knows(&live).await?;
    let before = scene.fading("before").await?;
    scene.bot.knows(&before).await?;

    dendrite.kill().await?;
    scene.bot.logs(&["the homeserver does not answer"]).await?;
    dendrite.start_again().await?;

    scene.cleared(&before).await?;
    let after = scene.fading("after").await?;
    scene.cleared(&after).await?;
    scene.was_left_alone(&live).await
}
