//! The homeserver's database is put back to an older copy while the bot runs. Only a real homeserver can be restored.

use std::{fs, path::PathBuf};

use rtc_janitor_test_support::{
    Bot, BotSetup, Membership, PATIENCE, RoomOptions, Synapse, SynapseOptions, unique,
};

use super::*;

/// Stops the server, copies its database from or to a place beside it, and starts it again.
async fn with_the_server_down(
    synapse: &Synapse,
    copy: impl Fn(PathBuf, PathBuf) -> Result<()>,
) -> Result<()> {
    synapse.stop().await?;
    let database = synapse.data_directory().join("homeserver.db");
    for left_over in ["db-wal", "db-shm"] {
        _ = fs::remove_file(database.with_extension(left_over));
    }
    copy(database.clone(), database.with_extension("backup"))?;
    synapse.start_again().await
}

async fn back_up(synapse: &Synapse) -> Result<()> {
    with_the_server_down(synapse, |database, copy| fs::copy(database, copy).map(drop).map_err(Into::into))
        .await
}

async fn restore(synapse: &Synapse) -> Result<()> {
    with_the_server_down(synapse, |database, copy| fs::copy(copy, database).map(drop).map_err(Into::into))
        .await
}

/// A ghost is cleared and a command answered, by the bot that runs or, where it has ended with 1, by the next.
async fn is_well(setup: &BotSetup<'_>, mut bot: Bot, room: &str) -> Result<()> {
    let (synapse, admin) = (setup.synapse, &setup.admin);
    let ghost = Membership::session(&admin.user_id, &unique("OLD")).expires(Duration::from_secs(1));
    let key = ghost.state_key();
    synapse.write_membership(room, ghost).await?;
    let cleared = async || anyhow::Ok(!synapse.is_open(room, &key).await?);
    wait_until("the ghost to be cleared, or the bot to end", PATIENCE, async || {
        Ok::<_, anyhow::Error>(cleared().await? || bot.ended_within(Duration::ZERO).await?.is_some())
    })
    .await?;
    if let Some(ended) = bot.ended_within(Duration::ZERO).await? {
        assert_eq!(ended.code(), Some(1), "{}", bot.log());
        bot = setup.spawn()?;
    }
    wait_until("the ghost to be cleared", PATIENCE, cleared).await?;
    let asked = synapse.send_text(admin, &setup.admin_room, "!janitor status").await?;
    wait_until("an answer", PATIENCE, async || {
        let said = setup.said().await?;
        Ok::<_, anyhow::Error>(said.iter().any(|message| message.relates_to.to_string().contains(&asked)))
    })
    .await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_homeserver_restored_from_before_the_sign_in_is_served_again() -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    let options = RoomOptions::new().invite(&setup.account.user_id);
    let room = synapse.create_room(&setup.admin, options).await?;
    back_up(&synapse).await?;
    let bot = setup.start().await?;
    setup.wait_for_the_bot_in(&room).await?;

    restore(&synapse).await?;

    is_well(&setup, bot, &room).await
}

#[tokio::test]
async fn a_homeserver_restored_from_after_the_sign_in_is_served_again() -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let room = setup.watched_room(&setup.admin, RoomOptions::new()).await?;
    back_up(&synapse).await?;
    synapse.send_texts(&setup.admin, &room, 10).await?;

    restore(&synapse).await?;

    is_well(&setup, bot, &room).await
}
