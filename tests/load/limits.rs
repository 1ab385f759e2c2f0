//! `per_sweep`, `per_room` and `per_hour` are what an admin reads in them: no more than so many within such a time.

use super::*;

/// The most writes that began within any stretch of this length.
fn most_within(clears: &[Arrival], time: Duration) -> usize {
    let from =
        |first: Instant| clears.iter().filter(move |clear| clear.at >= first && clear.at < first + time);
    clears.iter().map(|first| from(first.at).count()).max().unwrap_or(0)
}

#[tokio::test]
async fn no_more_are_cleared_in_a_room_than_its_limit_within_any_sweep_interval() -> Result<()> {
    const INTERVAL: Duration = Duration::from_secs(5);
    let stage = Stage::new(PROGRAM, &Population::new().open(1).ghosts(60))?;
    stage.program.set("janitor.sweep_interval", "5s");
    stage.program.set_raw("limits.per_room", "10").set_raw("limits.per_sweep", "20");

    let _bot = stage.start().await?;
    stage.wait_for_clears(30, LIMIT).await?;

    // A write takes a moment to get here, so stretches are taken a little shorter than the interval.
    let most = most_within(&stage.clears(), INTERVAL.mul_f32(0.9));
    assert!(most <= 10, "{most} writes within {INTERVAL:?}");
    Ok(())
}

#[tokio::test]
async fn no_more_are_cleared_in_all_rooms_than_the_limit_of_a_sweep_within_any_sweep_interval() -> Result<()>
{
    const INTERVAL: Duration = Duration::from_secs(5);
    let stage = Stage::new(PROGRAM, &Population::new().rooms(60).open(1).ghosts(60))?;
    stage.program.set("janitor.sweep_interval", "5s");
    stage.program.set_raw("limits.per_room", "10").set_raw("limits.per_sweep", "20");

    let _bot = stage.start().await?;
    stage.wait_for_clears(50, LIMIT).await?;

    let most = most_within(&stage.clears(), INTERVAL.mul_f32(0.9));
    assert!(most <= 20, "{most} writes within {INTERVAL:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_limits_writes_is_not_asked_more_often_than_it_takes() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(40).open(1).ghosts(40))?.without_limits();
    let _limit = stage.limit(10, Duration::from_millis(500), matching("PUT", CALL_MEMBER));

    let _bot = stage.start().await?;
    wait_until("all ghosts to be cleared", LIMIT, async || stage.open().len() == 1).await?;

    let clears = stage.clears();
    let refused =
        clears.iter().filter(|clear| clear.answered.is_some_and(|(_, status)| status == 429)).count();
    assert!(refused <= 40, "{refused} writes were refused for 40 that were taken");
    Ok(())
}
