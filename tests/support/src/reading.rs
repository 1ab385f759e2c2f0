//! What the server holds. On a Synapse it is read with an administrator's eyes: no test user needs to be in a room to
//! look into it. Elsewhere whoever made the room looks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    homeserver::Homeserver,
    http::{Refusal, Request, text},
    membership::CALL_MEMBER,
    server::Synapse,
    users::Device,
};

/// A text message in a room, as it was sent: an edit is a message of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its event id.
    pub event_id: String,
    /// Who sent it.
    pub sender: String,
    /// When the server says it was sent.
    pub sent: DateTime<Utc>,
    /// The plain text.
    pub body: String,
    /// The HTML, if any.
    pub formatted_body: Option<String>,
    /// `m.relates_to`, or null: threads, replies and edits.
    pub relates_to: Value,
    /// The whole content.
    pub content: Value,
}

/// Whether a membership's content says that somebody is there: an object with more than a reason for leaving, and in the
/// array form with an entry.
pub fn is_open_content(content: &Value) -> bool {
    let Some(content) = content.as_object() else {
        return false;
    };
    if let Some(memberships) = content.get("memberships").and_then(Value::as_array) {
        return !memberships.is_empty();
    }
    content.keys().any(|key| key != "leave_reason")
}

impl Homeserver {
    /// The whole state of a room: full events.
    pub async fn state(&self, room: &str) -> Result<Vec<Value>> {
        let answer = self.look(room, "state").send().await?;
        let state = answer.get("state").unwrap_or(&answer);
        serde_json::from_value(state.clone()).context("the state of a room is a list")
    }

    /// One full state event, whoever may read it.
    pub async fn state_event(&self, room: &str, event_type: &str, state_key: &str) -> Result<Option<Value>> {
        let state = self.state(room).await?;
        Ok(state.into_iter().find(|event| event["type"] == event_type && event["state_key"] == state_key))
    }

    /// One full state event as this device may read it; `None` if there is none.
    pub async fn read_state(
        &self,
        device: &Device,
        room: &str,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<Value>> {
        let path = ["rooms", room, "state", event_type, state_key];
        let read = self.as_device(device, Method::GET, &path);
        match read.query("format", "event").send().await {
            Ok(event) => Ok(Some(event)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The full event of one membership, open or not; `None` if the key was never written.
    pub async fn call_member(&self, room: &str, key: &str) -> Result<Option<Value>> {
        self.state_event(room, CALL_MEMBER, key).await
    }

    /// The full events of all memberships of a room, by state key, open or not.
    pub async fn memberships(&self, room: &str) -> Result<BTreeMap<String, Value>> {
        let state = self.state(room).await?;
        state
            .into_iter()
            .filter(|event| event["type"] == CALL_MEMBER)
            .map(|event| Ok((text(&event, "state_key")?, event)))
            .collect()
    }

    /// Whether a membership is there and not left, emptied or redacted.
    pub async fn is_open(&self, room: &str, key: &str) -> Result<bool> {
        let event = self.call_member(room, key).await?;
        Ok(event.is_some_and(|event| is_open_content(&event["content"])))
    }

    /// The content of `m.room.power_levels`.
    pub async fn power_levels(&self, room: &str) -> Result<Value> {
        let event = self.state_event(room, "m.room.power_levels", "").await?;
        Ok(event.map_or_else(|| json!({}), |event| event["content"].clone()))
    }

    /// Every event of a room, oldest first, state changes and redactions included.
    pub async fn timeline(&self, room: &str) -> Result<Vec<Value>> {
        // Forwards, Dendrite wants to be told where to begin.
        let direction = if self.maker_of(room).is_some() { "b" } else { "f" };
        let mut events = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let mut page = self.look(room, "messages").query("dir", direction).query("limit", "100");
            if let Some(from) = &from {
                page = page.query("from", from);
            }
            let mut answer = page.send().await?;
            let chunk: Vec<Value> = serde_json::from_value(answer["chunk"].take())?;
            // Dendrite says by an empty one that there is no more.
            let next = answer["end"].as_str().filter(|end| !end.is_empty()).map(ToOwned::to_owned);
            if chunk.is_empty() || next.is_none() {
                events.extend(chunk);
                if direction == "b" {
                    events.reverse();
                }
                return Ok(events);
            }
            events.extend(chunk);
            from = next;
        }
    }

    /// Every event that one user ever sent into a room, oldest first: the proof that nothing was sent.
    pub async fn events_by(&self, room: &str, sender: &str) -> Result<Vec<Value>> {
        let mut events = self.timeline(room).await?;
        events.retain(|event| event["sender"] == sender);
        Ok(events)
    }

    /// The unencrypted messages of a room, oldest first.
    pub async fn messages(&self, room: &str) -> Result<Vec<Message>> {
        let events = self.timeline(room).await?;
        events
            .iter()
            .filter(|event| event["type"] == "m.room.message")
            .filter_map(|event| message(event).transpose())
            .collect()
    }

    /// The ids of the devices that `/keys/query` lists for a user: those with keys.
    pub async fn keys_query(&self, user_id: &str) -> Result<BTreeSet<String>> {
        let answer = self
            .client_request(Method::POST, &["keys", "query"])
            .token(self.own_token())
            .body(json!({"device_keys": {user_id: []}}))
            .send()
            .await?;
        let devices = answer["device_keys"][user_id].as_object();
        Ok(devices.map(|devices| devices.keys().cloned().collect()).unwrap_or_default())
    }

    /// Asks for the `state` or the `messages` of a room.
    fn look(&self, room: &str, what: &str) -> Request<'_> {
        match self.maker_of(room) {
            Some(token) => self.client_request(Method::GET, &["rooms", room, what]).token(&token),
            None => self
                .request(Method::GET, &["_synapse", "admin", "v1", "rooms", room, what])
                .token(self.own_token()),
        }
    }
}

impl Synapse {
    /// The ids of all devices of a user, with keys or without.
    pub async fn devices(&self, user_id: &str) -> Result<BTreeSet<String>> {
        let answer = self.admin_request(Method::GET, &["v2", "users", user_id, "devices"]).send().await?;
        let devices = answer["devices"].as_array().into_iter().flatten();
        devices.map(|device| text(device, "device_id")).collect()
    }
}

/// `None` for a redacted message.
fn message(event: &Value) -> Result<Option<Message>> {
    let content = &event["content"];
    let Some(body) = content["body"].as_str() else {
        return Ok(None);
    };
    Ok(Some(Message {
        event_id: text(event, "event_id")?,
        sender: text(event, "sender")?,
        sent: event["origin_server_ts"]
            .as_i64()
            .and_then(DateTime::from_timestamp_millis)
            .context("an event has a time")?,
        body: body.to_owned(),
        formatted_body: content["formatted_body"].as_str().map(ToOwned::to_owned),
        relates_to: content["m.relates_to"].clone(),
        content: content.clone(),
    }))
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.status == 404)
}
