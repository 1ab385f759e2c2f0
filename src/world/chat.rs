//! The admin room: a second device, with encryption and a store, that syncs this one room.
//!
//! [`sign_in()`] makes the [`ChatConnection`], [`ChatConnection::admin_room`] the port; the
//! connection lives as long as [`AdminRoom::run`] does.

use std::{fmt, path::PathBuf};

use matrix_sdk::{Client, ruma::OwnedUserId};
use rtc_janitor_core::ids::UserId;
use secrecy::SecretString;

use self::sdk::Shared;
use super::homeserver::Homeserver;

mod admin_room;
mod filter;
mod keys;
mod listen;
mod sdk;
mod sign_in;

pub use admin_room::AdminRoom;
pub use keys::KeySetUp;
pub use sign_in::sign_in;

/// What the chat connection keeps, and where.
#[derive(Clone, Debug)]
pub struct ChatSettings {
    /// The janitor's store; the chat connection uses `chat/`, `session-chat.json` and
    /// `recovery-key` in it.
    pub store: PathBuf,
    /// Encrypts the store; always the same for one store.
    pub passphrase: Option<SecretString>,
    /// The account's recovery key or passphrase, where a person keeps it. Otherwise one is made and
    /// kept in the store.
    pub recovery_key: Option<SecretString>,
}

/// The signed-in chat device. Cheap to clone; clones share session and store.
#[derive(Clone)]
pub struct ChatConnection {
    client: Shared<Client>,
    user_id: OwnedUserId,
    /// For the one request that asks for it again: publishing the cross-signing keys.
    password: Option<SecretString>,
    settings: ChatSettings,
}

impl fmt::Debug for ChatConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatConnection").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

impl ChatConnection {
    /// Plain requests on this device, for what must be fresh.
    fn homeserver(&self) -> Homeserver {
        let device = self.client.device_id().map_or_else(|| "".into(), |device| device.as_str().into());
        Homeserver::new((**self.client).clone(), self.user_id(), device)
    }

    /// The account that speaks in the admin room.
    pub fn user_id(&self) -> UserId {
        self.user_id.as_str().into()
    }
}
