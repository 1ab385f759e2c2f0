//! A signal ends the bot within five seconds, whatever it is doing; a second one ends it at once.

use super::{situations::Situation, *};

/// The promise to whoever runs it: containers are killed after ten.
const GOODBYE: Duration = Duration::from_secs(5);

async fn ends_it_in(situation: Situation) -> Result<()> {
    let mut busy = situation.come_about().await?;

    let asked = Instant::now();
    busy.bot.signal("TERM")?;
    let status = busy.bot.ended().await?;

    assert!(asked.elapsed() <= GOODBYE, "it took {:?}\n{}", asked.elapsed(), busy.bot.log());
    assert_eq!(status.code(), Some(0), "{}", busy.bot.log());
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_it_within_five_seconds_during_a_first_sweep() -> Result<()> {
    ends_it_in(Situation::FirstSweep).await
}

#[tokio::test]
async fn sigterm_ends_it_within_five_seconds_during_a_mass_clear() -> Result<()> {
    ends_it_in(Situation::MassClear).await
}

#[tokio::test]
async fn sigterm_ends_it_within_five_seconds_while_ten_joins_hang() -> Result<()> {
    ends_it_in(Situation::HangingJoins).await
}

#[tokio::test]
async fn sigterm_ends_it_within_five_seconds_while_a_query_of_device_lists_hangs() -> Result<()> {
    ends_it_in(Situation::HangingDeviceLists).await
}

#[tokio::test]
async fn sigterm_ends_it_within_five_seconds_while_the_full_view_is_not_answered() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new())?;
    let hanging = stage.hang(|request| {
        request.path.ends_with("/sync")
            && !request.query.contains("since=")
            && !request.query.contains("pos=")
    });
    let mut bot = stage.spawn()?;
    hanging.first(LIMIT).await?;

    let asked = Instant::now();
    bot.signal("TERM")?;
    bot.ended().await?;

    assert!(asked.elapsed() <= GOODBYE, "it took {:?}\n{}", asked.elapsed(), bot.log());
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1).ghosts(4))?;
    // A write that does not come back is what it waits for.
    let hanging = stage.hang(matching("PUT", CALL_MEMBER));
    let mut bot = stage.start().await?;
    hanging.first(LIMIT).await?;

    bot.signal("TERM")?;
    bot.logs(&["stopping"]).await?;
    let asked = Instant::now();
    bot.signal("TERM")?;
    bot.ended().await?;

    assert!(asked.elapsed() <= Duration::from_secs(1), "it took {:?}\n{}", asked.elapsed(), bot.log());
    Ok(())
}
