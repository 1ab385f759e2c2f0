//! Owners on another server: the real program beside two real Synapses that speak with each other.

use std::time::Duration;

use anyhow::{Result, ensure};
use rtc_janitor_test_support::{
    Bot, BotSetup, Database, Device, Membership, RoomOptions, Synapse, SynapseOptions, call_key,
};

#[path = "federation/survey.rs"]
mod survey;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

const LIMIT: Duration = Duration::from_secs(30);

async fn federating(database: Database) -> Result<Synapse> {
    Synapse::start(SynapseOptions { federation: true, database, ..SynapseOptions::default() }).await
}

/// Somebody of another server in the room, with keys and in a call, whose list the bot has seen.
async fn remote_caller(
    (near, far): (&Synapse, &Synapse),
    bot: &Bot,
    room: &str,
    stem: &str,
) -> Result<Device> {
    let device = far.sign_in_new(stem).await?;
    far.join_via(&device, room, near.server_name()).await?;
    far.join_call(&device, room).await?;
    bot.knows(&device).await?;
    Ok(device)
}

async fn looks(bot: &Bot) -> Result<()> {
    for _ in 0..4 {
        bot.sweeps_again().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_remote_owner_is_judged_by_what_is_known_of_it_and_its_server_holds_nothing_up() -> Result<()> {
    let (near, far) = (federating(Database::Postgres).await?, federating(Database::Sqlite).await?);
    let setup = BotSetup::new(&near, PROGRAM).await?;
    // The near server's own lists are there as well: they say nothing of others.
    setup.set("synapse_admin.access_token", near.admin_token()).set("grace.device_gone_unseen", "2s");
    let bot = setup.start().await?;
    let host = near.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new().public()).await?;
    let servers = (&near, &far);
    let signed_out = remote_caller(servers, &bot, &room, "signedout").await?;
    let stays = remote_caller(servers, &bot, &room, "stays").await?;

    // Its server is up: that it has signed out is known, and reported, and not acted on.
    far.logout(&signed_out).await?;
    let report = setup.hear("remote_device_lists").await?;
    ensure!(report.body.contains(&signed_out.device_id), "{}", report.body);
    ensure!(near.is_open(&room, &call_key(&signed_out)).await?);

    // Its server is down, for good as far as anybody can tell.
    let over = far.sign_in_new("over").await?;
    far.join_via(&over, &room, near.server_name()).await?;
    let hour = Duration::from_hours(1);
    far.write_membership(&room, Membership::of(&over).aged(hour).expires(hour / 2)).await?;
    far.stop().await?;
    setup.wait_until_cleared(&room, &call_key(&over)).await?;
    looks(&bot).await?;
    for device in [&signed_out, &stays] {
        ensure!(near.is_open(&room, &call_key(device)).await?, "{}", device.user_id);
    }

    // Nobody waits for it: an owner of this server is cleared as ever.
    let local = near.sign_in_new("local").await?;
    near.bring_in(&host, &room, &local).await?;
    near.join_call(&local, &room).await?;
    bot.knows(&local).await?;
    near.logout(&local).await?;
    setup.wait_until_cleared(&room, &call_key(&local)).await?;
    let calls = setup.ask("calls", LIMIT).await?;
    ensure!(calls.contains(&stays.user_id[1..9]), "{calls}");
    ensure!(near.is_open(&room, &call_key(&stays)).await?);
    Ok(())
}
