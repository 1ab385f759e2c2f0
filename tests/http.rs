//! The port that other programs ask: the real program, a real Synapse, a real Prometheus.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;
use matrix_sdk::reqwest::{Client, Response, StatusCode, header};
use rtc_janitor_test_support::{
    Bot, BotSetup, Device, LiveKit, Program, Prometheus, RoomOptions, Synapse, call_key, free_port, matching,
    wait_until,
};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// What a test waits for at most.
const LIMIT: Duration = Duration::from_mins(2);

async fn get(bot: &Bot, path: &str) -> Result<Response> {
    Ok(Client::new().get(format!("{}{path}", bot.http_url().await?)).send().await?)
}

async fn scrape(bot: &Bot) -> Result<String> {
    Ok(get(bot, "/metrics").await?.error_for_status()?.text().await?)
}

/// The value of one series in a scrape.
fn value(scrape: &str, series: &str) -> Option<f64> {
    let mut lines = scrape.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    lines.next()?.parse().ok()
}

async fn is_ready(bot: &Bot) -> Result<(StatusCode, String)> {
    let answer = get(bot, "/ready").await?;
    Ok((answer.status(), answer.text().await?))
}

/// Settings for a homeserver that is not there.
fn alone() -> Result<Program> {
    let program = Program::new(PROGRAM)?;
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    program
        .set("homeserver.url", &nobody)
        .set("homeserver.user_id", "@janitor:hs.test")
        .set("login.password", "hunter2")
        .set("admin_room.room", "!admin:hs.test")
        .set("http.listen", &format!("127.0.0.1:{}", free_port()?));
    Ok(program)
}

/// A room with a call, and who is in it.
async fn call(synapse: &Synapse, setup: &BotSetup<'_>, names: &[&str]) -> Result<(String, Vec<Device>)> {
    let host = synapse.sign_in_new("host").await?;
    let room = synapse.create_room(&host, RoomOptions::new().invite(&setup.account.user_id)).await?;
    let mut devices = Vec::new();
    for name in names {
        let device = synapse.sign_in_new(name).await?;
        synapse.upload_keys(&device).await?;
        synapse.bring_in(&host, &room, &device).await?;
        synapse.join_call(&device, &room).await?;
        devices.push(device);
    }
    Ok((room, devices))
}

#[tokio::test]
async fn it_is_live_before_its_homeserver_is_and_ready_only_afterwards() -> Result<()> {
    let program = alone()?;
    let health = async |arguments: &[&str]| program.run(&[&["healthcheck"], arguments].concat()).await;
    let before = health(&[]).await?;
    assert_eq!(before.status.code(), Some(1), "nobody serves: {before:?}");
    let bot = program.spawn()?;
    for path in ["/live", "/healthz"] {
        assert_eq!(get(&bot, path).await?.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(is_ready(&bot).await?, (StatusCode::SERVICE_UNAVAILABLE, "not signed in yet\n".to_owned()));
    let live = health(&[]).await?;
    assert!(live.status.success() && live.stdout == b"rtc-janitor is live\n", "{live:?}");
    let ready = health(&["--ready"]).await?;
    assert_eq!(ready.status.code(), Some(1), "{ready:?}");
    assert!(String::from_utf8(ready.stderr)?.contains("answers 503: not signed in yet"));
    assert_eq!(get(&bot, "/livekit/webhook").await?.status(), StatusCode::NOT_FOUND, "no SFU is set up");
    assert!(bot.stop().await?.success());
    program.set("http.listen", "");
    let off = health(&[]).await?;
    assert_eq!(off.status.code(), Some(2), "{off:?}");
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_keeps_it_from_nothing_and_is_served_once_it_is_free() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let port = free_port()?;
    let somebody = std::net::TcpListener::bind(("127.0.0.1", port))?;
    setup.set("http.listen", &format!("127.0.0.1:{port}"));
    let bot = setup.start().await?;
    bot.logs(&["cannot listen on", "http.listen", "in use"]).await?;
    wait_until("three attempts", LIMIT, async || {
        bot.log().lines().filter(|line| line.contains("DEBUG") && line.contains("cannot listen on")).count()
            >= 3
    })
    .await?;
    drop(somebody);
    assert_eq!(get(&bot, "/live").await?.status(), StatusCode::OK);
    assert_eq!(bot.log().matches("http.listen").count(), 1, "said once");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_it_does_is_counted_and_a_real_prometheus_reads_it() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let bot = setup.start().await?;
    wait_until("it to be ready", LIMIT, async || anyhow::Ok(is_ready(&bot).await?.0 == StatusCode::OK))
        .await?;
    let (room, people) = call(synapse, &setup, &["alive", "ghost"]).await?;
    setup.wait_for_the_bot_in(&room).await?;
    let (alive, ghost) = (&people[0], &people[1]);
    bot.knows(ghost).await?;
    let before = scrape(&bot).await?;
    assert_eq!(
        value(&before, "rtc_janitor_cleared_total{reason=\"device_gone\",route=\"own_power\"}"),
        Some(0.0)
    );
    let refused = proxy.answer(
        403,
        json!({"errcode": "M_FORBIDDEN", "error": "no"}),
        matching("PUT", "/state/org.matrix.msc3401.call.member"),
    );
    synapse.logout(ghost).await?;
    let failures = "rtc_janitor_clear_failures_total{errcode=\"M_FORBIDDEN\"}";
    wait_until("a refusal to be counted", LIMIT, async || {
        anyhow::Ok(value(&scrape(&bot).await?, failures) == Some(1.0))
    })
    .await
    .with_context(|| bot.log())?;
    drop(refused);
    let second = synapse.sign_in_new("second").await?;
    synapse.upload_keys(&second).await?;
    synapse.bring_in(alive, &room, &second).await?;
    synapse.join_call(&second, &room).await?;
    bot.knows(&second).await?;
    synapse.logout(&second).await?;
    let cleared = "rtc_janitor_cleared_total{reason=\"device_gone\",route=\"own_power\"}";
    wait_until("a clear to be counted", LIMIT, async || {
        anyhow::Ok(value(&scrape(&bot).await?, cleared) == Some(1.0))
    })
    .await
    .with_context(|| bot.log())?;
    ensure!(!synapse.is_open(&room, &call_key(&second)).await?, "counted and not cleared");
    // The next look shows it.
    wait_until("only the refused one to be stale", LIMIT, async || {
        anyhow::Ok(value(&scrape(&bot).await?, "rtc_janitor_stale{reason=\"device_gone\"}") == Some(1.0))
    })
    .await?;
    let after = scrape(&bot).await?;
    let at = |series: &str| value(&after, &format!("rtc_janitor_{series}"));
    assert_eq!(at("memberships{verdict=\"active\"}"), Some(1.0), "{after}");
    assert_eq!(at("rooms{state=\"with_calls\"}"), Some(1.0), "{after}");
    assert_eq!(at("source_up{source=\"homeserver\"}"), Some(1.0), "{after}");
    assert!(at("requests_total{neighbour=\"homeserver\",outcome=\"ok\"}") > Some(5.0), "{after}");
    assert!(at("requests_total{neighbour=\"homeserver\",outcome=\"refused\"}") >= Some(1.0), "{after}");
    assert!(at("requests_total{neighbour=\"admin_room\",outcome=\"ok\"}") >= Some(1.0), "{after}");
    assert!(at("sweep_seconds_count") > Some(1.0), "{after}");
    assert!(at("last_sync_timestamp_seconds") > Some(1.7e9), "{after}");
    for secret in [&room, &alive.user_id, &ghost.user_id, &setup.admin_room] {
        assert!(!after.contains(secret.as_str()), "{secret}");
    }
    if Prometheus::installed().is_some() {
        assert_eq!(Prometheus::complaints(&after)?, "");
        let prometheus = Prometheus::scraping(&bot.http_url().await?).await?;
        wait_until("Prometheus to have scraped it", LIMIT, async || {
            anyhow::Ok(prometheus.value("up").await? == Some(1.0))
        })
        .await?;
        let cleared = prometheus.value("sum(rtc_janitor_cleared_total)").await?;
        assert_eq!(cleared, Some(1.0), "in the format that it asks for");
        assert_eq!(prometheus.value("count(rtc_janitor_build_info)").await?, Some(1.0));
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn without_its_admin_room_it_is_live_and_not_ready() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    wait_until("it to be ready", LIMIT, async || anyhow::Ok(is_ready(&bot).await?.0 == StatusCode::OK))
        .await?;
    synapse.kick(&setup.admin, &setup.admin_room, &setup.account.user_id).await?;
    let said = wait_until("it not to be ready", LIMIT, async || {
        let (status, said) = is_ready(&bot).await?;
        anyhow::Ok((status == StatusCode::SERVICE_UNAVAILABLE).then_some(said))
    })
    .await?;
    assert!(said.contains("admin room"), "{said}");
    assert_eq!(get(&bot, "/live").await?.status(), StatusCode::OK);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_is_no_webhook_of_our_sfu_is_refused_and_does_nothing() -> Result<()> {
    let program = alone()?;
    program
        .set("livekit.url", &format!("http://127.0.0.1:{}", free_port()?))
        .set("livekit.api_key", LiveKit::KEY)
        .set("livekit.api_secret", LiveKit::SECRET)
        .set_raw("livekit.service_urls", "[\"https://jwt.hs.test\"]");
    let bot = program.spawn()?;
    let url = format!("{}/livekit/webhook", bot.http_url().await?);
    let post = async |token: Option<String>, body: Vec<u8>| -> Result<StatusCode> {
        let mut request = Client::new().post(&url).body(body);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        Ok(request.send().await?.status())
    };
    let left = json!({
        "event": "participant_left", "id": "EV_1", "room": {"name": "r"},
        "participant": {"identity": "@a:hs.test:D", "disconnectReason": "CLIENT_INITIATED"},
    });
    let body = left.to_string().into_bytes();
    let signed =
        |age: i64, secret: &str| Some(LiveKit::webhook_token(&body, TimeDelta::seconds(age), secret));
    let other = "a-secret-of-somebody-else-that-is-long-enough";
    let bad = StatusCode::BAD_REQUEST;
    assert_eq!(post(None, body.clone()).await?, bad, "no token");
    assert_eq!(post(Some("Bearer x".to_owned()), body.clone()).await?, bad, "junk");
    assert_eq!(post(signed(0, other), body.clone()).await?, bad, "another secret");
    assert_eq!(post(signed(600, LiveKit::SECRET), body.clone()).await?, bad, "an old one");
    assert_eq!(post(signed(-600, LiveKit::SECRET), body.clone()).await?, bad, "one of later");
    assert_eq!(post(signed(0, LiveKit::SECRET), b"{}".to_vec()).await?, bad, "another body");
    let junk = b"not json".to_vec();
    let token = LiveKit::webhook_token(&junk, TimeDelta::zero(), LiveKit::SECRET);
    assert_eq!(post(Some(token), junk).await?, bad, "signed junk");
    let grants = LiveKit::admin_token(&json!({"roomList": true}));
    assert_eq!(post(Some(grants), body.clone()).await?, bad, "a token for the API");
    // It may answer before all of it is sent, and then sending breaks.
    let large = vec![b' '; 10_000_000];
    let token = LiveKit::webhook_token(&large, TimeDelta::zero(), LiveKit::SECRET);
    let answer = post(Some(token), large).await;
    assert!(answer.is_err() || answer.is_ok_and(|status| status == StatusCode::PAYLOAD_TOO_LARGE));
    let counted =
        |scrape: &str, labels: &str| value(scrape, &format!("rtc_janitor_webhooks_total{{{labels}}}"));
    let shown = scrape(&bot).await?;
    assert_eq!(counted(&shown, "event=\"refused\",reason=\"\""), Some(9.0), "{shown}");
    let departure = "event=\"participant_left\",reason=\"CLIENT_INITIATED\"";
    assert_eq!(counted(&shown, departure), Some(0.0), "{shown}");
    // The control, and what comes twice is one.
    for _ in 0..2 {
        assert_eq!(post(signed(0, LiveKit::SECRET), body.clone()).await?, StatusCode::OK);
    }
    let shown = scrape(&bot).await?;
    assert_eq!(counted(&shown, departure), Some(1.0), "{shown}");
    assert!(!bot.log().contains(LiveKit::SECRET) && !bot.log().contains("eyJ"), "{}", bot.log());
    assert!(bot.stop().await?.success());
    Ok(())
}
