//! Signing in the chat device. Its session and its store of keys are one unit: a store serves one
//! device and no other, and a device without its store can read and sign nothing.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use matrix_sdk::{
    Client, Error, SqliteCryptoStore, SqliteStateStore, SqliteStoreConfig, config::StoreConfig,
    cross_process_lock::CrossProcessLockConfig, encryption::EncryptionSettings,
};

use secrecy::{ExposeSecret, SecretString};

use super::{ChatConnection, ChatSettings, sdk};
use crate::world::{
    device_lists::{DeviceLists as _, KeysQuery},
    homeserver::{
        Homeserver, connect, failure, identity, private_file,
        session::{Session, SessionFile},
        sign_in::{self, Method, SignIn, SignInError},
    },
};

/// Signs in the chat connection; its session is kept as `session-chat.json` beside its store.
///
/// # Errors
///
/// [`SignInError::Mistake`] as for [`sign_in::watch`], and for a store that another device made or
/// that the passphrase does not open; [`SignInError::Unreachable`] for what may heal.
pub async fn sign_in(sign_in: &SignIn, settings: &ChatSettings) -> Result<ChatConnection, SignInError> {
    let file = SessionFile::new(&settings.store, "chat");
    let keys = KeyStore::new(settings);
    let (client, password) = match &sign_in.method {
        Method::Password(password) => {
            (by_own_devices(sign_in, settings, &file, &keys).await?, Some(password.clone()))
        }
        Method::Appservice(_) => (by_own_devices(sign_in, settings, &file, &keys).await?, None),
        Method::Token { device_id, .. } => {
            (by_token(sign_in, device_id, settings, &file, &keys).await?, None)
        }
    };
    let user_id = client.user_id().map(ToOwned::to_owned);
    let user_id = user_id.ok_or_else(|| SignInError::mistake("the chat connection has no account"))?;
    Ok(ChatConnection { client: sdk::share(client), user_id, password, settings: settings.clone() })
}

async fn by_own_devices(
    sign_in: &SignIn,
    settings: &ChatSettings,
    file: &SessionFile,
    keys: &KeyStore,
) -> Result<Client, SignInError> {
    if let Some(session) = sign_in::known_session(sign_in, file, &settings.store)? {
        if keys.exists() {
            let client = keys.open(sign_in).await?;
            file.follow(&client)?;
            keys.restore(&session, &client).await?;
            if identity::still_valid(&client, &session, sign_in).await? {
                return Ok(client);
            }
            tracing::warn!("the homeserver has ended the session of the chat connection: a new device it is");
        } else {
            tracing::warn!("the keys of the chat connection are gone from the store: a new device it is");
        }
    }
    // Log in without a store: only when that has succeeded, the old keys may go, and only when
    // they are gone, the new session may be kept. A crash in between makes one more device.
    let session = {
        let client = connect::client(&sign_in.homeserver).await?;
        sign_in::new_session(&client, sign_in, "rtc-janitor (chat)").await?
    };
    keys.wipe()?;
    file.save(&session)?;
    let client = keys.open(sign_in).await?;
    file.follow(&client)?;
    keys.restore(&session, &client).await?;
    Ok(client)
}

async fn by_token(
    sign_in: &SignIn,
    device_id: &str,
    settings: &ChatSettings,
    file: &SessionFile,
    keys: &KeyStore,
) -> Result<Client, SignInError> {
    sign_in::known_session(sign_in, file, &settings.store)?;
    if let Some(stored) = file.load()?.filter(|stored| stored.device_id != device_id) {
        return Err(SignInError::Mistake(format!(
            "the keys in {} belong to device {}; the access token of this config is for {device_id}: \
             move that directory and session-chat.json away to begin anew",
            keys.directory.display(),
            stored.device_id,
        )));
    }
    if !keys.exists() {
        check_device_is_new(sign_in, device_id).await?;
    }
    let client = keys.open(sign_in).await?;
    let session = sign_in::new_session(&client, sign_in, "").await?;
    keys.restore(&session, &client).await?;
    identity::check_token(&client, sign_in).await?;
    file.save(&session.without_tokens())?;
    Ok(client)
}

/// A device that has published keys which are not in our store would be taken for an impostor.
async fn check_device_is_new(sign_in: &SignIn, device_id: &str) -> Result<(), SignInError> {
    let client = connect::client(&sign_in.homeserver).await?;
    let session = sign_in::new_session(&client, sign_in, "").await?;
    session.restore(&client).await.map_err(|error| failure::of_sdk(&error))?;
    identity::check_token(&client, sign_in).await?;
    let me = sign_in.user_id.clone();
    let lists = KeysQuery::new(Homeserver::new(client, me.clone(), device_id.into()));
    let answer = lists.devices_of(&[(me.clone(), BTreeSet::new())].into()).await.remove(&me);
    match answer {
        Some(Ok(list)) if list.devices.contains_key(&device_id.into()) => Err(SignInError::Mistake(format!(
            "device {device_id} of {me} already has encryption keys, and they are not in this store: \
             make a new access token for the janitor alone"
        ))),
        _ => Ok(()),
    }
}

/// The directory of the SDK's stores.
struct KeyStore {
    directory: PathBuf,
    passphrase: Option<SecretString>,
}

impl KeyStore {
    fn new(settings: &ChatSettings) -> Self {
        Self { directory: settings.store.join("chat"), passphrase: settings.passphrase.clone() }
    }

    fn exists(&self) -> bool {
        // The name is the SDK's.
        self.directory.join("matrix-sdk-crypto.sqlite3").is_file()
    }

    async fn open(&self, sign_in: &SignIn) -> Result<Client, SignInError> {
        private_file::create_directory(&self.directory)
            .map_err(|error| not_usable(&self.directory, &error))?;
        let passphrase = self.passphrase.as_ref().map(ExposeSecret::expose_secret);
        let config = SqliteStoreConfig::new(&self.directory).passphrase(passphrase);
        let not_opened = |error: &dyn std::error::Error| {
            SignInError::Mistake(format!(
                "the chat store in {} cannot be opened ({error}): where nothing is wrong with the disk, is \
                 store.passphrase_file the one it was made with?",
                self.directory.display()
            ))
        };
        // Of what the SDK can keep, only who is in the room and the keys are needed: no history and no media.
        let state = SqliteStateStore::open_with_config(&config).await.map_err(|error| not_opened(&error))?;
        let keys = SqliteCryptoStore::open_with_config(&config).await.map_err(|error| not_opened(&error))?;
        let stores = StoreConfig::new(CrossProcessLockConfig::SingleProcess);
        // Cross-signing and recovery are set up in `keys`, where the password is at hand.
        let builder = Client::builder()
            .store_config(stores.state_store(state).crypto_store(keys))
            .cross_process_store_config(CrossProcessLockConfig::SingleProcess)
            .with_encryption_settings(EncryptionSettings::default());
        connect::build(builder, &sign_in.homeserver).await
    }

    async fn restore(&self, session: &Session, client: &Client) -> Result<(), SignInError> {
        session.restore(client).await.map_err(|error| {
            let directory = self.directory.display();
            SignInError::Mistake(match error {
                Error::CryptoStoreError(error) => format!(
                    "the keys in {directory} are not those of {} on {}: {error}",
                    session.user_id, session.device_id
                ),
                error => format!(
                    "the chat store in {directory} cannot be read ({error}): is store.passphrase_file the one \
                     it was made with?"
                ),
            })
        })
    }

    fn wipe(&self) -> Result<(), SignInError> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(not_usable(&self.directory, &error)),
            _ => Ok(()),
        }
    }
}

fn not_usable(directory: &Path, error: &io::Error) -> SignInError {
    SignInError::Mistake(format!("{} cannot be used: {error}", directory.display()))
}
