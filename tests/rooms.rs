//! Rooms come, go, change their rules and hold anything at all; the real program beside a real Synapse keeps serving.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rtc_janitor_test_support::{
    BotSetup, CALL_MEMBER, Device, Membership, Message, Method, PATIENCE, Refusal, RoomOptions, Synapse,
    SynapseOptions, call_key, unique, wait_until,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// What was left behind by a device that nobody knows, another each time: it expired half an hour ago.
fn ghost(user_id: &str) -> Membership {
    let long_gone = Membership::session(user_id, &unique("DEAD"));
    long_gone.aged(Duration::from_hours(1)).expires(Duration::from_mins(30))
}

/// One for a request that gives the event no time of its own: it is not over yet when it is sent.
fn fresh_ghost(user_id: &str) -> Membership {
    Membership::session(user_id, &unique("DEAD")).expires(Duration::from_secs(2))
}

/// Leaves a ghost of this user in the room and answers its key.
async fn haunt(synapse: &Synapse, room: &str, user: &Device) -> Result<String> {
    let ghost = ghost(&user.user_id);
    let key = ghost.state_key();
    synapse.write_membership(room, ghost).await?;
    Ok(key)
}

/// Leaves a ghost in the room and waits until it is gone: the bot serves the room. Answers its key.
async fn expect_served(setup: &BotSetup<'_>, room: &str, user: &Device) -> Result<String> {
    let key = haunt(setup.synapse, room, user).await?;
    setup.wait_until_cleared(room, &key).await?;
    Ok(key)
}

/// What the bot's membership of a room is.
async fn bot_in(setup: &BotSetup<'_>, room: &str) -> Result<Option<String>> {
    let member = setup.synapse.state_event(room, "m.room.member", &setup.account.user_id).await?;
    Ok(member.and_then(|member| member["content"]["membership"].as_str().map(ToOwned::to_owned)))
}

/// Waits until the bot has said something with all of these words in it.
async fn hear_all(setup: &BotSetup<'_>, words: &[&str]) -> Result<Message> {
    wait_until(&format!("the bot to say {words:?}"), PATIENCE, async || {
        let said = setup.said().await?;
        Ok::<_, anyhow::Error>(said.into_iter().find(|it| words.iter().all(|word| it.body.contains(word))))
    })
    .await
}

#[tokio::test]
async fn ghosts_are_hung_up_without_any_power_in_rooms_of_version_9_to_12() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let mut rooms = Vec::new();
    for version in ["9", "10", "11", "12"] {
        let room = setup.watched_room(&alice, RoomOptions::new().version(version)).await?;
        synapse.join_call(&alice, &room).await?;
        let key = haunt(synapse, &room, &alice).await?;
        rooms.push((version, room, key));
    }
    for (version, room, key) in &rooms {
        let cleared = setup.wait_until_cleared(room, key).await;
        cleared.with_context(|| format!("in a room of version {version}"))?;
    }
    bot.sweeps_again().await?;
    for (version, room, key) in &rooms {
        assert!(synapse.is_open(room, &call_key(&alice)).await?, "version {version}");
        assert_eq!(setup.emptied(room).await?, [key.as_str()], "version {version}");
    }
    Ok(())
}

#[tokio::test]
async fn a_creator_of_a_version_12_room_has_all_the_power_it_needs() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let _bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let hand = synapse.login(&setup.account).await?;
    // A level that nobody can be given but a creator has, and the users who are to join calls have one as high.
    let options = |level: i64| {
        let power = json!({"users": {alice.user_id.as_str(): level}});
        RoomOptions::new().version("12").call_member_level(level).power_levels(power)
    };
    let room = synapse.create_room(&hand, options(100)).await?;
    synapse.bring_in(&hand, &room, &alice).await?;
    expect_served(&setup, &room, &alice).await?;

    // The control: in a room of the same kind that somebody else made, the bot has no power.
    let eve = synapse.sign_in_new("eve").await?;
    let other = setup.watched_room(&eve, options(100)).await?;
    synapse.bring_in(&eve, &other, &alice).await?;
    let key = haunt(synapse, &other, &alice).await?;
    setup.hear("My power level there is 0 and call memberships need 100").await?;
    assert!(synapse.is_open(&other, &key).await?);
    Ok(())
}

#[tokio::test]
async fn a_kick_is_reported_and_other_rooms_are_served_and_this_one_again_after_an_invite() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let lost = setup.watched_room(&alice, RoomOptions::new()).await?;
    let kept = setup.watched_room(&alice, RoomOptions::new()).await?;
    // Something open there when it happens, so that the bot has work in the room that it loses.
    synapse.join_call(&alice, &lost).await?;
    bot.knows(&alice).await?;

    synapse.kick(&alice, &lost, &setup.account.user_id).await?;
    hear_all(&setup, &["I was removed from", &lost, &alice.user_id]).await?;
    let key = haunt(synapse, &lost, &alice).await?;
    expect_served(&setup, &kept, &alice).await?;
    assert!(synapse.is_open(&lost, &key).await?);
    assert_eq!(setup.times_said("I was removed from").await?, 1);

    synapse.invite(&alice, &lost, &setup.account.user_id).await?;
    setup.wait_until_cleared(&lost, &key).await?;
    assert!(synapse.is_open(&lost, &call_key(&alice)).await?);
    Ok(())
}

#[tokio::test]
async fn a_kick_while_the_bot_was_away_is_reported_once_when_it_is_back() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let kicked = setup.watched_room(&alice, RoomOptions::new()).await?;
    let banned = setup.watched_room(&alice, RoomOptions::new()).await?;
    let kept = setup.watched_room(&alice, RoomOptions::new()).await?;
    expect_served(&setup, &kicked, &alice).await?;
    expect_served(&setup, &banned, &alice).await?;
    assert!(bot.stop().await?.success());
    synapse.kick(&alice, &kicked, &setup.account.user_id).await?;
    synapse.ban(&alice, &banned, &setup.account.user_id).await?;

    let bot = setup.start().await?;
    hear_all(&setup, &["I was removed from", &kicked, &alice.user_id]).await?;
    hear_all(&setup, &["I was banned from", &banned, &alice.user_id]).await?;
    expect_served(&setup, &kept, &alice).await?;
    assert!(bot.stop().await?.success());
    let _bot = setup.start().await?;
    expect_served(&setup, &kept, &alice).await?;
    assert_eq!(setup.times_said("I was removed from").await?, 1);
    assert_eq!(setup.times_said("I was banned from").await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_invite_while_the_bot_was_away_is_accepted_and_a_strangers_never() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let welcome = synapse.sign_in_new("welcome").await?;
    let stranger = synapse.sign_in_new("stranger").await?;
    setup.set_raw("rooms.accept_invites_from", &json!(["@welcome-*"]).to_string());
    let invite = async |host: &Device| {
        synapse.create_room(host, RoomOptions::new().invite(&setup.account.user_id)).await
    };
    let bot = setup.start().await?;
    assert!(bot.stop().await?.success());

    let refused_away = invite(&stranger).await?;
    let accepted_away = invite(&welcome).await?;
    let bot = setup.start().await?;
    expect_served(&setup, &accepted_away, &welcome).await?;
    let refused_live = invite(&stranger).await?;
    let accepted_live = invite(&welcome).await?;
    expect_served(&setup, &accepted_live, &welcome).await?;
    bot.logs(&["invitation not accepted", &refused_live]).await?;

    for room in [&refused_away, &refused_live] {
        assert_eq!(bot_in(&setup, room).await?.as_deref(), Some("invite"), "neither joined nor turned down");
    }
    Ok(())
}

#[tokio::test]
async fn power_taken_away_is_reported_and_other_rooms_are_still_served() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let strict = setup.watched_room(&alice, RoomOptions::new().call_member_level(50)).await?;
    let free = setup.watched_room(&alice, RoomOptions::new()).await?;
    synapse.set_power_level(&alice, &strict, &setup.account.user_id, 50).await?;
    expect_served(&setup, &strict, &alice).await?;

    synapse.set_power_level(&alice, &strict, &setup.account.user_id, 49).await?;
    let key = haunt(synapse, &strict, &alice).await?;
    hear_all(&setup, &["My power level there is 49 and call memberships need 50", &strict]).await?;
    expect_served(&setup, &free, &alice).await?;
    bot.sweeps_again().await?;
    assert!(synapse.is_open(&strict, &key).await?);
    assert_eq!(setup.times_said("My power level there is 49").await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_successor_of_an_upgraded_room_is_joined_and_the_old_room_stays_swept() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let _bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let old = setup.watched_room(&alice, RoomOptions::new().public().version("10")).await?;

    let new = synapse.upgrade(&alice, &old, "12").await?;
    setup.wait_for_the_bot_in(&new).await?;
    hear_all(&setup, &[&old, "was upgraded; I joined its successor", &new]).await?;
    expect_served(&setup, &new, &alice).await?;
    expect_served(&setup, &old, &alice).await?;
    assert_eq!(setup.times_said("was upgraded").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_successor_that_is_closed_to_the_bot_is_asked_for_and_the_old_room_stays_swept() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let _bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let old = setup.watched_room(&alice, RoomOptions::new().version("10")).await?;

    let new = synapse.upgrade(&alice, &old, "11").await?;
    hear_all(&setup, &[&old, "was upgraded to", &new, "which I cannot join. Invite me there"]).await?;
    expect_served(&setup, &old, &alice).await?;
    synapse.invite(&alice, &new, &setup.account.user_id).await?;
    expect_served(&setup, &new, &alice).await?;
    assert_eq!(setup.times_said("was upgraded").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_redacted_membership_is_not_written() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.register("alice").await?;
    let mut devices = Vec::new();
    for _ in 0..3 {
        let device = synapse.login(&alice).await?;
        synapse.upload_keys(&device).await?;
        devices.push(device);
    }
    let [live, dead, redacted] = &devices[..] else { unreachable!("three were made") };
    let room = synapse.create_room(live, RoomOptions::new()).await?;
    // One is redacted before the bot comes ...
    let before = ghost(&alice.user_id).key(&format!("_{}_BEFORE_m.call", alice.user_id));
    let event = synapse.write_membership(&room, before).await?;
    synapse.redact(live, &room, &event).await?;
    synapse.invite(live, &room, &setup.account.user_id).await?;
    setup.wait_for_the_bot_in(&room).await?;
    // ... and one while it looks, beside a control that has every reason to go as well.
    for device in [live, dead] {
        synapse.join_call(device, &room).await?;
    }
    let event = synapse.join_call(redacted, &room).await?;
    for device in &devices {
        bot.knows(device).await?;
    }
    synapse.redact(live, &room, &event).await?;
    for device in [redacted, dead] {
        synapse.logout(device).await?;
    }

    setup.wait_until_cleared(&room, &call_key(dead)).await?;
    let control = expect_served(&setup, &room, live).await?;
    bot.sweeps_again().await?;
    let mut cleared = [call_key(dead), control];
    cleared.sort();
    assert_eq!(setup.emptied(&room).await?, cleared);
    assert!(synapse.is_open(&room, &call_key(live)).await?);
    Ok(())
}

/// Keys that no client writes, and anybody may.
fn odd_keys(user_id: &str) -> Vec<String> {
    let mut keys: Vec<_> =
        ["", "_", "_@", "_@:", "a%41", "a/b", "a\\b", "?a=b", "#a", " ", "é\u{1f680}", "."]
            .map(|key| if key == "." { "a.".to_owned() } else { key.to_owned() })
            .into();
    keys.push("x".repeat(200));
    keys.push(format!("_{user_id}__"));
    keys.push("<b>@room</b>".to_owned());
    keys
}

/// Contents of all shapes; what of them would be a membership that is over, is one.
fn odd_contents(room: &str) -> Vec<Value> {
    let entry = |device: String| {
        let entry = fresh_ghost("").array().field("device_id", device).content(room);
        entry["memberships"][0].clone()
    };
    let session = |field: &str, value: Value| ghost("").field(field, value).content(room);
    let nested = (0..60).fold(json!(1), |inner, _| json!([{ "a": inner }]));
    vec![
        json!({"memberships": null}),
        json!({"memberships": {}}),
        json!({"memberships": [null, 1, "x", [], {}, [[[]]]]}),
        json!({"memberships": (0..150).map(|n| entry(format!("DEVICE{n}"))).collect::<Vec<_>>()}),
        json!({"m.calls": [null, {"m.call_id": "c", "m.devices": [{"device_id": "D", "expires_ts": 1}, null]}]}),
        json!({"": "", "leave_reason": null}),
        json!({"leave_reason": {"deep": [1, 2, {}]}}),
        json!({"text": "x".repeat(60_000)}),
        json!({"a": nested}),
        json!({"device_id": null, "call_id": [], "application": {}, "focus_active": "x"}),
        session("expires", json!("soon")),
        session("expires", json!(-9_007_199_254_740_991_i64)),
        session("expires", json!(9_007_199_254_740_991_i64)),
        session("created_ts", json!(-1)),
        session("created_ts", json!(9_007_199_254_740_991_i64)),
        session("device_id", json!("D".repeat(50_000))),
        session("device_id", json!("\u{0}\u{202e}@room <script>")),
        session("call_id", json!("\u{1f4a5}".repeat(10_000))),
        session("foci_preferred", json!([null])),
        session("foci_preferred", json!(vec![json!({"type": "livekit"}); 1000])),
        session("membershipID", json!(["x"])),
    ]
}

/// Writes a membership that a server may well refuse; whether it took it.
async fn try_to_write(
    synapse: &Synapse,
    device: &Device,
    room: &str,
    key: &str,
    content: Value,
) -> Result<bool> {
    match synapse.put_state(device, room, CALL_MEMBER, key, content).await {
        Ok(_) => Ok(true),
        Err(error) if error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.status < 500) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[tokio::test]
async fn content_of_any_shape_does_not_stop_the_bot() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = setup.watched_room(&alice, RoomOptions::new()).await?;
    synapse.join_call(&alice, &room).await?;
    let mut taken = 0;
    for (number, content) in odd_contents(&room).into_iter().enumerate() {
        let key = format!("_{}_ODD{number}", alice.user_id);
        taken += usize::from(try_to_write(synapse, &alice, &room, &key, content).await?);
    }
    ensure!(taken >= 15, "the server took only {taken} of them");

    expect_served(&setup, &room, &alice).await?;
    bot.sweeps_again().await?;
    assert!(synapse.is_open(&room, &call_key(&alice)).await?);

    // Nor when they are there at the start.
    assert!(bot.stop().await?.success());
    let bot = setup.start().await?;
    expect_served(&setup, &room, &alice).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_ghost_is_hung_up_whatever_its_key_is() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = setup.watched_room(&alice, RoomOptions::new()).await?;
    let keys = odd_keys(&alice.user_id);
    for key in &keys {
        // Another call each, or they would be superseded by one another.
        synapse
            .write_membership(&room, ghost(&alice.user_id).key(key).field("call_id", key.as_str()))
            .await?;
    }
    for key in &keys {
        setup.wait_until_cleared(&room, key).await.with_context(|| bot.log())?;
    }
    let mut expected = keys;
    expected.sort();
    assert_eq!(setup.emptied(&room).await?, expected);
    Ok(())
}

/// Writes a membership under `..`, which the HTTP clients of this world cannot: they take it for a way up.
async fn write_to_dot_dot(synapse: &Synapse, device: &Device, room: &str) -> Result<()> {
    let body = fresh_ghost(&device.user_id).content(room).to_string();
    let room = room.replace('!', "%21").replace(':', "%3A").replace('/', "%2F");
    let request = format!(
        "PUT /_matrix/client/v3/rooms/{room}/state/{CALL_MEMBER}/%2E%2E HTTP/1.0\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        device.access_token,
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", synapse.port())).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.contains(" 200 OK"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_no_url_can_hold_is_refused_once_and_holds_nothing_up() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = setup.watched_room(&alice, RoomOptions::new()).await?;
    write_to_dot_dot(synapse, &alice, &room).await?;
    ensure!(synapse.is_open(&room, "..").await?, "the ghost is there");

    setup.hear("The homeserver refused to clear 1 stale membership").await.with_context(|| bot.log())?;
    let control = expect_served(&setup, &room, &alice).await?;
    bot.sweeps_again().await?;
    assert!(synapse.is_open(&room, "..").await?);
    assert_eq!(setup.times_said("The homeserver refused").await?, 1);
    assert_eq!(setup.emptied(&room).await?, [control]);
    Ok(())
}

/// So many lists, one in the other.
fn lists(depth: usize) -> Value {
    (1..depth).fold(json!([]), |inner, _| json!([inner]))
}

#[tokio::test]
async fn content_as_deep_as_the_server_takes_it_holds_nothing_up() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let deep = setup.watched_room(&alice, RoomOptions::new()).await?;
    let other = setup.watched_room(&alice, RoomOptions::new()).await?;
    synapse.join_call(&alice, &other).await?;
    let mut deepest = 130;
    while !try_to_write(synapse, &alice, &deep, "_malformed", json!({"a": lists(deepest)})).await? {
        deepest -= 1;
    }
    ensure!(deepest > 50, "the server takes no more than {deepest} levels");
    let write =
        async |key: &str, content: Value| synapse.put_state(&alice, &deep, CALL_MEMBER, key, content).await;
    let over = |call: &str| fresh_ghost(&alice.user_id).field("call_id", call);
    let deep_and_over = |call: &str| over(call).field("a", lists(deepest)).content(&deep);
    write("_ghost", deep_and_over("1")).await?;
    // The event that follows holds the one before it, and so is one level deeper.
    write("_left", deep_and_over("2")).await?;
    write("_left", json!({})).await?;
    write("_followed", deep_and_over("3")).await?;
    write("_followed", over("4").content(&deep)).await?;

    expect_served(&setup, &other, &alice).await?;
    // Their events, which hold what was there before, are more than the test can read either.
    for key in ["_ghost", "_followed"] {
        wait_until(&format!("{key} to be cleared"), PATIENCE, async || {
            let path = ["rooms", &deep, "state", CALL_MEMBER, key];
            Ok::<_, anyhow::Error>(synapse.as_device(&alice, Method::GET, &path).send().await? == json!({}))
        })
        .await
        .with_context(|| bot.log())?;
    }
    bot.sweeps_again().await?;
    let trouble = "could not be read again before the write";
    assert_eq!(bot.log().matches(trouble).count(), 0, "{}", bot.log());
    assert!(synapse.is_open(&other, &call_key(&alice)).await?);
    Ok(())
}

#[tokio::test]
async fn a_report_of_names_as_long_as_they_can_be_still_arrives() -> Result<()> {
    const LONG: usize = 80;
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let alice = synapse.sign_in_new("alice").await?;
    // Each of these characters becomes five or six in HTML.
    let options = RoomOptions::new().name(&"\"".repeat(LONG)).invite(&setup.account.user_id);
    let room = synapse.create_room(&alice, options).await?;
    let device = |number: usize| format!("{number:03}{}", "'".repeat(LONG - 3));
    let mut keys = Vec::new();
    for number in 0..60 {
        let ghost = ghost(&alice.user_id).field("device_id", device(number));
        keys.push(ghost.state_key());
        synapse.write_membership(&room, ghost).await?;
    }
    let entry = fresh_ghost("").array().content(&room)["memberships"][0].clone();
    let entry = |number| {
        let expires = &entry["expires_ts"];
        json!({"device_id": device(number), "call_id": "", "application": "m.call", "expires_ts": expires})
    };
    let crowd = json!({"memberships": (0..350).map(entry).collect::<Vec<_>>()});
    keys.push("_crowd".to_owned());
    synapse.put_state(&alice, &room, CALL_MEMBER, "_crowd", crowd).await?;

    let bot = setup.start().await?;
    for key in &keys {
        setup.wait_until_cleared(&room, key).await.with_context(|| bot.log())?;
    }
    setup.hear("Cleared").await.with_context(|| bot.log())?;
    // And what comes after it is not kept waiting.
    expect_served(&setup, &room, &alice).await?;
    setup.hear("DEAD").await?;
    Ok(())
}

#[tokio::test]
async fn thirty_invitations_at_once_are_all_followed_under_the_limit_of_joins() -> Result<()> {
    // Synapse's default bucket of 10, which fills five times as fast as by default: 0.1 a second takes 200 s.
    let limits = json!({"rc_joins": {"local": {"per_second": 0.5, "burst_count": 10}}});
    let synapse = Synapse::start(SynapseOptions { extra: limits, ..SynapseOptions::default() }).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let mut rooms = Vec::new();
    for _ in 0..30 {
        let options = RoomOptions::new().invite(&setup.account.user_id);
        rooms.push(synapse.create_room(&alice, options).await?);
    }
    wait_until("the bot to be in all thirty rooms", Duration::from_mins(3), async || {
        for room in &rooms {
            if bot_in(&setup, room).await?.as_deref() != Some("join") {
                return anyhow::Ok(false);
            }
        }
        Ok(true)
    })
    .await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
