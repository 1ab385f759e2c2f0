//! The program ends at any moment, by force or by request, and goes on from there. The real program beside a real Synapse.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rtc_janitor::{
    cli::{self, run::Running},
    config::Config,
    shutdown::Shutdown,
};
use rtc_janitor_test_support::{
    Bot, BotSetup, CALL_MEMBER, Device, PATIENCE, ProxiedRequest, RoomOptions, Scene, Synapse, call_key,
    matching, wait_until,
};
use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// How long the program may take to end when it is asked to.
const GOODBYE: Duration = Duration::from_secs(5);

/// The bot's writes of one membership.
fn writes_of(device: &Device) -> impl Fn(&ProxiedRequest) -> bool + use<> {
    let path = format!("/state/{CALL_MEMBER}/{}", call_key(device));
    move |request| request.method == "PUT" && request.path.ends_with(&path)
}

/// Waits until each of these was cleared and reported, and a ghost that falls due only now, too: by then anything that is
/// done twice was done twice. Then each must have been cleared once and reported once.
async fn each_is_cleared_and_reported_once(
    setup: &BotSetup<'_>,
    bot: &Bot,
    host: &Device,
    ghosts: &[(&str, &Device)],
) -> Result<()> {
    for (room, ghost) in ghosts {
        setup.wait_until_cleared(room, &call_key(ghost)).await?;
        setup.hear(&ghost.device_id).await?;
    }
    let (room, _) = ghosts[0];
    let control = setup.caller(bot, host, room).await?;
    setup.synapse.logout(&control).await?;
    setup.hear(&control.device_id).await?;
    for (room, ghost) in ghosts {
        assert_eq!(setup.times_emptied(room, ghost).await?, 1, "{}", ghost.device_id);
        assert_eq!(setup.times_said(&ghost.device_id).await?, 1, "{}", ghost.device_id);
    }
    Ok(())
}

#[tokio::test]
async fn killed_between_sweeps_it_does_nothing_twice_and_shortens_no_grace() -> Result<()> {
    const GRACE: Duration = Duration::from_secs(10);
    let Scene { synapse, setup, bot, host, room } = Scene::with(PROGRAM, |setup| {
        setup.set("grace.default", "10s");
    })
    .await?;
    let cleared = setup.caller(&bot, &host, &room).await?;
    let pending = setup.caller(&bot, &host, &room).await?;
    synapse.logout(&cleared).await?;
    setup.hear(&cleared.device_id).await?;

    synapse.logout(&pending).await?;
    let gone = Instant::now();
    wait_until("half of the grace to pass", GRACE, async || gone.elapsed() >= GRACE / 2).await?;
    bot.kill()?;
    let passed = gone.elapsed();
    wait_until("the whole grace to pass", PATIENCE, async || gone.elapsed() >= GRACE).await?;
    let back = Instant::now();
    let bot = setup.start().await?;
    setup.wait_until_cleared(&room, &call_key(&pending)).await?;
    let rest = back.elapsed();
    assert!(
        rest + passed >= GRACE,
        "cleared {rest:?} after the start, when {passed:?} at the most of {GRACE:?} had passed"
    );
    assert!(rest < GRACE + Duration::from_secs(5), "what had passed was lost: {rest:?}");
    each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &cleared), (&room, &pending)]).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn killed_in_the_middle_of_a_sweep_it_clears_and_reports_the_rest_once() -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    // In two rooms: writes into one room wait for each other.
    let aside = setup.watched_room(&host, RoomOptions::new()).await?;
    let (written, unwritten) =
        (setup.caller(&bot, &host, &room).await?, setup.caller(&bot, &host, &aside).await?);

    let held = proxy.hold(writes_of(&unwritten));
    synapse.logout(&written).await?;
    synapse.logout(&unwritten).await?;
    held.first(PATIENCE).await?;
    setup.wait_until_cleared(&room, &call_key(&written)).await?;
    bot.kill()?;
    held.lift();
    assert!(synapse.is_open(&aside, &call_key(&unwritten)).await?);

    let bot = setup.start().await?;
    each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &written), (&aside, &unwritten)])
        .await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn killed_between_a_write_and_its_record_it_neither_writes_again_nor_forgets_to_report() -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;
    let held = proxy.hold_answers(writes_of(&ghost));
    synapse.logout(&ghost).await?;
    held.first(PATIENCE).await?;
    assert!(!synapse.is_open(&room, &call_key(&ghost)).await?);
    bot.kill()?;
    held.lift();
    assert_eq!(setup.times_said(&ghost.device_id).await?, 0);

    let bot = setup.start().await?;
    each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &ghost)]).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_repeated_and_is_reported() -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;
    let lost = proxy.lose_answers(writes_of(&ghost));
    synapse.logout(&ghost).await?;
    lost.first(PATIENCE).await?;
    each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &ghost)]).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn killed_between_a_report_and_its_record_it_does_not_report_again() -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;
    let held = proxy.hold_answers(|request| {
        request.path.contains("/send/m.room.message/") && request.body.to_string().contains("Cleared")
    });
    synapse.logout(&ghost).await?;
    held.first(PATIENCE).await?;
    bot.kill()?;
    held.lift();
    assert_eq!(setup.times_said(&ghost.device_id).await?, 1);

    let bot = setup.start().await?;
    each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &ghost)]).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn asked_to_end_by_sigterm_it_finishes_the_write_in_flight_and_exits_with_0() -> Result<()> {
    it_finishes_the_write_in_flight_after("TERM").await
}

#[tokio::test]
async fn asked_to_end_by_ctrl_c_it_finishes_the_write_in_flight_and_exits_with_0() -> Result<()> {
    it_finishes_the_write_in_flight_after("INT").await
}

async fn it_finishes_the_write_in_flight_after(signal: &str) -> Result<()> {
    let (Scene { synapse, setup, mut bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;
    let held = proxy.hold(writes_of(&ghost));
    synapse.logout(&ghost).await?;
    held.first(PATIENCE).await?;

    let asked = Instant::now();
    bot.signal(signal)?;
    bot.logs(&["stopping"]).await?;
    held.lift();
    let status = bot.ended().await?;
    assert!(asked.elapsed() < GOODBYE, "it took {:?}", asked.elapsed());
    assert_eq!(status.code(), Some(0), "{}", bot.log());
    assert!(!synapse.is_open(&room, &call_key(&ghost)).await?);

    let bot = setup.start().await?;
    each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &ghost)]).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn asked_to_end_it_does_not_wait_for_a_server_that_hangs() -> Result<()> {
    let synapse = Synapse::shared().await?;
    for hanging in [matching("PUT", CALL_MEMBER), matching("POST", "/keys/query"), matching("*", "/")] {
        let setup = BotSetup::new(synapse, PROGRAM).await?;
        let proxy = setup.proxied()?;
        let mut bot = setup.start().await?;
        let host = synapse.sign_in_new("host").await?;
        let room = setup.watched_room(&host, RoomOptions::new()).await?;
        let ghost = setup.caller(&bot, &host, &room).await?;
        let held = proxy.hold(hanging);
        synapse.logout(&ghost).await?;
        let request = held.first(PATIENCE).await?;

        let asked = Instant::now();
        bot.signal("TERM")?;
        let status = bot.ended().await?;
        assert!(asked.elapsed() < GOODBYE, "it took {:?} with {request}", asked.elapsed());
        assert_eq!(status.code(), Some(0), "{}", bot.log());
        held.lift();

        let bot = setup.start().await?;
        each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &ghost)]).await?;
        assert!(bot.stop().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn a_second_process_on_the_same_store_exits_with_2_and_the_first_goes_on() -> Result<()> {
    let Scene { synapse, setup, bot, host, room } = Scene::new(PROGRAM).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;
    for arguments in [&["run"][..], &["sweep"], &["sweep", "--clean", "--wait"], &["survey", "--json"]] {
        let output = setup.run(arguments).await?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{arguments:?}: {said}");
        assert!(said.contains("another rtc-janitor is already running"), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    synapse.logout(&ghost).await?;
    each_is_cleared_and_reported_once(&setup, &bot, &host, &[(&room, &ghost)]).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_of_its_tasks_is_gone_the_bot_ends_within_5_s_and_names_it() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    // With all that it may be set up with; nobody is in a call, so no SFU is asked.
    setup
        .set("livekit.url", "http://127.0.0.1:9")
        .set("livekit.api_key", "key")
        .set("livekit.api_secret", "secret")
        .set_raw("livekit.service_urls", "[\"https://jwt.hs.test\"]")
        .set("synapse_admin.access_token", setup.synapse.admin_token());
    let config = Config::load(Some(&setup.write_config()?))?;
    let mut names: Vec<&str> = Vec::new();
    loop {
        let started = cli::run::start(config.clone(), Shutdown::new()).await.map_err(anyhow::Error::msg)?;
        let Running { supervisor, .. } = started.context("nobody asked it to end")?;
        let Some((name, victim)) = supervisor.handles().get(names.len()).cloned() else { break };
        let running = tokio::spawn(supervisor.run());
        // It is well under way.
        // Each but the first edits it.
        let hellos = names.len() + 1;
        wait_until("it to say hello", PATIENCE, async || {
            let said = setup.said().await?;
            let greetings = said.iter().filter(|message| message.body.contains("is watching")).count();
            Ok::<_, anyhow::Error>(greetings >= hellos)
        })
        .await?;
        victim.abort();
        let error = tokio::time::timeout(GOODBYE, running).await.context(name)??.expect_err(name);
        assert!(error.to_string().contains(&format!("“{name}”")), "{name}: {error}");
        names.push(name);
    }
    names.sort_unstable();
    let all = [
        "chat",
        "commands",
        "http",
        "janitor",
        "joins",
        "other watch devices",
        "posting",
        "reachability",
        "watch",
        "webhooks",
    ];
    assert_eq!(names, all);
    Ok(())
}
