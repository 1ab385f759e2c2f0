//! The chat connection's store: whose it is, and what is said when it does not fit.

use std::{fs, path::Path};

use rtc_janitor::world::chat::{self, ChatSettings};
use rtc_janitor_test_support::{RoomOptions, Synapse, User};
use tempfile::tempdir;

use super::{
    by_password, by_token,
    chat::{Running, settings},
    mistake,
};

#[tokio::test]
async fn a_wrong_passphrase_is_a_mistake() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("chat").await.unwrap();
    let sign_in = by_password(synapse.url(), &user);
    let with = |passphrase: Option<&str>, store: &Path| ChatSettings {
        passphrase: passphrase.map(Into::into),
        ..settings(store)
    };
    for (made_with, opened_with) in
        [(Some("right"), Some("wrong")), (Some("right"), None), (None, Some("one too many"))]
    {
        let store = tempdir().unwrap();
        chat::sign_in(&sign_in, &with(made_with, store.path())).await.unwrap();
        let sentence = mistake(chat::sign_in(&sign_in, &with(opened_with, store.path())).await);
        assert!(sentence.contains("passphrase"), "{sentence}");
    }
}

#[tokio::test]
async fn a_store_of_another_account_or_device_is_a_mistake() {
    let synapse = Synapse::shared().await.unwrap();
    let (one, two) = (synapse.register("one").await.unwrap(), synapse.register("two").await.unwrap());
    let store = tempdir().unwrap();
    let device = synapse.login(&one).await.unwrap();
    chat::sign_in(&by_token(synapse.url(), &device), &settings(store.path())).await.unwrap();

    let of_two = by_password(synapse.url(), &two);
    let sentence = mistake(chat::sign_in(&of_two, &settings(store.path())).await);
    assert!(sentence.contains(&one.user_id) && sentence.contains(&two.user_id), "{sentence}");

    let newer = synapse.login(&one).await.unwrap();
    let sentence = mistake(chat::sign_in(&by_token(synapse.url(), &newer), &settings(store.path())).await);
    assert!(sentence.contains(&device.device_id) && sentence.contains(&newer.device_id), "{sentence}");

    // Also when the file that says whose it is has gone.
    fs::remove_file(store.path().join("session-chat.json")).unwrap();
    let sentence = mistake(chat::sign_in(&by_token(synapse.url(), &newer), &settings(store.path())).await);
    assert!(sentence.contains(&device.device_id), "{sentence}");
}

#[tokio::test]
async fn a_token_whose_keys_are_elsewhere_is_a_mistake() {
    let synapse = Synapse::shared().await.unwrap();
    let device = synapse.sign_in_new("chat").await.unwrap();
    let store = tempdir().unwrap();

    let sentence = mistake(chat::sign_in(&by_token(synapse.url(), &device), &settings(store.path())).await);
    assert!(sentence.contains(&device.device_id) && sentence.contains("new access token"), "{sentence}");
}

#[tokio::test]
async fn a_wrong_password_costs_no_keys() {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("chat").await.unwrap();
    let sign_in = by_password(synapse.url(), &user);
    let store = tempdir().unwrap();
    chat::sign_in(&sign_in, &settings(store.path())).await.unwrap();
    let keys = store.path().join("chat/matrix-sdk-crypto.sqlite3");
    fs::remove_file(store.path().join("session-chat.json")).unwrap();

    let wrong = User { password: "not this one".to_owned(), ..user.clone() };
    mistake(chat::sign_in(&by_password(synapse.url(), &wrong), &settings(store.path())).await);
    assert!(keys.exists());

    // With the right one it is a new device with keys of its own.
    chat::sign_in(&sign_in, &settings(store.path())).await.unwrap();
    assert_eq!(synapse.devices(&user.user_id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn without_its_keys_a_session_by_password_becomes_a_new_device() {
    let synapse = Synapse::shared().await.unwrap();
    let alice = synapse.sign_in_new("alice").await.unwrap();
    let user = synapse.register("chat").await.unwrap();
    let room = RoomOptions::new().encrypted().invite(&user.user_id);
    let room = synapse.create_room(&alice, room).await.unwrap();
    let sign_in = by_password(synapse.url(), &user);
    let store = tempdir().unwrap();
    Running::start(&sign_in, &settings(store.path()), &room).await.ready().await.stop().await;

    fs::remove_dir_all(store.path().join("chat")).unwrap();
    let running = Running::start(&sign_in, &settings(store.path()), &room).await.ready().await;
    assert_eq!(synapse.devices(&user.user_id).await.unwrap().len(), 2);
    running.stop().await;
}
