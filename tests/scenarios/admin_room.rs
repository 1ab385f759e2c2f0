//! The admin room itself: banned from it, spaces that phones make, and more to say than one event holds.

use super::*;

#[tokio::test]
async fn a_ban_from_the_admin_room_is_named_in_the_log() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new())?;
    stage.set_bot(stage.admin_room(), "ban");

    let bot = stage.spawn()?;

    wait_until("the log to name the ban", LIMIT, async || {
        let log = bot.log();
        log.lines().any(|line| line.contains("admin room") && line.contains("is banned from the room"))
    })
    .await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_no_break_space_is_as_good_as_a_blank() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1))?;
    let bot = stage.start().await?;
    let expected = stage.ask("!janitor calls \"Team room 0\"", LIMIT).await?.body;
    assert!(expected.contains("0000000"), "{expected}");

    let body = "!janitor\u{a0}calls\u{a0}\"Team\u{a0}room\u{a0}0\"";
    let html = "!janitor&nbsp;calls&nbsp;&quot;&nbsp;Team&nbsp;room&nbsp;0&nbsp;&quot;";
    let formatted = json!({
        "msgtype": "m.text", "body": body, "format": "org.matrix.custom.html", "formatted_body": html,
    });
    for content in [
        json!({"msgtype": "m.text", "body": body}),
        json!({"msgtype": "m.text", "body": "!janitor calls \"\u{a0}Team room 0\u{a0}\""}),
        formatted,
    ] {
        let said = stage.say_content(&content);
        let answer = stage.reply_to(&said, LIMIT).await?.body;
        assert!(answer.contains("0000000"), "{content}: {answer}");
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn four_hundred_ghosts_in_one_room_are_said_in_events_that_fit_and_a_plan_clears_them() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1).ghosts(400))?;
    stage.program.set("janitor.mode", "report");
    let bot = stage.start().await?;

    for command in ["!janitor calls", "!janitor sweep", "!janitor explain \"Team room 0\""] {
        stage.ask(command, LIMIT).await?;
    }
    let plan = stage.ask("!janitor clear \"Team room 0\"", LIMIT).await?;
    stage.react(&plan, "✅\u{fe0f}");

    // A plan holds no more than this.
    wait_until("the plan to be carried out", LIMIT, async || stage.open().len() <= 401 - 50).await?;
    let refused = stage.count(|arrival| arrival.answered.is_some_and(|(_, status)| status == 413));
    assert_eq!(refused, 0, "no event was too large");
    assert!(bot.stop().await?.success());
    Ok(())
}
