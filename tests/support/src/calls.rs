//! What a client does in a call: join, refresh, leave, and arrange to be taken out should it die.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    homeserver::Homeserver,
    http::text,
    membership::{CALL_MEMBER, DEFAULT_EXPIRES, Membership, call_key},
    server::Synapse,
    users::Device,
};

/// What clients write when they leave: nothing.
pub fn leave_content() -> Value {
    json!({})
}

/// A leave that the server will send by itself unless it is put off (MSC4140).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedLeave {
    /// The name of the delayed event; who knows it may restart, cancel or send it.
    pub delay_id: String,
}

impl Homeserver {
    /// Joins the room's call the way Element Call does, and answers the event id. The key is [`call_key`]'s.
    pub async fn join_call(&self, device: &Device, room: &str) -> Result<String> {
        let membership = Membership::of(device);
        let content = membership.content(room);
        self.put_state(device, room, CALL_MEMBER, &membership.state_key(), content).await
    }

    /// Sends the membership again as clients do every hour: `created_ts` is the first event's time, and `expires` grows by
    /// 4 h each time.
    pub async fn refresh_call(&self, device: &Device, room: &str) -> Result<String> {
        self.refresh_call_by(device, room, DEFAULT_EXPIRES).await
    }

    /// The same for a client with another `expires` per step.
    pub async fn refresh_call_by(&self, device: &Device, room: &str, step: Duration) -> Result<String> {
        let key = call_key(device);
        let event = self.call_member(room, &key).await?;
        let event = event.with_context(|| format!("there is no membership {key} to refresh"))?;
        let mut content = event["content"].clone();
        if content["created_ts"].is_null() {
            content["created_ts"] = event["origin_server_ts"].clone();
        }
        let expires =
            content["expires"].as_u64().with_context(|| format!("{key} has left or has no expires"))?;
        content["expires"] = json!(expires + u64::try_from(step.as_millis())?);
        self.put_state(device, room, CALL_MEMBER, &key, content).await
    }

    /// Leaves the call in good order.
    pub async fn leave_call(&self, device: &Device, room: &str) -> Result<String> {
        let key = call_key(device);
        self.put_state(device, room, CALL_MEMBER, &key, leave_content()).await
    }

    /// Arranges that the server takes the device out of the call after `delay`, unless restarted before.
    pub async fn schedule_leave(&self, device: &Device, room: &str, delay: Duration) -> Result<DelayedLeave> {
        let path = ["rooms", room, "state", CALL_MEMBER, &call_key(device)];
        let delay = delay.as_millis().to_string();
        let put = self
            .as_device(device, Method::PUT, &path)
            .query("org.matrix.msc4140.delay", &delay)
            .body(leave_content());
        Ok(DelayedLeave { delay_id: text(&put.send().await?, "delay_id")? })
    }

    /// Lets the delay begin anew, as a live client does every 5 s.
    pub async fn restart_leave(&self, leave: &DelayedLeave) -> Result<()> {
        self.manage_leave(leave, "restart").await
    }

    /// Takes the delayed leave back.
    pub async fn cancel_leave(&self, leave: &DelayedLeave) -> Result<()> {
        self.manage_leave(leave, "cancel").await
    }

    /// Sends it now, as an authorisation service does when the SFU tells it that somebody is gone.
    pub async fn send_leave(&self, leave: &DelayedLeave) -> Result<()> {
        self.manage_leave(leave, "send").await
    }

    /// The leaves that the device's user still has waiting.
    pub async fn delayed_leaves(&self, device: &Device) -> Result<Vec<DelayedLeave>> {
        let answer = self.request(Method::GET, &DELAYED_EVENTS).token(&device.access_token).send().await?;
        let listed = answer["delayed_events"].as_array().into_iter().flatten();
        listed.map(|leave| Ok(DelayedLeave { delay_id: text(leave, "delay_id")? })).collect()
    }

    async fn manage_leave(&self, leave: &DelayedLeave, action: &str) -> Result<()> {
        let path = [&DELAYED_EVENTS[..], &[&leave.delay_id, action]].concat();
        let manage = self.request(Method::POST, &path).body(json!({}));
        manage.send().await.map(drop)
    }
}

impl Synapse {
    /// Writes any membership as its user, with the time it asks for, and answers the event id.
    ///
    /// This goes through the appservice, so the user needs no device; it must be in the room and have the power.
    ///
    /// # Errors
    /// Also if the key already holds just this content of this user: Synapse then answers the old event and writes none,
    /// so a membership cannot be aged after the fact. Write another key or content, or leave first.
    pub async fn write_membership(&self, room: &str, membership: Membership) -> Result<String> {
        let key = membership.state_key();
        let before = self.call_member(room, &key).await?;
        let path = ["rooms", room, "state", CALL_MEMBER, &key];
        let mut put = self
            .client_request(Method::PUT, &path)
            .token(&self.appservice().token)
            .query("user_id", &membership.user_id)
            .body(membership.content(room));
        if !membership.age.is_zero() {
            let sent = membership.sent_at().timestamp_millis();
            put = put.query("ts", &sent.to_string());
        }
        let event_id = text(&put.send().await?, "event_id")?;
        ensure!(
            before.is_none_or(|before| before["event_id"] != event_id.as_str()),
            "{key} already holds just this content, so nothing was written"
        );
        Ok(event_id)
    }
}

const DELAYED_EVENTS: [&str; 5] = ["_matrix", "client", "unstable", "org.matrix.msc4140", "delayed_events"];
