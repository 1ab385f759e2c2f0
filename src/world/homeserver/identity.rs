//! Who the homeserver says one is, held against the config and the store.

use matrix_sdk::Client;
use serde::Deserialize;

use super::{
    credentials::{Method, SignIn, SignInError},
    request::JsonRequest,
    session::Session,
};
use crate::world::NeighbourError;

/// Whether the server still knows a restored session; false when it has ended it.
pub(crate) async fn still_valid(
    client: &Client,
    session: &Session,
    sign_in: &SignIn,
) -> Result<bool, SignInError> {
    match whoami(client).await {
        Ok(me) => {
            check_identity(&me, sign_in.user_id.as_str(), &session.device_id)?;
            Ok(true)
        }
        // The same server under another address knows the session; another server does not.
        Err(NeighbourError::SignedOut(_)) if client.homeserver().as_str() != session.homeserver => {
            Err(SignInError::Mistake(format!(
                "the stored session was made at {}, and {} does not know it: correct homeserver.url, \
                 or give store.path another directory",
                session.homeserver,
                client.homeserver(),
            )))
        }
        Err(NeighbourError::SignedOut(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the token is the account's and the device's that the config names.
pub(crate) async fn check_token(client: &Client, sign_in: &SignIn) -> Result<(), SignInError> {
    let Method::Token { device_id, .. } = &sign_in.method else { return Ok(()) };
    match whoami(client).await {
        Ok(me) => check_identity(&me, sign_in.user_id.as_str(), device_id),
        Err(NeighbourError::SignedOut(why)) => Err(SignInError::Mistake(format!(
            "the homeserver does not accept the access token of {}: {why}",
            sign_in.user_id
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Whose a token is.
#[derive(Deserialize)]
pub(crate) struct WhoAmI {
    pub(crate) user_id: String,
    device_id: Option<String>,
}

impl WhoAmI {
    /// The request that it answers.
    pub(crate) fn request() -> JsonRequest {
        JsonRequest::get(&["_matrix", "client", "v3", "account", "whoami"])
    }
}

pub(super) async fn whoami(client: &Client) -> Result<WhoAmI, NeighbourError> {
    WhoAmI::request().send(client).await?.json("the answer to whoami")
}

fn check_identity(me: &WhoAmI, user_id: &str, device_id: &str) -> Result<(), SignInError> {
    if me.user_id != user_id {
        return Err(SignInError::Mistake(format!(
            "the access token belongs to {}; this config says {user_id}: correct one of the two",
            me.user_id
        )));
    }
    match me.device_id.as_deref() {
        Some(device) if device != device_id => Err(SignInError::Mistake(format!(
            "the access token belongs to device {device}; this config says {device_id}: correct one of the two"
        ))),
        None => Err(SignInError::Mistake(format!(
            "the access token of {user_id} belongs to no device: make one that does"
        ))),
        Some(_) => Ok(()),
    }
}
