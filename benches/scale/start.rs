//! First start and restart: time, memory, disk.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::{
    process,
    run::{Run, world},
};

/// `start:ROOMS:OPEN:LATENCY_MS`
pub(crate) async fn start(bot: &str, rooms: usize, open: usize, latency: u64) -> Result<()> {
    let run = Run::lifted(bot, &world(rooms, open))?;
    run.be_slow(Duration::from_millis(latency));
    for which in ["first start", "restart"] {
        run.reset();
        let (bot, swept, hello) = run.begin().await?;
        sleep(Duration::from_secs(3)).await;
        let id = bot.id();
        println!("   {which:<19} first sweep after {swept:.2} s, hello after {hello:.2} s");
        println!("   memory              {}", process::memory(id)?);
        println!("   CPU s; written MiB  {:.2}; {:.1}", process::processor(id)?, process::written(id)?);
        println!("   requests            {:?}", run.by_kind());
        bot.stop().await?;
    }
    Ok(())
}

/// `fsyncs:ROOMS:OPEN:GHOSTS`; needs `strace`.
pub(crate) async fn fsyncs(bot: &str, rooms: usize, open: usize, ghosts: usize) -> Result<()> {
    let run = Run::lifted(bot, &world(rooms, open).ghosts(ghosts))?.with_short_graces();
    let trace = run.program.directory().join("strace");
    let path = trace.display().to_string();
    let tracer = ["strace", "-f", "--seccomp-bpf", "-c", "-o", path.as_str(), "-e", "trace=fsync,fdatasync"];
    let (mut bot, _, _) = run.begin_under(&tracer).await.context("is strace installed?")?;
    run.wait_for_clears(ghosts, super::run::LIMIT).await?;
    sleep(Duration::from_secs(3)).await;
    // The program is the tracer's child; the tracer tells its counts when that ends.
    let program = process::child(bot.id())?.to_string();
    std::process::Command::new("kill").args(["-TERM", &program]).status()?;
    bot.ended().await?;
    for line in fs::read_to_string(&trace)?.lines().filter(|line| line.contains("sync")) {
        println!("   {line}");
    }
    Ok(())
}

/// `rereads:ROOMS:OPEN:SECONDS`: memory over full re-reads, one each 10 s where there is one every few hours in life.
pub(crate) async fn rereads(bot: &str, rooms: usize, open: usize, seconds: u64) -> Result<()> {
    let run = Run::lifted(bot, &world(rooms, open))?;
    run.program.set("janitor.reread_interval", "10s").set("janitor.sweep_interval", "10s");
    let (bot, ..) = run.begin().await?;
    run.reset();
    for _ in 0..seconds.div_ceil(10) {
        sleep(Duration::from_secs(10)).await;
        let views = run.count(rtc_janitor_test_support::Arrival::is_full_view);
        println!("   after {views:>3} full views  {}", process::memory(bot.id())?);
    }
    bot.stop().await?;
    Ok(())
}
