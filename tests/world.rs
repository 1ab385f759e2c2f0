//! The ports against a real Synapse: what the janitor is told of the world is what the server says.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "in tests, a failure is a panic")]

use std::{path::Path, time::Duration};

use rtc_janitor::world::homeserver::{
    Homeserver,
    sign_in::{self, Address, Method, SignIn, SignInError},
};
use rtc_janitor_test_support::{Device, Synapse, User};

#[path = "world/chat.rs"]
mod chat;
#[path = "world/chat_faults.rs"]
mod chat_faults;
#[path = "world/chat_store.rs"]
mod chat_store;
#[path = "world/device_lists.rs"]
mod device_lists;
#[path = "world/rooms.rs"]
mod rooms;
#[path = "world/session.rs"]
mod session;
#[path = "world/watch.rs"]
mod watch;

/// As long as anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

fn by_password(url: &str, user: &User) -> SignIn {
    SignIn {
        homeserver: Address::Url(url.to_owned()),
        user_id: user.user_id.as_str().into(),
        method: Method::Password(user.password.clone().into()),
    }
}

fn by_token(url: &str, device: &Device) -> SignIn {
    SignIn {
        homeserver: Address::Url(url.to_owned()),
        user_id: device.user_id.as_str().into(),
        method: Method::Token {
            access_token: device.access_token.clone().into(),
            device_id: device.device_id.clone(),
        },
    }
}

/// A janitor that is signed in, and a device of the same account for what it would not do.
async fn janitor(synapse: &Synapse, store: &Path) -> (Homeserver, Device) {
    let user = synapse.register("janitor").await.unwrap();
    let homeserver = sign_in::watch(&by_password(synapse.url(), &user), store).await.unwrap();
    (homeserver, synapse.login(&user).await.unwrap())
}

fn mistake<T: std::fmt::Debug>(result: Result<T, SignInError>) -> String {
    match result {
        Err(SignInError::Mistake(sentence)) => sentence,
        other => panic!("expected a mistake, got {other:?}"),
    }
}
