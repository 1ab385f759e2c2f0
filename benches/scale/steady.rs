//! What it costs to go on: idle, with refreshes, after them, and with ghosts that wait or cannot be cleared.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::run::{Run, world};

/// How long what a start leaves to do may take.
const SETTLING: Duration = Duration::from_secs(15);

/// `idle:ROOMS:OPEN:SECONDS`
pub(crate) async fn idle(bot: &str, rooms: usize, open: usize, seconds: u64) -> Result<()> {
    let run = Run::lifted(bot, &world(rooms, open))?;
    let (bot, ..) = run.begin().await?;
    sleep(SETTLING).await;
    run.measure(&bot, Duration::from_secs(seconds)).await?;
    bot.stop().await?;
    Ok(())
}

/// `refresh:ROOMS:OPEN:RATE:SECONDS`: `RATE` refreshes a second.
pub(crate) async fn refresh(bot: &str, rooms: usize, open: usize, rate: u32, seconds: u64) -> Result<()> {
    let run = Run::lifted(bot, &world(rooms, open))?;
    let (bot, ..) = run.begin().await?;
    // What the first start has put off is on disk a minute later, and is none of what refreshes cost.
    run.refresh_for(open, rate, Duration::from_secs(65)).await;
    let time = Duration::from_secs(seconds);
    let ((), measured) = tokio::join!(run.refresh_for(open, rate, time), run.measure(&bot, time));
    measured?;
    bot.stop().await?;
    Ok(())
}

/// `afterglow:ROOMS:OPEN:RATE:SECONDS`: refreshes for a while, then none; measured when the device lists that were asked
/// for meanwhile grow old again, five minutes later.
pub(crate) async fn afterglow(bot: &str, rooms: usize, open: usize, rate: u32, seconds: u64) -> Result<()> {
    let run = Run::lifted(bot, &world(rooms, open))?;
    let (bot, ..) = run.begin().await?;
    run.refresh_for(open, rate, Duration::from_secs(seconds)).await;
    sleep(Duration::from_mins(5).saturating_sub(Duration::from_secs(seconds + 5))).await;
    run.measure(&bot, Duration::from_secs(seconds + 15)).await?;
    bot.stop().await?;
    Ok(())
}

/// `backlog:ROOMS:OPEN:GHOSTS:SECONDS`: ghosts that wait for the default limits.
pub(crate) async fn backlog(bot: &str, rooms: usize, open: usize, ghosts: usize, seconds: u64) -> Result<()> {
    let population = world(rooms, open).call_rooms(ghosts.clamp(1, rooms)).ghosts(ghosts);
    waiting(Run::new(bot, &population)?.with_short_graces(), seconds).await
}

/// `blocked:ROOMS:OPEN:GHOSTS:SECONDS`: ghosts where the bot may not write.
pub(crate) async fn blocked(bot: &str, rooms: usize, open: usize, ghosts: usize, seconds: u64) -> Result<()> {
    let population = world(rooms, open).call_rooms(ghosts.clamp(1, rooms)).ghosts(ghosts).blocked();
    waiting(Run::lifted(bot, &population)?.with_short_graces(), seconds).await
}

async fn waiting(run: Run, seconds: u64) -> Result<()> {
    let (bot, ..) = run.begin().await?;
    sleep(SETTLING * 2).await;
    run.measure(&bot, Duration::from_secs(seconds)).await?;
    println!("   still open          {}", run.open().len());
    bot.stop().await?;
    Ok(())
}
