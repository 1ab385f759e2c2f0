//! Who has a say and what counts as a command; each refusal beside the same command accepted.

use anyhow::Context as _;
use matrix_sdk::{
    Client,
    config::SyncSettings,
    ruma::{
        UserId,
        api::client::uiaa::{AuthData, MatrixUserIdentifier, Password, UserIdentifier},
        events::{
            Mentions,
            room::message::{ReplacementMetadata, RoomMessageEventContent},
        },
    },
};
use rtc_janitor_test_support::matching;
use serde_json::json;

use super::*;

/// A running bot and somebody with a say in a plain room.
async fn start(setup: &BotSetup<'_>) -> Result<(Bot, Talker)> {
    let boss = Talker::new(setup, 50).await?;
    let bot = setup.spawn()?;
    boss.hears(&bot, "is watching").await?;
    Ok((bot, boss))
}

#[tokio::test]
async fn who_has_the_power_now_has_authority() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let (bot, boss) = start(&setup).await?;
    let guest = Talker::new(&setup, 49).await?;
    let refused = guest.ask(&bot, "!janitor version").await?;
    assert!(refused.contains("power level 50 up, and yours is 49"), "{refused}");
    assert!(boss.ask(&bot, "!janitor version").await?.contains("rtc-janitor"));
    // Power that is given and taken away counts at once.
    for (level, answer) in [(50, "rtc-janitor"), (0, "yours is 0")] {
        synapse.set_power_level(&setup.admin, &setup.admin_room, &guest.user.user_id, level).await?;
        let said = guest.ask(&bot, "!janitor version").await?;
        assert!(said.contains(answer), "{said}");
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn where_the_settings_name_admins_nobody_else_has_a_say() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let named = Talker::new(&setup, 0).await?;
    setup.set_raw("admin_room.admins", &format!("[\"{}\"]", named.user.user_id));
    let (bot, powerful) = start(&setup).await?;
    assert!(powerful.ask(&bot, "!janitor version").await?.contains("admin_room.admins"));
    assert!(named.ask(&bot, "!janitor version").await?.contains("rtc-janitor"));
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn only_an_unedited_text_that_begins_so_is_a_command() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let (bot, boss) = start(&setup).await?;
    let first = boss.say("hello !janitor version").await?;
    let notice = boss.send(RoomMessageEventContent::notice_plain("!janitor version")).await?;
    let edited = RoomMessageEventContent::text_plain("!janitor version")
        .make_replacement(ReplacementMetadata::new(first.clone(), None));
    let edit = boss.send(edited).await?;
    // A command that is taken back before anybody reads it is none; the bot is quick, so it is away.
    assert!(bot.stop().await?.success());
    let redacted = boss.say("!janitor version").await?;
    boss.room()?.redact(&redacted, None, None).await?;
    let later = boss.say("!janitor versoin").await?;
    let mended = RoomMessageEventContent::text_plain("!janitor version")
        .make_replacement(ReplacementMetadata::new(later.clone(), None));
    boss.send(mended).await?;
    let bot = setup.spawn()?;

    // The controls: the same words by prefix, by user id, by name and by pill.
    let me = &setup.account.user_id;
    assert!(boss.ask(&bot, "!janitor version").await?.contains("rtc-janitor"));
    assert!(boss.ask(&bot, &format!("{me}: version")).await?.contains("rtc-janitor"));
    let pill = format!("<a href=\"https://matrix.to/#/{me}\">the bot</a>: version");
    let mut mention = RoomMessageEventContent::text_html("the bot: version", pill);
    mention.mentions = Some(Mentions::new());
    let event = boss.send(mention).await?;
    assert!(boss.answer_to(&bot, event.as_str()).await?.1.contains("rtc-janitor"));
    // All that came before these was heard before them.
    let all = [
        ("in the middle", first),
        ("notice", notice),
        ("edit", edit),
        ("redacted", redacted),
        ("edited", later),
    ];
    for (what, event) in all {
        assert_eq!(boss.times_answered(event.as_str()).await?, 0, "{what}");
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_comes_too_late_is_to_be_said_again() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let (bot, boss) = start(&setup).await?;
    let (user, room) = (&boss.user.user_id, &setup.admin_room);
    let late = synapse.send_late_text(user, room, "!janitor pause", Duration::from_mins(6)).await?;
    let (_, answer) = boss.answer_to(&bot, &late).await?;
    assert!(answer.contains("reached me 6 min late"), "{answer}");
    assert!(!boss.ask(&bot, "!janitor status").await?.contains("Paused"));
    let fresh = synapse.send_late_text(user, room, "!janitor pause", Duration::from_mins(4)).await?;
    let (_, answer) = boss.answer_to(&bot, &fresh).await?;
    assert!(answer.contains("I write nothing"), "{answer}");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_tick_of_somebody_without_a_say_carries_nothing_out() -> Result<()> {
    let scene = Scene::set(Synapse::shared().await?, RoomOptions::new()).await?;
    let guest = Talker::new(&scene.setup, 0).await?;
    let (_, shown, _) = scene.plan("sweep").await?;
    let tick = guest.tick(&shown).await?;
    let (_, refused) = scene.boss.answer_to(&scene.bot, tick.as_str()).await?;
    assert!(refused.contains("yours is 0"), "{refused}");
    assert!(scene.is_open(&scene.ghost).await?);
    scene.boss.tick(&shown).await?;
    scene.boss.hears(&scene.bot, "cleared 1 of 1").await?;
    assert!(!scene.is_open(&scene.ghost).await?);
    assert!(scene.bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn two_ticks_at_once_carry_a_plan_out_once() -> Result<()> {
    let scene = Scene::set(Synapse::shared().await?, RoomOptions::new()).await?;
    let other = Talker::new(&scene.setup, 100).await?;
    let (_, shown, _) = scene.plan("sweep").await?;
    let (one, two) = tokio::join!(scene.boss.tick(&shown), other.tick(&shown));
    one?;
    two?;
    scene.boss.hears(&scene.bot, "cleared 1 of 1").await?;
    // Whatever came of the second is done by the time of this answer.
    scene.ask("version").await?;
    let all = scene.boss.all().await?;
    assert_eq!(all.iter().filter(|read| read.body().contains("approved by")).count(), 1);
    let emptied = scene.setup.emptied(&scene.room).await?;
    assert_eq!(emptied, [scene.ghost.as_str()]);
    assert!(scene.bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn in_an_encrypted_room_a_command_in_the_clear_is_refused() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::with_admin_room(synapse, PROGRAM, RoomOptions::new().encrypted()).await?;
    let (bot, boss) = start(&setup).await?;
    let clear = synapse
        .send_event(
            &setup.admin,
            &setup.admin_room,
            "m.room.message",
            json!({"msgtype": "m.text", "body": "!janitor version"}),
        )
        .await?;
    let (_, refused) = boss.answer_to(&bot, &clear).await?;
    assert!(refused.contains("This room is encrypted, and that command was not"), "{refused}");
    assert!(boss.ask(&bot, "!janitor version").await?.contains("rtc-janitor"));
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn whoever_was_verified_and_has_another_identity_now_has_no_say() -> Result<()> {
    let scene = Scene::set(Synapse::shared().await?, RoomOptions::new().encrypted()).await?;
    let Scene { setup, boss, bot, .. } = &scene;
    let other = Talker::new(setup, 50).await?;
    for talker in [boss, &other] {
        talker.client.encryption().bootstrap_cross_signing(None).await?;
    }
    // Whoever runs the bot verifies the two, on another device of the bot's account.
    let operator = Client::builder().homeserver_url(scene.synapse().url()).build().await?;
    let account = &setup.account;
    operator.matrix_auth().login_username(&account.user_id, &account.password).send().await?;
    operator.sync_once(SyncSettings::new()).await?;
    let key = std::fs::read_to_string(setup.directory().join("data/recovery-key"))?;
    operator.encryption().recovery().recover(key.trim()).await?;
    for talker in [boss, &other] {
        let user = UserId::parse(&talker.user.user_id)?;
        let identity = operator.encryption().request_user_identity(&user).await?;
        identity.context("an identity")?.verify().await?;
    }
    let (_, shown, _) = scene.plan("sweep").await?;

    // Somebody who knows the password of one of them signs in, and makes a new identity.
    let stranger = Talker::log_in(setup, boss.user.clone()).await?;
    let encryption = stranger.client.encryption();
    let refused = encryption.bootstrap_cross_signing(None).await.err().context("the server asks for more")?;
    let asked = refused.as_uiaa_response().context("it asks for the password")?;
    let user = MatrixUserIdentifier::new(stranger.user.user_id.clone());
    let mut password = Password::new(UserIdentifier::Matrix(user), stranger.user.password.clone());
    password.session = asked.session.clone();
    encryption.bootstrap_cross_signing(Some(AuthData::Password(password))).await?;
    let tick = stranger.tick(&shown).await?;
    // Reactions are never encrypted: for them, too, it is asked who it is.
    for answer in
        [stranger.answer_to(bot, tick.as_str()).await?.1, stranger.ask(bot, "!janitor version").await?]
    {
        assert!(answer.contains("now has another identity"), "{answer}");
    }
    assert!(scene.is_open(&scene.ghost).await?);
    other.tick(&shown).await?;
    other.hears(bot, "cleared 1 of 1").await?;
    assert!(scene.bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_decrypted_gets_one_notice() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::with_admin_room(synapse, PROGRAM, RoomOptions::new().encrypted()).await?;
    let (bot, boss) = start(&setup).await?;
    let content = json!({
        "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgAEnACgAkLmt6qF84IK++J7UDH2Za1YVchHyprqTqsg",
        "sender_key": "x", "device_id": setup.admin.device_id, "session_id": "nobody has this one",
    });
    let event = synapse.send_event(&setup.admin, &setup.admin_room, "m.room.encrypted", content).await?;
    let (_, answer) = boss.answer_to(&bot, &event).await?;
    assert!(answer.contains("I could not decrypt"), "{answer}");
    assert!(boss.ask(&bot, "!janitor version").await?.contains("rtc-janitor"));
    assert_eq!(boss.times_answered(&event).await?, 1);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_command_that_takes_its_time_shows_that_it_is_being_worked_on() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let (bot, boss) = start(&setup).await?;
    let slow = proxy.hold(matching("GET", "/directory/room/"));
    let command = boss.say("!janitor calls #nowhere:hs.test").await?;
    let working = boss.hears(&bot, "Working on it").await?;
    slow.lift();
    // The answer takes the place of that.
    boss.becomes(&bot, &working.event, "knows no room #nowhere:hs.test").await?;
    assert_eq!(boss.times_answered(command.as_str()).await?, 1);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_upgrade_of_the_admin_room_is_followed_when_somebody_with_a_say_made_it() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let (bot, _boss) = start(&setup).await?;
    let successor = synapse.upgrade(&setup.admin, &setup.admin_room, "12").await?;
    synapse.invite(&setup.admin, &successor, &setup.account.user_id).await?;
    let me = &setup.account.user_id;
    let said_there = async |words: &str| {
        let said = synapse.messages(&successor).await?;
        anyhow::Ok(said.iter().any(|message| message.sender == *me && message.body.contains(words)))
    };
    wait_until("the bot to follow", LIMIT, async || said_there("I followed the upgrade of").await).await?;
    synapse.send_text(&setup.admin, &successor, "!janitor version").await?;
    wait_until("an answer there", LIMIT, async || said_there("rtc-janitor 0").await).await?;
    assert!(bot.stop().await?.success());
    // After a restart it is still there.
    let bot = setup.spawn()?;
    wait_until("it to say hello there", LIMIT, async || said_there("is watching").await).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
