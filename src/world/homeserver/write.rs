//! The one write: emptying a membership.

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    rtc::state_event::CALL_MEMBER,
};
use serde::Deserialize;
use serde_json::json;

use super::{Homeserver, request::JsonRequest};
use crate::world::{NeighbourError, StateWriter};

#[derive(Deserialize)]
struct Written {
    event_id: String,
}

#[async_trait]
impl StateWriter for Homeserver {
    async fn empty_membership(&self, room: &RoomId, key: &StateKey) -> Result<EventId, NeighbourError> {
        let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "state", CALL_MEMBER, key.as_str()];
        let response = JsonRequest::put(&path, &json!({})).send(self.client()).await?;
        let written: Written = response.json("the answer to a write")?;
        Ok(written.event_id.into())
    }
}
