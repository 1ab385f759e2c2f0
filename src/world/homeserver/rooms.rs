//! Fresh reads of rooms, and joining them.

use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use rtc_janitor_core::{
    ids::{EventId, RoomId},
    rtc::state_event::StateEvent,
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::json;

use super::{Homeserver, full_view, request::JsonRequest};
use crate::world::{NeighbourError, RoomView, Rooms};

/// Joining a room of another server means fetching its whole state first.
const PATIENCE_TO_JOIN: Duration = Duration::from_mins(1);

/// How long the server may take over the whole state of one room; that of 20,000 members is 10 MB.
const PATIENCE_FOR_STATE: Duration = Duration::from_mins(1);

/// A room with more state than this many bytes is not read at once.
const MOST_STATE: usize = 16 << 20;

#[async_trait]
impl Rooms for Homeserver {
    async fn state_event(
        &self,
        room: &RoomId,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<StateEvent>, NeighbourError> {
        let request = JsonRequest::get(&[
            "_matrix",
            "client",
            "v3",
            "rooms",
            room.as_str(),
            "state",
            event_type,
            state_key,
        ])
        .query("format", "event");
        let response = match request.send(self.transport()).await {
            Ok(response) => response,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let event = response.event()?;
        // A server that does not know `format=event` answers with the content alone.
        let event = StateEvent::from_json(event)
            .map_err(|error| NeighbourError::Unreachable(format!("the answer is {error}")))?;
        if event.event_type != event_type || event.state_key.as_str() != state_key {
            // What follows from this read is a write to the key that was asked for.
            let other = format!("the answer is about {:?} {:?}", event.event_type, event.state_key);
            return Err(NeighbourError::Unreachable(other));
        }
        Ok(Some(event))
    }

    async fn server_time(&self) -> Result<Timestamp, NeighbourError> {
        let request = JsonRequest::get(&["_matrix", "client", "versions"]);
        let date = request.send(self.transport()).await?.date;
        date.as_deref()
            .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
            .map(|date| date.to_utc().into())
            .ok_or_else(|| NeighbourError::Unreachable("the answer has no Date".to_owned()))
    }

    async fn full_view(&self, room: &RoomId) -> Result<RoomView, NeighbourError> {
        let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "state"];
        let request = JsonRequest::get(&path).patience(PATIENCE_FOR_STATE).at_most(MOST_STATE);
        match request.send(self.transport()).await {
            Ok(answer) => full_view::read(answer.body(), room, self.user_id()),
            Err(NeighbourError::Refused { errcode, message, .. }) if errcode == "M_FORBIDDEN" => {
                Err(NeighbourError::NotInRoom(message))
            }
            Err(error) => Err(error),
        }
    }

    async fn event(&self, room: &RoomId, event: &EventId) -> Result<Option<StateEvent>, NeighbourError> {
        let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "event", event.as_str()];
        match JsonRequest::get(&path).send(self.transport()).await {
            Ok(answer) => Ok(StateEvent::from_json(answer.event()?).ok()),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn resolve(&self, alias: &str) -> Result<Option<RoomId>, NeighbourError> {
        let request = JsonRequest::get(&["_matrix", "client", "v3", "directory", "room", alias]);
        match request.send(self.transport()).await {
            Ok(response) => Ok(Some(response.json::<Directory>("the room directory")?.room_id.into())),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn join(&self, room: &RoomId, via: &[String]) -> Result<(), NeighbourError> {
        let mut request = JsonRequest::post(&["_matrix", "client", "v3", "join", room.as_str()], &json!({}))
            .patience(PATIENCE_TO_JOIN);
        for server in via {
            // `via` since Matrix 1.12, `server_name` before; servers ignore the one they do not know.
            request = request.query("via", server).query("server_name", server);
        }
        request.send(self.transport()).await.map(drop)
    }

    async fn leave(&self, room: &RoomId) -> Result<(), NeighbourError> {
        let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "leave"];
        JsonRequest::post(&path, &json!({})).send(self.transport()).await.map(drop)
    }
}

#[derive(Deserialize)]
struct Directory {
    room_id: String,
}

/// 404 `M_NOT_FOUND`: there is no such event. A 404 with any other code (`M_UNRECOGNIZED` of an
/// endpoint that is not there) says nothing about the room.
fn is_not_found(error: &NeighbourError) -> bool {
    matches!(error, NeighbourError::Refused { status: 404, errcode, .. } if errcode == "M_NOT_FOUND")
}
