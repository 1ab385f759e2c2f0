//! The fake homeserver serves the admin API and an appservice as Synapse does.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use reqwest::{Client, Method};
use rtc_janitor_test_support::{
    CALL_MEMBER, Caller, FakeHomeserver, Population, below, matching, wait_until,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(20);
const ADMIN: &str = "/_synapse/admin";
const CLIENT: &str = "/_matrix/client/v3";

/// Somebody with a token.
struct Visitor {
    url: String,
    client: Client,
    token: String,
}

impl Visitor {
    fn new(fake: &FakeHomeserver, token: &str) -> Result<Self> {
        let client = Client::builder().no_proxy().build()?;
        Ok(Self { url: fake.url().to_owned(), client, token: token.to_owned() })
    }

    /// As one of the bot's devices.
    async fn signed_in(fake: &FakeHomeserver) -> Result<Self> {
        let mut visitor = Self::new(fake, "")?;
        let (_, answer) = visitor.ask(Method::POST, &format!("{CLIENT}/login"), json!({})).await?;
        answer["access_token"].as_str().context("a token")?.clone_into(&mut visitor.token);
        Ok(visitor)
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<(u16, Value)> {
        let mut request =
            self.client.request(method.clone(), self.url.clone() + path).bearer_auth(&self.token);
        if method != Method::GET {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn get(&self, path: &str) -> Result<(u16, Value)> {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn put(&self, path: &str) -> Result<(u16, Value)> {
        self.ask(Method::PUT, path, json!({})).await
    }
}

fn errcode(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["errcode"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn only_an_administrator_may() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(1))?;
    let (bot, nobody) = (Visitor::signed_in(&fake).await?, Visitor::new(&fake, "made-up")?);
    let (admin, service) =
        (Visitor::new(&fake, fake.admin_token())?, Visitor::new(&fake, fake.appservice_token())?);
    let rooms = format!("{ADMIN}/v1/rooms");

    for refused in [&bot, &service] {
        let answer = refused.get(&rooms).await?;
        assert_eq!(errcode(&answer), (403, "M_FORBIDDEN"));
        assert_eq!(answer.1["error"], "You are not a server admin");
    }
    assert_eq!(errcode(&nobody.get(&rooms).await?), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(admin.get(&rooms).await?.0, 200);
    fake.set_bot_admin(true);
    assert_eq!(bot.get(&rooms).await?.0, 200);
    fake.set_bot_admin(false);
    assert_eq!(bot.get(&rooms).await?.0, 403);

    assert_eq!(fake.by_kind()["GET admin/rooms"], 6);
    assert_eq!(fake.count(|arrival| arrival.is_admin() && arrival.caller == Caller::ServerAdmin), 1);
    Ok(())
}

#[tokio::test]
async fn devices_are_listed_with_their_clocks_and_without_their_keys() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(1))?;
    let admin = Visitor::new(&fake, fake.admin_token())?;
    let (user, device) = (fake.user(0), fake.device(0));
    let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse()?;
    let listed = async |of: &str| {
        let (_, answer) = admin.get(&format!("{ADMIN}/v2/users/{of}/devices")).await?;
        let devices = answer["devices"].as_array().context("devices")?.clone();
        assert_eq!(answer["total"], devices.len());
        let devices =
            devices.iter().map(|device| (device["device_id"].clone(), device["last_seen_ts"].clone()));
        anyhow::Ok(devices.collect::<Vec<_>>())
    };

    fake.set_last_seen(&user, &device, Some(noon));
    fake.sign_in_keyless(&user, "KEYLESS");
    let never = Value::Null;
    assert_eq!(
        listed(&user).await?,
        [
            (json!(device), json!(noon.timestamp_millis())),
            (json!("OTHER0000000"), never.clone()),
            (json!("KEYLESS"), never.clone()),
        ]
    );
    let query = json!({"device_keys": {&user: []}});
    let (_, keys) = admin.ask(Method::POST, &format!("{CLIENT}/keys/query"), query).await?;
    let with_keys = keys["device_keys"][&user].as_object().context("the user")?;
    assert!(with_keys.contains_key(&device) && !with_keys.contains_key("KEYLESS"), "{with_keys:?}");

    fake.sign_out_device(&user, &device);
    assert_eq!(listed(&user).await?.len(), 2);
    let bot = Visitor::signed_in(&fake).await?;
    assert_eq!(listed(fake.bot()).await?.len(), 1, "{}", bot.token);
    fake.deactivate(&user);
    assert!(listed(&user).await?.is_empty());
    for (of, status) in [("@nobody:fake.test", 404), ("@bob:elsewhere.test", 400)] {
        assert_eq!(admin.get(&format!("{ADMIN}/v2/users/{of}/devices")).await?.0, status);
    }
    Ok(())
}

#[tokio::test]
async fn an_account_is_described_as_the_test_says() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(1))?;
    let admin = Visitor::new(&fake, fake.admin_token())?;
    let path = format!("{ADMIN}/v2/users/{}", fake.user(0));
    assert_eq!(admin.get(&path).await?.1["appservice_id"], Value::Null);

    fake.describe(&fake.user(0), &json!({"appservice_id": "bridge"}));
    fake.deactivate(&fake.user(0));

    let (_, account) = admin.get(&path).await?;
    assert_eq!((&account["appservice_id"], &account["deactivated"]), (&json!("bridge"), &json!(true)));
    assert_eq!(account["name"], fake.user(0));
    assert_eq!(admin.get(&format!("{ADMIN}/v2/users/@nobody:fake.test")).await?.0, 404);
    assert_eq!(admin.get(&format!("{ADMIN}/v2/users/@bob:elsewhere.test")).await?.0, 400);
    Ok(())
}

#[tokio::test]
async fn all_rooms_are_listed_page_by_page_those_without_the_bot_too() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().rooms(250).unseen(20).open(250))?;
    let admin = Visitor::new(&fake, fake.admin_token())?;
    let (mut rooms, mut pages, mut from) = (Vec::new(), 0, json!(0));
    while !from.is_null() {
        let (_, page) = admin.get(&format!("{ADMIN}/v1/rooms?limit=100&from={from}")).await?;
        assert_eq!((&page["total_rooms"], &page["offset"]), (&json!(251), &from));
        rooms.extend(page["rooms"].as_array().context("rooms")?.clone());
        from = page["next_batch"].clone();
        pages += 1;
    }
    assert_eq!((rooms.len(), pages), (251, 3));

    // The admin room stands first.
    let unseen = rooms.last().context("rooms")?["room_id"].as_str().context("an id")?.to_owned();
    assert_eq!(unseen, fake.room(249));
    assert!(!fake.bot_is_in(&unseen) && fake.bot_is_in(&fake.room(229)));
    let (_, details) = admin.get(&format!("{ADMIN}/v1/rooms/{unseen}")).await?;
    assert_eq!((&details["joined_members"], &details["tombstoned"]), (&json!(2), &json!(false)));
    let (_, members) = admin.get(&format!("{ADMIN}/v1/rooms/{unseen}/members")).await?;
    assert_eq!(members["members"], json!(["@admin:fake.test", fake.user(249)]));
    let (_, state) = admin.get(&format!("{ADMIN}/v1/rooms/{unseen}/state?type={CALL_MEMBER}")).await?;
    assert_eq!(state["state"].as_array().context("state")?.len(), 1);
    assert_eq!(state["state"][0]["sender"], fake.user(249));
    let (_, state) = admin.get(&format!("{ADMIN}/v1/rooms/{unseen}/state")).await?;
    assert!(state["state"].as_array().context("state")?.len() > 4);
    assert_eq!(admin.get(&format!("{ADMIN}/v1/rooms/!none:fake.test/state")).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn the_bot_is_given_power_and_an_invitation_and_brought_in_where_anybody_may() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().rooms(3).unseen(2))?;
    let admin = Visitor::new(&fake, fake.admin_token())?;
    let bot = Visitor::signed_in(&fake).await?;
    let [with_bot, private, public] = [0, 1, 2].map(|number| fake.room(number));
    let user = json!({"user_id": fake.bot()});
    let make_admin = async |room: &str| {
        admin.ask(Method::POST, &format!("{ADMIN}/v1/rooms/{room}/make_room_admin"), user.clone()).await
    };
    let bring_in =
        async |room: &str| admin.ask(Method::POST, &format!("{ADMIN}/v1/join/{room}"), user.clone()).await;

    assert_eq!(make_admin(&with_bot).await?.1["error"], "No local admin user in room");
    assert_eq!(errcode(&bring_in(&private).await?), (403, "M_FORBIDDEN"));
    assert_eq!(make_admin(&private).await?.0, 200);
    assert!(!fake.bot_is_in(&private));
    assert_eq!(bot.ask(Method::POST, &format!("{CLIENT}/join/{private}"), json!({})).await?.0, 200);
    let (_, levels) = bot.get(&format!("{CLIENT}/rooms/{private}/state/m.room.power_levels")).await?;
    assert_eq!(levels["users"][fake.bot()], 100);

    fake.set_state(&public, "m.room.join_rules", "", &json!({"join_rule": "public"}));
    assert_eq!(bring_in(&public).await?.0, 200);
    assert!(fake.bot_is_in(&public));
    Ok(())
}

#[tokio::test]
async fn limits_are_overridden_and_restored() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new())?;
    let admin = Visitor::new(&fake, fake.admin_token())?;
    let path = format!("{ADMIN}/v1/users/{}/override_ratelimit", fake.bot());
    let off = json!({"messages_per_second": 0, "burst_count": 0});

    assert_eq!(admin.get(&path).await?, (200, json!({})));
    assert_eq!(admin.ask(Method::POST, &path, off.clone()).await?, (200, off.clone()));
    assert_eq!(admin.get(&path).await?, (200, off.clone()));
    assert_eq!(fake.rate_limits_of(fake.bot()), off);
    assert_eq!(admin.ask(Method::DELETE, &path, Value::Null).await?, (200, json!({})));
    assert_eq!(fake.rate_limits_of(fake.bot()), Value::Null);
    Ok(())
}

#[tokio::test]
async fn an_appservice_writes_and_asks_as_any_user_there_is() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(1).blocked())?;
    let service = Visitor::new(&fake, fake.appservice_token())?;
    let (user, room) = (fake.user(0), fake.room(0));
    let old_form = format!("{CLIENT}/rooms/{room}/state/{CALL_MEMBER}/{user}");
    let levels = json!({"events": {CALL_MEMBER: 0}});
    fake.set_state(&room, "m.room.power_levels", "", &levels);

    assert_eq!(errcode(&service.put(&old_form).await?), (403, "M_FORBIDDEN"));
    let bot = Visitor::signed_in(&fake).await?;
    assert_eq!(bot.put(&old_form).await?.1["error"], "You are not allowed to set others state");
    let (status, written) = service.put(&format!("{old_form}?user_id={user}&ts=5000")).await?;
    assert_eq!(status, 200);
    let (_, event) = bot.get(&format!("{old_form}?format=event")).await?;
    assert_eq!((&event["event_id"], &event["sender"]), (&written["event_id"], &json!(user)));
    assert_eq!(event["origin_server_ts"], 5000);

    fake.sign_in_keyless(&user, "KEYLESS");
    let (_, devices) = service.get(&format!("{CLIENT}/devices?user_id={user}")).await?;
    assert_eq!(devices["devices"].as_array().context("devices")?.len(), 3);
    for other in ["@nobody:fake.test", "@bob:elsewhere.test"] {
        let refused = service.get(&format!("{CLIENT}/devices?user_id={other}")).await?;
        assert_eq!(errcode(&refused), (403, "M_FORBIDDEN"));
    }
    Ok(())
}

#[tokio::test]
async fn a_redaction_takes_power_and_empties_the_event_where_it_stands() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(1))?;
    let bot = Visitor::signed_in(&fake).await?;
    let place = fake.place(0)?;
    let state = format!("{CLIENT}/rooms/{}/state/{CALL_MEMBER}/{}?format=event", place.room, place.key);
    let (_, before) = bot.get(&state).await?;
    let id = before["event_id"].as_str().context("an id")?;
    let redact = |id: &str| format!("{CLIENT}/rooms/{}/redact/{id}/txn", place.room);

    assert_eq!(bot.put(&redact(id)).await?.1["error"], "You don't have permission to redact events");
    assert!(fake.is_open(&place));
    let levels = json!({"users": {fake.bot(): 50}, "events": {CALL_MEMBER: 0}});
    fake.set_state(&place.room, "m.room.power_levels", "", &levels);
    let (_, redaction) = bot.put(&redact(id)).await?;

    let (_, after) = bot.get(&state).await?;
    assert_eq!((&after["event_id"], &after["sender"]), (&before["event_id"], &before["sender"]));
    assert_eq!(after["content"], json!({}));
    assert_eq!(after["unsigned"]["redacted_by"], redaction["event_id"]);
    assert!(!fake.is_open(&place));
    assert_eq!(bot.put(&redact("$none")).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn every_kind_of_admin_request_fails_as_it_is_told() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(1))?;
    let admin = Visitor::new(&fake, fake.admin_token())?;
    let devices = format!("{ADMIN}/v2/users/{}/devices", fake.user(0));
    let rooms = format!("{ADMIN}/v1/rooms");
    let is_devices = below("GET", "/_synapse/admin/v2/users/");

    for (status, code) in
        [(401, "M_UNKNOWN_TOKEN"), (403, "M_FORBIDDEN"), (404, "M_NOT_FOUND"), (502, "M_UNKNOWN")]
    {
        let rule = fake.refuse(status, code, "so it is", is_devices.clone());
        assert_eq!(errcode(&admin.get(&devices).await?), (status, code));
        assert_eq!(admin.get(&rooms).await?.0, 200, "another kind is not concerned");
        rule.lift();
    }
    let limited = fake.too_many(Duration::from_millis(1500), is_devices.clone());
    let (status, answer) = admin.get(&devices).await?;
    assert_eq!((status, &answer["retry_after_ms"]), (429, &json!(1500)));
    limited.lift();

    let slow = fake.delay_answers(Duration::from_millis(300), is_devices.clone());
    let begun = Instant::now();
    assert_eq!(admin.get(&devices).await?.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    slow.lift();

    let hanging = fake.hang(matching("GET", "/devices"));
    let lift = async {
        hanging.first(LIMIT).await?;
        assert!(fake.count(|arrival| arrival.is_admin() && arrival.answered.is_none()) == 1);
        hanging.lift();
        anyhow::Ok(())
    };
    let (answer, lifted) = tokio::join!(admin.get(&devices), lift);
    lifted?;
    assert_eq!(answer?.0, 200);
    wait_until("all to be answered", LIMIT, async || fake.count(|arrival| arrival.answered.is_none()) == 0)
        .await
}
