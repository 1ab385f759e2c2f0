//! What the watch connection hears.

use std::time::Duration;

use rtc_janitor::world::{Invite, NeighbourError, RoomUpdate, Rooms as _, SyncBatch, Watch as _};
use rtc_janitor_core::ids::{EventId, RoomId};
use rtc_janitor_test_support::{CALL_MEMBER, FaultProxy, Method, RoomOptions, Synapse, call_key, matching};
use serde_json::json;
use tempfile::tempdir;

use super::{LIMIT, by_password, janitor, sign_in};

/// The open contents of memberships in a room, by key, as the batch tells them.
fn members(batch: &SyncBatch, room: &str) -> Vec<(String, bool)> {
    let updates = batch.joined.iter().filter(|update| update.room_id.as_str() == room);
    let events = updates.flat_map(|update| update.events).filter(|event| event.event_type == CALL_MEMBER);
    events.map(|event| (event.state_key.to_string(), event.content != json!({}))).collect()
}

fn update(batch: &SyncBatch, room: &str) -> RoomUpdate {
    batch.joined.iter().find(|update| update.room_id.as_str() == room).unwrap()
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
    let heard = update(&next, &room);
    let event = heard.events.iter().find(|event| event.event_type == CALL_MEMBER).unwrap();
    assert_eq!((event.event_id.as_str(), event.state_key.as_str()), (refreshed.as_str(), &*call_key(&alice)));
    assert_eq!(event.replaces_state.as_ref().map(EventId::as_str), Some(joined.as_str()));

    // Its own write comes back and says what it replaced.
    synapse.set_power_level(&alice, &room, &bot.user_id, 50).await.unwrap();
    let key = call_key(&alice).into();
    let written = homeserver.empty_membership(&room.as_str().into(), &key).await.unwrap();
    let after = watch.sync(Some(&next.next_batch), LIMIT).await.unwrap();
    let update = update(&after, &room);
    let event = update.events.iter().find(|event| event.event_id == written).unwrap();
    assert_eq!(event.content, json!({}));
    assert_eq!(event.replaces_state.as_ref().map(EventId::as_str), Some(refreshed.as_str()));

    let quiet = watch.sync(Some(&after.next_batch), Duration::ZERO).await.unwrap();
    assert_eq!((quiet.joined.len(), quiet.invited, quiet.left), (0, vec![], vec![]));
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
        let heard = update(&next, &room);
        assert_eq!(heard.redacted, [joined.as_str().into()], "version {version}");
        assert_eq!(members(&next, &room), []);

        let full = watch.sync(None, LIMIT).await.unwrap();
        assert_eq!(members(&full, &room), [], "version {version}");
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
    assert!(full.joined.is_empty());
    assert!(full.left.iter().any(|left| left.banned && left.room_id == RoomId::from(banned.as_str())));
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
    let update = update(&next, &room);
    let member = update.events.iter().find(|event| event.state_key.as_str() == bob.user_id).unwrap();
    assert_eq!(member.content["membership"], "leave");
    assert!(update.events.iter().any(|event| event.event_type == "m.room.tombstone"));
}

/// The keys of open memberships, as the server's own state has them.
async fn open_keys(synapse: &Synapse, room: &str) -> Vec<String> {
    let memberships = synapse.memberships(room).await.unwrap();
    let open = memberships.into_iter().filter(|(_, event)| event["content"] != json!({}));
    open.map(|(key, _)| key).collect()
}

#[tokio::test]
async fn the_full_view_of_a_forked_room_is_its_current_state() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    let key = |number| format!("_{}_{number}", alice.user_id);
    // Many writers at once make branches.
    for (numbers, content) in [(0..24, json!({"application": "m.call"})), (0..22, json!({}))] {
        let writes = numbers.map(|number| {
            let (content, key, room, alice) = (content.clone(), key(number), &room, &alice);
            async move { synapse.put_state(alice, room, CALL_MEMBER, &key, content).await.unwrap() }
        });
        futures_util::future::join_all(writes).await;
    }

    let full = homeserver.watch().sync(None, LIMIT).await.unwrap();

    assert!(full.full && full.is_current);
    let truth = open_keys(synapse, &room).await;
    assert_eq!(truth, [key(22), key(23)]);
    let mut keys: Vec<_> = members(&full, &room).into_iter().map(|(key, _)| key).collect();
    keys.sort();
    assert_eq!(keys, truth);
}

#[tokio::test]
async fn without_sliding_sync_everything_comes_by_sync_and_says_that_it_may_be_old() {
    let synapse = Synapse::shared().await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let bot = synapse.login(&user).await.unwrap();
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    synapse.join_call(&alice, &room).await.unwrap();
    let store = tempdir().unwrap();
    let homeserver = sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
    let is_sliding = matching("POST", "org.matrix.simplified_msc3575/sync");
    let expected = [(call_key(&alice), true)];

    // It is announced, and not there.
    let unrecognized = json!({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"});
    let rule = proxy.answer(404, unrecognized, is_sliding.clone());
    let mut watch = homeserver.watch();
    for _ in 0..2 {
        let full = watch.sync(None, LIMIT).await.unwrap();
        assert!(full.full && !full.is_current);
        assert_eq!(members(&full, &room), expected);
    }
    assert_eq!(rule.caught().len(), 1, "asked once in the life of a connection");
    rule.lift();

    // It does not tell of all rooms.
    let fewer = proxy.rewrite(is_sliding.clone(), |answer| answer["lists"]["all"]["count"] = json!(1000));
    let full = homeserver.watch().sync(None, LIMIT).await.unwrap();
    assert!(!full.is_current);
    assert_eq!(members(&full, &room), expected);
    fewer.lift();

    // It is not announced.
    let versions = proxy.rewrite(matching("GET", "/client/versions"), |answer| {
        answer["unstable_features"] = json!({});
    });
    proxy.reset();
    let full = homeserver.watch().sync(None, LIMIT).await.unwrap();
    assert!(!full.is_current);
    assert_eq!(proxy.count(is_sliding.clone()), 0);
    versions.lift();

    let full = homeserver.watch().sync(None, LIMIT).await.unwrap();
    assert!(full.is_current);
    assert_eq!(members(&full, &room), expected);
}

#[tokio::test]
async fn what_happens_while_the_full_view_is_read_is_told_after_it() {
    let synapse = Synapse::shared().await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let bot = synapse.login(&user).await.unwrap();
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    let store = tempdir().unwrap();
    let homeserver = sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
    let mut watch = homeserver.watch();

    let held = proxy.hold_answers(matching("POST", "org.matrix.simplified_msc3575/sync"));
    let meanwhile = async {
        held.first(LIMIT).await.unwrap();
        synapse.join_call(&alice, &room).await.unwrap();
        held.lift();
    };
    let (full, ()) = tokio::join!(watch.sync(None, LIMIT), meanwhile);
    let next = watch.sync(Some(&full.unwrap().next_batch), LIMIT).await.unwrap();
    assert_eq!(members(&next, &room), [(call_key(&alice), true)]);
}

#[tokio::test]
async fn a_gap_in_what_changed_is_told() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    let mut watch = homeserver.watch();
    let full = watch.sync(None, LIMIT).await.unwrap();

    for number in 0..60 {
        let content = json!({"application": "m.call", "number": number});
        synapse.put_state(&alice, &room, CALL_MEMBER, &call_key(&alice), content).await.unwrap();
    }
    let next = watch.sync(Some(&full.next_batch), LIMIT).await.unwrap();
    assert!(update(&next, &room).limited);
    let view = homeserver.full_view(&room.as_str().into()).await.unwrap();
    let key = view.events.iter().find(|event| event.event_type == CALL_MEMBER).unwrap();
    assert_eq!(key.content["number"], 59);
}

#[tokio::test]
async fn a_token_that_the_server_does_not_take_is_refused_and_a_full_view_helps() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, _) = janitor(synapse, store.path()).await;
    let mut watch = homeserver.watch();
    let full = watch.sync(None, LIMIT).await.unwrap();

    let taken_back = format!("{}_7", full.next_batch);
    let refused = watch.sync(Some(&taken_back), Duration::ZERO).await;
    assert!(matches!(refused, Err(NeighbourError::Refused { status: 400, .. })), "{refused:?}");
    let full = watch.sync(None, LIMIT).await.unwrap();
    watch.sync(Some(&full.next_batch), Duration::ZERO).await.unwrap();
}
