//! What is asked grows with what has changed or is to be written, never with what stays as it is.

use std::collections::BTreeMap;

use super::*;

/// Reads of rooms in a time in which many looks are taken, because something changes all the time.
async fn reads_in(stage: &Stage, time: Duration) -> Result<Vec<Arrival>> {
    settle(stage).await?;
    stage.reset();
    let begun = Instant::now();
    let mut turn = 0;
    wait_until("time to pass", time * 2, async || {
        stage.refresh(turn % 10);
        turn += 1;
        begun.elapsed() >= time
    })
    .await?;
    Ok(stage.arrivals().into_iter().filter(Arrival::is_read).collect())
}

/// Lets the first looks and what follows from them come to an end, if they do.
async fn settle(stage: &Stage) -> Result<()> {
    const QUIET: Duration = Duration::from_secs(2);
    watch_for(Duration::from_secs(6)).await?;
    let begun = Instant::now();
    wait_until("reads to end, or the patience with them", LIMIT, async || {
        let last = stage.arrivals().into_iter().rev().find(Arrival::is_read);
        last.is_none_or(|read| read.at.elapsed() >= QUIET) || begun.elapsed() >= Duration::from_secs(20)
    })
    .await
}

fn by_kind(arrivals: &[Arrival]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for arrival in arrivals {
        *kinds.entry(arrival.kind.as_str()).or_default() += 1;
    }
    kinds
}

#[tokio::test]
async fn each_sweep_is_logged_under_the_name_of_the_loop() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(3).open(3))?;
    stage.program.set("log.filter", "info,rtc_janitor::janitor::run=debug");
    let bot = stage.spawn()?;
    bot.looks(1).await?;
    bot.stop().await?;
    Ok(())
}

#[tokio::test]
async fn blocked_ghosts_are_not_read_about_again_and_again() -> Result<()> {
    let stage =
        Stage::new(PROGRAM, &Population::new().rooms(200).open(10).ghosts(200).blocked())?.without_limits();
    let _bot = stage.start().await?;

    let reads = reads_in(&stage, Duration::from_secs(10)).await?;

    assert!(reads.len() <= 20, "{:?}", by_kind(&reads));
    Ok(())
}

#[tokio::test]
async fn ghosts_that_only_a_plan_may_clear_are_not_read_about_again_and_again() -> Result<()> {
    let population =
        Population::new().rooms(200).open(10).ghosts(200).expired_for(Duration::from_hours(24 * 40));
    let stage = Stage::new(PROGRAM, &population)?.without_limits();
    let _bot = stage.start().await?;

    let reads = reads_in(&stage, Duration::from_secs(10)).await?;

    assert!(reads.len() <= 20, "{:?}", by_kind(&reads));
    assert!(stage.clears().is_empty());
    Ok(())
}

#[tokio::test]
async fn departed_owners_are_not_read_about_again_and_again() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(200).open(10).departed(200))?;
    stage.program.set("janitor.mode", "report");
    let _bot = stage.start().await?;

    let reads = reads_in(&stage, Duration::from_secs(10)).await?;

    assert!(reads.len() <= 20, "{:?}", by_kind(&reads));
    Ok(())
}

#[tokio::test]
async fn ghosts_that_wait_for_the_hourly_limit_are_not_read_about_again_and_again() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(200).open(10).ghosts(200))?;
    stage.program.set_raw("limits.per_hour", "5").set_raw("limits.per_sweep", "1000");
    let _bot = stage.start().await?;
    stage.wait_for_clears(5, LIMIT).await?;

    let reads = reads_in(&stage, Duration::from_secs(10)).await?;

    assert!(reads.len() <= 20, "{:?}", by_kind(&reads));
    assert!(stage.open().len() >= 205, "the limit holds");
    Ok(())
}

#[tokio::test]
async fn a_clear_costs_one_read_one_write_and_a_room_one_read_of_its_power_levels() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(10).open(10).ghosts(100))?;
    stage.program.set_raw("limits.per_room", "3").set_raw("limits.per_sweep", "20");
    let _bot = stage.connect().await?;

    wait_until("all ghosts to be cleared", LIMIT, async || stage.open().len() == 10).await?;

    let kinds = stage.by_kind();
    let of = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
    assert_eq!(of(&format!("PUT state/{CALL_MEMBER}")), 100, "{kinds:?}");
    assert!(of(&format!("GET state/{CALL_MEMBER}")) <= 100, "{kinds:?}");
    assert!(of("GET state/m.room.power_levels") <= 10, "{kinds:?}");
    Ok(())
}

#[tokio::test]
async fn a_start_reads_by_rooms_and_not_by_memberships() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(100).call_rooms(20).open(400))?;

    let _bot = stage.start().await?;

    // Two requests for each room with a call, of whatever kind, and a few of the start itself.
    let reads = stage.count(Arrival::is_read);
    assert!(reads <= 50, "{reads} reads: {:?}", stage.by_kind());
    Ok(())
}

#[tokio::test]
async fn an_idle_bot_asks_nothing_beside_its_two_long_polls() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(300).call_rooms(10).open(50))?;
    stage.program.set("janitor.device_check_interval", "1h");
    let _bot = stage.start().await?;
    // The second message after a start comes 10 s after the first.
    is_quiet_for(&stage, Duration::from_secs(12)).await?;

    stage.reset();
    watch_for(Duration::from_secs(10)).await?;

    let asked: Vec<_> = stage.arrivals().into_iter().filter(|arrival| !arrival.is_long_poll()).collect();
    assert!(asked.is_empty(), "{:?}", by_kind(&asked));
    Ok(())
}

#[tokio::test]
async fn device_lists_are_asked_for_in_step_and_a_refresh_asks_for_none() -> Result<()> {
    const INTERVAL: u32 = 5;
    let stage = Stage::new(PROGRAM, &Population::new().rooms(20).open(300))?;
    stage.program.set("janitor.device_check_interval", &format!("{INTERVAL}s"));
    let _bot = stage.start().await?;
    is_quiet_for(&stage, Duration::from_secs(1)).await?;

    stage.reset();
    let begun = Instant::now();
    let mut turn = 0;
    wait_until("four intervals to pass", LIMIT, async || {
        stage.refresh(turn % 300);
        turn += 1;
        begun.elapsed() >= Duration::from_secs(5) * 4
    })
    .await?;

    // 300 users are two requests of at most 250; a fifth interval may have begun.
    let queries = stage.count(Arrival::is_device_query);
    assert!(queries <= 2 * 5, "{queries} queries in four intervals, with {turn} refreshes");
    Ok(())
}

#[tokio::test]
async fn refreshes_in_one_room_read_nothing_of_the_others() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(100).open(100))?;
    let _bot = stage.start().await?;

    let reads = reads_in(&stage, Duration::from_secs(10)).await?;

    assert!(reads.len() <= 20, "{:?}", by_kind(&reads));
    Ok(())
}

#[tokio::test]
async fn a_cleared_membership_is_written_once_however_many_there_are() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(50).open(10).ghosts(500))?.without_limits();
    let bot = stage.connect().await?;
    wait_until("all ghosts to be cleared", LIMIT, async || stage.open().len() == 10).await?;

    assert!(bot.stop().await?.success());

    let mut written: Vec<String> = stage.clears().into_iter().map(|clear| clear.request.path).collect();
    let all = written.len();
    written.sort();
    written.dedup();
    assert_eq!((all, written.len()), (500, 500));
    let living: Vec<Place> = stage.open();
    assert_eq!(living.len(), 10);
    Ok(())
}
