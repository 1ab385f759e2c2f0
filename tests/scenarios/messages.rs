//! The homeserver takes state but refuses messages: the bot could write, and could not tell anybody.

use futures_util::future::try_join_all;

use super::*;

/// Every way in which a homeserver has been seen to refuse a message.
const REFUSALS: [(u16, &str); 6] = [
    (403, "M_FORBIDDEN"),
    (403, "M_CONSENT_NOT_GIVEN"),
    (403, "M_RESOURCE_LIMIT_EXCEEDED"),
    (400, "M_UNKNOWN"),
    (413, "M_TOO_LARGE"),
    (500, "M_UNKNOWN"),
];

#[tokio::test]
async fn nothing_is_written_while_messages_are_refused_and_no_report_is_lost() -> Result<()> {
    try_join_all(REFUSALS.map(|(status, errcode)| is_silent_and_still(status, errcode))).await?;
    Ok(())
}

async fn is_silent_and_still(status: u16, errcode: &'static str) -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(3))?;
    let bot = stage.start().await?;

    let refused = stage.refuse(status, errcode, "rejected", matching("PUT", "/send/m.room.message/"));
    stage.say("!janitor status");
    refused.first(LIMIT).await?;
    let ghost = stage.expire(0, Duration::ZERO)?;
    // The grace is 2 s, and it looks every second.
    watch_for(Duration::from_secs(8)).await?;

    assert!(stage.is_open(&ghost), "{status} {errcode}: written while it could not speak\n{}", bot.log());
    assert!(bot.log().contains("rejected"), "{status} {errcode}: the log says why\n{}", bot.log());
    refused.lift();
    stage.wait_until_cleared(&ghost).await?;
    stage.hear(device_of(&ghost), LIMIT).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_refused_message_is_tried_at_growing_intervals() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1))?;
    let bot = stage.start().await?;

    let refused = stage.refuse(500, "M_UNKNOWN", "rejected", matching("PUT", "/send/m.room.message/"));
    stage.reset();
    stage.say("!janitor status");
    wait_until("the fifth try", LIMIT * 2, async || refused.caught().len() >= 5).await?;

    let tries: Vec<Instant> = stage
        .arrivals()
        .into_iter()
        .filter(|arrival| arrival.kind == "PUT send")
        .map(|arrival| arrival.at)
        .collect();
    let gaps: Vec<Duration> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[3] > gaps[0] * 2, "the pauses between the tries do not grow: {gaps:?}");
    drop(refused);
    assert!(bot.stop().await?.success());
    Ok(())
}
