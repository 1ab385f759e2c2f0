//! Every command at least once, in a plain and in an encrypted admin room.

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
    has(&scene.ask("help clear").await?, &["`!janitor clear <room> [user]`", "joins again within a second"]);
    has(&scene.ask("version").await?, &[concat!("rtc-janitor ", env!("CARGO_PKG_VERSION"))]);
    let status = scene.ask("status").await?;
    has(&status, &["Mode report", "2 memberships in calls: 1 alive, 1 dead (1 due)", "homeserver: answers"]);
    has(&status, &["device lists: answers", "What I cannot see: a closed tab"]);
    has(&scene.ask("calls").await?, &["Stand-up", &host.user_id, "🟢", "👻", "dead: expired, due"]);
    has(&scene.ask("calls Stand-up").await?, &["on DEAD: dead: expired"]);
    let explained = scene.ask(&format!("explain stand-up {}", host.user_id)).await?;
    has(&explained, &["DEAD", "it expired", "in the room: yes", "can be cleared by own power", "is due"]);
    has(&explained, &[&format!("key _{}_DEAD_m.call", host.user_id)]);
    has(&scene.ask("rooms").await?, &["Stand-up", "2 memberships in calls"]);
    has(
        &scene.ask("config").await?,
        &["Nothing is set by command", "`janitor.mode = \"report\"`", "others are as they come"],
    );
    has(&scene.ask("config all").await?, &["`grace.device_gone_unseen = \"75m\"`"]);
    has(&scene.ask("history").await?, &["would have hung up", "on DEAD", "Stand-up", "expired"]);
    has(&scene.ask(&format!("history {room} 5")).await?, &["would have hung up"]);
    has(&scene.ask("history @nobody:hs.test").await?, &["Nothing of that is in my journal."]);
    assert!(scene.is_open(&scene.ghost).await?, "nothing was changed");
    Ok(())
}

/// Wishes, each undone again.
async fn wishes(scene: &Scene<'_>) -> Result<()> {
    let host = &scene.host.user_id;
    has(&scene.ask("mode clean").await?, &["Still mode report", "janitor.mode = \"report\""]);
    has(&scene.ask("status").await?, &["The settings say report, a command said clean; the stricter holds."]);
    has(&scene.ask("mode report").await?, &["Mode report: from now on I change nothing"]);
    has(&scene.ask("pause for 2h").await?, &["I write nothing until 20", "in 2 h"]);
    has(&scene.ask("status").await?, &["Paused, on again in 1 h 59 min"]);
    let config = scene.ask("config").await?;
    has(
        &config,
        &["`pause = until 20", "undo: `!janitor resume`", &format!("by {}", scene.boss.user.user_id)],
    );
    has(&scene.ask("resume").await?, &["I go on, in mode report."]);
    has(&scene.ask("resume").await?, &["I was not paused."]);
    has(&scene.ask(&format!("exclude {host}")).await?, &[host, "is left alone from now on"]);
    has(&scene.ask("sweep").await?, &["There is nothing to hang up now."]);
    has(&scene.ask(&format!("clear Stand-up {host}")).await?, &[host, "is left alone by command"]);
    has(&scene.ask(&format!("include {host}")).await?, &["is looked after again"]);
    has(&scene.ask("exclude Stand-up").await?, &["Stand-up", "is left alone from now on"]);
    has(&scene.ask("calls").await?, &["left alone by wish", "🔕", "not judged"]);
    for question in ["explain", "clear", "sweep"] {
        let answer = scene.ask(&format!("{question} Stand-up")).await?;
        has(&answer, &["is left alone by command", "`!janitor include` first"]);
    }
    has(&scene.ask("include Stand-up").await?, &["is looked after again"]);
    has(&scene.ask("include Stand-up").await?, &["was not left alone"]);
    has(
        &scene.ask("grace silent 10m").await?,
        &["acted on after it was seen for 10 min", "`!janitor grace silent reset`"],
    );
    has(&scene.ask("config").await?, &["`grace.silent = 10 min`"]);
    has(&scene.ask("grace silent reset").await?, &["as the settings say"]);
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
        &["1 room needs you", "My power level here is 0 and call memberships need 50"],
    );
    has(&scene.ask(&format!("join {strict}")).await?, &["already"]);
    has(&scene.ask("leave Strict").await?, &["I left", "Strict"]);
    wait_until("the room to be gone", LIMIT, async || {
        anyhow::Ok(scene.ask("rooms problems").await?.contains("No room needs you"))
    })
    .await?;
    has(
        &scene.ask(&format!("leave {}", scene.setup.admin_room)).await?,
        &["I stay in the room where I am told"],
    );
    Ok(())
}

/// Plans by ✅ and by name.
async fn plans(scene: &Scene<'_>) -> Result<()> {
    let (boss, bot, host) = (&scene.boss, &scene.bot, &scene.host);
    let (name, shown, text) = scene.plan("sweep").await?;
    has(&text, &["hang up 1 membership", "on DEAD in Stand-up", "expired, seen", "React with ✅"]);
    assert!(!text.contains(&host.device_id), "the living one is no part of it\n{text}");
    boss.tick(&shown).await?;
    let progress =
        boss.hears(bot, &format!("Plan `{name}`, approved by {}: cleared 1 of 1", boss.user.user_id)).await?;
    assert!(!scene.is_open(&scene.ghost).await?);
    assert!(scene.is_open(&call_key(host)).await?, "the living one is untouched");
    has(&scene.ask(&format!("apply {name}")).await?, &["was approved by", "carried out once"]);
    has(
        &scene.ask("history 1").await?,
        &["hung up", "on DEAD", &format!("approved by {}", boss.user.user_id)],
    );
    assert!(progress.body().starts_with('✅'), "{}", progress.body());

    let (name, _, text) = scene.plan("clear Stand-up").await?;
    has(&text, &["clear 1 membership, dead or alive", "1 of them looks alive and will be back", "🟢"]);
    let (progress, text) = boss.ask_for(bot, &format!("!janitor apply {name}")).await?;
    has(&text, &["cleared 1 of 1 membership", "I look who comes back"]);
    assert!(!scene.is_open(&call_key(host)).await?);
    // The living client joins again.
    scene.synapse().join_call(host, &scene.room).await?;
    let text = boss.becomes(bot, &progress, "Came back").await?;
    has(&text, &[&host.user_id, "alive, so its client joined again"]);
    has(&scene.ask("status").await?, &["1 alive, 0 dead"]);
    assert!(!scene.ask("status").await?.contains("left alone for a while"), "no quarantine");
    has(&scene.ask("sweep Stand-up").await?, &["There is nothing to hang up now."]);
    Ok(())
}

async fn everything(admin_room: RoomOptions) -> Result<()> {
    let scene = Scene::set(Synapse::shared().await?, admin_room).await?;
    questions(&scene).await?;
    wishes(&scene).await?;
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
