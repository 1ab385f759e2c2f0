//! One state event as a server returns it, before anybody has said what its content means.

use serde_json::{Map, Value};

use crate::{
    ids::{EventId, StateKey, UserId},
    time::Timestamp,
};

/// The event type of MatrixRTC memberships in use today (MSC3401 as amended by MSC4143).
pub const CALL_MEMBER: &str = "org.matrix.msc3401.call.member";

/// A state event in the client format of `/state` and `/sync`.
#[derive(Clone, Debug, PartialEq)]
pub struct StateEvent {
    /// The event type.
    pub event_type: String,
    /// The state key, opaque until [`super::state_key`] reads it.
    pub state_key: StateKey,
    /// The id of this very event.
    pub event_id: EventId,
    /// Who sent it, as the server vouches for it.
    pub sender: UserId,
    /// When the sender's server says it was sent.
    pub origin_server_ts: Timestamp,
    /// The content, any JSON at all.
    pub content: Value,
    /// Whether it was redacted (`unsigned.redacted_because`).
    pub redacted: bool,
    /// Who redacted it, where the server says so.
    pub redacted_by: Option<UserId>,
    /// The event that this one replaced in the room state (`unsigned.replaces_state`).
    pub replaces_state: Option<EventId>,
    /// What that held, where the server says so (`unsigned.prev_content`).
    pub prev_content: Option<Value>,
}

/// Why a JSON value is not a state event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a state event: {missing} is missing or of the wrong type")]
pub struct NotAStateEvent {
    /// The field that is missing or of the wrong type.
    pub missing: &'static str,
}

impl StateEvent {
    /// Reads one event of a `/state` answer or a `/sync` block. The content may be of any shape.
    ///
    /// # Errors
    ///
    /// When a field that every server sends (`type`, `state_key`, `event_id`, `sender`,
    /// `origin_server_ts`) is missing, as for message events, which have no `state_key`.
    pub fn from_json(mut event: Value) -> Result<Self, NotAStateEvent> {
        let text = |event: &Value, missing| {
            event.get(missing).and_then(Value::as_str).map(str::to_owned).ok_or(NotAStateEvent { missing })
        };
        let unsigned = event.get("unsigned");
        let redaction = unsigned.and_then(|u| u.get("redacted_because")).filter(|r| !r.is_null());
        let redacted = redaction.is_some();
        let redacted_by = redaction.and_then(|r| r.get("sender")).and_then(Value::as_str).map(UserId::from);
        let replaces_state =
            unsigned.and_then(|u| u.get("replaces_state")).and_then(Value::as_str).map(EventId::from);
        let prev_content = unsigned.and_then(|u| u.get("prev_content")).filter(|c| c.is_object()).cloned();
        Ok(Self {
            event_type: text(&event, "type")?,
            state_key: text(&event, "state_key")?.into(),
            event_id: text(&event, "event_id")?.into(),
            sender: text(&event, "sender")?.into(),
            origin_server_ts: event
                .get("origin_server_ts")
                .and_then(saturating_integer)
                .map(Timestamp::from_millis)
                .ok_or(NotAStateEvent { missing: "origin_server_ts" })?,
            content: event.get_mut("content").map_or(Value::Null, Value::take),
            redacted,
            redacted_by,
            replaces_state,
            prev_content,
        })
    }
}

/// Whether this is what clients write when they leave: nothing, or nothing but why, and which slot
/// and sticky key was left (matrix-js-sdk 43).
pub(crate) fn is_leave(content: &Map<String, Value>) -> bool {
    content.keys().all(|key| matches!(key.as_str(), "leave_reason" | "slot_id" | "msc4354_sticky_key"))
}

/// A JSON number as a whole one; what does not fit is the nearest that does.
#[expect(clippy::cast_possible_truncation, reason = "`as` from a float saturates, which is what is wanted")]
pub(crate) fn saturating_integer(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_u64().map(|_| i64::MAX))
        .or_else(|| value.as_f64().map(|float| float as i64))
}
