//! What the watch connection hears.

use std::time::Duration;

use rtc_janitor::world::{Invite, StateWriter as _, SyncBatch, Watch as _};
use rtc_janitor_core::ids::{EventId, RoomId};
use rtc_janitor_test_support::{CALL_MEMBER, Method, RoomOptions, Synapse, call_key};
use serde_json::json;
use tempfile::tempdir;

use super::{LIMIT, janitor};

/// The open contents of memberships in a room, by key, as the batch tells them.
fn members(batch: &SyncBatch, room: &str) -> Vec<(String, bool)> {
    let updates = batch.joined.iter().filter(|update| update.room_id.as_str() == room);
    let events = updates.flat_map(|update| &update.events).filter(|event| event.event_type == CALL_MEMBER);
    events.map(|event| (event.state_key.to_string(), event.content != json!({}))).collect()
}

#[tokio::test]
async fn memberships_come_with_the_full_view_and_their_changes_after_it() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    let joined = synapse.join_call(&alice, &room).await.unwrap();
    let mut watch = homeserver.watch();

    let full = watch.sync(None, LIMIT).await.unwrap();
    assert!(full.full);
    assert_eq!(members(&full, &room), [(call_key(&alice), true)]);

    let refreshed = synapse.refresh_call(&alice, &room).await.unwrap();
    let next = watch.sync(Some(&full.next_batch), LIMIT).await.unwrap();
    assert!(!next.full);
    let event = &next.joined[0].events[0];
    assert_eq!((event.event_id.as_str(), event.state_key.as_str()), (refreshed.as_str(), &*call_key(&alice)));
    assert_eq!(event.replaces_state.as_ref().map(EventId::as_str), Some(joined.as_str()));

    // Its own write comes back and says what it replaced.
    synapse.set_power_level(&alice, &room, &bot.user_id, 50).await.unwrap();
    let key = call_key(&alice).into();
    let written = homeserver.empty_membership(&room.as_str().into(), &key).await.unwrap();
    let after = watch.sync(Some(&next.next_batch), LIMIT).await.unwrap();
    let event = after.joined[0].events.iter().find(|event| event.event_id == written).unwrap();
    assert_eq!(event.content, json!({}));
    assert_eq!(event.replaces_state.as_ref().map(EventId::as_str), Some(refreshed.as_str()));

    let quiet = watch.sync(Some(&after.next_batch), Duration::ZERO).await.unwrap();
    assert_eq!((quiet.joined, quiet.invited, quiet.left), (vec![], vec![], vec![]));
}

#[tokio::test]
async fn a_full_view_is_never_an_old_one() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    let mut watch = homeserver.watch();

    assert_eq!(members(&watch.sync(None, LIMIT).await.unwrap(), &room), []);
    synapse.join_call(&alice, &room).await.unwrap();
    assert_eq!(members(&watch.sync(None, LIMIT).await.unwrap(), &room), [(call_key(&alice), true)]);
}

#[tokio::test]
async fn a_redaction_is_heard_in_every_room_version() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let mut watch = homeserver.watch();
    for version in ["9", "10", "11", "12"] {
        let room = synapse.create_room(&alice, RoomOptions::new().version(version)).await.unwrap();
        synapse.bring_in(&alice, &room, &bot).await.unwrap();
        let joined = synapse.join_call(&alice, &room).await.unwrap();
        let full = watch.sync(None, LIMIT).await.unwrap();

        synapse.redact(&alice, &room, &joined).await.unwrap();
        let next = watch.sync(Some(&full.next_batch), LIMIT).await.unwrap();
        assert_eq!(next.joined[0].redacted, [joined.as_str().into()], "version {version}");
        assert_eq!(next.joined[0].events, []);

        let full = watch.sync(None, LIMIT).await.unwrap();
        let update = full.joined.iter().find(|update| update.room_id.as_str() == room).unwrap();
        let event = update.events.iter().find(|event| event.event_type == CALL_MEMBER).unwrap();
        assert!(event.redacted && event.content == json!({}), "version {version}");
    }
}

#[tokio::test]
async fn kicks_bans_and_invitations_are_heard_also_from_while_it_was_away() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let [kicked, banned, invited]: [String; 3] = [
        synapse.create_room(&alice, RoomOptions::new()).await.unwrap(),
        synapse.create_room(&alice, RoomOptions::new()).await.unwrap(),
        synapse.create_room(&alice, RoomOptions::new()).await.unwrap(),
    ];
    synapse.bring_in(&alice, &kicked, &bot).await.unwrap();
    synapse.bring_in(&alice, &banned, &bot).await.unwrap();
    let mut watch = homeserver.watch();
    let full = watch.sync(None, LIMIT).await.unwrap();
    assert_eq!(full.joined.len(), 2);

    let why = json!({"user_id": bot.user_id, "reason": "too loud"});
    let kick = synapse.client_request(Method::POST, &["rooms", &kicked, "kick"]);
    kick.token(&alice.access_token).body(why).send().await.unwrap();
    synapse.ban(&alice, &banned, &bot.user_id).await.unwrap();
    synapse.invite(&alice, &invited, &bot.user_id).await.unwrap();

    let next = watch.sync(Some(&full.next_batch), LIMIT).await.unwrap();
    let of = |room: &str| next.left.iter().find(|left| left.room_id == RoomId::from(room)).unwrap();
    let alice_id = alice.user_id.as_str().into();
    assert_eq!(of(&kicked).by, Some(alice.user_id.as_str().into()));
    assert_eq!(of(&kicked).reason.as_deref(), Some("too loud"));
    assert!(!of(&kicked).banned && of(&banned).banned);
    let expected = Invite { room_id: invited.as_str().into(), inviter: Some(alice_id) };
    assert_eq!(next.invited, std::slice::from_ref(&expected));

    // An invitation stays open in a full view; rooms that were left are gone from it.
    let full = watch.sync(None, LIMIT).await.unwrap();
    assert_eq!(full.invited, [expected]);
    assert_eq!(full.joined, []);
}

#[tokio::test]
async fn owners_who_leave_and_rooms_that_are_replaced_are_heard() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let bob = synapse.sign_in_new("bob").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    synapse.bring_in(&alice, &room, &bob).await.unwrap();
    let mut watch = homeserver.watch();
    let full = watch.sync(None, LIMIT).await.unwrap();

    synapse.leave(&bob, &room).await.unwrap();
    let upgrade = synapse.client_request(Method::POST, &["rooms", &room, "upgrade"]);
    upgrade.token(&alice.access_token).body(json!({"new_version": "12"})).send().await.unwrap();

    let next = watch.sync(Some(&full.next_batch), LIMIT).await.unwrap();
    let update = next.joined.iter().find(|update| update.room_id.as_str() == room).unwrap();
    let member = update.events.iter().find(|event| event.state_key.as_str() == bob.user_id).unwrap();
    assert_eq!(member.content["membership"], "leave");
    assert!(update.events.iter().any(|event| event.event_type == "m.room.tombstone"));
}
