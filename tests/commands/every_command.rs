//! Every command at least once, in a plain and in an encrypted admin room.

use anyhow::Context as _;

use super::*;

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

/// Questions, which change nothing.
async fn questions(scene: &Scene<'_>) -> Result<()> {
    let Scene { host, room, .. } = scene;
    has(&scene.ask("help").await?, &["`!janitor sweep [room]`", "`!janitor version`"]);
    has(&scene.ask("help clear").await?, &["`!janitor clear <room> [user]`", "rejoin within a second"]);
    has(&scene.ask("version").await?, &[concat!("rtc-janitor ", env!("CARGO_PKG_VERSION"))]);
    let status = scene.ask("status").await?;
    has(
        &status,
        &[
            "Report mode",
            "2 memberships: 1 active, 1 stale (1 due)",
            "sources that answer: room state, device lists",
        ],
    );
    has(&status, &["I cannot see: closed tabs"]);
    has(&scene.ask("calls").await?, &["Stand-up", &host.user_id, "🟢", "👻", "stale: expired, due"]);
    has(&scene.ask("calls Stand-up").await?, &["on DEAD: stale: expired"]);
    let (local, _) = host.user_id[1..].split_once(':').context("a user id")?;
    for question in ["calls stand", &format!("calls @{local}"), &format!("calls {local}")] {
        has(&scene.ask(question).await?, &["Stand-up", "on DEAD: stale: expired"]);
    }
    has(&scene.ask(&format!("explain stand {local}")).await?, &["👻 stale: expired; due", &host.user_id]);
    has(&scene.ask("explain stand nobody").await?, &["Nobody called @nobody has an open membership there"]);
    has(&scene.ask(&format!("history {local}")).await?, &["would clear", "on DEAD"]);
    has(&scene.ask(&format!("history @{local}")).await?, &["would clear", "on DEAD"]);
    has(&scene.ask("history 2001-01-01").await?, &["No entries."]);
    let explained = scene.ask(&format!("explain stand-up {}", host.user_id)).await?;
    has(
        &explained,
        &[
            "DEAD",
            "it expired",
            "in the room: yes",
            "can be cleared: my power level is enough",
            "👻 stale: expired; due",
        ],
    );
    has(&explained, &[&format!("key _{}_DEAD_m.call", host.user_id)]);
    has(&scene.ask("rooms").await?, &["Stand-up", "2 memberships in calls"]);
    has(
        &scene.ask("config").await?,
        &[
            "Nothing has been changed by command",
            "`janitor.mode = \"report\"`",
            "other keys have their default",
        ],
    );
    has(&scene.ask("config all").await?, &["`grace.device_gone_unseen = \"75m\"`"]);
    has(&scene.ask("history").await?, &["would clear", "on DEAD", "Stand-up", "expired"]);
    has(&scene.ask(&format!("history {room} 5")).await?, &["would clear"]);
    has(&scene.ask("history @nobody:hs.test").await?, &["No entries."]);
    assert!(scene.is_open(&scene.ghost).await?, "nothing was changed");
    Ok(())
}

/// Overrides, each undone again.
async fn overrides(scene: &Scene<'_>) -> Result<()> {
    let host = &scene.host.user_id;
    has(
        &scene.ask("mode clean").await?,
        &["Still report mode", "I keep your `mode clean`", "janitor.mode = \"report\""],
    );
    has(
        &scene.ask("status").await?,
        &["The config file says report, a command said clean; the stricter of the two applies."],
    );
    has(&scene.ask("mode report").await?, &["Report mode: from now on I change nothing"]);
    has(&scene.ask("mode reset").await?, &["Report mode, as in the config file"]);
    assert!(!scene.ask("status").await?.contains("a command said"), "it is reset");
    has(&scene.ask("stop for 1.5 hours").await?, &["I write nothing until 20", "in 1 h 30 min"]);
    has(&scene.ask("pause for 2h").await?, &["I write nothing until 20", "in 2 h"]);
    has(&scene.ask("status").await?, &["Paused until 20", "in 1 h 59 min"]);
    let config = scene.ask("config").await?;
    has(
        &config,
        &["`pause = until 20", "undo: `!janitor resume`", &format!("by {}", scene.boss.user.user_id)],
    );
    has(&scene.ask("resume").await?, &["I go on, in report mode."]);
    has(&scene.ask("resume").await?, &["I was not paused."]);
    has(&scene.ask(&format!("exclude {host}")).await?, &[host, "is excluded from now on"]);
    has(&scene.ask("sweep").await?, &["There is nothing to clear now."]);
    has(&scene.ask(&format!("clear Stand-up {host}")).await?, &[host, "is excluded by command"]);
    has(&scene.ask(&format!("include {host}")).await?, &["is looked after again"]);
    has(&scene.ask("exclude Stand-up").await?, &["Stand-up", "is excluded from now on"]);
    has(&scene.ask("calls").await?, &["(excluded)", "🔕", "not judged"]);
    for question in ["explain", "clear", "sweep"] {
        let answer = scene.ask(&format!("{question} Stand-up")).await?;
        has(&answer, &["is excluded by command", "`!janitor include !", "` ends that"]);
    }
    has(&scene.ask("include Stand-up").await?, &["is looked after again"]);
    has(&scene.ask("include Stand-up").await?, &["was not excluded"]);
    has(&scene.ask("grace silent 10m").await?, &["acted on after 10 min", "`!janitor grace silent reset`"]);
    has(&scene.ask("config").await?, &["`grace.silent = 10 min`"]);
    has(&scene.ask("grace silent reset").await?, &["that is the config file's"]);
    has(&scene.ask("breaker close").await?, &["No breaker was open"]);
    Ok(())
}

/// Rooms are joined and left.
async fn rooms(scene: &Scene<'_>) -> Result<()> {
    let strict = RoomOptions::new().name("Strict").public().call_member_level(50);
    let strict = scene.synapse().create_room(&scene.host, strict).await?;
    has(&scene.ask(&format!("calls {strict}")).await?, &["I am not in", "`!janitor join "]);
    has(&scene.ask(&format!("join {strict}")).await?, &["I joined"]);
    wait_until("the room to be known", LIMIT, async || {
        anyhow::Ok(scene.ask("rooms problems").await?.contains("Strict"))
    })
    .await?;
    has(
        &scene.ask("rooms problems").await?,
        &["1 room needs you", "My power level there is 0 and call memberships need 50"],
    );
    has(&scene.ask(&format!("join {strict}")).await?, &["already"]);
    has(&scene.ask("leave Strict").await?, &["Leave Strict?", &format!("`!janitor leave {strict} yes`")]);
    has(&scene.ask("calls strict").await?, &["No call in Strict"]);
    has(&scene.ask(&format!("leave {strict} yes")).await?, &["I left", "Strict"]);
    wait_until("the room to be gone", LIMIT, async || {
        anyhow::Ok(scene.ask("rooms problems").await?.contains("No room needs you"))
    })
    .await?;
    has(&scene.ask(&format!("leave {}", scene.setup.admin_room)).await?, &["This is where I take commands"]);
    Ok(())
}

/// Plans by ✅ and by name.
async fn plans(scene: &Scene<'_>) -> Result<()> {
    let (boss, bot, host) = (&scene.boss, &scene.bot, &scene.host);
    let (name, shown, text) = scene.plan("sweep").await?;
    has(&text, &["clear 1 membership", "on DEAD in Stand-up", "expired, first noticed", "React with ✅"]);
    assert!(!text.contains(&host.device_id), "the living one is no part of it\n{text}");
    boss.tick(&shown).await?;
    let progress =
        boss.hears(bot, &format!("Plan `{name}`, approved by {}: cleared 1 of 1", boss.user.user_id)).await?;
    assert!(!scene.is_open(&scene.ghost).await?);
    assert!(scene.is_open(&call_key(host)).await?, "the living one is untouched");
    has(&scene.ask(&format!("apply {name}")).await?, &["was approved by", "carried out once"]);
    has(
        &scene.ask("history 1").await?,
        &["cleared", "on DEAD", &format!("approved by {}", boss.user.user_id)],
    );
    assert!(progress.body().starts_with('✅'), "{}", progress.body());

    let (name, _, text) = scene.plan("clear Stand-up").await?;
    has(&text, &["clear 1 membership, active or not", "It looks active. Most clients are back", "🟢"]);
    let (progress, text) = boss.ask_for(bot, &format!("!janitor apply {name}")).await?;
    has(&text, &["cleared 1 of 1 membership", "whoever rejoins is added here"]);
    assert!(!scene.is_open(&call_key(host)).await?);
    // The living client joins again.
    scene.synapse().join_call(host, &scene.room).await?;
    let text = boss.becomes(bot, &progress, "Came back").await?;
    has(&text, &[&host.user_id, "active, so its client rejoined"]);
    has(&scene.ask("status").await?, &["1 active, 0 stale"]);
    assert!(!scene.ask("status").await?.contains("in quarantine"), "no quarantine");
    has(&scene.ask("sweep Stand-up").await?, &["There is nothing to clear now."]);
    Ok(())
}

async fn everything(admin_room: RoomOptions) -> Result<()> {
    let scene = Scene::set(Synapse::shared().await?, admin_room).await?;
    questions(&scene).await?;
    overrides(&scene).await?;
    rooms(&scene).await?;
    plans(&scene).await?;
    for read in scene.boss.all().await? {
        assert_eq!(read.content["msgtype"], "m.notice", "{}", read.body());
        assert_eq!(read.content["m.mentions"], serde_json::json!({}), "{}", read.body());
        assert!(read.content["formatted_body"].is_string(), "{}", read.body());
    }
    assert!(scene.bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn every_command_works_in_a_plain_room() -> Result<()> {
    everything(RoomOptions::new()).await
}

#[tokio::test]
async fn every_command_works_in_an_encrypted_room() -> Result<()> {
    everything(RoomOptions::new().encrypted()).await
}
