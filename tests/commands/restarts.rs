//! What a restart must not lose, and must not do twice.

use std::sync::atomic::{AtomicUsize, Ordering};

use rtc_janitor_test_support::{ProxiedRequest, matching};

use super::*;

#[tokio::test]
async fn a_plan_survives_a_restart_and_a_command_is_not_carried_out_again() -> Result<()> {
    let mut scene = Scene::set(Synapse::shared().await?, RoomOptions::new()).await?;
    let command = scene.boss.say("!janitor pause for 3h").await?;
    scene.boss.answer_to(&scene.bot, command.as_str()).await?;
    let resume = scene.boss.say("!janitor resume").await?;
    scene.boss.answer_to(&scene.bot, resume.as_str()).await?;
    let (_, shown, _) = scene.plan("sweep").await?;
    assert!(scene.bot.stop().await?.success());

    scene.bot = scene.setup.spawn()?;
    scene.boss.tick(&shown).await?;
    scene.boss.hears(&scene.bot, "cleared 1 of 1").await?;
    assert!(!scene.synapse().is_open(&scene.room, &scene.ghost).await?);
    assert!(!scene.ask("status").await?.contains("Paused"), "an old command was carried out again");
    for event in [command, resume] {
        assert_eq!(scene.boss.times_answered(event.as_str()).await?, 1);
    }
    assert!(scene.bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_command_that_comes_before_everything_was_seen_waits_for_it() -> Result<()> {
    let mut scene = Scene::set(Synapse::shared().await?, RoomOptions::new()).await?;
    assert!(scene.bot.stop().await?.success());
    let proxy = scene.setup.proxied()?;
    let is_watch = |request: &ProxiedRequest| {
        request.path.ends_with("/sync") && request.query.contains("msc3401.call.member")
    };
    let blind = proxy.hold(is_watch);
    scene.bot = scene.setup.spawn()?;
    let status = scene.ask("status").await?;
    assert!(status.contains("I have not read all rooms since my start"), "{status}");
    let sweep = scene.boss.say("!janitor sweep").await?;
    // What nobody has to wait for goes first: above all that nothing be written.
    scene.ask("pause").await?;
    assert!(scene.ask("status").await?.contains("Paused"));
    assert_eq!(scene.boss.times_answered(sweep.as_str()).await?, 0);
    blind.lift();
    let (_, text) = scene.boss.answer_to(&scene.bot, sweep.as_str()).await?;
    assert!(text.contains("clear 1 membership"), "{text}");
    let status = scene.ask("status").await?;
    assert!(!status.contains("I have not read all rooms"), "{status}");
    assert!(scene.bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_was_said_before_a_new_journal_was_begun_is_not_carried_out_again() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let boss = Talker::new(&setup, 50).await?;
    let mut bot = setup.spawn()?;
    boss.hears(&bot, "is watching").await?;
    boss.ask(&bot, "!janitor pause").await?;
    assert!(boss.ask(&bot, "!janitor status").await?.contains("Paused"));
    assert!(bot.stop().await?.success());
    std::fs::remove_dir_all(setup.directory().join("data"))?;
    bot = setup.start().await?;
    let status = boss.ask(&bot, "!janitor status").await?;
    assert!(!status.contains("Paused"), "{status}");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn overrides_survive_a_restart_and_the_start_line_names_both_modes() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let boss = Talker::new(&setup, 50).await?;
    let bot = setup.spawn()?;
    boss.hears(&bot, "I am in clean mode").await?;
    for command in ["mode report", "pause", "grace silent 7m", "exclude @kiosk:hs.test"] {
        boss.ask(&bot, &format!("!janitor {command}")).await?;
    }
    assert!(bot.stop().await?.success());
    let bot = setup.spawn()?;
    let hello = boss.hears(&bot, "I am in report mode").await?;
    assert!(
        hello.body().contains("The config file says “clean”, a command said “report”"),
        "{}",
        hello.body()
    );
    assert!(hello.body().contains("I am paused"), "{}", hello.body());
    let config = boss.ask(&bot, "!janitor config").await?;
    for words in [
        "janitor.mode = report",
        "pause = until resume",
        "grace.silent = 7 min",
        "owners.exclude = @kiosk:hs.test",
    ] {
        assert!(config.contains(words), "{words}: {config}");
    }
    assert!(boss.ask(&bot, "!janitor mode clean").await?.contains("Clean mode"));
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_plan_that_is_cut_off_in_the_middle_is_finished_after_the_restart_and_each_key_once() -> Result<()>
{
    let mut scene = Scene::set(Synapse::shared().await?, RoomOptions::new()).await?;
    assert!(scene.bot.stop().await?.success());
    let proxy = scene.setup.proxied()?;
    scene.bot = scene.setup.spawn()?;
    let mut ghosts = vec![scene.ghost.clone()];
    for number in 0..7 {
        ghosts.push(haunt(scene.synapse(), &scene.room, &scene.host, &format!("DEAD{number}")).await?);
    }
    scene.boss.hears(&scene.bot, "DEAD6").await?;
    let (name, _, text) = scene.plan("sweep").await?;
    assert!(text.contains("clear 8 memberships"), "{text}");
    // The third write and all after it hang.
    let writes = AtomicUsize::new(0);
    let is_write = matching("PUT", "/state/org.matrix.msc3401.call.member/");
    let hang = proxy.hold(move |request| is_write(request) && writes.fetch_add(1, Ordering::SeqCst) >= 2);
    scene.boss.say(&format!("!janitor apply {name}")).await?;
    wait_until("some to be emptied", LIMIT, async || {
        anyhow::Ok(scene.setup.emptied(&scene.room).await?.len() >= 2)
    })
    .await?;
    scene.bot.kill()?;
    hang.lift();

    scene.bot = scene.setup.spawn()?;
    scene.boss.hears(&scene.bot, "cleared 8 of 8").await?;
    let mut emptied = scene.setup.emptied(&scene.room).await?;
    emptied.sort();
    ghosts.sort();
    assert_eq!(emptied, ghosts, "each once, and nobody else");
    assert!(scene.synapse().is_open(&scene.room, &call_key(&scene.host)).await?);
    assert!(scene.bot.stop().await?.success());
    Ok(())
}
