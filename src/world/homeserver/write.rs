//! The one write: emptying a membership.

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    plan::Route,
    rtc::state_event::CALL_MEMBER,
};
use serde::Deserialize;
use serde_json::json;

use super::{Homeserver, request::JsonRequest};
use crate::world::{KeyWrite, NeighbourError, StateWriter, Written};

#[derive(Deserialize)]
struct Answer {
    event_id: String,
}

impl Homeserver {
    /// Empties a membership with the power that this account has itself: `PUT {}` on its key. Returns the
    /// event that was written.
    ///
    /// # Errors
    ///
    /// The homeserver's.
    pub async fn empty_membership(&self, room: &RoomId, key: &StateKey) -> Result<EventId, NeighbourError> {
        let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "state", CALL_MEMBER, key.as_str()];
        let response = JsonRequest::put(&path, &json!({})).send(self.transport()).await?;
        let written: Answer = response.json("the answer to a write")?;
        Ok(written.event_id.into())
    }
}

#[async_trait]
impl StateWriter for Homeserver {
    async fn clear(&self, write: KeyWrite<'_>) -> Result<Written, NeighbourError> {
        match write.route {
            Route::OwnPower => self.empty_membership(write.room, write.key).await.map(Written::Event),
            Route::Appservice | Route::Redaction => {
                Err(NeighbourError::Invalid(format!("the route {} is not set up", write.route.as_str())))
            }
        }
    }
}
