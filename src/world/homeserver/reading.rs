//! Reading one room with a token that somebody lends: nothing is signed in, kept or written.

use rtc_janitor_core::{ids::UserId, rtc::state_event::CALL_MEMBER};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{
    connect::client,
    credentials::{Address, SignInError},
    identity::whoami,
    request::JsonRequest,
    session::Session,
    sign_in::not_usable,
};
use crate::{config::RoomRef, world::NeighbourError};

/// The state of a room with 20,000 members is 10 MB.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// A room as its homeserver has it now.
#[derive(Debug)]
pub(crate) struct RoomAsRead {
    /// Whose token it was.
    pub(crate) user_id: UserId,
    /// The answer of `GET /rooms/{id}/state`.
    pub(crate) state: Value,
    /// The answer to a `/keys/query` of those who have memberships there.
    pub(crate) keys_query: Value,
}

/// Reads a room's state, and the device lists of those who have memberships in it.
///
/// # Errors
///
/// [`SignInError::Mistake`] for a token that is not taken, an alias that leads nowhere or a room that the account
/// is not in; [`SignInError::Unreachable`] for what may heal.
pub(crate) async fn room(url: &str, token: &SecretString, room: &RoomRef) -> Result<RoomAsRead, SignInError> {
    let client = client(&Address::Url(url.to_owned())).await?;
    // Whose it is, only the homeserver knows; the SDK sends the token whoever it is said to belong to.
    let session = Session {
        homeserver: client.homeserver().to_string(),
        user_id: "@unknown:unknown.invalid".to_owned(),
        device_id: "UNKNOWN".to_owned(),
        access_token: Some(token.expose_secret().to_owned()),
        refresh_token: None,
    };
    session.restore(&client).await.map_err(|error| not_usable(&error))?;
    let me = whoami(&client).await.map_err(|error| match error {
        NeighbourError::SignedOut(why) => {
            SignInError::Mistake(format!("the homeserver does not accept the token of --token-file: {why}"))
        }
        error => error.into(),
    })?;
    let refused = |error: NeighbourError| match error {
        NeighbourError::Refused { status: 403 | 404, message, .. } | NeighbourError::NotAllowed(message) => {
            SignInError::Mistake(format!("{} cannot read {room}: {message}", me.user_id))
        }
        NeighbourError::NotInRoom(_) => {
            SignInError::Mistake(format!("{} is not in {room}: take a token of somebody who is", me.user_id))
        }
        error => error.into(),
    };
    let id = match room {
        RoomRef::Id(id) => id.to_string(),
        RoomRef::Alias(alias) => {
            let request = JsonRequest::get(&["_matrix", "client", "v3", "directory", "room", alias]);
            let found: Value = request.send(&client).await.map_err(refused)?.json("a room's id")?;
            found["room_id"].as_str().unwrap_or_default().to_owned()
        }
    };
    let request = JsonRequest::get(&["_matrix", "client", "v3", "rooms", &id, "state"]).at_most(MOST_BYTES);
    let state: Value = request.send(&client).await.map_err(refused)?.json("a room's state")?;
    let devices: Map<String, Value> = owners(&state).map(|owner| (owner.to_owned(), json!([]))).collect();
    let body = json!({"device_keys": devices});
    let request = JsonRequest::post(&["_matrix", "client", "v3", "keys", "query"], &body);
    let keys_query = request.send(&client).await?.json("device lists")?;
    Ok(RoomAsRead { user_id: me.user_id.as_str().into(), state, keys_query })
}

/// Those for whom call memberships speak.
fn owners(state: &Value) -> impl Iterator<Item = &str> {
    let events = state.as_array().into_iter().flatten().filter(|event| event["type"] == CALL_MEMBER);
    events.filter_map(|event| event["sender"].as_str()).filter(|sender| sender.starts_with('@'))
}
