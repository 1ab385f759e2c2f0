//! The SFU and those in its rooms behave as the bot's tests rely on.
//!
//! Without the SFU these tests pass and show nothing; `untried.rs` says so.

use std::{collections::BTreeSet, net::TcpListener, time::Duration};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rtc_janitor_test_support::{LiveKit, LiveKitOptions, Participant, RealClient, WebhookSink, wait_until};
use serde_json::json;
use sha2::{Digest, Sha256};

const LIMIT: Duration = Duration::from_secs(20);

/// The SFU takes 20 s to notice a crash.
const CRASH_LIMIT: Duration = Duration::from_mins(1);

const ALICE: &str = "@alice:hs.test:ALICE";
const BOB: &str = "@bob:hs.test:BOB";

/// A server for one test, if it is built.
async fn sfu(options: LiveKitOptions) -> Result<Option<LiveKit>> {
    if LiveKit::installed().is_none() {
        eprintln!("not tried, for the SFU is not built: see tests/livekit/build");
        return Ok(None);
    }
    LiveKit::start(options).await.map(Some)
}

fn those<const N: usize>(identities: [&str; N]) -> BTreeSet<String> {
    identities.map(str::to_owned).into()
}

#[tokio::test]
async fn a_participant_is_listed_until_dropped() -> Result<()> {
    let Some(livekit) = sfu(LiveKitOptions::default()).await? else { return Ok(()) };

    let alice = Participant::join(&livekit, "call", ALICE).await?;
    let bob = Participant::join(&livekit, "call", BOB).await?;
    assert_eq!(livekit.identities("call").await?, those([ALICE, BOB]));
    assert_eq!(livekit.identities("another call").await?, those([]));

    alice.leave();
    let left = async |expected| Ok::<_, anyhow::Error>(livekit.identities("call").await? == expected);
    wait_until("alice to be gone", LIMIT, async || left(those([BOB])).await).await?;
    drop(bob);
    wait_until("bob to be gone", LIMIT, async || left(those([])).await).await
}

#[tokio::test]
async fn one_who_stays_is_listed_by_each_new_connection_and_gone_when_dropped() -> Result<()> {
    let Some(livekit) = sfu(LiveKitOptions::default()).await? else { return Ok(()) };
    let sid = async || {
        let listed = livekit.participants("call").await?;
        anyhow::ensure!(listed.len() <= 1, "{} are listed", listed.len());
        // Nobody is for the moment in which the SFU puts one connection in the other's place.
        Ok(listed.first().map(|only| only["sid"].to_string()))
    };

    let interval = Duration::from_millis(300);
    let alice = Participant::stay_renewed_every(interval, &livekit, "call", ALICE).await?;
    let mut sids = BTreeSet::new();
    wait_until("three more connections", LIMIT, async || {
        sids.extend(sid().await.expect("one at most is listed"));
        sids.len() > 3
    })
    .await?;

    livekit.remove("call", ALICE).await?;
    let removed = sids.clone();
    let is_back = async || anyhow::Ok(sid().await?.is_some_and(|sid| !removed.contains(&sid)));
    wait_until("alice to be back", LIMIT, is_back).await?;
    drop(alice);
    wait_until("alice to be gone", LIMIT, async || anyhow::Ok(livekit.identities("call").await?.is_empty()))
        .await
}

#[tokio::test]
async fn a_client_that_leaves_is_gone_at_once_and_told_of_by_a_signed_webhook() -> Result<()> {
    let webhooks = WebhookSink::start()?;
    let options = LiveKitOptions { webhooks: vec![webhooks.url()], ..LiveKitOptions::default() };
    let Some(livekit) = sfu(options).await? else { return Ok(()) };

    let alice = RealClient::join(&livekit, "call", ALICE).await?;
    assert_eq!(livekit.identities("call").await?, those([ALICE]));
    alice.leave().await?;
    assert_eq!(livekit.identities("call").await?, those([]));

    let left =
        wait_until("the webhook", LIMIT, async || webhooks.about("participant_left", ALICE).pop()).await?;
    assert_eq!(left["participant"]["disconnectReason"], "CLIENT_INITIATED");
    assert_eq!(webhooks.about("participant_joined", ALICE).len(), 1);
    for webhook in webhooks.received() {
        let claims = LiveKit::claims(webhook.token()).context("signed with another secret")?;
        assert_eq!(claims["sha256"], STANDARD.encode(Sha256::digest(&webhook.body)));
    }
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_is_refused_comes_again() -> Result<()> {
    let webhooks = WebhookSink::start()?;
    webhooks.answer_with(500);
    let options = LiveKitOptions { webhooks: vec![webhooks.url()], ..LiveKitOptions::default() };
    let Some(livekit) = sfu(options).await? else { return Ok(()) };

    let _alice = Participant::join(&livekit, "call", ALICE).await?;
    wait_until("a second attempt", LIMIT, async || webhooks.received().len() == 2).await?;
    webhooks.answer_with(200);
    wait_until("a third attempt", LIMIT, async || webhooks.received().len() == 3).await?;

    let ids: BTreeSet<_> = webhooks.received().iter().map(|it| it.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "the same event each time");
    Ok(())
}

#[tokio::test]
async fn a_client_that_crashes_is_listed_until_the_sfu_gives_it_up() -> Result<()> {
    let webhooks = WebhookSink::start()?;
    let options = LiveKitOptions { webhooks: vec![webhooks.url()], ..LiveKitOptions::default() };
    let Some(livekit) = sfu(options).await? else { return Ok(()) };
    let alice = RealClient::join(&livekit, "call", ALICE).await?;

    let killed = tokio::time::Instant::now();
    alice.kill()?;
    let is_gone = async || anyhow::Ok(livekit.identities("call").await?.is_empty());
    wait_until("the SFU to give alice up", CRASH_LIMIT, is_gone).await?;
    let listed = killed.elapsed();
    assert!(listed > Duration::from_secs(10), "it takes about 20 s, and not {listed:?}");

    let left =
        wait_until("the webhook", LIMIT, async || webhooks.about("participant_left", ALICE).pop()).await?;
    assert_eq!(left["participant"]["disconnectReason"], "CONNECTION_TIMEOUT");
    assert_eq!(left["room"]["name"], "call");
    Ok(())
}

#[tokio::test]
async fn a_client_that_stalls_is_given_up_and_comes_back_by_itself() -> Result<()> {
    let Some(livekit) = sfu(LiveKitOptions::default()).await? else { return Ok(()) };
    let alice = RealClient::join(&livekit, "call", ALICE).await?;

    alice.stall()?;
    let listed = async || livekit.identities("call").await;
    wait_until("the SFU to give alice up", CRASH_LIMIT, async || anyhow::Ok(listed().await?.is_empty()))
        .await?;
    alice.go_on()?;
    wait_until("alice to be back", LIMIT, async || anyhow::Ok(listed().await? == those([ALICE])))
        .await
        .with_context(|| alice.log())
}

#[tokio::test]
async fn a_restarted_sfu_lists_nobody_until_clients_are_back() -> Result<()> {
    let Some(livekit) = sfu(LiveKitOptions::default()).await? else { return Ok(()) };
    let alice = RealClient::join(&livekit, "call", ALICE).await?;
    let _bob = Participant::stay(&livekit, "another call", BOB).await?;

    // Otherwise she may be back before we look.
    alice.stall()?;
    livekit.kill().await?;
    assert!(livekit.identities("call").await.is_err(), "it is down");
    livekit.restart().await?;
    assert_eq!(livekit.identities("call").await?, those([]));
    alice.go_on()?;

    let back = async |room, who| anyhow::Ok(livekit.identities(room).await? == those([who]));
    wait_until("alice to be back", LIMIT, async || back("call", ALICE).await)
        .await
        .with_context(|| alice.log())?;
    wait_until("bob to be back", LIMIT, async || back("another call", BOB).await).await
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() -> Result<()> {
    let Some(livekit) = sfu(LiveKitOptions::default()).await? else { return Ok(()) };

    livekit.kill().await?;
    let _taken = TcpListener::bind(livekit.url().trim_start_matches("http://"))?;
    let error = livekit.restart().await.unwrap_err().to_string();
    assert!(error.contains("LiveKit ended while it started"), "{error}");
    assert!(error.contains("address already in use"), "{error}");
    Ok(())
}

#[tokio::test]
async fn rooms_go_when_their_time_is_over() -> Result<()> {
    let options =
        LiveKitOptions { departure_timeout: Some(Duration::from_secs(1)), ..LiveKitOptions::default() };
    let Some(livekit) = sfu(options).await? else { return Ok(()) };
    let rooms = async || {
        let answer = livekit.call("ListRooms", &json!({"roomList": true}), &json!({})).await?;
        anyhow::Ok(answer["rooms"].as_array().map_or(0, Vec::len))
    };

    let alice = Participant::join(&livekit, "call", ALICE).await?;
    assert_eq!(rooms().await?, 1);
    alice.leave();
    // LiveKit's own departure timeout is longer than this limit.
    wait_until("the room to go", Duration::from_secs(15), async || anyhow::Ok(rooms().await? == 0)).await
}

#[tokio::test]
async fn what_the_sfu_refuses_is_told_with_its_reason() -> Result<()> {
    let options = LiveKitOptions { only_created_rooms: true, ..LiveKitOptions::default() };
    let Some(livekit) = sfu(options).await? else { return Ok(()) };

    let error = livekit.call("ListRooms", &json!({}), &json!({})).await.unwrap_err().to_string();
    assert!(error.contains("401") && error.contains("permissions denied"), "{error}");
    let error = Participant::join(&livekit, "call", ALICE).await.unwrap_err().to_string();
    assert!(error.contains("404"), "{error}");
    Ok(())
}
