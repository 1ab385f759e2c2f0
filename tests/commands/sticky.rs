//! Calls by sticky events (MSC4354), and slots: shown, and never written. The real program beside a Synapse
//! that has sticky events.

use anyhow::{Context, Result};
use rtc_janitor_test_support::{Device, Method, RoomOptions, Synapse, SynapseOptions, unique, wait_until};
use serde_json::{Value, json};

use super::{LIMIT, Scene};

const MEMBER: &str = "org.matrix.msc4143.rtc.member";

/// More than the server names at once.
const MANY: usize = 130;

/// What matrix-js-sdk sends when a device enters a call.
fn entered(key: &str) -> Value {
    json!({"slot_id": "m.call#ROOM", "application": {"type": "m.call"}, "rtc_transports": [], "versions": [],
        "member": {"id": key, "user_id": "@x:hs.test", "device_id": "D"}, "msc4354_sticky_key": key})
}

/// Sends a sticky event for an hour.
async fn send(synapse: &Synapse, device: &Device, room: &str, kind: &str, content: Value) -> Result<()> {
    let path = ["rooms", room, "send", kind, &unique("txn")];
    let request = synapse.as_device(device, Method::PUT, &path).body(content);
    request.query("org.matrix.msc4354.sticky_duration_ms", "3600000").send().await.map(drop)
}

/// Asks until the answer says this.
async fn until_it_says(scene: &Scene<'_>, command: &str, words: &str) -> Result<String> {
    let mut answer = String::new();
    wait_until(&format!("“{command}” to say “{words}”"), LIMIT, async || {
        answer = scene.ask(command).await?;
        anyhow::Ok(answer.contains(words))
    })
    .await
    .with_context(|| answer.clone())?;
    Ok(answer)
}

#[tokio::test]
async fn calls_by_sticky_events_and_closed_slots_are_shown_and_never_written() -> Result<()> {
    let extra = json!({"experimental_features": {"msc4354_enabled": true}});
    let synapse = Synapse::start(SynapseOptions { extra, ..SynapseOptions::default() }).await?;
    let mut scene = Scene::set(&synapse, RoomOptions::new()).await?;
    let host = scene.host.clone();
    let room = scene.setup.watched_room(&host, RoomOptions::new().name("Sticky")).await?;
    let nobody = scene.ask(&format!("calls {room}")).await?;
    assert!(nobody.contains("No call in"), "{nobody}");

    // While it runs.
    send(&synapse, &host, &room, MEMBER, entered("one")).await?;
    until_it_says(&scene, &format!("calls {room}"), "1 device is in a call by sticky events").await?;
    send(&synapse, &host, &room, MEMBER, entered("two")).await?;
    send(&synapse, &host, &room, MEMBER, json!({"msc4354_sticky_key": "one"})).await?;
    send(&synapse, &host, &room, "m.room.encrypted", json!({"algorithm": "none"})).await?;
    let explained = until_it_says(&scene, &format!("explain {room}"), "1 sticky event is encrypted").await?;
    assert!(explained.contains("1 device is in a call by sticky events"), "{explained}");
    assert!(!explained.contains("the state is clean"), "{explained}");

    // What is there when it starts, and what changed meanwhile.
    assert!(scene.bot.stop().await?.success());
    for _ in 1..MANY {
        send(&synapse, &host, &room, "m.room.encrypted", json!({"algorithm": "none"})).await?;
    }
    send(&synapse, &host, &room, MEMBER, entered("three")).await?;
    synapse
        .put_state(&host, &room, "org.matrix.msc4143.rtc.slot", "m.call#ROOM", json!({"status": "closed"}))
        .await?;
    scene.bot = scene.setup.spawn()?;
    let calls = until_it_says(&scene, "calls", &format!("{MANY} sticky events are encrypted")).await?;
    assert!(calls.contains("2 devices are in a call by sticky events"), "{calls}");
    assert!(calls.contains("The slot “m.call#ROOM” is closed"), "{calls}");

    synapse
        .put_state(&host, &room, "org.matrix.msc4143.rtc.slot", "m.call#ROOM", json!({"status": "open"}))
        .await?;
    wait_until("the slot to be open again", LIMIT, async || {
        anyhow::Ok(!scene.ask(&format!("explain {room}")).await?.contains("is closed"))
    })
    .await?;
    assert_eq!(scene.setup.changes_by_the_bot(&room).await?, Vec::<Value>::new());
    assert!(scene.bot.stop().await?.success());
    Ok(())
}
