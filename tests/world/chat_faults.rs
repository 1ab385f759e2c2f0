//! The admin room when the homeserver takes back what it gave, or refuses what is said.

use rtc_janitor::world::{Chat as _, NeighbourError, Post};
use rtc_janitor_test_support::{FaultProxy, ProxiedRequest, RoomOptions, matching, wait_until};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{
    LIMIT, by_password,
    chat::{Running, message, set_up, settings},
    janitor,
};

fn is_sync(request: &ProxiedRequest) -> bool {
    request.path.ends_with("/sync")
}

/// Whether it asks for what came after a token that the homeserver cannot read.
fn has_a_bad_token(request: &ProxiedRequest) -> bool {
    is_sync(request) && since(request).is_some_and(|since| since.ends_with("_7"))
}

fn has_a_good_token(request: &ProxiedRequest) -> bool {
    is_sync(request) && since(request).is_some_and(|since| !since.ends_with("_7"))
}

fn since(request: &ProxiedRequest) -> Option<&str> {
    request.query.split('&').find_map(|parameter| parameter.strip_prefix("since="))
}

fn spoil_token(answer: &mut Value) {
    answer["next_batch"] = json!(format!("{}_7", answer["next_batch"].as_str().unwrap()));
}

#[tokio::test]
async fn a_token_that_the_homeserver_takes_back_is_dropped_while_it_runs() {
    let set = set_up(RoomOptions::new()).await;
    let proxy = FaultProxy::start(set.synapse.url()).unwrap();
    let store = tempdir().unwrap();
    let sign_in = by_password(proxy.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;

    // The next answer brings a token that Synapse itself does not take.
    let spoilt = proxy.rewrite(is_sync, spoil_token).times(1);
    set.synapse.send_text(&set.alice, &set.room, "hello").await.unwrap();
    wait_until("the spoilt token to be used", LIMIT, async || proxy.count(has_a_bad_token) > 0)
        .await
        .unwrap();
    proxy.reset();

    wait_until("it to go on with another token", LIMIT, async || proxy.count(has_a_good_token) > 0)
        .await
        .unwrap();
    assert_eq!(proxy.count(has_a_bad_token), 0);
    wait_until("the room to be within reach", LIMIT, async || running.room.reachable().await.is_ok())
        .await
        .unwrap();
    running.room.post("txn", &message("here")).await.unwrap();
    running.stop().await;
    spoilt.lift();
}

#[tokio::test]
async fn a_token_that_the_homeserver_took_back_meanwhile_is_dropped_after_a_restart() {
    let set = set_up(RoomOptions::new()).await;
    let proxy = FaultProxy::start(set.synapse.url()).unwrap();
    let store = tempdir().unwrap();
    let sign_in = by_password(proxy.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    let spoilt = proxy.rewrite(is_sync, spoil_token);
    let held = proxy.hold(has_a_bad_token);
    set.synapse.send_text(&set.alice, &set.room, "hello").await.unwrap();
    held.first(LIMIT).await.unwrap();
    running.stop().await;
    spoilt.lift();
    held.lift();
    proxy.reset();

    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;

    assert_eq!(proxy.count(has_a_bad_token), 1, "what is kept is tried, once");
    running.room.reachable().await.unwrap();
    running.room.post("txn", &message("here")).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_room_that_takes_no_messages_is_out_of_reach_whatever_the_code() {
    let set = set_up(RoomOptions::new()).await;
    let proxy = FaultProxy::start(set.synapse.url()).unwrap();
    let store = tempdir().unwrap();
    let sign_in = by_password(proxy.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    let room = &running.room;
    let said = room.post("txn", &message("first")).await.unwrap();

    let refusals = [
        (403, "M_FORBIDDEN"),
        (403, "M_CONSENT_NOT_GIVEN"),
        (403, "M_RESOURCE_LIMIT_EXCEEDED"),
        (400, "M_UNKNOWN"),
        (413, "M_TOO_LARGE"),
        (500, "M_UNKNOWN"),
    ];
    for (number, (status, errcode)) in refusals.into_iter().enumerate() {
        let body = json!({"errcode": errcode, "error": "rejected"});
        let rule = proxy.answer(status, body, matching("PUT", "/send/"));
        let txn = format!("txn-{number}");
        room.post(&txn, &message("refused")).await.unwrap_err();
        let reachable = room.reachable().await;
        let expected = match reachable.clone() {
            Err(NeighbourError::Refused { message, .. } | NeighbourError::Unreachable(message)) => {
                message.contains("rejected")
            }
            _ => false,
        };
        assert!(expected, "{status} {errcode}: {reachable:?}");
        rule.lift();
        room.reachable().await.expect_err("not before a message is taken");
        room.post(&txn, &message("refused")).await.unwrap();
        room.reachable().await.unwrap();
    }

    // Reactions are another matter, and so is what is only slowed down.
    let rule = proxy.answer(403, json!({"errcode": "M_FORBIDDEN"}), matching("PUT", "/send/m.reaction"));
    room.post("reaction", &Post::Reaction { to: said.clone(), key: "✅".to_owned() }).await.unwrap_err();
    room.reachable().await.unwrap();
    rule.lift();
    let slow = json!({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 10});
    let rule = proxy.answer(429, slow, matching("PUT", "/send/"));
    room.post("slow", &message("slow")).await.unwrap_err();
    room.reachable().await.unwrap();
    rule.lift();
    running.stop().await;
}

#[tokio::test]
async fn a_ban_is_told_in_the_homeservers_words() {
    let set = set_up(RoomOptions::new()).await;
    set.synapse.ban(&set.alice, &set.room, &set.user.user_id).await.unwrap();
    let store = tempdir().unwrap();
    let sign_in = by_password(set.synapse.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await;

    wait_until("the ban to be known", LIMIT, async || {
        let answer = running.room.reachable().await;
        matches!(answer, Err(NeighbourError::NotInRoom(why)) if why.contains("who was banned"))
    })
    .await
    .unwrap();
    running.stop().await;
}

#[tokio::test]
async fn it_is_known_whether_the_account_has_spoken_in_the_room_before() {
    let set = set_up(RoomOptions::new().encrypted()).await;
    let store = tempdir().unwrap();
    let sign_in = by_password(set.synapse.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    for _ in 0..12 {
        set.synapse.send_text(&set.alice, &set.room, "hello").await.unwrap();
    }
    assert_eq!(running.room.has_spoken_before().await, Ok(false));

    running.room.post("txn", &message("one ghost")).await.unwrap();
    for _ in 0..12 {
        set.synapse.send_text(&set.alice, &set.room, "hello").await.unwrap();
    }
    assert_eq!(running.room.has_spoken_before().await, Ok(true));
    running.stop().await;
}

#[tokio::test]
async fn where_the_server_shows_no_past_an_account_that_was_started_before_counts_as_one_that_has_spoken() {
    let set = set_up(RoomOptions::new()).await;
    let proxy = FaultProxy::start(set.synapse.url()).unwrap();
    let unrecognized = json!({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"});
    let _no_past = proxy.answer(404, unrecognized, |request| request.path.ends_with("/messages"));
    let store = tempdir().unwrap();
    let sign_in = by_password(proxy.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    assert_eq!(running.room.has_spoken_before().await, Ok(false));
    assert_eq!(running.room.has_spoken_before().await, Ok(true), "asked by a later start with a new journal");
    running.stop().await;
}

#[tokio::test]
async fn a_second_watch_device_of_the_account_is_noticed() {
    let set = set_up(RoomOptions::new()).await;
    let (store, other) = (tempdir().unwrap(), tempdir().unwrap());
    let sign_in = by_password(set.synapse.url(), &set.user);
    let first = super::sign_in::watch(&sign_in, store.path()).await.unwrap();
    // Neither a person's own device nor somebody else's.
    set.synapse.login(&set.user).await.unwrap();
    janitor(set.synapse, tempdir().unwrap().path()).await;
    assert_eq!(first.other_watch_devices().await.unwrap(), []);

    let second = super::sign_in::watch(&sign_in, other.path()).await.unwrap();
    let others = first.other_watch_devices().await.unwrap();
    let [(device, _)] = &others[..] else { panic!("{others:?}") };
    assert_eq!(device, second.device_id());
}
