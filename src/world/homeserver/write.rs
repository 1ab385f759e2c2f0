//! Clearing a membership with the account's own power, or by a redaction.

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    rtc::state_event::CALL_MEMBER,
};
use serde::Deserialize;
use serde_json::json;

use super::{Homeserver, request::JsonRequest};
use crate::world::NeighbourError;

/// What people who look at a redacted membership are told. Clients show it where they show such events.
const REASON: &str = "left over from a call";

#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) event_id: String,
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

    /// Redacts a membership event. One that was superseded meanwhile changes nothing of the room's state.
    /// Returns the redaction.
    ///
    /// # Errors
    ///
    /// The homeserver's.
    pub async fn redact_membership(&self, room: &RoomId, event: &EventId) -> Result<EventId, NeighbourError> {
        // An event is redacted once, however often that is asked for: its id is the transaction's.
        let (room, event) = (room.as_str(), event.as_str());
        let path = ["_matrix", "client", "v3", "rooms", room, "redact", event, event];
        let response = JsonRequest::put(&path, &json!({"reason": REASON})).send(self.transport()).await?;
        let written: Answer = response.json("the answer to a redaction")?;
        Ok(written.event_id.into())
    }
}
