//! Rooms: made, entered, left, ruled, spoken in.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    clock,
    homeserver::Homeserver,
    http::{Request, text},
    membership::CALL_MEMBER,
    names::unique,
    server::Synapse,
    users::Device,
};

/// How a room is made. Without more it is private, of the server's default version, and anybody in it may join calls, as
/// in every room that Element makes.
#[derive(Debug, Clone)]
pub struct RoomOptions {
    version: Option<String>,
    name: Option<String>,
    preset: String,
    alias: Option<String>,
    invite: Vec<String>,
    encrypted: bool,
    call_member_level: Option<i64>,
    power_levels: Value,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self {
            version: None,
            name: None,
            preset: "private_chat".to_owned(),
            alias: None,
            invite: Vec::new(),
            encrypted: false,
            call_member_level: Some(0),
            power_levels: json!({}),
        }
    }
}

impl RoomOptions {
    /// A private room where anybody may join calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// The room version, such as `"10"`.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// The room's name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Anybody may join without an invitation.
    #[must_use]
    pub fn public(mut self) -> Self {
        "public_chat".clone_into(&mut self.preset);
        self
    }

    /// The localpart of an alias, such as `"lobby"`.
    #[must_use]
    pub fn alias(mut self, localpart: &str) -> Self {
        self.alias = Some(localpart.to_owned());
        self
    }

    /// Invites this user at once.
    #[must_use]
    pub fn invite(mut self, user_id: &str) -> Self {
        self.invite.push(user_id.to_owned());
        self
    }

    /// With end-to-end encryption from the start.
    #[must_use]
    pub fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// The power level needed to write call memberships; `None` leaves it out, as Synapse does, and then it is 50.
    #[must_use]
    pub fn call_member_level(mut self, level: impl Into<Option<i64>>) -> Self {
        self.call_member_level = level.into();
        self
    }

    /// More of the first `m.room.power_levels`, such as `json!({"users": {..}})`. Where it has `events`, that replaces the
    /// whole map, the level of call memberships included.
    #[must_use]
    pub fn power_levels(mut self, content: Value) -> Self {
        self.power_levels = content;
        self
    }

    fn body(self) -> Value {
        let mut levels = json!({});
        if let Some(level) = self.call_member_level {
            // Synapse replaces its own map of events by this one, so the rest of it is repeated.
            levels["events"] = json!({
                "m.room.name": 50,
                "m.room.avatar": 50,
                "m.room.canonical_alias": 50,
                "m.room.power_levels": 100,
                "m.room.history_visibility": 100,
                "m.room.tombstone": 100,
                "m.room.server_acl": 100,
                "m.room.encryption": 100,
                CALL_MEMBER: level,
            });
        }
        for (key, value) in self.power_levels.as_object().into_iter().flatten() {
            levels[key] = value.clone();
        }
        let mut body = json!({
            "preset": self.preset,
            "invite": self.invite,
            "power_level_content_override": levels,
        });
        if let Some(version) = self.version {
            body["room_version"] = json!(version);
        }
        if let Some(name) = self.name {
            body["name"] = json!(name);
        }
        if let Some(alias) = self.alias {
            body["room_alias_name"] = json!(alias);
        }
        if self.encrypted {
            let content = json!({"algorithm": "m.megolm.v1.aes-sha2"});
            body["initial_state"] =
                json!([{"type": "m.room.encryption", "state_key": "", "content": content}]);
        }
        body
    }
}

impl Homeserver {
    /// Makes a room and answers its id.
    pub async fn create_room(&self, device: &Device, options: RoomOptions) -> Result<String> {
        let create = self.as_device(device, Method::POST, &["createRoom"]);
        let room = text(&create.body(options.body()).send().await?, "room_id")?;
        self.was_made(&room, &device.access_token);
        Ok(room)
    }

    /// Joins by room id or alias.
    pub async fn join(&self, device: &Device, room: &str) -> Result<()> {
        self.act(device, &["join", room], json!({})).await
    }

    /// Joins a room that this server is not in yet by another that is.
    pub async fn join_via(&self, device: &Device, room: &str, server_name: &str) -> Result<()> {
        let join = self.as_device(device, Method::POST, &["join", room]).query("via", server_name);
        join.body(json!({})).send().await.map(drop)
    }

    /// Invites a user.
    pub async fn invite(&self, device: &Device, room: &str, user_id: &str) -> Result<()> {
        let body = json!({"user_id": user_id});
        self.act(device, &["rooms", room, "invite"], body).await
    }

    /// Invites the other's user and joins with the other's device.
    pub async fn bring_in(&self, device: &Device, room: &str, other: &Device) -> Result<()> {
        self.invite(device, room, &other.user_id).await?;
        self.join(other, room).await
    }

    /// Leaves the room, or turns an invitation down.
    pub async fn leave(&self, device: &Device, room: &str) -> Result<()> {
        self.act(device, &["rooms", room, "leave"], json!({})).await
    }

    /// Throws a user out.
    pub async fn kick(&self, device: &Device, room: &str, user_id: &str) -> Result<()> {
        let body = json!({"user_id": user_id});
        self.act(device, &["rooms", room, "kick"], body).await
    }

    /// Throws a user out for good.
    pub async fn ban(&self, device: &Device, room: &str, user_id: &str) -> Result<()> {
        let body = json!({"user_id": user_id});
        self.act(device, &["rooms", room, "ban"], body).await
    }

    /// Gives one user a power level. Creators of rooms of version 12 have all power and cannot be given any.
    pub async fn set_power_level(
        &self,
        device: &Device,
        room: &str,
        user_id: &str,
        level: i64,
    ) -> Result<()> {
        let mut content = self.power_levels(room).await?;
        content["users"][user_id] = json!(level);
        self.put_power_levels(device, room, content).await
    }

    /// Replaces the content of `m.room.power_levels`.
    pub async fn put_power_levels(&self, device: &Device, room: &str, content: Value) -> Result<()> {
        self.put_state(device, room, "m.room.power_levels", "", content).await.map(drop)
    }

    /// Replaces the room by one of another version and answers the new room's id. Members are not brought along.
    pub async fn upgrade(&self, device: &Device, room: &str, version: &str) -> Result<String> {
        let upgrade = self.as_device(device, Method::POST, &["rooms", room, "upgrade"]);
        let answer = upgrade.body(json!({"new_version": version})).send().await?;
        let successor = text(&answer, "replacement_room")?;
        self.was_made(&successor, &device.access_token);
        Ok(successor)
    }

    /// Sends a plain text message and answers its event id.
    pub async fn send_text(&self, device: &Device, room: &str, body: &str) -> Result<String> {
        let content = json!({"msgtype": "m.text", "body": body});
        self.send_event(device, room, "m.room.message", content).await
    }

    /// Sends `count` plain text messages, to fill a timeline.
    pub async fn send_texts(&self, device: &Device, room: &str, count: usize) -> Result<()> {
        for number in 1..=count {
            self.send_text(device, room, &format!("message {number} of {count}")).await?;
        }
        Ok(())
    }

    /// Sends any timeline event and answers its event id.
    pub async fn send_event(
        &self,
        device: &Device,
        room: &str,
        event_type: &str,
        content: Value,
    ) -> Result<String> {
        let path = ["rooms", room, "send", event_type, &unique("txn")];
        let send = self.as_device(device, Method::PUT, &path).body(content);
        text(&send.send().await?, "event_id")
    }

    /// Redacts an event and answers the redaction's event id.
    pub async fn redact(&self, device: &Device, room: &str, event_id: &str) -> Result<String> {
        let path = ["rooms", room, "redact", event_id, &unique("txn")];
        let redact = self.as_device(device, Method::PUT, &path).body(json!({}));
        text(&redact.send().await?, "event_id")
    }

    /// Sets any state and answers its event id.
    pub async fn put_state(
        &self,
        device: &Device,
        room: &str,
        event_type: &str,
        state_key: &str,
        content: Value,
    ) -> Result<String> {
        let path = ["rooms", room, "state", event_type, state_key];
        let put = self.as_device(device, Method::PUT, &path).body(content);
        text(&put.send().await?, "event_id")
    }

    /// A request below `/_matrix/client/v3` with the device's token.
    pub fn as_device(&self, device: &Device, method: Method, path: &[&str]) -> Request<'_> {
        self.client_request(method, path).token(&device.access_token)
    }

    async fn act(&self, device: &Device, path: &[&str], body: Value) -> Result<()> {
        let request = self.as_device(device, Method::POST, path).body(body);
        request.send().await.map(drop)
    }
}

impl Synapse {
    /// Sends a plain text message that was on its way for `age`, as one from a server that was cut off
    /// is; answers its event id. The user must be in the room.
    pub async fn send_late_text(
        &self,
        user_id: &str,
        room: &str,
        body: &str,
        age: Duration,
    ) -> Result<String> {
        let at = clock::now() - age;
        let request = self
            .client_request(Method::PUT, &["rooms", room, "send", "m.room.message", &unique("txn")])
            .token(&self.appservice().token)
            .query("user_id", user_id)
            .query("ts", &at.timestamp_millis().to_string())
            .body(json!({"msgtype": "m.text", "body": body}));
        text(&request.send().await?, "event_id")
    }
}
