//! Signing in, coming back, and being told what is wrong.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use rtc_janitor::world::{
    NeighbourError, Rooms as _, Watch as _,
    homeserver::{Homeserver, sign_in},
};
use rtc_janitor_test_support::{FaultProxy, Method, Synapse, SynapseOptions, User, matching, wait_until};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{LIMIT, SignInError, by_password, by_token, mistake};

fn session_file(store: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(store.join("session-watch.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn a_session_by_password_is_kept_and_taken_up_again() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();

    let first = sign_in::watch(&by_password(synapse.url(), &user), store.path()).await.unwrap();
    let again = sign_in::watch(&by_password(synapse.url(), &user), store.path()).await.unwrap();

    assert_eq!(first.user_id().as_str(), user.user_id);
    assert_eq!(first.device_id(), again.device_id());
    assert_eq!(synapse.devices(&user.user_id).await.unwrap().len(), 1);
    let mode = fs::metadata(store.path().join("session-watch.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_session_that_the_server_has_ended_is_replaced() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();
    let first = sign_in::watch(&by_password(synapse.url(), &user), store.path()).await.unwrap();

    let token = session_file(store.path())["access_token"].as_str().unwrap().to_owned();
    let logout = synapse.client_request(Method::POST, &["logout"]).token(&token).body(json!({}));
    logout.send().await.unwrap();

    assert!(matches!(first.server_time().await, Err(NeighbourError::SignedOut(_))));
    let second = sign_in::watch(&by_password(synapse.url(), &user), store.path()).await.unwrap();
    assert_ne!(first.device_id(), second.device_id());
    second.server_time().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_a_mistake_and_changes_nothing() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();
    let wrong = User { password: "not this one".to_owned(), ..user.clone() };

    let sentence = mistake(sign_in::watch(&by_password(synapse.url(), &wrong), store.path()).await);

    assert!(sentence.contains(&user.user_id) && sentence.contains("password"), "{sentence}");
    assert!(!store.path().join("session-watch.json").exists());
}

#[tokio::test]
async fn a_token_signs_in_only_the_user_and_device_of_the_config() {
    let synapse = Synapse::shared().await.unwrap();
    let mine = synapse.login(&synapse.register("janitor").await.unwrap()).await.unwrap();
    let other = synapse.login(&synapse.register("other").await.unwrap()).await.unwrap();
    let store = tempdir().unwrap();

    let mut of_another_user = mine.clone();
    of_another_user.access_token.clone_from(&other.access_token);
    let sentence = mistake(sign_in::watch(&by_token(synapse.url(), &of_another_user), store.path()).await);
    assert!(sentence.contains(&mine.user_id) && sentence.contains(&other.user_id), "{sentence}");

    let mut of_another_device = mine.clone();
    "ELSEWHERE".clone_into(&mut of_another_device.device_id);
    let sentence = mistake(sign_in::watch(&by_token(synapse.url(), &of_another_device), store.path()).await);
    assert!(sentence.contains(&mine.device_id) && sentence.contains("ELSEWHERE"), "{sentence}");

    let mut unknown = mine.clone();
    "syt_nothing".clone_into(&mut unknown.access_token);
    let sentence = mistake(sign_in::watch(&by_token(synapse.url(), &unknown), store.path()).await);
    assert!(sentence.contains("access token"), "{sentence}");

    let homeserver = sign_in::watch(&by_token(synapse.url(), &mine), store.path()).await.unwrap();
    assert_eq!(homeserver.device_id().as_str(), mine.device_id);
    assert!(session_file(store.path()).get("access_token").is_none());
}

#[tokio::test]
async fn a_store_of_another_account_is_a_mistake_that_names_both() {
    let synapse = Synapse::shared().await.unwrap();
    let one = synapse.register("one").await.unwrap();
    let two = synapse.register("two").await.unwrap();
    let store = tempdir().unwrap();
    sign_in::watch(&by_password(synapse.url(), &one), store.path()).await.unwrap();

    let sentence = mistake(sign_in::watch(&by_password(synapse.url(), &two), store.path()).await);
    assert!(sentence.contains(&one.user_id) && sentence.contains(&two.user_id), "{sentence}");

    let token = synapse.login(&two).await.unwrap();
    let sentence = mistake(sign_in::watch(&by_token(synapse.url(), &token), store.path()).await);
    assert!(sentence.contains(&one.user_id) && sentence.contains(&two.user_id), "{sentence}");
}

#[tokio::test]
async fn a_session_survives_a_new_address_but_not_a_new_server() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let store = tempdir().unwrap();
    let first = sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();

    let moved = sign_in::watch(&by_password(synapse.url(), &user), store.path()).await.unwrap();
    assert_eq!(first.device_id(), moved.device_id());

    let unknown = json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed."});
    let _another_server = proxy.answer(401, unknown, matching("GET", "/account/whoami"));
    let _no_refresh = proxy.answer(
        401,
        json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown refresh token"}),
        matching("POST", "/refresh"),
    );
    let mut file = session_file(store.path());
    file["homeserver"] = json!("https://elsewhere.test/");
    fs::write(store.path().join("session-watch.json"), file.to_string()).unwrap();
    let sentence = mistake(sign_in::watch(&by_password(proxy.url(), &user), store.path()).await);
    assert!(sentence.contains("https://elsewhere.test/"), "{sentence}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_a_mistake() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let store = tempdir().unwrap();
    let nobody = |result| match result {
        Err(SignInError::Unreachable(error)) => error,
        other => panic!("{other:?}"),
    };

    let outage = proxy.outage();
    let error = nobody(sign_in::watch(&by_password(proxy.url(), &user), store.path()).await);
    assert!(matches!(error, NeighbourError::Unreachable(_)), "{error}");
    outage.lift();

    let slow = proxy.answer(
        429,
        json!({"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 7000}),
        matching("POST", "/login"),
    );
    let error = nobody(sign_in::watch(&by_password(proxy.url(), &user), store.path()).await);
    assert!(
        matches!(error, NeighbourError::RateLimited { retry_after } if retry_after.as_secs() == 7),
        "{error}"
    );
    slow.lift();

    let broken = proxy.answer(502, json!("bad gateway"), |_| true);
    let error = nobody(sign_in::watch(&by_password(proxy.url(), &user), store.path()).await);
    assert_eq!(error, NeighbourError::Unreachable("HTTP 502".to_owned()));
    broken.lift();

    sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_new_one_kept() {
    let extra = json!({"refreshable_access_token_lifetime": "1s"});
    let synapse = Synapse::start(SynapseOptions { extra, ..SynapseOptions::default() }).await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();
    let homeserver = sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
    let first = session_file(store.path());

    // Not by `server_time`: an expired token is good enough for that.
    let ask = async |homeserver: &Homeserver| homeserver.watch().sync(None, Duration::ZERO).await;
    wait_until("the token to be renewed", LIMIT, async || {
        ask(&homeserver).await?;
        anyhow::Ok(session_file(store.path())["access_token"] != first["access_token"])
    })
    .await
    .unwrap();
    assert_ne!(session_file(store.path())["refresh_token"], first["refresh_token"]);

    let again = sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
    assert_eq!(again.device_id(), homeserver.device_id());

    // While renewing fails for want of a server, the session is not given up.
    let down = proxy.answer(503, json!({}), matching("POST", "/refresh"));
    wait_until("the token to expire", LIMIT, async || ask(&again).await.is_err()).await.unwrap();
    assert!(matches!(ask(&again).await, Err(NeighbourError::Unreachable(_))));
    down.lift();
    wait_until("the token to be renewed", LIMIT, async || ask(&again).await.is_ok()).await.unwrap();
}

#[tokio::test]
async fn an_address_that_redirects_is_a_mistake_that_names_the_target_and_nothing_follows() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let target = FaultProxy::start(synapse.url()).unwrap();
    let store = tempdir().unwrap();
    let location = |path: &str| format!("{}{path}", target.url());
    let sign_in = by_password(proxy.url(), &user);
    let settings = super::chat::settings(store.path());

    for status in [301, 302, 307, 308] {
        let _redirect = proxy.answer(status, json!({}), |_| true);
        let to = location("/_matrix/client/versions");
        let _location = proxy.set_header("location", &to, |_| true).unwrap();
        for _ in 0..2 {
            let sentence = mistake(sign_in::watch(&sign_in, store.path()).await);
            assert!(sentence.contains(&format!("to {}/:", target.url())), "{sentence}");
            let sentence = mistake(rtc_janitor::world::chat::sign_in(&sign_in, &settings).await);
            assert!(sentence.contains(target.url()), "{sentence}");
        }
    }
    // Only what holds the password is redirected.
    let redirect = proxy.answer(307, json!({}), matching("POST", "/login"));
    let to = proxy.set_header("location", &location("/_matrix/client/v3/login"), |_| true).unwrap();
    let sentence = mistake(sign_in::watch(&sign_in, store.path()).await);
    assert!(sentence.contains(target.url()), "{sentence}");
    assert_eq!(proxy.count(matching("POST", "/login")), 1);
    redirect.lift();
    to.lift();
    assert!(synapse.devices(&user.user_id).await.unwrap().is_empty());

    // Later on it may be over as soon as it began.
    let homeserver = sign_in::watch(&sign_in, store.path()).await.unwrap();
    let _redirect = proxy.answer(308, json!({}), |_| true);
    let _location = proxy.set_header("location", &location("/"), |_| true).unwrap();
    let redirected = homeserver.state_event(&"!a".into(), "m.room.create", "").await;
    assert_eq!(redirected, Err(NeighbourError::Redirected(location("/"))));
    assert_eq!(target.requests(), [], "nothing follows");
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_a_mistake_and_no_new_sign_in() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();
    let sign_in = by_password(synapse.url(), &user);
    for content in ["", "{}", "[]"] {
        fs::write(store.path().join("session-watch.json"), content).unwrap();
        let sentence = mistake(sign_in::watch(&sign_in, store.path()).await);
        assert!(sentence.contains("session-watch.json"), "{sentence}");
    }
    assert!(synapse.devices(&user.user_id).await.unwrap().is_empty());
}
