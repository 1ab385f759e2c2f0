//! What `/keys/query` says, and what it does not say.

use std::collections::{BTreeMap, BTreeSet};

use rtc_janitor::world::{
    NeighbourError,
    device_lists::{DeviceLists as _, KeysQuery, UnknownDevices},
    homeserver::sign_in,
};
use rtc_janitor_core::ids::{DeviceId, UserId};
use rtc_janitor_test_support::{FaultProxy, Synapse, matching};
use serde_json::json;
use tempfile::tempdir;

use super::{by_password, janitor};

/// Nobody's device is looked for.
fn all_of(users: &BTreeSet<UserId>) -> BTreeMap<UserId, BTreeSet<DeviceId>> {
    users.iter().map(|user| (user.clone(), BTreeSet::new())).collect()
}

#[tokio::test]
async fn each_user_is_known_or_unknown_for_itself() {
    let synapse = Synapse::shared().await.unwrap();
    let store = tempdir().unwrap();
    let (homeserver, bot) = janitor(synapse, store.path()).await;
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let users = [&*alice.user_id, &bot.user_id, "@nobody:hs.test", "@a:elsewhere.test", "not a user"];
    let users: BTreeSet<UserId> = users.into_iter().map(UserId::from).collect();

    let answers = KeysQuery::new(homeserver.clone()).devices_of(&all_of(&users)).await;

    assert_eq!(answers.keys().cloned().collect::<BTreeSet<_>>(), users);
    let of = |user: &str| answers[&UserId::from(user)].clone();
    let device = DeviceId::from(alice.device_id.as_str());
    assert_eq!(of(&alice.user_id).unwrap().devices, [(device, None)].into());
    // Signed in twice, but never with keys.
    assert_eq!(of(&bot.user_id).unwrap().devices, [].into());
    assert_eq!(of("@nobody:hs.test").unwrap().devices, [].into());
    assert!(
        matches!(of("@a:elsewhere.test"), Err(UnknownDevices::ServerFailed { server, .. }) if server == "elsewhere.test")
    );
    assert_eq!(of("not a user"), Err(UnknownDevices::NotInTheAnswer));
}

#[tokio::test]
async fn what_is_wrong_with_one_user_spoils_no_other() {
    let synapse = Synapse::shared().await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();
    let homeserver = sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
    let lists = KeysQuery::new(homeserver);
    let users: BTreeSet<UserId> = ["@a:x.test", "@b:x.test", "@c:y.test"].map(UserId::from).into();

    let body = json!({
        "device_keys": {"@a:x.test": {"ONE": {}, "TWO": null}, "@b:x.test": "nonsense", "@c:y.test": {"D": {}}, "junk": 7},
        "failures": {"y.test": {"status": 503}},
    });
    let rule = proxy.answer(200, body, matching("POST", "/keys/query"));
    let answers = lists.devices_of(&all_of(&users)).await;
    assert_eq!(answers[&"@a:x.test".into()].as_ref().unwrap().devices.len(), 2);
    assert_eq!(answers[&"@b:x.test".into()], Err(UnknownDevices::Unreadable));
    // From a cache, perhaps: a server that failed is not believed.
    assert!(matches!(answers[&"@c:y.test".into()], Err(UnknownDevices::ServerFailed { .. })));
    rule.lift();

    let many: BTreeSet<UserId> = (0..600).map(|number| format!("@u{number}:hs.test").into()).collect();
    let before = proxy.count(matching("POST", "/keys/query"));
    let answers = lists.devices_of(&all_of(&many)).await;
    assert!(answers.len() == 600 && answers.values().all(Result::is_ok));
    assert_eq!(proxy.count(matching("POST", "/keys/query")) - before, 3);

    let rule = proxy.answer(503, json!({}), matching("POST", "/keys/query"));
    let answers = lists.devices_of(&all_of(&many)).await;
    let failed = |answer: &Result<_, _>| {
        matches!(answer, Err(UnknownDevices::NoAnswer(NeighbourError::Unreachable(_))))
    };
    assert!(answers.len() == 600 && answers.values().all(failed));
    assert_eq!(rule.caught().len(), 1, "a server that fails is not asked for the rest");
}

#[tokio::test]
async fn what_another_servers_list_lacks_is_known_only_while_that_server_answers() {
    let synapse = Synapse::shared().await.unwrap();
    let proxy = FaultProxy::start(synapse.url()).unwrap();
    let user = synapse.register("janitor").await.unwrap();
    let store = tempdir().unwrap();
    let homeserver = sign_in::watch(&by_password(proxy.url(), &user), store.path()).await.unwrap();
    let lists = KeysQuery::new(homeserver);
    let users: Vec<UserId> =
        ["@gone:x.test", "@too:x.test", "@stays:x.test", "@z:y.test"].map(UserId::from).into();
    let wanted: BTreeMap<_, _> = users.iter().map(|user| (user.clone(), ["D".into()].into())).collect();
    let body = json!({"device_keys": {"@gone:x.test": {}, "@too:x.test": {"E": {}}, "@stays:x.test": {"D": {}}, "@z:y.test": {"D": {}}}});
    let _cached = proxy.answer(200, body, matching("POST", "/keys/query"));

    let known = async |status: u16, body: serde_json::Value| {
        let rule = proxy.answer(status, body, matching("GET", "/profile/"));
        let answers = lists.devices_of(&wanted).await;
        let asked = rule.caught().len();
        assert!(
            asked == 1 || asked == 2,
            "only the server whose list lacks something, by those users: {asked}"
        );
        users.iter().map(|user| answers[user].is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(known(200, json!({})).await, [true; 4]);
    let unknown = [false, false, true, true];
    // What this homeserver says of its own accord, or a proxy, is no answer of the other one.
    for (status, errcode) in [
        (502, "M_UNKNOWN"),
        (404, "M_UNRECOGNIZED"),
        (404, "M_NOT_FOUND"),
        (403, "M_FORBIDDEN"),
        (429, "M_LIMIT_EXCEEDED"),
    ] {
        assert_eq!(
            known(status, json!({"errcode": errcode, "error": "no"})).await,
            unknown,
            "{status} {errcode}"
        );
    }
}
