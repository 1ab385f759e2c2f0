//! Commands as people give them: the real program in a real admin room, plain and encrypted, and a second
//! real client that types, presses ✅ and reads.
#![recursion_limit = "256"]

use std::time::Duration;

use anyhow::Result;
use rtc_janitor_test_support::{
    Bot, BotSetup, Device, Membership, RoomOptions, Synapse, call_key, wait_until,
};

#[path = "commands/authority.rs"]
mod authority;
#[path = "commands/bad_input.rs"]
mod bad_input;
#[path = "commands/every_command.rs"]
mod every_command;
#[path = "commands/restarts.rs"]
mod restarts;
#[path = "commands/sticky.rs"]
mod sticky;
#[path = "commands/talker.rs"]
mod talker;

use talker::Talker;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// As long as anything here may take.
const LIMIT: Duration = Duration::from_secs(90);

/// A ghost of this device's user on a device that never was, expired for an hour.
async fn haunt(synapse: &Synapse, room: &str, user: &Device, device_id: &str) -> Result<String> {
    let ghost = Membership::session(&user.user_id, device_id).aged(Duration::from_hours(5));
    let key = ghost.state_key();
    synapse.write_membership(room, ghost).await?;
    Ok(key)
}

/// A running bot in mode `report`, somebody with a say, and a room with one ghost and one living caller.
struct Scene<'a> {
    setup: BotSetup<'a>,
    bot: Bot,
    boss: Talker,
    host: Device,
    room: String,
    ghost: String,
}

impl<'a> Scene<'a> {
    async fn set(synapse: &'a Synapse, admin_room: RoomOptions) -> Result<Self> {
        let setup = BotSetup::with_admin_room(synapse, PROGRAM, admin_room.name("Janitor")).await?;
        let boss = Talker::new(&setup, 100).await?;
        let bot = setup.set("janitor.mode", "report").spawn()?;
        boss.hears(&bot, "is watching").await?;
        let host = synapse.sign_in_new("host").await?;
        let room = setup.watched_room(&host, RoomOptions::new().name("Stand-up")).await?;
        synapse.join_call(&host, &room).await?;
        let ghost = haunt(synapse, &room, &host, "DEAD").await?;
        // It has been seen long enough to be due.
        boss.hears(&bot, "Would clear 1 stale membership").await?;
        Ok(Self { setup, bot, boss, host, room, ghost })
    }

    fn synapse(&self) -> &'a Synapse {
        self.setup.synapse
    }

    /// Gives a command and waits for its answer, in its last form.
    async fn ask(&self, command: &str) -> Result<String> {
        self.boss.ask(&self.bot, &format!("!janitor {command}")).await
    }

    /// Asks for a plan; returns its name and its text.
    async fn plan(&self, command: &str) -> Result<(String, String, String)> {
        let (event, text) = self.boss.ask_for(&self.bot, &format!("!janitor {command}")).await?;
        let name = text.split('`').nth(1).unwrap_or_default().to_owned();
        Ok((name, event, text))
    }

    async fn is_open(&self, key: &str) -> Result<bool> {
        self.synapse().is_open(&self.room, key).await
    }
}
