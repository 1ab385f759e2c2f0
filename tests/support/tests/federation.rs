//! Servers on this machine federate: rooms are entered from another, and what happens there is seen here.

use std::time::Duration;

use anyhow::Result;
use rtc_janitor_test_support::{RoomOptions, Synapse, SynapseOptions, call_key, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

async fn two() -> Result<(Synapse, Synapse)> {
    let options = || SynapseOptions { federation: true, ..SynapseOptions::default() };
    tokio::try_join!(Synapse::start(options()), Synapse::start(options()))
}

#[tokio::test]
async fn a_room_of_another_server_is_joined_and_its_calls_and_devices_are_seen() -> Result<()> {
    let (here, there) = two().await?;
    assert_ne!(here.server_name(), there.server_name());
    let alice = here.sign_in_new("alice").await?;
    let bob = there.sign_in_new("bob").await?;
    let room = there.create_room(&bob, RoomOptions::new().public().version("11")).await?;

    here.join_via(&alice, &room, there.server_name()).await?;

    there.join_call(&bob, &room).await?;
    wait_until("bob's call to be seen here", LIMIT, async || here.is_open(&room, &call_key(&bob)).await)
        .await?;
    here.join_call(&alice, &room).await?;
    wait_until("alice's call to be seen there", LIMIT, async || {
        there.is_open(&room, &call_key(&alice)).await
    })
    .await?;
    assert!(here.keys_query(&bob.user_id).await?.contains(&bob.device_id));
    there.logout(&bob).await?;
    wait_until("bob's logout to be seen here", LIMIT, async || {
        here.keys_query(&bob.user_id).await.map(|devices| devices.is_empty())
    })
    .await
}

#[tokio::test]
async fn what_happened_while_a_server_was_down_arrives_when_it_is_back() -> Result<()> {
    let (here, there) = two().await?;
    let alice = here.sign_in_new("alice").await?;
    let bob = there.sign_in_new("bob").await?;
    let room = there.create_room(&bob, RoomOptions::new().public().version("11")).await?;
    here.join_via(&alice, &room, there.server_name()).await?;

    there.stop().await?;
    here.join_call(&alice, &room).await?;
    there.start_again().await?;

    // Whoever speaks first is heard: that ends the other's waiting.
    there.send_text(&bob, &room, "back").await?;
    wait_until("alice's call to be seen there", LIMIT, async || there.is_open(&room, &call_key(&alice)).await)
        .await
}
