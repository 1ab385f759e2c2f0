//! A run of the program beside a fake homeserver, and what all scenarios do with it.

use std::{ops::Deref, time::Duration};

use anyhow::{Context, Result};
use rtc_janitor_test_support::{Bot, Population, Stage, wait_until};
use tokio::time::{Instant, sleep};

use super::process;

/// As long as anything may take, also at 100,000 rooms on a busy disk.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// A set-up whose program can be started again and again.
pub(crate) struct Run(Stage);

impl Deref for Run {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

/// So many rooms and open memberships in a fifth as many rooms, beside twice as many keys that are empty.
pub(crate) fn world(rooms: usize, open: usize) -> Population {
    Population::new().rooms(rooms).call_rooms((open / 5).clamp(1, rooms)).open(open).empty(2 * open)
}

impl Run {
    /// With the intervals and graces of the defaults.
    pub(crate) fn new(bot: &str, population: &Population) -> Result<Self> {
        let stage = Stage::new(bot, population)?;
        for key in [
            "janitor.sweep_interval",
            "janitor.device_check_interval",
            "janitor.minimum_age",
            "grace.default",
            "grace.not_joined",
            "limits.per_sweep",
            "limits.per_room",
            "limits.per_hour",
        ] {
            stage.program.unset(key);
        }
        let filter = "info,rtc_janitor::janitor::run=debug,rtc_janitor::janitor::sweep=debug";
        stage.program.set("log.filter", filter);
        Ok(Self(stage))
    }

    /// The same without limits.
    pub(crate) fn lifted(bot: &str, population: &Population) -> Result<Self> {
        let Self(stage) = Self::new(bot, population)?;
        Ok(Self(stage.without_limits()))
    }

    /// Every ghost is due two seconds after it was first seen.
    pub(crate) fn with_short_graces(self) -> Self {
        self.program.set("grace.expired", "2s").set("janitor.minimum_age", "1s");
        self
    }

    /// How many sweeps the log tells of.
    pub(crate) fn sweeps(bot: &Bot) -> usize {
        bot.log().lines().filter(|line| line.contains("swept")).count()
    }

    /// Starts the program; answers it with the seconds to its first sweep and to its hello.
    pub(crate) async fn begin(&self) -> Result<(Bot, f64, f64)> {
        self.begin_under(&[]).await
    }

    /// The same under a tracer.
    pub(crate) async fn begin_under(&self, tracer: &[&str]) -> Result<(Bot, f64, f64)> {
        let greetings = || self.posts().iter().filter(|post| post.body.contains("watching")).count();
        let before = greetings();
        let begun = Instant::now();
        let bot = self.program.spawn_under(tracer)?;
        let swept_before = Self::sweeps(&bot);
        wait_until("a first sweep or a hello", LIMIT, async || {
            Self::sweeps(&bot) > swept_before || greetings() > before
        })
        .await
        .with_context(|| bot.log())?;
        let swept = begun.elapsed().as_secs_f64();
        wait_until("the hello", LIMIT, async || greetings() > before).await?;
        Ok((bot, swept, begun.elapsed().as_secs_f64()))
    }

    /// What it costs for so long, told per minute.
    pub(crate) async fn measure(&self, bot: &Bot, time: Duration) -> Result<()> {
        self.reset();
        let id = bot.id();
        let (processor, written, sweeps) =
            (process::processor(id)?, process::written(id)?, Self::sweeps(bot));
        sleep(time).await;
        let minutes = time.as_secs_f64() / 60.0;
        let per_minute = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / minutes;
        println!("   CPU s/min           {:.3}", (process::processor(id)? - processor) / minutes);
        println!("   written MiB/min     {:.2}", (process::written(id)? - written) / minutes);
        println!("   sweeps/min          {:.1}", per_minute(Self::sweeps(bot) - sweeps));
        println!("   synced bytes/min    {:.0}", per_minute(self.bytes_synced()));
        println!("   memory              {}", process::memory(id)?);
        for (kind, count) in self.by_kind() {
            println!("   requests/min        {:.1} {kind}", per_minute(count));
        }
        Ok(())
    }

    /// Refreshes memberships at this rate until the time is over.
    pub(crate) async fn refresh_for(&self, open: usize, rate: u32, time: Duration) {
        let begun = Instant::now();
        let mut turn = 0_u32;
        while begun.elapsed() < time {
            // A prime step spreads them over users and rooms.
            self.refresh((turn as usize * 7919) % open.max(1));
            turn += 1;
            tokio::time::sleep_until(begun + Duration::from_secs(1) * turn / rate.max(1)).await;
        }
    }
}
