//! People, devices, rooms and calls behave as the bot will meet them.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use rtc_janitor_test_support::{
    CALL_MEMBER, Membership, Refusal, RoomOptions, Synapse, call_key, leave_content, unique, wait_until,
};
use serde_json::{Value, json};

fn refusal(error: &anyhow::Error) -> Option<(u16, &str)> {
    let refusal = error.downcast_ref::<Refusal>()?;
    Some((refusal.status, &refusal.errcode))
}

#[tokio::test]
async fn a_device_is_listed_from_its_keys_to_its_logout() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.register("alice").await?;
    let phone = synapse.login(&alice).await?;
    let laptop = synapse.login_as(&alice, "LAPTOP").await?;
    let both = BTreeSet::from([phone.device_id.clone(), "LAPTOP".to_owned()]);
    assert_eq!(synapse.devices(&alice.user_id).await?, both);
    assert!(synapse.keys_query(&alice.user_id).await?.is_empty());

    synapse.upload_keys(&phone).await?;
    synapse.upload_keys(&laptop).await?;
    assert_eq!(synapse.keys_query(&alice.user_id).await?, both);

    synapse.logout(&phone).await?;
    let one = BTreeSet::from(["LAPTOP".to_owned()]);
    assert_eq!(synapse.keys_query(&alice.user_id).await?, one);
    assert_eq!(synapse.devices(&alice.user_id).await?, one);

    synapse.deactivate(&alice.user_id).await?;
    assert!(synapse.keys_query(&alice.user_id).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_administrator_may_do_what_others_may_not() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let boss = synapse.login(&synapse.register_admin("boss").await?).await?;
    let alice = synapse.sign_in_new("alice").await?;
    let ask = |token| {
        let path = ["_synapse", "admin", "v2", "users", &alice.user_id];
        let request = synapse.request(rtc_janitor_test_support::Method::GET, &path);
        request.token(token).send()
    };
    assert_eq!(ask(&boss.access_token).await?["name"], alice.user_id.as_str());
    let refused = ask(&alice.access_token).await.unwrap_err();
    assert_eq!(refusal(&refused), Some((403, "M_FORBIDDEN")));
    Ok(())
}

#[tokio::test]
async fn a_call_is_joined_refreshed_and_left_as_clients_do() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new().name("Lobby")).await?;
    let key = call_key(&alice);
    assert_eq!(key, format!("_{}_{}_m.call", alice.user_id, alice.device_id));

    let joined = synapse.join_call(&alice, &room).await?;
    let event = synapse.call_member(&room, &key).await?.context("joined")?;
    assert_eq!(event["event_id"], joined.as_str());
    assert_eq!(event["sender"], alice.user_id.as_str());
    assert_eq!(
        event["content"],
        json!({
            "application": "m.call",
            "call_id": "",
            "device_id": alice.device_id,
            "expires": 14_400_000,
            "foci_preferred": [{
                "livekit_alias": room,
                "livekit_service_url": "https://livekit.test/livekit/jwt",
                "type": "livekit",
            }],
            "focus_active": {"focus_selection": "multi_sfu", "type": "livekit"},
            "membershipID": format!("{}:{}", alice.user_id, alice.device_id),
            "scope": "m.room",
        })
    );

    synapse.refresh_call(&alice, &room).await?;
    synapse.refresh_call(&alice, &room).await?;
    let again = synapse.call_member(&room, &key).await?.context("refreshed")?;
    assert_eq!(again["content"]["expires"], 3 * 14_400_000);
    assert_eq!(again["content"]["created_ts"], event["origin_server_ts"]);
    assert!(synapse.is_open(&room, &key).await?);

    synapse.leave_call(&alice, &room).await?;
    assert!(!synapse.is_open(&room, &key).await?);
    assert_eq!(synapse.memberships(&room).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_aged_membership_says_that_it_was_sent_long_ago() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    let key = call_key(&alice);
    let ghost = Membership::of(&alice).aged(Duration::from_hours(30));
    synapse.write_membership(&room, ghost.clone()).await?;
    let old = synapse.call_member(&room, &key).await?.context("old")?;
    assert_eq!(old["sender"], alice.user_id.as_str());

    // Synapse takes the same content for the same event, whatever the time.
    let again = synapse.write_membership(&room, ghost).await.unwrap_err();
    assert!(again.to_string().ends_with("nothing was written"), "{again}");

    synapse.leave_call(&alice, &room).await?;
    synapse.join_call(&alice, &room).await?;
    let new = synapse.call_member(&room, &key).await?.context("new")?;
    let time = |event: &Value| event["origin_server_ts"].as_i64().expect("a time");
    let hours = (time(&new) - time(&old)) / 3_600_000;
    assert_eq!(hours, 30);
    Ok(())
}

#[tokio::test]
async fn memberships_come_in_every_shape() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new().version("10")).await?;
    let array = Membership::of(&alice).array().also("OTHER");
    let key = array.state_key();
    assert_eq!(key, alice.user_id);
    synapse.write_membership(&room, array).await?;
    let event = synapse.call_member(&room, &key).await?.context("array")?;
    assert_eq!(event["content"]["memberships"][1]["device_id"], "OTHER");
    assert!(synapse.is_open(&room, &key).await?);

    let odd = Membership::of(&alice)
        .key("_odd")
        .focus("https://elsewhere.test")
        .expires(Duration::from_secs(30))
        .field("expires", "soon")
        .without("scope");
    synapse.write_membership(&room, odd).await?;
    let content = &synapse.memberships(&room).await?["_odd"]["content"];
    assert_eq!(content["expires"], "soon");
    assert_eq!(content["foci_preferred"][0]["livekit_service_url"], "https://elsewhere.test");
    assert!(content.get("scope").is_none());

    let raw = Membership::of(&alice).key("_raw").raw(json!({"leave_reason": "m.lost_connection"}));
    synapse.write_membership(&room, raw).await?;
    assert!(!synapse.is_open(&room, "_raw").await?);
    Ok(())
}

#[tokio::test]
async fn a_delayed_leave_fires_unless_it_is_taken_back() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    let key = call_key(&alice);
    let leave = synapse.schedule_leave(&alice, &room, Duration::from_hours(1)).await?;
    synapse.join_call(&alice, &room).await?;
    assert_eq!(synapse.delayed_leaves(&alice).await?, std::slice::from_ref(&leave));
    synapse.restart_leave(&leave).await?;
    synapse.cancel_leave(&leave).await?;
    assert!(synapse.delayed_leaves(&alice).await?.is_empty());

    synapse.schedule_leave(&alice, &room, Duration::from_secs(1)).await?;
    assert!(synapse.is_open(&room, &key).await?);
    wait_until("the server to send the leave", Duration::from_secs(20), async || {
        synapse.is_open(&room, &key).await.map(|open| !open)
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn who_may_empty_a_membership_is_a_matter_of_power() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let bot = synapse.sign_in_new("bot").await?;
    let room =
        synapse.create_room(&alice, RoomOptions::new().call_member_level(None).invite(&bot.user_id)).await?;
    synapse.join(&bot, &room).await?;
    synapse.join_call(&alice, &room).await?;
    let key = call_key(&alice);
    let empty = || synapse.put_state(&bot, &room, CALL_MEMBER, &key, leave_content());

    let refused = empty().await.unwrap_err();
    assert_eq!(refusal(&refused), Some((403, "M_FORBIDDEN")));
    assert!(synapse.events_by(&room, &bot.user_id).await?.len() == 1, "only its join");

    synapse.set_power_level(&alice, &room, &bot.user_id, 50).await?;
    let emptied = empty().await?;
    let event = synapse.read_state(&bot, &room, CALL_MEMBER, &key).await?.context("emptied")?;
    assert_eq!(event["event_id"], emptied.as_str());
    assert_eq!(event["sender"], bot.user_id.as_str());
    assert_eq!(synapse.events_by(&room, &bot.user_id).await?.len(), 2);
    assert!(synapse.read_state(&bot, &room, CALL_MEMBER, "_nobody").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn rooms_are_entered_left_upgraded_and_spoken_in() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let bob = synapse.sign_in_new("bob").await?;
    let alias = unique("hall");
    let options = RoomOptions::new().public().alias(&alias).version("11").encrypted();
    let room = synapse.create_room(&alice, options).await?;
    let membership = async || {
        let event = synapse.state_event(&room, "m.room.member", &bob.user_id).await?;
        anyhow::Ok(event.context("bob was here")?["content"]["membership"].clone())
    };

    synapse.join(&bob, &format!("#{alias}:{}", synapse.server_name())).await?;
    synapse.set_display_name(&bob, "Bob").await?;
    synapse.leave(&bob, &room).await?;
    assert_eq!(membership().await?, "leave");
    synapse.bring_in(&alice, &room, &bob).await?;
    synapse.kick(&alice, &room, &bob.user_id).await?;
    synapse.join(&bob, &room).await?;
    assert_eq!(membership().await?, "join");
    synapse.ban(&alice, &room, &bob.user_id).await?;
    assert_eq!(membership().await?, "ban");

    let first = synapse.send_text(&alice, &room, "hello").await?;
    synapse.send_texts(&alice, &room, 120).await?;
    let messages = synapse.messages(&room).await?;
    assert_eq!(messages.len(), 121);
    assert_eq!((messages[0].event_id.as_str(), messages[0].body.as_str()), (first.as_str(), "hello"));
    synapse.redact(&alice, &room, &first).await?;
    assert_eq!(synapse.messages(&room).await?.len(), 120);

    let successor = synapse.upgrade(&alice, &room, "12").await?;
    let tombstone = synapse.state_event(&room, "m.room.tombstone", "").await?;
    assert_eq!(tombstone.context("upgraded")?["content"]["replacement_room"], successor.as_str());
    Ok(())
}

#[tokio::test]
async fn a_wait_in_vain_says_what_for() {
    let limit = Duration::from_millis(100);
    let vain = wait_until("the end of time", limit, async || false).await.unwrap_err();
    assert_eq!(vain.to_string(), "waited 100ms in vain for the end of time");
    let trouble = async || anyhow::Result::<bool>::Err(anyhow::anyhow!("no clock"));
    let vain = wait_until("the end of time", limit, trouble).await.unwrap_err();
    assert_eq!(vain.to_string(), "waited 100ms in vain for the end of time; at last: no clock");
}
