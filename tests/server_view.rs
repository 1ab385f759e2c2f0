//! What an admin of the server lets the janitor see: the real program with a real admin token beside a real Synapse.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use rtc_janitor_test_support::{
    Appservice, Bot, BotSetup, Device, FaultProxy, Membership, ProxiedRequest, RoomOptions, Rule, Scene,
    Synapse, SynapseOptions, below, call_key, now,
};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// Every request for an account or its devices.
const USERS: &str = "/_synapse/admin/v2/users/";

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

fn with_admin_token(setup: &BotSetup<'_>) {
    setup.set("synapse_admin.access_token", setup.synapse.admin_token());
}

/// The bot has an admin's token, and a device that was never seen in a list gets no more time than others.
async fn scene() -> Result<Scene> {
    Scene::with(PROGRAM, |setup| {
        with_admin_token(setup);
        setup.set("grace.device_gone_unseen", "2s");
    })
    .await
}

/// The same, with a proxy before the admin API alone.
async fn scene_with_proxy() -> Result<(Scene, FaultProxy)> {
    let synapse = Synapse::shared().await?;
    let proxy = FaultProxy::start(synapse.url())?;
    let scene = Scene::with(PROGRAM, |setup| {
        with_admin_token(setup);
        setup.set("synapse_admin.url", proxy.url());
    })
    .await?;
    Ok((scene, proxy))
}

/// Somebody in the room whose device has no encryption keys, in a call.
async fn keyless_caller(scene: &Scene, stem: &str) -> Result<Device> {
    let user = scene.synapse.register(stem).await?;
    let device = scene.synapse.login(&user).await?;
    scene.synapse.bring_in(&scene.host, &scene.room, &device).await?;
    scene.synapse.join_call(&device, &scene.room).await?;
    Ok(device)
}

#[tokio::test]
async fn a_keyless_device_that_signs_out_is_known_at_once_and_one_that_stays_is_never_touched() -> Result<()>
{
    let scene = scene().await?;
    let alive = keyless_caller(&scene, "alive").await?;
    let gone = keyless_caller(&scene, "gone").await?;
    scene.bot.knows(&alive).await?;
    scene.bot.knows(&gone).await?;

    scene.synapse.logout(&gone).await?;
    scene.setup.wait_until_cleared(&scene.room, &call_key(&gone)).await?;
    scene.bot.looks(Bot::LOOKS).await?;

    ensure!(scene.synapse.is_open(&scene.room, &call_key(&alive)).await?);
    let report = scene.setup.hear(&gone.device_id).await?;
    ensure!(report.body.contains("device gone"), "{}", report.body);
    let explained = scene.setup.ask(&format!("explain {} {}", scene.room, alive.user_id), LIMIT).await?;
    ensure!(explained.contains("device list: listed"), "{explained}");
    Ok(())
}

#[tokio::test]
async fn an_admins_own_account_needs_no_other_token() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    synapse.set_admin(&setup.account.user_id, true).await?;
    let bot = setup.start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    let user = synapse.register("keyless").await?;
    let device = synapse.login(&user).await?;
    synapse.bring_in(&host, &room, &device).await?;
    synapse.join_call(&device, &room).await?;
    bot.knows(&device).await?;
    synapse.logout(&device).await?;
    setup.wait_until_cleared(&room, &call_key(&device)).await?;
    let status = setup.ask("status", LIMIT).await?;
    ensure!(status.contains("all devices of this server's users"), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_device_that_the_server_has_not_seen_for_long_is_idle_and_one_seen_a_moment_ago_is_not()
-> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = scene_with_proxy().await?;
    let minutes = |number: u64| Duration::from_mins(number);
    // What arrives while the bot looks is no older than its arrival: these are there when it comes back.
    bot.stop().await?;
    let mut devices = Vec::new();
    for stem in ["idle", "seen", "guest"] {
        let device = match stem {
            "guest" => synapse.register_guest().await?,
            _ => synapse.login(&synapse.register(stem).await?).await?,
        };
        synapse.bring_in(&host, &room, &device).await?;
        let seen = if stem == "seen" { now() } else { now() - minutes(77) };
        synapse.set_last_seen(&device.user_id, &device.device_id, Some(seen)).await?;
        synapse.write_membership(&room, Membership::of(&device).aged(minutes(79))).await?;
        devices.push(device);
    }
    let [idle, seen, guest] = &devices[..] else { unreachable!("three were made") };

    // Nobody says when a device was seen: then none is idle.
    let failing = proxy.answer(502, json!({}), below("GET", USERS));
    let bot = setup.start().await?;
    failing.first(LIMIT).await?;
    bot.looks(Bot::LOOKS).await?;
    for device in &devices {
        ensure!(synapse.is_open(&room, &call_key(device)).await?, "{}", device.user_id);
    }
    failing.lift();
    setup.wait_until_cleared(&room, &call_key(idle)).await?;
    setup.wait_until_cleared(&room, &call_key(guest)).await?;
    bot.sweeps_again().await?;
    ensure!(synapse.is_open(&room, &call_key(seen)).await?);
    let report = setup.hear(&idle.device_id).await?;
    ensure!(report.body.contains("idle"), "{}", report.body);
    Ok(())
}

#[tokio::test]
async fn a_bridges_invented_device_is_never_gone_and_is_cleared_when_it_has_expired() -> Result<()> {
    // Synapse names an account's appservice only where nobody else may make such users.
    let bridge = Appservice { exclusive: true, namespace: "@bridged-.*".into(), ..Appservice::new("bridge") };
    let synapse =
        Synapse::start(SynapseOptions { appservices: vec![bridge.clone()], ..Default::default() }).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    with_admin_token(&setup);
    let proxy = FaultProxy::start(synapse.url())?;
    setup.set("synapse_admin.url", proxy.url());
    let bot = setup.set("grace.device_gone_unseen", "2s").start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = &setup.watched_room(&host, RoomOptions::new()).await?;
    let bridged = synapse.register_bridged(&bridge, "bridged").await?;
    synapse.bring_in(&host, room, &bridged).await?;
    // Whose account it is cannot be had at first.
    let account = format!("{USERS}{}", bridged.user_id);
    let failing = proxy.answer(502, json!({}), move |request| request.path == account);
    let invented = |id: &str| Membership::session(&bridged.user_id, id);
    let living = invented("TEAMSCALL");
    let living_key = living.state_key();
    synapse.write_membership(room, living).await?;
    // A control: the same of somebody who is no bridge's.
    let forged = Membership::session(&host.user_id, "NOWHERE");
    let forged_key = forged.state_key();
    synapse.write_membership(room, forged).await?;

    failing.first(LIMIT).await?;
    setup.wait_until_cleared(room, &forged_key).await?;
    bot.sweeps_again().await?;
    ensure!(synapse.is_open(room, &living_key).await?);
    failing.lift();
    bot.looks(Bot::LOOKS).await?;
    ensure!(synapse.is_open(room, &living_key).await?);
    let explained = setup.ask(&format!("explain {room} {}", bridged.user_id), LIMIT).await?;
    ensure!(explained.contains("belongs to the appservice"), "{explained}");

    let over = invented("TEAMSCALL").aged(Duration::from_hours(1)).expires(Duration::from_mins(10));
    synapse.write_membership(room, over).await?;
    setup.wait_until_cleared(room, &living_key).await
}

#[tokio::test]
async fn owners_whose_accounts_changed_are_judged_by_their_devices_alone() -> Result<()> {
    let scene = scene().await?;
    let (synapse, room) = (scene.synapse, &scene.room);
    let renamed = keyless_caller(&scene, "renamed").await?;
    let shadowed = keyless_caller(&scene, "shadowed").await?;
    let guest = synapse.register_guest().await?;
    synapse.bring_in(&scene.host, room, &guest).await?;
    synapse.join_call(&guest, room).await?;
    let erased = keyless_caller(&scene, "erased").await?;
    let deactivated = keyless_caller(&scene, "deactivated").await?;
    let many = keyless_caller(&scene, "many").await?;
    for device in [&renamed, &shadowed, &guest, &erased, &deactivated, &many] {
        scene.bot.knows(device).await?;
    }
    ensure!(synapse.account(&guest.user_id).await?["is_guest"] == json!(true));
    synapse.rename_device(&renamed, "another name").await?;
    synapse.shadow_ban(&shadowed.user_id).await?;
    let user = synapse.register("crowd").await?;
    let mut last = synapse.login(&user).await?;
    for _ in 0..30 {
        last = synapse.login(&user).await?;
    }
    synapse.bring_in(&scene.host, room, &last).await?;
    synapse.join_call(&last, room).await?;
    scene.bot.knows(&last).await?;

    // One after the other: all at once would open the breaker.
    for gone in [&erased, &deactivated] {
        if gone.user_id == erased.user_id {
            synapse.erase(&gone.user_id).await?;
        } else {
            synapse.deactivate(&gone.user_id).await?;
        }
        scene.setup.wait_until_cleared(room, &call_key(gone)).await?;
    }
    scene.bot.looks(Bot::LOOKS).await?;
    for alive in [&renamed, &shadowed, &guest, &many, &last] {
        ensure!(synapse.is_open(room, &call_key(alive)).await?, "{}", alive.user_id);
    }
    // Who is shadow-banned cannot leave a call: the server only says so.
    synapse.leave_call(&shadowed, room).await?;
    ensure!(synapse.is_open(room, &call_key(&shadowed)).await?);
    synapse.logout(&shadowed).await?;
    scene.setup.wait_until_cleared(room, &call_key(&shadowed)).await
}

/// A way in which the admin API fails.
type Failure = fn(&FaultProxy) -> Rule;

fn users() -> impl Fn(&ProxiedRequest) -> bool + Clone + Send + Sync + 'static {
    below("GET", USERS)
}

/// While the admin API fails a keyless device signs out: nobody knows, and it is cleared afterwards. Whom it does not take
/// an admin to see through is cleared meanwhile.
async fn nobody_is_cleared_while(fail: Failure) -> Result<Scene> {
    let (scene, proxy) = scene_with_proxy().await?;
    let leaver = keyless_caller(&scene, "leaver").await?;
    let gone = keyless_caller(&scene, "gone").await?;
    scene.bot.knows(&leaver).await?;
    scene.bot.knows(&gone).await?;
    let failing = fail(&proxy);
    scene.synapse.logout(&gone).await?;
    failing.first(LIMIT).await?;
    scene.synapse.leave(&leaver, &scene.room).await?;
    scene.setup.wait_until_cleared(&scene.room, &call_key(&leaver)).await?;
    scene.bot.looks(Bot::LOOKS).await?;
    ensure!(scene.synapse.is_open(&scene.room, &call_key(&gone)).await?, "{:?}", failing.caught());
    failing.lift();
    scene.setup.wait_until_cleared(&scene.room, &call_key(&gone)).await?;
    Ok(scene)
}

#[tokio::test]
async fn an_admin_api_that_refuses_makes_absence_unknown_and_that_is_said_once() -> Result<()> {
    fn refuse(proxy: &FaultProxy, status: u16, errcode: &str) -> Rule {
        proxy.answer(status, json!({"errcode": errcode, "error": "no"}), users())
    }
    let failures: [Failure; 3] = [
        |proxy| refuse(proxy, 401, "M_UNKNOWN_TOKEN"),
        |proxy| refuse(proxy, 403, "M_FORBIDDEN"),
        |proxy| refuse(proxy, 404, "M_UNRECOGNIZED"),
    ];
    for scene in try_join_all(failures.map(nobody_is_cleared_while)).await? {
        let times = scene.setup.times_said("cannot read the homeserver's own device lists").await?;
        ensure!(times == 1, "said {times} times");
    }
    Ok(())
}

#[tokio::test]
async fn an_admin_api_that_stumbles_makes_absence_unknown_and_costs_nothing_else() -> Result<()> {
    let failures: [Failure; 4] = [
        |proxy| {
            let body = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "slow down", "retry_after_ms": 500});
            proxy.answer(429, body, users())
        },
        |proxy| proxy.answer(502, json!({}), users()),
        |proxy| proxy.cut(users()),
        |proxy| proxy.hold(users()),
    ];
    try_join_all(failures.map(nobody_is_cleared_while)).await.map(drop)
}

#[tokio::test]
async fn a_slow_admin_api_is_waited_for() -> Result<()> {
    let (scene, proxy) = scene_with_proxy().await?;
    let alive = keyless_caller(&scene, "alive").await?;
    let gone = keyless_caller(&scene, "gone").await?;
    scene.bot.knows(&gone).await?;
    // All requests of a look.
    let _slow = proxy.delay_answers(Duration::from_secs(5), users()).times(6);
    scene.synapse.logout(&gone).await?;
    scene.setup.wait_until_cleared(&scene.room, &call_key(&gone)).await?;
    ensure!(scene.synapse.is_open(&scene.room, &call_key(&alive)).await?);
    ensure!(!scene.bot.log().contains("device list not known"), "{}", scene.bot.log());
    Ok(())
}

#[tokio::test]
async fn requests_are_in_proportion_to_owners() -> Result<()> {
    let (scene, proxy) = scene_with_proxy().await?;
    let mut callers = Vec::new();
    for number in 0..5 {
        callers.push(keyless_caller(&scene, &format!("caller{number}")).await?);
    }
    for caller in &callers {
        scene.bot.knows(caller).await?;
    }
    scene.bot.looks(Bot::LOOKS).await?;
    let asked_for = |user: &str| {
        let path = format!("{USERS}{user}/devices");
        proxy.count(|request| urlencoded(&request.path) == path || request.path == path)
    };
    for caller in &callers {
        ensure!(asked_for(&caller.user_id) > 0, "{}", caller.user_id);
    }
    ensure!(asked_for(&scene.host.user_id) == 0, "the host is in no call");
    Ok(())
}

fn urlencoded(path: &str) -> String {
    path.replace("%40", "@").replace("%3A", ":")
}
