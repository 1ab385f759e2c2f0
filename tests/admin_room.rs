//! The admin room as the people in it see it: what the real program says there, how, and nowhere else.
//!
//! What the chat connection does by itself is in `world/chat.rs`.
#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "in a test, panicking is how to fail")]

use std::time::Duration;

use anyhow::Result;
use rtc_janitor_test_support::{
    Bot, BotSetup, Device, Membership, Message, RoomOptions, Synapse, call_key, wait_until,
};

#[path = "admin_room/encrypted.rs"]
mod encrypted;
#[path = "admin_room/plain.rs"]
mod plain;

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

/// What this user has said unencrypted in the admin room, the oldest first.
async fn said_by(setup: &BotSetup<'_>, user_id: &str) -> Result<Vec<Message>> {
    let messages = setup.synapse.messages(&setup.admin_room).await?;
    Ok(messages.into_iter().filter(|message| message.sender == user_id).collect())
}
