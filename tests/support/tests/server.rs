//! A server of one's own can be stopped, killed and started again, and goes away with its owner.

use std::{fs, process::Command, time::Duration};

use anyhow::Result;
use rtc_janitor_test_support::{
    Method, RateLimits, Refusal, RoomOptions, Synapse, SynapseOptions, call_key, wait_until,
};
use serde_json::json;

#[tokio::test]
async fn a_stop_or_a_power_cut_keeps_rooms_and_sign_ins() -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    synapse.join_call(&alice, &room).await?;

    synapse.stop().await?;
    assert!(synapse.send_text(&alice, &room, "anybody?").await.is_err());
    synapse.start_again().await?;
    assert!(synapse.is_open(&room, &call_key(&alice)).await?);

    synapse.kill().await?;
    synapse.start_again().await?;
    synapse.leave_call(&alice, &room).await?;
    assert!(!synapse.is_open(&room, &call_key(&alice)).await?);
    Ok(())
}

#[tokio::test]
async fn default_limits_slow_people_down_until_they_are_lifted() -> Result<()> {
    let options = SynapseOptions { rate_limits: RateLimits::Default, ..SynapseOptions::default() };
    let synapse = Synapse::start(options).await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;

    let refused = synapse.send_texts(&alice, &room, 20).await.unwrap_err();
    let refusal = refused.downcast_ref::<Refusal>().expect("the server said no");
    assert_eq!((refusal.status, refusal.errcode.as_str()), (429, "M_LIMIT_EXCEEDED"));

    synapse.lift_rate_limits(&alice.user_id).await?;
    synapse.send_texts(&alice, &room, 20).await?;
    Ok(())
}

#[tokio::test]
async fn options_reach_the_server() -> Result<()> {
    let options = SynapseOptions {
        server_name: "other.test".to_owned(),
        max_event_delay: None,
        extra: json!({"experimental_features": {"msc4143_enabled": true}}),
        ..SynapseOptions::default()
    };
    let synapse = Synapse::start(options).await?;
    let versions = synapse.request(Method::GET, &["_matrix", "client", "versions"]);
    let features = versions.send().await?["unstable_features"].clone();
    assert_eq!(features["org.matrix.msc4140"], false);
    assert_eq!(features["org.matrix.msc4143"], true);
    let bob = synapse.register_exactly("bob", false).await?;
    assert_eq!(bob.user_id, "@bob:other.test");
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let options =
        SynapseOptions { extra: json!({"max_event_delay_duration": "soon"}), ..SynapseOptions::default() };
    let error = Synapse::start(options).await.unwrap_err().to_string();
    assert!(error.contains("Synapse ended while it started"), "{error}");
    assert!(error.contains("max_event_delay_duration"), "{error}");
}

#[tokio::test]
async fn nothing_is_left_when_the_test_process_is_killed() -> Result<()> {
    let started = std::env::temp_dir().join(rtc_janitor_test_support::unique("started"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_hold-a-synapse")).arg(&started).spawn()?;
    let url = wait_until("the other process's server", Duration::from_mins(2), async || {
        fs::read_to_string(&started).ok().filter(|url| url.ends_with('\n'))
    })
    .await?;
    let (url, data) = url.trim().split_once(' ').expect("two words");
    let versions = format!("{url}/_matrix/client/versions");
    let http = reqwest::Client::builder().no_proxy().build()?;
    assert!(http.get(&versions).send().await?.status().is_success());
    assert!(fs::exists(data)?);

    // SIGKILL: no destructor runs.
    child.kill()?;
    child.wait()?;

    wait_until("the orphaned server to end", Duration::from_secs(10), async || {
        http.get(&versions).send().await.is_err()
    })
    .await?;
    wait_until("its data to be removed", Duration::from_secs(10), async || Ok(!fs::exists(data)?)).await?;
    fs::remove_file(&started)?;
    Ok(())
}
