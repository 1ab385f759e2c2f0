//! The real program beside a real Synapse, and keys that only their owner may write: cleared as the owner by the
//! appservice, or by redaction; and the sign-in by the appservice.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, ensure};
use rtc_janitor::{
    config::Namespace,
    world::{
        How, KeyWrite, NeighbourError, StateWriter as _,
        appservice::{ActsForOwners as _, Appservice},
        device_lists::{OwnLists as _, UnknownDevices},
        homeserver::sign_in::{self, Address, Method, SignIn},
        writer::Writer,
    },
};
use rtc_janitor_core::{
    ids::{DeviceId, RoomId, StateKey, UserId},
    rtc::membership::Remainder,
    time::Timestamp,
};
use rtc_janitor_test_support::{
    Bot, BotSetup, CALL_MEMBER, Device, FaultProxy, Membership, PATIENCE, Program, RoomOptions, Synapse,
    SynapseOptions, call_key, matching, unique, wait_until,
};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// A bot that may do what `change` sets, in a room of this version where it has this power level.
struct Stage {
    synapse: &'static Synapse,
    setup: BotSetup<'static>,
    /// Between the bot and the server.
    proxy: FaultProxy,
    bot: Bot,
    host: Device,
    room: String,
}

impl Stage {
    async fn new(version: &str, level: i64, change: impl Fn(&BotSetup<'_>)) -> Result<Self> {
        let synapse = Synapse::shared().await?;
        let setup = BotSetup::new(synapse, PROGRAM).await?;
        change(&setup);
        let proxy = setup.proxied()?;
        let bot = setup.start().await?;
        let host = synapse.sign_in_new("host").await?;
        let mut users = json!({&setup.account.user_id: level});
        if version != "12" {
            // Since then a creator's power is no level.
            users[&host.user_id] = json!(100);
        }
        let options = RoomOptions::new().version(version).power_levels(json!({"users": users}));
        let room = setup.watched_room(&host, options).await?;
        Ok(Self { synapse, setup, proxy, bot, host, room })
    }

    /// Somebody in the room with two devices in its call by the array form, both of which the bot has seen.
    async fn two_in_an_array(&self) -> Result<[Device; 2]> {
        let alice = self.synapse.register("alice").await?;
        let mut devices = Vec::new();
        for _ in 0..2 {
            let device = self.synapse.login(&alice).await?;
            self.synapse.upload_keys(&device).await?;
            devices.push(device);
        }
        let [one, other] = devices.try_into().ok().context("two")?;
        self.synapse.bring_in(&self.host, &self.room, &one).await?;
        let array = Membership::of(&one).array().also(&other.device_id);
        self.synapse.write_membership(&self.room, array).await?;
        self.bot.knows(&one).await?;
        self.bot.knows(&other).await?;
        Ok([one, other])
    }

    async fn event(&self, key: &str) -> Result<Value> {
        self.synapse.state_event(&self.room, CALL_MEMBER, key).await?.context("there is one")
    }
}

fn by_appservice(setup: &BotSetup<'_>) {
    setup.set("appservice.as_token", &setup.synapse.appservice().token);
}

fn by_redaction(setup: &BotSetup<'_>) {
    setup.set_raw("janitor.allow_redaction", "true");
}

#[tokio::test]
async fn by_appservice_only_the_dead_entry_of_an_array_goes_and_then_the_rest() -> Result<()> {
    for version in ["10", "12"] {
        let stage = Stage::new(version, 0, by_appservice).await?;
        let [dead, live] = stage.two_in_an_array().await?;
        let key = &live.user_id;
        let before = stage.event(key).await?;

        stage.synapse.logout(&dead).await?;
        wait_until("the dead entry to go", PATIENCE, async || {
            Ok::<_, anyhow::Error>(stage.event(key).await?["event_id"] != before["event_id"])
        })
        .await
        .with_context(|| stage.bot.log())?;
        stage.bot.sweeps_again().await?;
        let after = stage.event(key).await?;
        let left = json!({"memberships": [before["content"]["memberships"][1]]});
        ensure!(after["content"] == left, "{version}: {after}");
        assert_eq!(after["sender"], json!(key), "version {version}");
        let sent = |event: &Value| event["origin_server_ts"].as_i64();
        assert_eq!(sent(&after), sent(&before).map(|sent| sent + 1), "who stays began then");
        stage.setup.hear("as the owner, by the appservice").await?;
        assert_eq!(
            stage.synapse.events_by(&stage.room, key).await?.iter().filter(|it| is_membership(it)).count(),
            2
        );

        // Nobody tells the bot that it has written.
        let lost = stage.proxy.lose_answers(matching("PUT", CALL_MEMBER)).times(1);
        stage.synapse.logout(&live).await?;
        lost.first(PATIENCE).await?;
        stage.setup.wait_until_cleared(&stage.room, key).await?;
        assert_eq!(
            stage.synapse.events_by(&stage.room, key).await?.iter().filter(|it| is_membership(it)).count(),
            3
        );
        assert_eq!(stage.event(key).await?["content"], json!({}), "version {version}");
        assert_eq!(stage.setup.emptied(&stage.room).await?, Vec::<String>::new(), "nothing in its own name");
    }
    Ok(())
}

fn is_membership(event: &Value) -> bool {
    event["type"] == CALL_MEMBER
}

#[tokio::test]
async fn by_redaction_an_array_is_emptied_when_all_in_it_are_dead() -> Result<()> {
    for version in ["10", "12"] {
        let stage = Stage::new(version, 50, by_redaction).await?;
        let [dead, live] = stage.two_in_an_array().await?;
        let key = &live.user_id;
        let before = stage.event(key).await?;

        stage.synapse.logout(&dead).await?;
        stage.bot.looks(Bot::LOOKS).await?;
        assert!(stage.synapse.is_open(&stage.room, key).await?, "one of them is alive");
        let failing = stage.proxy.answer(502, json!({}), matching("PUT", "/redact/")).times(1);
        stage.synapse.logout(&live).await?;
        failing.first(PATIENCE).await?;
        stage.setup.wait_until_cleared(&stage.room, key).await?;

        let after = stage.event(key).await?;
        assert_eq!(
            (&after["event_id"], &after["content"]),
            (&before["event_id"], &json!({})),
            "version {version}"
        );
        stage.setup.hear("until they are reloaded").await?;
        let changes = stage.setup.changes_by_the_bot(&stage.room).await?;
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0]["type"], "m.room.redaction");
        assert_eq!(stage.setup.times_said("Cleared 1 stale membership").await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn where_the_bot_may_not_redact_it_is_blocked_and_says_what_would_help() -> Result<()> {
    let stage = Stage::new("12", 0, by_redaction).await?;
    let [dead, live] = stage.two_in_an_array().await?;
    stage.synapse.logout(&dead).await?;
    stage.synapse.logout(&live).await?;
    let said = stage.setup.hear("Only its owner may write such a key").await?;
    assert!(
        said.body.contains("[appservice]") && said.body.contains("janitor.allow_redaction"),
        "{}",
        said.body
    );
    stage.bot.sweeps_again().await?;
    assert!(stage.synapse.is_open(&stage.room, &live.user_id).await?);
    assert_eq!(stage.setup.changes_by_the_bot(&stage.room).await?, Vec::<Value>::new());
    Ok(())
}

/// A Synapse that has loaded what the program wrote for it, and the program.
async fn with_registration() -> Result<(Synapse, Program)> {
    let program = Program::new(PROGRAM)?;
    program
        .set("homeserver.url", "http://127.0.0.1:1")
        .set("homeserver.user_id", "@rtc-janitor:hs.test")
        .set("admin_room.room", "#none:hs.test")
        .set("appservice.as_token_file", "as-token");
    let file = program.directory().join("registration.yaml");
    let file = file.to_str().context("UTF-8")?;
    let output = program.run(&["appservice-registration", "--output", file]).await?;
    ensure!(output.status.success(), "{output:?}");
    let extra = json!({"app_service_config_files": [file]});
    let synapse = Synapse::start(SynapseOptions { extra, ..SynapseOptions::default() }).await?;
    program.set("homeserver.url", synapse.url());
    Ok((synapse, program))
}

#[tokio::test]
async fn by_the_registration_that_it_wrote_the_bot_makes_its_account_and_signs_both_devices_in() -> Result<()>
{
    let (synapse, program) = with_registration().await?;
    let account = "@rtc-janitor:hs.test";
    let admin = synapse.sign_in_new("admin").await?;
    // There is no account before the first sign-in, so nobody can be invited.
    let admin_room = synapse.create_room(&admin, RoomOptions::new().public().encrypted()).await?;
    program.set("admin_room.room", &admin_room);
    let bot = program.spawn()?;
    wait_until("two devices", PATIENCE, async || {
        Ok::<_, anyhow::Error>(synapse.devices(account).await.is_ok_and(|devices| devices.len() == 2))
    })
    .await
    .with_context(|| bot.log())?;
    synapse.invite(&admin, &admin_room, account).await?;
    bot.logs(&["everything was read once"]).await?;
    let room = synapse.create_room(&admin, RoomOptions::new().invite(account)).await?;
    wait_until("the bot to join", PATIENCE, async || {
        let member = synapse.state_event(&room, "m.room.member", account).await?;
        Ok::<_, anyhow::Error>(member.is_some_and(|member| member["content"]["membership"] == "join"))
    })
    .await
    .with_context(|| bot.log())?;
    let caller = synapse.sign_in_new("caller").await?;
    synapse.bring_in(&admin, &room, &caller).await?;
    let array = Membership::of(&caller).array().content(&room);
    let path = ["rooms", &room, "state", CALL_MEMBER, &caller.user_id];
    let put = synapse.client_request(rtc_janitor_test_support::Method::PUT, &path);
    put.token(&caller.access_token).body(array).send().await?;
    bot.knows(&caller).await?;
    synapse.logout(&caller).await?;
    wait_until("the array to be cleared", PATIENCE, async || {
        Ok::<_, anyhow::Error>(!synapse.is_open(&room, &caller.user_id).await?)
    })
    .await
    .with_context(|| bot.log())?;
    let devices = synapse.devices(account).await?;

    ensure!(bot.stop().await?.success());
    let bot = program.spawn()?;
    wait_until("the bot to greet again", PATIENCE, async || {
        bot.log().matches("everything was read once").count() == 2
    })
    .await?;
    assert_eq!(synapse.devices(account).await?, devices, "its sessions are kept");
    assert!(!bot.log().contains("ERROR"), "{}", bot.log());
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_appservice_is_one_sentence() -> Result<()> {
    let (_synapse, program) = with_registration().await?;
    let mistake = async || {
        let output = program.run(&["sweep"]).await?;
        ensure!(output.status.code() == Some(2), "{output:?}");
        let stderr = String::from_utf8(output.stderr)?;
        Ok(stderr.lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect::<Vec<_>>())
    };
    program.set("homeserver.user_id", "@_rtc-janitor-sender:hs.test");
    let said = mistake().await?;
    ensure!(said.len() == 1 && said[0].contains("is the sender_localpart of the appservice"), "{said:?}");

    program.set("homeserver.user_id", "@rtc-janitor:hs.test");
    program.unset("appservice.as_token_file").set("appservice.as_token", "wrong");
    let said = mistake().await?;
    ensure!(said.len() == 1 && said[0].contains("does not take appservice.as_token"), "{said:?}");
    Ok(())
}

async fn signed_in(synapse: &Synapse, store: &Path) -> Result<rtc_janitor::world::homeserver::Homeserver> {
    let user = synapse.register("janitor").await?;
    let sign_in = SignIn {
        homeserver: Address::Url(synapse.url().to_owned()),
        user_id: user.user_id.as_str().into(),
        method: Method::Password(user.password.into()),
    };
    Ok(sign_in::watch(&sign_in, store).await?)
}

#[tokio::test]
async fn an_appservice_lists_devices_without_keys_and_acts_for_nobody_else() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let store = tempfile::tempdir()?;
    let homeserver = signed_in(synapse, store.path()).await?;
    let namespace = || Namespace::new(&Namespace::of_server(synapse.server_name()), synapse.server_name());
    let token = synapse.appservice().token.clone();
    let appservice = Appservice::new(homeserver.clone(), token.into(), namespace()?);
    let alice = synapse.login(&synapse.register("alice").await?).await?;

    let none = BTreeSet::new();
    appservice.proof().await?;
    let list =
        appservice.devices_of(&alice.user_id.as_str().into(), &none, Timestamp::from_millis(0)).await?;
    let ids: Vec<_> = list.devices.keys().map(DeviceId::as_str).collect();
    assert_eq!(ids, [alice.device_id.as_str()]);

    let nobody = synapse.user_id(&unique("nobody"));
    let answer = appservice.devices_of(&nobody.as_str().into(), &none, Timestamp::from_millis(0)).await;
    assert!(matches!(answer, Err(UnknownDevices::NoSuchUser(_))), "{answer:?}");
    let far = appservice.devices_of(&"@alice:elsewhere.test".into(), &none, Timestamp::from_millis(0)).await;
    assert!(matches!(far, Err(UnknownDevices::NoAnswer(NeighbourError::Invalid(_)))), "{far:?}");
    let revoked = Appservice::new(homeserver.clone(), "revoked".to_owned().into(), namespace()?);
    let answer = revoked.devices_of(&alice.user_id.as_str().into(), &none, Timestamp::from_millis(0)).await;
    let is_about_the_token = |error: &NeighbourError| matches!(error, NeighbourError::AppserviceRefused(_));
    assert!(
        matches!(&answer, Err(UnknownDevices::NoAnswer(error)) if is_about_the_token(error)),
        "{answer:?}"
    );
    assert!(revoked.proof().await.is_err());
    assert!(!format!("{appservice:?} {answer:?}").contains(&synapse.appservice().token));
    homeserver.other_watch_devices().await.context("its own session is another matter")?;
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_no_appservices_is_told_from_a_room_that_refuses() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let store = tempfile::tempdir()?;
    let homeserver = signed_in(synapse, store.path()).await?;
    let namespace = || Namespace::new(&Namespace::of_server(synapse.server_name()), synapse.server_name());
    let with = |token: &str| {
        Ok::<_, anyhow::Error>(Appservice::new(homeserver.clone(), token.to_owned().into(), namespace()?))
    };
    let real = with(&synapse.appservice().token)?;
    let alice = synapse.login(&synapse.register("alice").await?).await?;
    let host = synapse.sign_in_new("host").await?;
    let room = synapse.create_room(&host, RoomOptions::new()).await?;
    let (owner, room) = (UserId::from(alice.user_id.as_str()), RoomId::from(room.as_str()));
    let writes = async |appservice: Appservice| {
        let (key, rest) = (StateKey::from(owner.as_str()), Remainder::nothing());
        let how =
            How::AsOwner { owner: &owner, rest: &rest, sent: Timestamp::from_millis(1_800_000_000_000) };
        let write = KeyWrite { room: &room, key: &key, how };
        Writer::new(homeserver.clone(), Some(appservice)).clear(write).await
    };

    // She is not in the room.
    let answer = writes(real.clone()).await;
    assert!(matches!(answer, Err(NeighbourError::Refused { status: 403, .. })), "{answer:?}");
    real.may_act_for(&owner).await?;
    let nobody = synapse.user_id(&unique("nobody")).as_str().into();
    let answer = real.may_act_for(&nobody).await;
    assert!(matches!(answer, Err(NeighbourError::Refused { status: 403, .. })), "{answer:?}");

    for token in ["revoked", &host.access_token] {
        let answer = writes(with(token)?).await;
        assert!(matches!(answer, Err(NeighbourError::AppserviceRefused(_))), "{answer:?}");
        let answer = with(token)?.may_act_for(&owner).await;
        assert!(matches!(answer, Err(NeighbourError::AppserviceRefused(_))), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn by_the_appservice_a_keyless_device_that_signs_out_is_known_and_one_that_stays_is_not_touched()
-> Result<()> {
    let stage = Stage::new("11", 50, |setup| {
        setup.set("appservice.as_token", &setup.synapse.appservice().token);
    })
    .await?;
    let Stage { synapse, setup, proxy, bot, host, room } = &stage;
    let mut devices = Vec::new();
    for stem in ["stays", "goes"] {
        let device = synapse.login(&synapse.register(stem).await?).await?;
        synapse.bring_in(host, room, &device).await?;
        synapse.join_call(&device, room).await?;
        bot.knows(&device).await?;
        devices.push(device);
    }
    let [stays, goes] = &devices[..] else { unreachable!("two were made") };
    let failing = proxy.answer(502, json!({}), matching("GET", "/client/v3/devices"));
    synapse.logout(goes).await?;
    failing.first(PATIENCE).await?;
    bot.looks(Bot::LOOKS).await?;
    ensure!(synapse.is_open(room, &call_key(goes)).await?, "nobody knows");
    failing.lift();
    setup.wait_until_cleared(room, &call_key(goes)).await?;
    bot.sweeps_again().await?;
    ensure!(synapse.is_open(room, &call_key(stays)).await?);
    Ok(())
}
