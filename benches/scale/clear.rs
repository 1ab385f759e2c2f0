//! Mass clears beside bare loops of the same writes, the way on after a kill, and how long a command waits meanwhile.

use std::time::Duration;

use anyhow::{Context, Result};
use rtc_janitor_test_support::{FakeHomeserver, wait_until};
use tokio::time::{Instant, sleep};

use super::{
    process,
    run::{LIMIT, Run, world},
};

/// `clear:ROOMS:OPEN:GHOSTS:LATENCY_MS`
pub(crate) async fn clear(bot: &str, rooms: usize, open: usize, ghosts: usize, latency: u64) -> Result<()> {
    let population = world(rooms, open).empty(open).call_rooms(rooms).ghosts(ghosts);
    let run = Run::lifted(bot, &population)?.with_short_graces();
    run.be_slow(Duration::from_millis(latency));
    let begun = Instant::now();
    let (bot, swept, _) = run.begin().await?;
    // Seen in the first sweep at the latest, and due 2 s later.
    let due = begun + Duration::from_secs_f64(swept) + Duration::from_secs(2);
    wait_until("all to be cleared", LIMIT, async || run.open().len() <= open).await?;

    let clears = run.clears();
    let last = clears.iter().filter_map(|clear| clear.answered).map(|(at, _)| at).max().context("a clear")?;
    let first = clears.iter().map(|clear| clear.at).min().context("a clear")?;
    let since_due = last.saturating_duration_since(due).as_secs_f64();
    println!(
        "   due to last cleared {since_due:.2} s, first to last write {:.2} s",
        (last - first).as_secs_f64()
    );
    println!(
        "   CPU s; written MiB  {:.2}; {:.1}",
        process::processor(bot.id())?,
        process::written(bot.id())?
    );
    println!("   requests            {:?}", run.by_kind());
    bot.stop().await?;
    for (at_once, reads_first) in [(4, false), (16, false), (4, true)] {
        let fake = FakeHomeserver::start(&population)?;
        fake.be_slow(Duration::from_millis(latency));
        let places: Vec<_> = (open..open + ghosts).filter_map(|number| fake.place(number).ok()).collect();
        let took = fake.clear_bare(&places, at_once, reads_first).await?.as_secs_f64();
        let what = if reads_first { "reads and writes" } else { "writes" };
        println!("   loop of {at_once:<11} {took:.2} s of {what}: {:.2} times as long", since_due / took);
    }
    Ok(())
}

/// `resume:ROOMS:OPEN:GHOSTS:LATENCY_MS`: killed in the middle of a mass clear.
pub(crate) async fn resume(bot: &str, rooms: usize, open: usize, ghosts: usize, latency: u64) -> Result<()> {
    let population = world(rooms, open).call_rooms(rooms).ghosts(ghosts);
    let run = Run::lifted(bot, &population)?.with_short_graces();
    run.be_slow(Duration::from_millis(latency));
    let (bot, ..) = run.begin().await?;
    run.wait_for_clears(ghosts / 10, LIMIT).await?;
    bot.kill()?;
    let left = run.open().len().saturating_sub(open);

    let begun = Instant::now();
    let (bot, swept, _) = run.begin().await?;
    wait_until("all to be cleared", LIMIT, async || run.open().len() <= open).await?;
    let took = begun.elapsed().as_secs_f64();
    println!("   left at the kill    {left} of {ghosts}");
    println!("   restart             first sweep after {swept:.2} s, all cleared after {took:.2} s");
    println!("   living and open     {} of {open}", run.open().len());
    bot.stop().await?;
    Ok(())
}

/// `busy:ROOMS:OPEN:GHOSTS:LATENCY_MS`: how long `!janitor status` waits in a first sweep, in a mass clear, and idle.
pub(crate) async fn busy(bot: &str, rooms: usize, open: usize, ghosts: usize, latency: u64) -> Result<()> {
    let population = world(rooms, open).call_rooms(rooms).ghosts(ghosts);
    let run = Run::lifted(bot, &population)?.with_short_graces();
    run.program.set("grace.expired", "20s");
    run.be_slow(Duration::from_millis(latency));
    let bot = run.connect().await?;
    answer(&run, "in the first sweep").await?;
    run.wait_for_clears(5, LIMIT).await?;
    answer(&run, "in a mass clear").await?;
    wait_until("all to be cleared", LIMIT, async || run.open().len() <= open).await?;
    sleep(Duration::from_secs(15)).await;
    answer(&run, "idle").await?;
    bot.stop().await?;
    Ok(())
}

async fn answer(run: &Run, when: &str) -> Result<()> {
    let said = run.say("!janitor status");
    run.reply_to(&said, LIMIT).await?;
    let served = run.served(&said).context("it was served")?;
    let mut posts = run.arrivals().into_iter();
    let post = posts
        .find(|arrival| arrival.kind == "PUT send" && arrival.request.body.to_string().contains(&said.id));
    let waited = post.context("the answer is a request")?.at - served;
    println!("   answer {when:<19} {:.2} s", waited.as_secs_f64());
    Ok(())
}
