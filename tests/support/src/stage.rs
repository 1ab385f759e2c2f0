//! The program beside a fake homeserver: what stands before every test that needs no real one.

use std::{ops::Deref, time::Duration};

use anyhow::{Context, Result};

use crate::{Arrival, Bot, FakeHomeserver, PATIENCE, Place, Population, program::Program, wait_until};

/// A fake homeserver and a program that is set up for it. It is the fake, with the program beside it.
#[derive(Debug)]
pub struct Stage {
    fake: FakeHomeserver,
    /// The program and its settings.
    pub program: Program,
}

impl Deref for Stage {
    type Target = FakeHomeserver;

    fn deref(&self) -> &FakeHomeserver {
        &self.fake
    }
}

impl Stage {
    /// A homeserver with this population, and the program at `program` with short graces, in mode `clean`.
    pub fn new(program: &str, population: &Population) -> Result<Self> {
        let fake = FakeHomeserver::start(population)?;
        let program = Program::new(program)?;
        program
            .set("homeserver.url", fake.url())
            .set("homeserver.user_id", fake.bot())
            .set("login.password", "secret")
            .set("admin_room.room", fake.admin_room())
            .set("admin_room.digest", "never");
        Ok(Self { fake, program })
    }

    /// No limit holds a write back, nor does a breaker.
    #[must_use]
    pub fn without_limits(self) -> Self {
        for key in ["limits.per_sweep", "limits.per_room", "limits.per_hour", "breaker.minimum"] {
            self.program.set_raw(key, "100000000");
        }
        self
    }

    /// Starts `run` without waiting for anything.
    pub fn spawn(&self) -> Result<Bot> {
        self.program.spawn()
    }

    /// Starts `run` and waits until it has greeted the admin room, which it does when its first look is over.
    pub async fn start(&self) -> Result<Bot> {
        let before = self.greetings();
        let bot = self.spawn()?;
        wait_until("the bot to say hello in its admin room", PATIENCE, async || self.greetings() > before)
            .await
            .with_context(|| bot.log())?;
        Ok(bot)
    }

    /// Starts `run` and waits until both connections are there: the watch has everything, the chat hears what is said.
    pub async fn connect(&self) -> Result<Bot> {
        let bot = self.spawn()?;
        wait_until("both connections", PATIENCE, async || {
            let seen = |device: &str, is_it: fn(&Arrival) -> bool| {
                self.count(|arrival| {
                    arrival.device.starts_with(device) && is_it(arrival) && arrival.has_succeeded()
                }) > 0
            };
            seen("WATCH", Arrival::is_full_view) && seen("CHAT", Arrival::is_full_view)
        })
        .await
        .with_context(|| bot.log())?;
        Ok(bot)
    }

    fn greetings(&self) -> usize {
        self.posts().iter().filter(|post| post.body.contains("watching")).count()
    }

    /// Waits until this key is empty.
    pub async fn wait_until_cleared(&self, place: &Place) -> Result<()> {
        wait_until(&format!("{} to be cleared", place.key), PATIENCE, async || !self.is_open(place)).await
    }

    /// Waits until so many writes of memberships have arrived.
    pub async fn wait_for_clears(&self, count: usize, limit: Duration) -> Result<()> {
        wait_until(&format!("{count} clears"), limit, async || self.clears().len() >= count).await
    }
}
