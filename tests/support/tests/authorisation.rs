//! The played authorisation service answers as lk-jwt-service does, and the SFU takes what it gives out.
//!
//! Without the SFU some of these tests pass and show nothing; `untried.rs` says so.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use reqwest::{Client, StatusCode};
use rtc_janitor_test_support::{
    AuthorisationService, LiveKit, LiveKitOptions, Participant, Recipe, matching,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

/// A server for one test, if it is built.
async fn sfu() -> Result<Option<LiveKit>> {
    if LiveKit::installed().is_none() {
        eprintln!("not tried, for the SFU is not built: see tests/livekit/build");
        return Ok(None);
    }
    LiveKit::start(LiveKitOptions::default()).await.map(Some)
}

#[tokio::test]
async fn a_token_of_the_authorisation_service_opens_the_room_that_its_recipe_names() -> Result<()> {
    let Some(livekit) = sfu().await? else { return Ok(()) };
    let service = AuthorisationService::start(livekit.url())?;
    service.believe_in("@alice:hs.test");

    for recipe in Recipe::ALL {
        service.use_recipe(recipe);
        let (status, answer) = ask(&service, &sfu_get("!room:hs.test", "ALICE")).await?;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["url"], livekit.ws_url());
        let token = answer["jwt"].as_str().context("no token")?;
        let name = recipe.sfu_room("!room:hs.test");
        assert_eq!(LiveKit::claims(token).context("another secret")?["video"]["room"], name);
        let _alice = Participant::join_with(&livekit, token).await?;
        assert_eq!(livekit.identities(&name).await?, BTreeSet::from(["@alice:hs.test:ALICE".to_owned()]));
    }

    service.sign_with("secret-of-another-sfu-with-32-characters");
    let (_, answer) = ask(&service, &sfu_get("!room:hs.test", "ALICE")).await?;
    let token = answer["jwt"].as_str().context("no token")?;
    assert_eq!(LiveKit::claims(token), None);
    assert!(Participant::join_with(&livekit, token).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_room_is_created_for_those_with_full_access_only() -> Result<()> {
    let Some(livekit) = sfu().await? else { return Ok(()) };
    let service = AuthorisationService::start(livekit.url())?;
    let name = Recipe::Base64Json.sfu_room("!room:hs.test");
    let exists = async || {
        let listed = livekit.call("ListRooms", &json!({"roomList": true}), &json!({"names": [name]})).await?;
        anyhow::Ok(listed["rooms"] != json!([]))
    };

    service.create_rooms(false);
    ask(&service, &sfu_get("!room:hs.test", "ALICE")).await?;
    assert!(!exists().await?);
    service.create_rooms(true);
    ask(&service, &sfu_get("!room:hs.test", "ALICE")).await?;
    assert!(exists().await?);

    livekit.kill().await?;
    let (status, _) = ask(&service, &sfu_get("!room:hs.test", "ALICE")).await?;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    Ok(())
}

#[tokio::test]
async fn the_authorisation_service_refuses_hangs_and_counts_as_told() -> Result<()> {
    // It needs no SFU.
    let service = AuthorisationService::start("http://127.0.0.1:1")?;
    service.create_rooms(false);
    let asked = sfu_get("!room:hs.test", "ALICE");
    let health = format!("{}/healthz", service.url());
    let http = Client::builder().no_proxy().build()?;
    assert_eq!(http.get(&health).send().await?.text().await?, "");

    let (_, answer) = ask(&service, &asked).await?;
    let claims = LiveKit::claims(answer["jwt"].as_str().context("no token")?).context("another secret")?;
    assert_eq!(claims["sub"], "@caller:hs.test:ALICE");

    let mut odd = asked.clone();
    odd["surprise"] = true.into();
    assert_eq!(ask(&service, &odd).await?.1["errcode"], "M_NOT_JSON");
    let (status, answer) = ask(&service, &json!({"device_id": "ALICE"})).await?;
    assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_BAD_JSON")));

    for refusal in [401, 404, 500] {
        let _refused = service.refuse(refusal);
        assert_eq!(ask(&service, &asked).await?.0, refusal);
        assert_eq!(http.get(&health).send().await?.status(), refusal);
    }

    let hanging = service.hang();
    let (held, body) = (service.url().to_owned(), asked.clone());
    let waiting = tokio::spawn(async move { post(&format!("{held}/sfu/get"), &body).await });
    hanging.first(LIMIT).await?;
    assert!(!waiting.is_finished());
    hanging.lift();
    assert_eq!(waiting.await??.0, StatusCode::OK);

    assert_eq!(service.count(matching("POST", "/sfu/get")), 7);
    assert_eq!(service.count(matching("GET", "/healthz")), 4);
    assert_eq!(service.requests().last().context("none")?.body, asked);
    Ok(())
}

#[tokio::test]
async fn delegation_of_delayed_leaves_shows_as_it_does_to_clients() -> Result<()> {
    // It needs no SFU.
    let service = AuthorisationService::start("http://127.0.0.1:1")?;
    let delegate = format!("{}/delegate_delayed_leave", service.url());
    // Element Call posts an empty body, and takes anything but 404 for a yes.
    let probe =
        async || anyhow::Ok(Client::builder().no_proxy().build()?.post(&delegate).send().await?.status());

    assert_eq!(probe().await?, StatusCode::NOT_FOUND);
    service.take_delayed_leaves(true);
    assert_eq!(probe().await?, StatusCode::BAD_REQUEST);
    let leave = json!({
        "room_id": "!room:hs.test", "slot_id": "m.call#ROOM", "delay_id": "delay", "delay_timeout": 3_600_000,
        "openid_token": {}, "member": {},
    });
    assert_eq!(post(&delegate, &leave).await?, (StatusCode::OK, json!({})));
    Ok(())
}

/// What Element Call sends.
fn sfu_get(room: &str, device_id: &str) -> Value {
    let openid = json!({
        "access_token": "secret", "token_type": "Bearer", "matrix_server_name": "hs.test", "expires_in": 3600,
    });
    json!({"room": room, "openid_token": openid, "device_id": device_id})
}

async fn ask(service: &AuthorisationService, body: &Value) -> Result<(StatusCode, Value)> {
    post(&format!("{}/sfu/get", service.url()), body).await
}

async fn post(url: &str, body: &Value) -> Result<(StatusCode, Value)> {
    let answer = Client::builder().no_proxy().build()?.post(url).json(body).send().await?;
    Ok((answer.status(), answer.json().await.unwrap_or_default()))
}
