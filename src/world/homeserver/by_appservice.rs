//! Signing in by an appservice: as a user of its namespace, who is made where there is none.
//!
//! The user of the registration's own `sender_localpart` is no such user: Synapse answers its every sync
//! with 500, whatever it signs in by.

use matrix_sdk::Client;
use rtc_janitor_core::ids::UserId;
use secrecy::SecretString;
use serde_json::json;

use super::{connect::is_homeserver, credentials::SignInError, identity::WhoAmI, request::JsonRequest};
use crate::world::NeighbourError;

/// Of a sign-in and of a registration.
pub(super) const LOGIN_TYPE: &str = "m.login.application_service";

/// Whether the account can sign in with this token; where there is none, it is registered.
pub(super) async fn prepare(
    client: &Client,
    user_id: &UserId,
    as_token: &SecretString,
) -> Result<(), SignInError> {
    let sender: WhoAmI = match WhoAmI::request().token(as_token).send(client).await {
        Ok(answer) => answer.json("the answer to whoami")?,
        Err(NeighbourError::SignedOut(why)) => {
            return Err(SignInError::Mistake(format!(
                "the homeserver does not take appservice.as_token ({why}): name the registration in its \
                 app_service_config_files and restart it, or correct the token"
            )));
        }
        Err(error) => {
            is_homeserver(client).await?;
            return Err(error.into());
        }
    };
    if sender.user_id == user_id.as_str() {
        return Err(SignInError::Mistake(format!(
            "{user_id} is the sender_localpart of the appservice, and a homeserver lets that user do everything but \
             sync: give the registration another sender_localpart, or write another homeserver.user_id"
        )));
    }
    let localpart = user_id.as_str().trim_start_matches('@').split(':').next().unwrap_or_default();
    let body = json!({"type": LOGIN_TYPE, "username": localpart, "inhibit_login": true});
    let register = JsonRequest::post(&["_matrix", "client", "v3", "register"], &body).token(as_token);
    match register.send(client).await {
        Ok(_) => {
            tracing::info!(%user_id, "registered by the appservice");
            Ok(())
        }
        Err(NeighbourError::Refused { errcode, .. }) if errcode == "M_USER_IN_USE" => Ok(()),
        Err(NeighbourError::Refused { errcode, message, .. }) => Err(SignInError::Mistake(format!(
            "the homeserver does not let the appservice register {user_id}: {message} ({errcode})"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// A sign-in that was refused.
pub(super) fn of_login(error: NeighbourError, user_id: &UserId) -> SignInError {
    match error {
        NeighbourError::Refused { errcode, message, .. } => SignInError::Mistake(format!(
            "the homeserver does not let {user_id} sign in by the appservice: {message} ({errcode}); is the account in \
             the namespace of its registration?"
        )),
        other => other.into(),
    }
}
