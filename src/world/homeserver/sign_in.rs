//! Signing in, by password, access token or appservice, and knowing one's own session again.
//!
//! What only a person can put right is a [`SignInError::Mistake`] with a sentence that says how;
//! everything else may heal and is left to the caller to try again.

use std::path::Path;

use matrix_sdk::{Client, ruma::UserId as RumaUserId};
use rtc_janitor_core::ids::UserId;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Homeserver, by_appservice,
    connect::{client, is_homeserver},
    identity::{check_token, still_valid},
    request::JsonRequest,
    session::{Session, SessionFile},
};
use crate::world::NeighbourError;

pub use super::credentials::{Address, Method, SignIn, SignInError};

/// What the watch device is called in the account's list of devices.
pub(super) const WATCH_DEVICE: &str = "rtc-janitor (watch)";

/// Signs in the watch connection: a device without encryption keys, its session kept as
/// `session-watch.json` in `store`.
///
/// # Errors
///
/// [`SignInError::Mistake`] for a wrong password, a token of somebody else, a store of another
/// account; [`SignInError::Unreachable`] for what may heal.
pub async fn watch(sign_in: &SignIn, store: &Path) -> Result<Homeserver, SignInError> {
    let file = SessionFile::new(store, "watch");
    let stored = known_session(sign_in, &file, store)?;
    let signed_in = |client, session: &Session| {
        Homeserver::new(client, session.user_id.as_str().into(), session.device_id.as_str().into())
    };

    if let Some(session) = stored.filter(|_| sign_in.method.makes_devices()) {
        let client = client(&sign_in.homeserver).await?;
        file.follow(&client)?;
        session.restore(&client).await.map_err(|error| not_usable(&error))?;
        if still_valid(&client, &session, sign_in).await? {
            return Ok(signed_in(client, &session));
        }
        tracing::warn!("the homeserver has ended the session of the watch connection: signing in anew");
    }

    // A client can hold one session in its life, hence a new one.
    let client = client(&sign_in.homeserver).await?;
    let session = new_session(&client, sign_in, WATCH_DEVICE).await?;
    session.restore(&client).await.map_err(|error| not_usable(&error))?;
    if let Method::Token { .. } = sign_in.method {
        check_token(&client, sign_in).await?;
        file.save(&session.without_tokens())?;
    } else {
        file.save(&session)?;
        file.follow(&client)?;
    }
    Ok(signed_in(client, &session))
}

/// The session in the store, if it has tokens; a store of another account is a mistake.
pub(crate) fn known_session(
    sign_in: &SignIn,
    file: &SessionFile,
    store: &Path,
) -> Result<Option<Session>, SignInError> {
    RumaUserId::parse(sign_in.user_id.as_str()).map_err(|error| {
        SignInError::Mistake(format!("{:?} is not a user id: {error}", sign_in.user_id.as_str()))
    })?;
    let Some(session) = file.load()? else { return Ok(None) };
    if session.user_id != sign_in.user_id.as_str() {
        return Err(SignInError::Mistake(format!(
            "the store in {} belongs to {}; this config says {}: give store.path another directory, or go back to {}",
            store.display(),
            session.user_id,
            sign_in.user_id,
            session.user_id,
        )));
    }
    Ok(Some(session).filter(|session| session.access_token.is_some()))
}

/// A session that comes from the config: by logging in, or with its token as it stands.
pub(crate) async fn new_session(
    client: &Client,
    sign_in: &SignIn,
    display_name: &str,
) -> Result<Session, SignInError> {
    match &sign_in.method {
        Method::Token { access_token, device_id } => Ok(Session {
            homeserver: client.homeserver().to_string(),
            user_id: sign_in.user_id.to_string(),
            device_id: device_id.clone(),
            access_token: Some(access_token.expose_secret().to_owned()),
            refresh_token: None,
        }),
        Method::Password(password) => {
            let request = |body: &Value| JsonRequest::post(&LOGIN, body);
            let proof = json!({"type": "m.login.password", "password": password.expose_secret()});
            log_in(client, &sign_in.user_id, proof, request, display_name).await
        }
        Method::Appservice(as_token) => {
            by_appservice::prepare(client, &sign_in.user_id, as_token).await?;
            let request = |body: &Value| JsonRequest::post(&LOGIN, body).token(as_token);
            let proof = json!({"type": by_appservice::LOGIN_TYPE});
            log_in(client, &sign_in.user_id, proof, request, display_name).await
        }
    }
}

/// Where one signs in.
const LOGIN: [&str; 4] = ["_matrix", "client", "v3", "login"];

/// What a sign-in comes to.
#[derive(Deserialize)]
struct LoggedIn {
    user_id: String,
    device_id: String,
    access_token: String,
    refresh_token: Option<String>,
}

async fn log_in(
    client: &Client,
    user_id: &UserId,
    mut body: Value,
    request: impl Fn(&Value) -> JsonRequest,
    display_name: &str,
) -> Result<Session, SignInError> {
    let is_by_password = body["type"] == "m.login.password";
    body["identifier"] = json!({"type": "m.id.user", "user": user_id});
    body["initial_device_display_name"] = json!(display_name);
    body["refresh_token"] = json!(true);
    let answer: LoggedIn = match request(&body).send(client).await {
        Ok(answer) => answer.json("the answer to a sign-in")?,
        Err(error) => {
            is_homeserver(client).await?;
            return Err(if is_by_password {
                of_login(error, user_id)
            } else {
                by_appservice::of_login(error, user_id)
            });
        }
    };
    if answer.user_id != user_id.as_str() {
        return Err(SignInError::Mistake(format!(
            "the homeserver signs {user_id} in as {}: correct homeserver.user_id",
            answer.user_id
        )));
    }
    Ok(Session {
        homeserver: client.homeserver().to_string(),
        user_id: answer.user_id,
        device_id: answer.device_id,
        access_token: Some(answer.access_token),
        refresh_token: answer.refresh_token,
    })
}

fn of_login(error: NeighbourError, user_id: &UserId) -> SignInError {
    match error {
        NeighbourError::Refused { errcode, .. } if errcode == "M_FORBIDDEN" => {
            SignInError::Mistake(format!("the homeserver refuses the password of {user_id}: correct it"))
        }
        NeighbourError::Refused { errcode, .. } if errcode == "M_UNRECOGNIZED" || errcode == "M_UNKNOWN" => {
            SignInError::mistake(
                "the homeserver offers no sign-in by password: use access_token_file and device_id",
            )
        }
        NeighbourError::Refused { errcode, message, .. } => SignInError::Mistake(format!(
            "the homeserver does not let {user_id} sign in: {message} ({errcode})"
        )),
        other => other.into(),
    }
}

/// Restoring asks nothing of the server: what fails here fails for ever.
pub(super) fn not_usable(error: &matrix_sdk::Error) -> SignInError {
    SignInError::Mistake(format!("the session of the watch connection cannot be used: {error}"))
}
