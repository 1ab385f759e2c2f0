//! Invitations whose joins fail, hang or are limited.

use futures_util::future::try_join_all;

use super::*;

#[tokio::test]
async fn sweeps_and_commands_go_on_while_joins_hang() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(2))?;
    let bot = stage.start().await?;

    let hanging = stage.hang(matching("POST", "/join"));
    for number in 0..4 {
        stage.invite(&format!("gone{number}"));
    }
    hanging.first(LIMIT).await?;
    let ghost = stage.expire(0, Duration::ZERO)?;

    stage.ask("!janitor status", Duration::from_secs(10)).await?;
    wait_until("the ghost to be cleared", Duration::from_secs(20), async || !stage.is_open(&ghost)).await?;
    drop(hanging);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn it_starts_while_the_joins_of_open_invitations_hang() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1).ghosts(1))?;
    for number in 0..4 {
        stage.invite(&format!("gone{number}"));
    }
    let hanging = stage.hang(matching("POST", "/join"));

    let bot = stage.spawn()?;

    let ghost = stage.place(1)?;
    wait_until("the ghost to be cleared", Duration::from_secs(30), async || !stage.is_open(&ghost)).await?;
    drop(hanging);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_join_that_fails_is_tried_again_and_named_among_the_problems_meanwhile() -> Result<()> {
    let refusals = [
        (429, json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 2000})),
        (403, json!({"errcode": "M_FORBIDDEN", "error": "You are not invited to this room."})),
        (502, json!({"errcode": "M_UNKNOWN", "error": "Failed to join by any server"})),
    ];
    try_join_all(refusals.map(|(status, body)| is_joined_in_the_end(status, body))).await?;
    Ok(())
}

async fn is_joined_in_the_end(status: u16, body: serde_json::Value) -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1))?;
    let bot = stage.start().await?;

    let refused = stage.answer(status, body, matching("POST", "/join"));
    let room = stage.invite("party");
    refused.first(LIMIT).await?;
    let problems = stage.ask("!janitor rooms problems", LIMIT).await?;
    refused.lift();

    assert!(problems.body.contains("party"), "{status}: {}", problems.body);
    wait_until("the bot to join", LIMIT, async || stage.bot_is_in(&room)).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn thirty_invitations_at_once_are_all_followed_where_joins_are_limited() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1))?;
    // As Synapse's default does, with a tenth of a second for each second.
    let _limit = stage.limit(10, Duration::from_secs(1), matching("POST", "/join"));
    let bot = stage.start().await?;

    let rooms: Vec<String> = (0..30).map(|number| stage.invite(&format!("party{number}"))).collect();

    wait_until("all rooms to be joined", LIMIT * 2, async || rooms.iter().all(|room| stage.bot_is_in(room)))
        .await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
