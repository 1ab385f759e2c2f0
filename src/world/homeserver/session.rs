//! The session file of one connection: which account and device it is, and its tokens.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use matrix_sdk::{
    AuthSession, Client, SessionMeta, SessionTokens,
    authentication::matrix::MatrixSession,
    ruma::{OwnedDeviceId, UserId as RumaUserId},
};
use serde::{Deserialize, Serialize};

use super::{credentials::SignInError, private_file};

/// What is kept of a session between two starts.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The base URL it was made at.
    pub(crate) homeserver: String,
    /// The account.
    pub(crate) user_id: String,
    /// The device.
    pub(crate) device_id: String,
    /// Absent where the config brings the token: then the file only says whose store this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_token: Option<String>,
    /// Renews the access token; the server replaces it each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
}

/// Where the session of a connection is kept.
#[derive(Clone, Debug)]
pub(crate) struct SessionFile {
    path: PathBuf,
}

impl SessionFile {
    /// `session-watch.json` or `session-chat.json` in the store.
    pub(crate) fn new(store: &Path, connection: &str) -> Self {
        Self { path: store.join(format!("session-{connection}.json")) }
    }

    /// What is there, if anything is.
    pub(crate) fn load(&self) -> Result<Option<Session>, SignInError> {
        let path = self.path.display();
        let content = private_file::read(&self.path)
            .map_err(|error| SignInError::Mistake(format!("{path} cannot be read: {error}")))?;
        let Some(content) = content else { return Ok(None) };
        serde_json::from_str(&content).map(Some).map_err(|error| {
            // The error is one of position and kind; it holds nothing of the content.
            SignInError::Mistake(format!(
                "{path} is not a session of rtc-janitor ({error}): remove it to sign in anew"
            ))
        })
    }

    /// Replaces what is there.
    pub(crate) fn save(&self, session: &Session) -> Result<(), SignInError> {
        let unwritten = |error: &dyn fmt::Display| {
            SignInError::Mistake(format!("{} cannot be written: {error}", self.path.display()))
        };
        // An empty file in its place would be the end of the session.
        let content = serde_json::to_vec(session).map_err(|error| unwritten(&error))?;
        private_file::write(&self.path, &content).map_err(|error| unwritten(&error))
    }

    /// From now on every renewal of the tokens of `client` is written here before they are used.
    ///
    /// The server takes the old refresh token until the new one has been used, so a crash in
    /// between loses nothing.
    pub(crate) fn follow(&self, client: &Client) -> Result<(), SignInError> {
        let (here, again) = (self.clone(), self.clone());
        let reload = move |_: Client| {
            let session = again.load()?.ok_or("there is no session file")?;
            let access_token = session.access_token.ok_or("the session file has no token")?;
            Ok(SessionTokens { access_token, refresh_token: session.refresh_token })
        };
        let save = move |client: Client| {
            let (Some(meta), Some(tokens)) = (client.session_meta(), client.session_tokens()) else {
                return Err("there is no session to save".into());
            };
            here.save(&Session {
                homeserver: client.homeserver().to_string(),
                user_id: meta.user_id.to_string(),
                device_id: meta.device_id.to_string(),
                access_token: Some(tokens.access_token),
                refresh_token: tokens.refresh_token,
            })
            .map_err(Into::into)
        };
        client
            .set_session_callbacks(Box::new(reload), Box::new(save))
            .map_err(|error| SignInError::Mistake(error.to_string()))
    }
}

impl Session {
    /// Whose store this is, and nothing secret.
    pub(crate) fn without_tokens(&self) -> Self {
        Self { access_token: None, refresh_token: None, ..self.clone() }
    }

    /// Hands the session to the SDK. Asks nothing of the server.
    pub(crate) async fn restore(&self, client: &Client) -> Result<(), matrix_sdk::Error> {
        let session = MatrixSession {
            meta: SessionMeta {
                user_id: RumaUserId::parse(&self.user_id)?,
                device_id: OwnedDeviceId::from(self.device_id.as_str()),
            },
            tokens: SessionTokens {
                access_token: self.access_token.clone().unwrap_or_default(),
                refresh_token: self.refresh_token.clone(),
            },
        };
        client.restore_session(AuthSession::Matrix(session)).await
    }
}
