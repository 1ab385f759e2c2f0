//! What was said in the admin room before this program knew of it.

use rtc_janitor_core::ids::RoomId;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::world::{
    NeighbourError,
    homeserver::{Homeserver, request::JsonRequest},
};

/// How often the server may answer that it has found nothing yet.
const MOST_PAGES: usize = 10;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    chunk: Vec<&'a RawValue>,
    /// Absent at the beginning of the room.
    end: Option<String>,
}

/// Account data that says that this account has been started before, for servers that show no past.
const HAS_STARTED: &str = "rtc_janitor.has_started";

/// Whether the account of a connection has ever sent a message to a room that it is in.
///
/// A server without `/messages`, or a proxy that sends it astray, tells nobody; there it counts whether
/// this was asked before, which is left in the account data.
pub(super) async fn has_spoken(homeserver: &Homeserver, room: &RoomId) -> Result<bool, NeighbourError> {
    let user = homeserver.user_id();
    let path = ["_matrix", "client", "v3", "user", user.as_str(), "account_data", HAS_STARTED];
    let has_spoken = match has_messages(homeserver, room).await {
        Err(NeighbourError::Refused { status: 404, errcode, .. }) if errcode == "M_UNRECOGNIZED" => {
            match JsonRequest::get(&path).send(homeserver.transport()).await {
                Ok(_) => true,
                Err(NeighbourError::Refused { status: 404, errcode, .. }) if errcode == "M_NOT_FOUND" => {
                    false
                }
                Err(error) => return Err(error),
            }
        }
        answer => answer?,
    };
    if !has_spoken {
        JsonRequest::put(&path, &json!({})).send(homeserver.transport()).await?;
    }
    Ok(has_spoken)
}

async fn has_messages(homeserver: &Homeserver, room: &RoomId) -> Result<bool, NeighbourError> {
    let filter = json!({
        "senders": [homeserver.user_id()],
        "types": ["m.room.message", "m.room.encrypted"],
    })
    .to_string();
    let mut from: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "messages"];
        let mut request =
            JsonRequest::get(&path).query("dir", "b").query("limit", "5").query("filter", &filter);
        if let Some(from) = &from {
            request = request.query("from", from);
        }
        let answer = request.send(homeserver.transport()).await?;
        let page: Page<'_> = answer.borrowed("the messages of a room")?;
        if !page.chunk.is_empty() {
            return Ok(true);
        }
        match page.end {
            Some(end) if from.as_ref() != Some(&end) => from = Some(end),
            _ => return Ok(false),
        }
    }
    tracing::warn!(%room, "whether anything was said here before cannot be told: taken as if it was");
    Ok(true)
}
