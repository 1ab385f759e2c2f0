//! `pause` holds within a second of when the homeserver handed it over, whatever the bot is doing.

use super::{
    situations::{Busy, Situation},
    *,
};

/// The promise to the person who types it.
const AT_ONCE: Duration = Duration::from_secs(1);

async fn is_obeyed_in(situation: Situation) -> Result<()> {
    let busy = situation.come_about().await?;
    let stage = &busy.stage;

    let said = stage.say("!janitor pause");
    let answer = stage.reply_to(&said, LIMIT).await.with_context(|| busy.bot.log())?;
    // Something falls due that would be written if it were not paused.
    let due = stage.expire(busy.living, Duration::ZERO).context("a living membership")?;
    watch_for(Duration::from_secs(5)).await?;

    let served = stage.served(&said).context("it was answered, so it was served")?;
    let late = stage.clears().into_iter().filter(|clear| clear.at > served + AT_ONCE);
    let late: Vec<Duration> = late.map(|clear| clear.at - served).collect();
    assert!(late.is_empty(), "{} writes after the pause, the last after {:?}", late.len(), late.last());
    assert!(stage.is_open(&due), "what fell due after the pause was cleared");
    let posts = stage
        .arrivals()
        .into_iter()
        .filter(|arrival| arrival.kind == "PUT send" && arrival.request.body.to_string().contains(&said.id));
    let answered = posts.map(|arrival| arrival.at - served).min().context("the answer is a request")?;
    assert!(answered <= AT_ONCE, "the answer came after {answered:?}: {}", answer.body);
    Ok(())
}

#[tokio::test]
async fn pause_is_obeyed_within_a_second_during_a_first_sweep() -> Result<()> {
    is_obeyed_in(Situation::FirstSweep).await
}

#[tokio::test]
async fn pause_is_obeyed_within_a_second_during_a_mass_clear() -> Result<()> {
    is_obeyed_in(Situation::MassClear).await
}

#[tokio::test]
async fn pause_is_obeyed_within_a_second_while_ten_joins_hang() -> Result<()> {
    is_obeyed_in(Situation::HangingJoins).await
}

#[tokio::test]
async fn pause_is_obeyed_within_a_second_while_a_query_of_device_lists_hangs() -> Result<()> {
    is_obeyed_in(Situation::HangingDeviceLists).await
}

#[tokio::test]
async fn pause_is_obeyed_within_a_second_while_it_hangs_who_may_give_commands() -> Result<()> {
    is_obeyed_in(Situation::HangingAuthority).await
}

#[tokio::test]
async fn a_command_that_hung_does_not_undo_a_pause_that_came_after_it() -> Result<()> {
    let Busy { stage, bot, living, hanging } = Situation::HangingAuthority.come_about().await?;
    let pause = stage.say("!janitor pause");
    stage.reply_to(&pause, LIMIT).await.with_context(|| bot.log())?;
    hanging.context("something hangs")?.lift();
    wait_until("the earlier command to be answered", LIMIT, async || {
        stage.posts().iter().any(|post| post.body.contains("somebody told me to do less"))
    })
    .await
    .with_context(|| bot.log())?;
    let due = stage.expire(living, Duration::ZERO).context("a living membership")?;
    watch_for(Duration::from_secs(5)).await?;
    assert!(stage.is_open(&due), "it is paused yet");
    // Said after it, it holds.
    let resume = stage.say("!janitor resume");
    stage.reply_to(&resume, LIMIT).await?;
    stage.wait_until_cleared(&due).await
}

#[tokio::test]
async fn what_is_said_right_after_a_pause_finds_it_paused() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(10).open(20))?;
    let bot = stage.start().await?;
    stage.be_slow(Duration::from_millis(200));
    stage.say("!janitor pause");
    let status = stage.say("!janitor status");
    let answer = stage.reply_to(&status, LIMIT).await.with_context(|| bot.log())?;
    assert!(answer.body.contains("Paused"), "{}", answer.body);
    Ok(())
}
