//! The proxy sees, holds, answers, changes and cuts requests, and otherwise is not there.

use std::time::Duration;

use anyhow::Result;
use reqwest::{Client, StatusCode};
use rtc_janitor_test_support::{
    CALL_MEMBER, Device, FaultProxy, RoomOptions, Synapse, below, call_key, matching, wait_until,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);

/// Stands for the bot: it knows the proxy's address alone, and keeps its connections open.
struct Bot<'a> {
    http: Client,
    proxy: &'a FaultProxy,
    device: &'a Device,
}

impl<'a> Bot<'a> {
    fn new(proxy: &'a FaultProxy, device: &'a Device) -> Result<Self> {
        Ok(Self { http: Client::builder().no_proxy().build()?, proxy, device })
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/_matrix/client/v3/{path}", self.proxy.url());
        self.http.get(url).bearer_auth(&self.device.access_token)
    }

    fn query_keys(&self) -> reqwest::RequestBuilder {
        let url = format!("{}/_matrix/client/v3/keys/query", self.proxy.url());
        let body = json!({"device_keys": {&self.device.user_id: []}});
        self.http.post(url).bearer_auth(&self.device.access_token).json(&body)
    }

    fn empty(&self, room: &str, key: &str) -> reqwest::RequestBuilder {
        let key = key.replace('@', "%40");
        let url = format!("{}/_matrix/client/v3/rooms/{room}/state/{CALL_MEMBER}/{key}", self.proxy.url());
        self.http.put(url).bearer_auth(&self.device.access_token).json(&json!({}))
    }
}

#[tokio::test]
async fn requests_are_counted_by_method_and_path() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    synapse.join_call(&alice, &room).await?;
    let proxy = FaultProxy::start(synapse.url())?;
    let bot = Bot::new(&proxy, &alice)?;

    assert!(bot.get("account/whoami").send().await?.status().is_success());
    bot.empty(&room, &call_key(&alice)).send().await?.error_for_status()?;
    assert!(!synapse.is_open(&room, &call_key(&alice)).await?);

    let lines: Vec<_> = proxy.requests().iter().map(ToString::to_string).collect();
    let key = call_key(&alice);
    assert_eq!(
        lines,
        [
            "GET /_matrix/client/v3/account/whoami".to_owned(),
            format!("PUT /_matrix/client/v3/rooms/{room}/state/{CALL_MEMBER}/{key}"),
        ]
    );
    assert_eq!(proxy.count(matching("PUT", &key)), 1);
    assert_eq!(proxy.count(matching("*", "/_matrix/")), 2);
    assert_eq!(proxy.count(|request| request.body == json!({})), 1);
    proxy.reset();
    assert!(proxy.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_held_write_comes_after_what_the_test_does_meanwhile() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    synapse.join_call(&alice, &room).await?;
    let key = call_key(&alice);
    let proxy = FaultProxy::start(synapse.url())?;
    let bot = Bot::new(&proxy, &alice)?;

    let held = proxy.hold(matching("PUT", &key));
    let write = tokio::spawn(bot.empty(&room, &key).send());
    held.first(LIMIT).await?;
    let rejoined = synapse.refresh_call(&alice, &room).await?;
    // Other requests pass.
    bot.get("account/whoami").send().await?.error_for_status()?;
    assert!(synapse.is_open(&room, &key).await?);

    held.lift();
    write.await??.error_for_status()?;
    let event = synapse.call_member(&room, &key).await?.expect("emptied");
    assert_eq!(event["content"], json!({}));
    assert_eq!(event["unsigned"]["replaces_state"], rejoined.as_str());
    Ok(())
}

#[tokio::test]
async fn a_held_or_lost_answer_leaves_the_write_done() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    let key = call_key(&alice);
    let proxy = FaultProxy::start(synapse.url())?;
    let bot = Bot::new(&proxy, &alice)?;
    let emptied = async || synapse.is_open(&room, &key).await.map(|open| !open);

    synapse.join_call(&alice, &room).await?;
    let held = proxy.hold_answers(matching("PUT", &key));
    let write = tokio::spawn(bot.empty(&room, &key).send());
    held.first(LIMIT).await?;
    wait_until("the write", LIMIT, emptied).await?;
    assert!(!write.is_finished());
    held.lift();
    write.await??.error_for_status()?;

    synapse.join_call(&alice, &room).await?;
    let lost = proxy.lose_answers(matching("PUT", &key)).times(1);
    assert!(bot.empty(&room, &key).send().await.is_err());
    assert_eq!(lost.caught().len(), 1);
    assert!(emptied().await?);
    Ok(())
}

#[tokio::test]
async fn answers_are_made_up_and_rewritten() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let proxy = FaultProxy::start(synapse.url())?;
    let bot = Bot::new(&proxy, &alice)?;
    let keys = matching("POST", "/keys/query");
    let listed = async || {
        let answer: Value = bot.query_keys().send().await?.json().await?;
        anyhow::Ok(answer["device_keys"][&alice.user_id].as_object().map_or(0, serde_json::Map::len))
    };
    assert_eq!(listed().await?, 1);

    let user_id = alice.user_id.clone();
    let vanish = proxy.rewrite(keys.clone(), move |answer| answer["device_keys"][&user_id] = json!({}));
    assert_eq!(listed().await?, 0);
    vanish.lift();
    assert_eq!(listed().await?, 1);

    let busy = proxy.answer(429, json!({"errcode": "M_LIMIT_EXCEEDED"}), keys.clone()).times(2);
    let after = proxy.set_header("retry-after", "1", |_| true)?;
    for _ in 0..2 {
        let answer = bot.query_keys().send().await?;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(answer.json::<Value>().await?["errcode"], "M_LIMIT_EXCEEDED");
    }
    assert_eq!(listed().await?, 1);
    assert_eq!(busy.caught().len(), 2);
    after.lift();

    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    let _slow_clock = proxy.set_header("date", date, keys)?;
    assert_eq!(bot.query_keys().send().await?.headers()["date"], date);
    assert_ne!(bot.get("account/whoami").send().await?.headers()["date"], date);
    Ok(())
}

#[tokio::test]
async fn answers_come_late_and_requests_are_changed_on_their_way() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let proxy = FaultProxy::start(synapse.url())?;
    let bot = Bot::new(&proxy, &alice)?;
    let whoami = async || anyhow::Ok(bot.get("account/whoami").send().await?.status());

    let begun = Instant::now();
    let late = proxy.delay_answers(Duration::from_secs(1), |_| true);
    assert_eq!(whoami().await?, StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    late.lift();
    let endless = proxy.delay_answers(Duration::from_hours(1), |_| true);
    let asked = tokio::spawn(bot.get("account/whoami").send());
    endless.first(LIMIT).await?;
    endless.lift();
    assert_eq!(asked.await??.status(), StatusCode::OK, "whoever waits is let go");

    let stranger = proxy.change_requests(|_| true, |head| drop(head.headers.remove("authorization")));
    assert_eq!(whoami().await?, StatusCode::UNAUTHORIZED);
    stranger.lift();
    let _stripped = proxy.strip("/below");
    let below = format!("{}/below/_matrix/client/v3/account/whoami?x=1", proxy.url());
    let answer = bot.http.get(below).bearer_auth(&alice.access_token).send().await?;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(proxy.count(matching("GET", "/below/")), 1, "it is seen as it came");
    assert_eq!(whoami().await?, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn an_outage_cuts_long_polls_and_ends_without_a_trace() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    let proxy = FaultProxy::start(synapse.url())?;
    let bot = Bot::new(&proxy, &alice)?;
    let sync: Value = bot.get("sync?timeout=0").send().await?.json().await?;
    let since = sync["next_batch"].as_str().expect("a token").to_owned();
    let poll = || tokio::spawn(bot.get(&format!("sync?timeout=30000&since={since}")).send());
    let polls = |count| {
        let proxy = &proxy;
        let arrived = matching("GET", "/sync");
        async move || proxy.count(&arrived) == count
    };

    let cut_short = poll();
    wait_until("the poll to arrive", LIMIT, polls(2)).await?;
    let outage = proxy.outage();
    assert!(cut_short.await?.is_err());
    assert!(bot.get("account/whoami").send().await.is_err());
    outage.lift();

    let answered = poll();
    wait_until("the poll to arrive", LIMIT, polls(3)).await?;
    synapse.send_text(&alice, &room, "hello").await?;
    let sync: Value = answered.await??.json().await?;
    assert!(sync["rooms"]["join"][&room].is_object());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_down_is_a_closed_connection() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let proxy = FaultProxy::start("http://127.0.0.1:1")?;
    let bot = Bot::new(&proxy, &alice)?;
    assert!(bot.get("account/whoami").send().await.is_err());
    Ok(())
}

#[tokio::test]
async fn faults_concern_one_part_of_the_admin_api_and_leave_the_rest() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let proxy = FaultProxy::start(synapse.url())?;
    let http = Client::builder().no_proxy().build()?;
    let ask = async |path: &str| {
        let request = http.get(format!("{}/_synapse/admin/{path}", proxy.url()));
        let answer = request.bearer_auth(synapse.admin_token()).send().await?;
        anyhow::Ok((answer.status().as_u16(), answer.json::<Value>().await?))
    };
    // As a client escapes it; rules are about what it says.
    let devices = format!("v2/users/{}/devices", alice.user_id.replace('@', "%40").replace(':', "%3A"));
    let of_alice = below("GET", &format!("/_synapse/admin/v2/users/{}/", alice.user_id));
    assert_eq!(ask(&devices).await?.1["total"], 1);

    for status in [401, 403, 404, 429, 502] {
        let rule = proxy.answer(status, json!({"retry_after_ms": 1500}), of_alice.clone());
        assert_eq!(ask(&devices).await?, (status, json!({"retry_after_ms": 1500})));
        assert_eq!(ask("v1/rooms?limit=1").await?.0, 200);
        rule.lift();
    }
    let cut = proxy.cut(of_alice.clone());
    assert!(ask(&devices).await.is_err());
    cut.lift();
    let empty = proxy.rewrite(of_alice.clone(), |answer| *answer = json!({"devices": [], "total": 0}));
    assert_eq!(ask(&devices).await?.1["total"], 0);
    empty.lift();

    assert_eq!(ask(&devices).await?.1["total"], 1);
    assert_eq!(proxy.count(of_alice), 9);
    assert_eq!(proxy.count(below("*", "/_synapse/admin/")), 14);
    assert_eq!(proxy.count(below("*", "/admin/")), 0);
    Ok(())
}
