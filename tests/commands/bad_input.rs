//! Input that is too long, not well-formed, or hostile: one clear sentence, and nobody is pinged.

use super::*;

#[tokio::test]
async fn what_is_no_good_gets_one_clear_sentence() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let boss = Talker::new(&setup, 50).await?;
    let bot = setup.spawn()?;
    boss.hears(&bot, "is watching").await?;
    for (text, answer) in [
        (format!("!janitor {}", "x".repeat(60_000)), "longer than any command"),
        ("!janitor calls \"Team".to_owned(), "I am in no room called “\"Team”"),
        ("!janitor stauts".to_owned(), "Did you mean `!janitor status`?"),
        ("!janitor clear".to_owned(), "`!janitor clear <room> [user]`"),
        ("!janitor calls !nowhere:hs.test".to_owned(), "I am not in !nowhere:hs.test"),
        ("!janitor calls #nowhere:hs.test".to_owned(), "knows no room #nowhere:hs.test"),
        ("!janitor calls Nowhere".to_owned(), "in no room called “Nowhere”"),
        ("!janitor apply abcd".to_owned(), "There is no plan `abcd`"),
        ("!janitor \u{7}\u{202e}status @room".to_owned(), "I know no command"),
        ("!janitor join <b>@room</b>".to_owned(), "in no room called"),
    ] {
        let said = boss.ask(&bot, &text).await?;
        assert!(said.contains(answer), "{answer:?} is not in\n{said}");
        assert!(!said.contains("@room") && !said.contains('\u{202e}') && said.len() < 2000, "{said}");
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_mistyped_prefix_gets_a_hint_once_from_who_may_give_commands() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let (boss, guest) = (Talker::new(&setup, 50).await?, Talker::new(&setup, 0).await?);
    let bot = setup.spawn()?;
    boss.hears(&bot, "is watching").await?;
    guest.say("janitor status").await?;
    let said = boss.ask(&bot, "! janitor status").await?;
    assert!(said.contains("they begin with `!janitor`"), "{said}");
    boss.say("janitor status").await?;
    // It takes the same reads as they do, and begins later.
    boss.ask(&bot, "!janitor History 7").await?;
    bot.logs(&["INFO", "a command", &format!("sender={}", boss.user.user_id), "command=\"History 7\""])
        .await?;
    let hints = boss.all().await?.into_iter().filter(|read| read.body().contains("they begin with"));
    assert_eq!(hints.count(), 1, "none to the guest, and no second one");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn names_from_outside_do_no_harm_in_answers() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let boss = Talker::new(&setup, 50).await?;
    let bot = setup.spawn()?;
    boss.hears(&bot, "is watching").await?;
    let host = synapse.sign_in_new("host").await?;
    let name = format!("<img src=x>@room **b** \u{202e}evil `x` {}", "long ".repeat(40));
    let room = setup.watched_room(&host, RoomOptions::new().name(&name)).await?;
    let key = format!("_{}_<i>@room\n</i>_m.call", host.user_id);
    let content = Membership::session(&host.user_id, "<i>@room\n</i>").content(&room);
    synapse.put_state(&host, &room, "org.matrix.msc3401.call.member", &key, content).await?;
    wait_until("the call to be known", LIMIT, async || {
        anyhow::Ok(boss.ask(&bot, "!janitor calls").await?.contains("evil"))
    })
    .await?;
    for command in ["calls", "rooms", "status", "sweep", "history"] {
        boss.ask(&bot, &format!("!janitor {command}")).await?;
    }
    boss.ask(&bot, &format!("!janitor explain {room}")).await?;
    boss.ask(&bot, &format!("!janitor clear {room}")).await?;
    for read in boss.all().await? {
        let html = read.content["formatted_body"].as_str().unwrap_or_default();
        for text in [read.body(), html] {
            assert!(!text.contains("@room") && !text.contains('\u{202e}'), "{text}");
        }
        assert!(!html.contains("<img") && !html.contains("<i>"), "{html}");
        assert_eq!(read.content["m.mentions"], serde_json::json!({}), "{html}");
    }
    assert!(bot.stop().await?.success());
    Ok(())
}
