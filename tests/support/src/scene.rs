//! What stands before most tests with a real Synapse: a running bot, and a room that somebody made and it is in.

use anyhow::Result;

use crate::{Bot, BotSetup, Device, FaultProxy, RoomOptions, Synapse};

/// A running bot in a room, on the server that the tests of a binary share.
#[derive(Debug)]
pub struct Scene {
    /// The server.
    pub synapse: &'static Synapse,
    /// The bot's set-up.
    pub setup: BotSetup<'static>,
    /// The running bot.
    pub bot: Bot,
    /// Who made the room.
    pub host: Device,
    /// The room.
    pub room: String,
}

impl Scene {
    /// The program at `program` with the settings of [`BotSetup::new`].
    pub async fn new(program: &str) -> Result<Self> {
        Self::with(program, |_| {}).await
    }

    /// The same with settings changed before the start.
    pub async fn with(program: &str, change: impl Fn(&BotSetup<'_>)) -> Result<Self> {
        let synapse = Synapse::shared().await?;
        let setup = BotSetup::new(synapse, program).await?;
        change(&setup);
        Self::begin(synapse, setup).await
    }

    /// The same with a proxy between the bot and the server.
    pub async fn proxied(program: &str) -> Result<(Self, FaultProxy)> {
        Self::proxied_with(program, |_| {}).await
    }

    /// The same with settings changed before the start.
    pub async fn proxied_with(program: &str, change: impl Fn(&BotSetup<'_>)) -> Result<(Self, FaultProxy)> {
        let synapse = Synapse::shared().await?;
        let setup = BotSetup::new(synapse, program).await?;
        change(&setup);
        let proxy = setup.proxied()?;
        Ok((Self::begin(synapse, setup).await?, proxy))
    }

    async fn begin(synapse: &'static Synapse, setup: BotSetup<'static>) -> Result<Self> {
        let bot = setup.start().await?;
        let host = synapse.sign_in_new("host").await?;
        let room = setup.watched_room(&host, RoomOptions::new()).await?;
        Ok(Self { synapse, setup, bot, host, room })
    }
}
