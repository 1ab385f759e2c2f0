//! Fresh reads, the one write, and what refusals come out as.

use std::time::Duration;

use rtc_janitor::world::{
    NeighbourError, Rooms as _, Watch as _,
    clock::{Clock as _, SystemClock},
};
use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    judge::evidence::RoomMember,
};
use rtc_janitor_test_support::{
    CALL_MEMBER, Device, FaultProxy, ProxiedRequest, RateLimits, RoomOptions, Synapse, SynapseOptions,
    call_key, matching,
};
use serde_json::json;
use tempfile::tempdir;

use super::{by_password, janitor};

#[tokio::test]
async fn a_state_event_is_read_with_its_id_and_its_absence_is_no_error() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    let joined = synapse.join_call(&alice, &room).await.unwrap();
    let room: RoomId = room.as_str().into();

    let event = homeserver.state_event(&room, CALL_MEMBER, &call_key(&alice)).await.unwrap().unwrap();
    assert_eq!(event.event_id.as_str(), joined);
    assert_eq!(event.sender.as_str(), alice.user_id);
    assert!(!event.redacted);

    assert_eq!(homeserver.state_event(&room, CALL_MEMBER, "_@nobody:hs.test_X").await, Ok(None));

    synapse.redact(&alice, room.as_str(), &joined).await.unwrap();
    let event = homeserver.state_event(&room, CALL_MEMBER, &call_key(&alice)).await.unwrap().unwrap();
    assert!(event.redacted);
}

#[tokio::test]
async fn keys_with_any_characters_are_read_and_written_as_themselves() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let room = synapse.create_room(&bot, RoomOptions::new()).await.unwrap();
    let me = &bot.user_id;
    let content = json!({"application": "m.call"});
    let plain = format!("_{me}_A");
    synapse.put_state(&bot, &room, CALL_MEMBER, &plain, content.clone()).await.unwrap();

    for ending in ["%41", "a/b", "a\\b", "?x=1#y", "%2F..", "é 😀", "+"] {
        let key = format!("_{me}_{ending}");
        let sent = synapse.put_state(&bot, &room, CALL_MEMBER, &key, content.clone()).await.unwrap();
        let (room, key): (RoomId, StateKey) = (room.as_str().into(), key.as_str().into());
        let read = homeserver.state_event(&room, CALL_MEMBER, key.as_str()).await.unwrap().unwrap();
        assert_eq!((read.event_id.as_str(), &read.state_key), (sent.as_str(), &key));

        let written = homeserver.empty_membership(&room, &key).await.unwrap();
        let read = homeserver.state_event(&room, CALL_MEMBER, key.as_str()).await.unwrap().unwrap();
        assert_eq!((read.event_id, read.content), (written, json!({})));
    }
    assert!(synapse.call_member(&room, &plain).await.unwrap().unwrap()["content"] == content);
    let room = room.as_str().into();
    let dots = homeserver.empty_membership(&room, &"..".into()).await;
    assert!(matches!(dots, Err(NeighbourError::Invalid(_))));
}

#[tokio::test]
async fn a_refusal_says_what_the_server_said() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new().call_member_level(50)).await.unwrap();
    let key: StateKey = call_key(&alice).into();
    let id: RoomId = room.as_str().into();

    let outside = homeserver.state_event(&id, CALL_MEMBER, key.as_str()).await;
    assert!(
        matches!(&outside, Err(NeighbourError::Refused { status: 403, errcode, message })
        if errcode == "M_FORBIDDEN" && message.contains("not in room")),
        "{outside:?}"
    );

    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    let powerless = homeserver.empty_membership(&id, &key).await;
    assert!(
        matches!(&powerless, Err(NeighbourError::Refused { status: 403, errcode, message })
        if errcode == "M_FORBIDDEN" && message.contains("user_level")),
        "{powerless:?}"
    );
}

#[tokio::test]
async fn a_route_that_is_not_there_is_not_an_absent_event() {
    let synapse = Synapse::shared().await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();
    let sign_in = by_password(proxy.url(), &user);
    let homeserver = super::sign_in::watch(&sign_in, store.path()).await.unwrap();
    let room = RoomId::from("!room:hs.test");

    let body = json!({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"});
    let rule = proxy.answer(404, body, matching("GET", "/state/"));
    let answer = homeserver.state_event(&room, CALL_MEMBER, "key").await;
    assert!(matches!(answer, Err(NeighbourError::Refused { status: 404, .. })), "{answer:?}");
    rule.lift();

    // An event under another key than was asked for.
    let event = json!({"type": CALL_MEMBER, "state_key": "other", "event_id": "$a", "sender": "@a:b",
        "origin_server_ts": 1, "content": {}});
    let rule = proxy.answer(200, event, matching("GET", "/state/"));
    let answer = homeserver.state_event(&room, CALL_MEMBER, "key").await;
    assert!(matches!(answer, Err(NeighbourError::Unreachable(_))), "{answer:?}");
    rule.lift();

    // No retries of its own: one request, one failure.
    let rule = proxy.answer(503, json!({}), matching("GET", "/state/"));
    let answer = homeserver.state_event(&room, CALL_MEMBER, "key").await;
    assert!(matches!(answer, Err(NeighbourError::Unreachable(_))), "{answer:?}");
    assert_eq!(rule.caught().len(), 1);
    rule.lift();

    let rule = proxy.cut(matching("PUT", "/state/"));
    let answer = homeserver.empty_membership(&room, &"key".into()).await;
    assert!(matches!(answer, Err(NeighbourError::Unreachable(_))), "{answer:?}");
    assert_eq!(rule.caught().len(), 1);
}

#[tokio::test]
async fn the_servers_pace_is_told() {
    let options = SynapseOptions { rate_limits: RateLimits::Default, ..SynapseOptions::default() };
    let synapse = Synapse::start(options).await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(&synapse, store.path()).await;
    let room = synapse.create_room(&bot, RoomOptions::new()).await.unwrap();
    let room: RoomId = room.as_str().into();

    for number in 0..30 {
        let key = format!("_{}_{number}", bot.user_id);
        match homeserver.empty_membership(&room, &key.into()).await {
            Ok(_) => {}
            Err(NeighbourError::RateLimited { retry_after }) => {
                assert!(retry_after > Duration::ZERO && retry_after < Duration::from_secs(20));
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("never asked to slow down");
}

#[tokio::test]
async fn rooms_are_named_joined_left_and_timed() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new().name("Stand-up")).await.unwrap();
    let id: RoomId = room.as_str().into();

    let refused = homeserver.join(&id, &[]).await;
    assert!(matches!(refused, Err(NeighbourError::Refused { status: 403, .. })), "{refused:?}");
    synapse.invite(&alice, &room, &bot.user_id).await.unwrap();
    homeserver.join(&id, &["hs.test".to_owned()]).await.unwrap();
    // What a room is called comes with the full view.
    let view = homeserver.watch().sync(None, Duration::ZERO).await.unwrap();
    let about = view.joined.iter().find(|update| update.room_id == id).unwrap();
    let name = about.events.iter().find(|event| event.event_type == "m.room.name").unwrap();
    assert_eq!(name.content["name"], "Stand-up");

    homeserver.leave(&id).await.unwrap();
    let view = homeserver.watch().sync(None, Duration::ZERO).await.unwrap();
    assert!(view.joined.iter().all(|update| update.room_id != id));

    let server = homeserver.server_time().await.unwrap();
    let here = SystemClock.now();
    assert!(here.since(server) < Duration::from_secs(5) && server.since(here) < Duration::from_secs(5));
}

#[tokio::test]
async fn all_memberships_of_one_room_are_read_afresh_and_of_no_other() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let mut rooms = Vec::new();
    for _ in 0..2 {
        let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
        synapse.bring_in(&alice, &room, &bot).await.unwrap();
        rooms.push(room);
    }
    let read = async |room: &str| homeserver.memberships(&room.into()).await;
    let keys = async |room: &str| -> Vec<_> {
        let mut keys: Vec<_> =
            read(room).await.unwrap().into_iter().map(|event| event.state_key.to_string()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&rooms[0]).await, Vec::<String>::new());
    for (device, room) in [(&alice, &rooms[0]), (&bot, &rooms[0]), (&alice, &rooms[1])] {
        synapse.join_call(device, room).await.unwrap();
    }
    let mut both = vec![call_key(&alice), call_key(&bot)];
    both.sort();
    assert_eq!(keys(&rooms[0]).await, both);
    assert_eq!(keys(&rooms[1]).await, [call_key(&alice)]);
    synapse.leave_call(&alice, &rooms[1]).await.unwrap();
    assert_eq!(keys(&rooms[1]).await, Vec::<String>::new(), "the newest, not one from a cache");

    let elsewhere = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    assert!(matches!(read(&elsewhere).await, Err(NeighbourError::NotInRoom(_))));
    // Synapse goes on answering with the state of when one was there.
    synapse.kick(&alice, &rooms[0], &bot.user_id).await.unwrap();
    let kicked = read(&rooms[0]).await;
    assert!(matches!(kicked, Err(NeighbourError::NotInRoom(_))), "{kicked:?}");
}

#[tokio::test]
async fn a_view_of_a_room_says_which_owners_are_in_it() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let bob = synapse.sign_in_new("bob").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new().name("Stand-up")).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    synapse.bring_in(&alice, &room, &bob).await.unwrap();
    synapse.join_call(&alice, &room).await.unwrap();
    synapse.join_call(&bob, &room).await.unwrap();
    synapse.leave(&bob, &room).await.unwrap();

    let view = homeserver.full_view(&room.as_str().into()).await.unwrap();

    let of = |device: &Device| view.members.get(&device.user_id.as_str().into()).copied();
    assert_eq!(of(&alice), Some(RoomMember::Joined));
    assert!(matches!(of(&bob), Some(RoomMember::NotJoined { since: Some(_) })));
    assert_eq!(of(&bot), None, "in the room, and in no call");
    for kind in ["m.room.create", "m.room.power_levels", "m.room.name"] {
        assert!(view.events.iter().any(|event| event.event_type == kind), "{kind}");
    }
}

#[tokio::test]
async fn an_event_that_was_replaced_can_still_be_read() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let room = synapse.create_room(&alice, RoomOptions::new()).await.unwrap();
    synapse.bring_in(&alice, &room, &bot).await.unwrap();
    synapse.set_power_level(&alice, &room, &bot.user_id, 50).await.unwrap();
    let joined = synapse.join_call(&alice, &room).await.unwrap();
    let id: RoomId = room.as_str().into();
    let written = homeserver.empty_membership(&id, &call_key(&alice).into()).await.unwrap();
    synapse.join_call(&alice, &room).await.unwrap();

    let event = homeserver.event(&id, &written).await.unwrap().unwrap();
    assert_eq!((event.event_id, event.content), (written, json!({})));
    assert_eq!(event.replaces_state.as_ref().map(EventId::as_str), Some(joined.as_str()));

    assert_eq!(homeserver.event(&id, &"$nothing".into()).await, Ok(None));
    let text = synapse.send_text(&alice, &room, "hello").await.unwrap();
    assert_eq!(homeserver.event(&id, &text.as_str().into()).await, Ok(None), "not a state event");
}

#[tokio::test]
async fn a_room_with_too_much_state_is_given_up_and_still_read_key_by_key() {
    let synapse = Synapse::shared().await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let bot = synapse.login(&user).await.unwrap();
    let room = synapse.create_room(&bot, RoomOptions::new()).await.unwrap();
    synapse.join_call(&bot, &room).await.unwrap();
    let store = tempdir().unwrap();
    let homeserver = super::sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
    let id: RoomId = room.as_str().into();
    homeserver.full_view(&id).await.unwrap();

    let ends_so = |request: &ProxiedRequest| request.path.ends_with("/state");
    let _many_members = proxy.rewrite(ends_so, |state| {
        state[0]["unsigned"] = json!({"padding": "x".repeat(17 << 20)});
    });
    let view = homeserver.full_view(&id).await;
    assert!(matches!(view, Err(NeighbourError::TooLarge { .. })), "{view:?}");
    assert!(homeserver.state_event(&id, CALL_MEMBER, &call_key(&bot)).await.unwrap().is_some());
}
