//! Dead calls are hung up, and living ones are not: the real program beside a real Synapse.

use anyhow::Result;
use rtc_janitor_test_support::{BotSetup, RoomOptions, Synapse, call_key};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

#[tokio::test]
async fn a_logged_out_device_is_hung_up_and_the_live_one_beside_it_is_not() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.register("alice").await?;
    let (live, dead) = (synapse.login(&alice).await?, synapse.login(&alice).await?);
    for device in [&live, &dead] {
        synapse.upload_keys(device).await?;
    }
    let room = setup.watched_room(&live, RoomOptions::new()).await?;
    for device in [&live, &dead] {
        synapse.join_call(device, &room).await?;
    }
    bot.knows(&dead).await?;
    synapse.logout(&dead).await?;
    setup.wait_until_cleared(&room, &call_key(&dead)).await?;
    setup.hear(&dead.device_id).await?;
    assert!(synapse.is_open(&room, &call_key(&live)).await?);
    assert!(bot.stop().await?.success());
    Ok(())
}
