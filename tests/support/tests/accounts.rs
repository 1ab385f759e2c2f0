//! Accounts and devices that are not like a person's who just signed in, as the admin API tells of them.

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use rtc_janitor_test_support::{
    Appservice, Database, Device, Membership, Method, Postgres, RateLimits, Refusal, RoomOptions, Synapse,
    SynapseOptions, call_key,
};
use serde_json::json;

fn status(error: &anyhow::Error) -> Option<u16> {
    error.downcast_ref::<Refusal>().map(|refusal| refusal.status)
}

#[tokio::test]
async fn a_user_becomes_an_administrator_and_is_one_no_more() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let ask = async || {
        let path = ["_synapse", "admin", "v1", "rooms"];
        synapse.request(Method::GET, &path).token(&alice.access_token).send().await
    };
    assert_eq!(status(&ask().await.unwrap_err()), Some(403));

    synapse.set_admin(&alice.user_id, true).await?;
    assert!(ask().await?["total_rooms"].is_u64());

    synapse.set_admin(&alice.user_id, false).await?;
    assert_eq!(status(&ask().await.unwrap_err()), Some(403));
    Ok(())
}

#[tokio::test]
async fn the_admin_api_says_what_became_of_an_account() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let [gone, erased, banned] = [
        synapse.register("gone").await?,
        synapse.register("erased").await?,
        synapse.register("banned").await?,
    ];
    let guest = synapse.register_guest().await?;

    synapse.deactivate(&gone.user_id).await?;
    synapse.erase(&erased.user_id).await?;
    synapse.shadow_ban(&banned.user_id).await?;

    let said = async |user: &str| {
        let account = synapse.account(user).await?;
        let words = ["deactivated", "erased", "shadow_banned", "is_guest"];
        anyhow::Ok(words.map(|word| account[word].as_bool().unwrap_or_default()))
    };
    assert_eq!(said(&gone.user_id).await?, [true, false, false, false]);
    assert_eq!(said(&erased.user_id).await?, [true, true, false, false]);
    assert_eq!(said(&banned.user_id).await?, [false, false, true, false]);
    assert_eq!(said(&guest.user_id).await?, [false, false, false, true]);
    Ok(())
}

#[tokio::test]
async fn a_bridged_user_is_told_by_its_appservice_and_joins_calls() -> Result<()> {
    let bridge = Appservice {
        namespace: "@bridged-.*:hs.test".to_owned(),
        exclusive: true,
        ..Appservice::new("bridge")
    };
    let options = SynapseOptions { appservices: vec![bridge.clone()], ..SynapseOptions::default() };
    let synapse = Synapse::start(options).await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;

    let bridged = synapse.register_bridged(&bridge, "bridged").await?;
    synapse.bring_in(&alice, &room, &bridged).await?;
    let call = Membership::session(&bridged.user_id, "ELSEWHERE");
    let key = call.state_key();
    synapse.write_membership(&room, call).await?;

    assert_eq!(synapse.account(&bridged.user_id).await?["appservice_id"], "bridge");
    assert!(synapse.account(&alice.user_id).await?["appservice_id"].is_null());
    assert!(synapse.is_open(&room, &key).await?);
    assert!(!synapse.devices(&bridged.user_id).await?.contains("ELSEWHERE"));
    let outside = synapse.register_bridged(&bridge, "outside").await.unwrap_err();
    assert_eq!(status(&outside), Some(400));
    Ok(())
}

#[tokio::test]
async fn a_registration_file_is_taken_at_the_start_and_later() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str| {
        let (appservice, path) = (Appservice::new(name), folder.path().join(name));
        std::fs::write(&path, appservice.registration().to_string()).map(|()| (appservice, path))
    };
    let ((early, first), (late, second)) = (write("early")?, write("late")?);
    let options = SynapseOptions { registrations: vec![first], ..SynapseOptions::default() };
    let synapse = Synapse::start(options).await?;
    let alice = synapse.sign_in_new("alice").await?;
    let devices_by = async |appservice: &Appservice| {
        let ask = synapse.client_request(Method::GET, &["devices"]).query("user_id", &alice.user_id);
        let answer = ask.token(&appservice.token).send().await?;
        anyhow::Ok(answer["devices"][0]["device_id"].clone())
    };

    assert_eq!(devices_by(&early).await?, alice.device_id.as_str());
    assert_eq!(status(&devices_by(&late).await.unwrap_err()), Some(401));

    synapse.add_registration(&second).await?;
    assert_eq!(devices_by(&late).await?, alice.device_id.as_str());
    assert_eq!(devices_by(&early).await?, alice.device_id.as_str());
    Ok(())
}

#[tokio::test]
async fn devices_without_keys_are_listed_renamed_and_deleted() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.register("alice").await?;
    let (phone, keyless) = (synapse.login(&alice).await?, synapse.login(&alice).await?);
    synapse.upload_keys(&phone).await?;

    synapse.rename_device(&keyless, "Kitchen").await?;
    let listed = synapse.device(&alice.user_id, &keyless.device_id).await?;
    assert_eq!(listed.context("it is listed")?["display_name"], "Kitchen");
    assert!(!synapse.keys_query(&alice.user_id).await?.contains(&keyless.device_id));

    synapse.delete_device(&alice.user_id, &keyless.device_id).await?;
    assert!(synapse.device(&alice.user_id, &keyless.device_id).await?.is_none());
    assert_eq!(status(&synapse.joined_rooms(&keyless).await.unwrap_err()), Some(401));
    synapse.joined_rooms(&phone).await?;
    Ok(())
}

async fn last_seen(synapse: &Synapse, device: &Device) -> Result<Option<DateTime<Utc>>> {
    let said = synapse.device(&device.user_id, &device.device_id).await?.context("it is listed")?;
    Ok(said["last_seen_ts"].as_i64().and_then(DateTime::from_timestamp_millis))
}

async fn the_time_of_a_device_is_set(synapse: &Synapse) -> Result<()> {
    let alice = synapse.sign_in_new("alice").await?;
    // Which the server notes, and has yet to write.
    synapse.joined_rooms(&alice).await?;
    let noted = last_seen(synapse, &alice).await?.context("it was seen")?;

    let long_ago = noted - TimeDelta::days(3);
    synapse.set_last_seen(&alice.user_id, &alice.device_id, Some(long_ago)).await?;
    assert_eq!(last_seen(synapse, &alice).await?, Some(long_ago));
    synapse.stop().await?;
    synapse.start_again().await?;
    assert_eq!(last_seen(synapse, &alice).await?, Some(long_ago));

    synapse.set_last_seen(&alice.user_id, &alice.device_id, None).await?;
    assert_eq!(last_seen(synapse, &alice).await?, None);
    Ok(())
}

#[tokio::test]
async fn when_a_device_was_last_seen_is_what_a_test_says() -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    the_time_of_a_device_is_set(&synapse).await?;
    let vain = synapse.set_last_seen("@nobody:hs.test", "NONE", None);
    assert_eq!(status(&vain.await.unwrap_err()), Some(404));
    Ok(())
}

#[tokio::test]
async fn when_a_device_was_last_seen_is_what_a_test_says_on_postgres() -> Result<()> {
    if Postgres::installed().is_none() {
        eprintln!("not tried, for there is no PostgreSQL: see tests/postgres/get");
        return Ok(());
    }
    let options = SynapseOptions { database: Database::Postgres, ..SynapseOptions::default() };
    the_time_of_a_device_is_set(&Synapse::start(options).await?).await
}

#[tokio::test]
async fn limits_are_lifted_for_one_user_and_restored() -> Result<()> {
    let options = SynapseOptions { rate_limits: RateLimits::Default, ..SynapseOptions::default() };
    let synapse = Synapse::start(options).await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;

    synapse.lift_rate_limits(&alice.user_id).await?;
    let lifted = json!({"messages_per_second": 0, "burst_count": 0});
    assert_eq!(synapse.rate_limits_of(&alice.user_id).await?, lifted);
    synapse.send_texts(&alice, &room, 20).await?;

    synapse.restore_rate_limits(&alice.user_id).await?;
    assert_eq!(synapse.rate_limits_of(&alice.user_id).await?, json!({}));
    assert_eq!(status(&synapse.send_texts(&alice, &room, 20).await.unwrap_err()), Some(429));
    assert!(!synapse.is_open(&room, &call_key(&alice)).await?);
    Ok(())
}
