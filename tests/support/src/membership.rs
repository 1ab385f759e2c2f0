//! The content of a call membership in the shapes that clients have written, and in any other a test wants.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::{clock, users::Device};

/// The type of the state event that says "this device is in the call".
pub const CALL_MEMBER: &str = "org.matrix.msc3401.call.member";

/// What matrix-js-sdk puts into `expires`, and adds to it with every refresh.
pub const DEFAULT_EXPIRES: Duration = Duration::from_hours(4);

/// The `livekit_service_url` of a membership that names none.
pub const DEFAULT_FOCUS: &str = "https://livekit.test/livekit/jwt";

/// The state key under which current clients keep a device's membership of the room's call.
pub fn call_key(device: &Device) -> String {
    session_key(&device.user_id, &device.device_id)
}

fn session_key(user_id: &str, device_id: &str) -> String {
    format!("_{user_id}_{device_id}_m.call")
}

/// A membership to be written by [`crate::Synapse::write_membership`].
#[derive(Debug, Clone)]
pub struct Membership {
    pub(crate) user_id: String,
    pub(crate) age: Duration,
    devices: Vec<String>,
    key: Option<String>,
    form: Form,
    expires: Duration,
    created: Option<DateTime<Utc>>,
    focus: String,
    focus_selection: String,
    fields: Map<String, Value>,
    left_out: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Session,
    Array,
    Raw(Value),
}

impl Membership {
    /// What Element Call writes when this device joins the room's call.
    pub fn session(user_id: &str, device_id: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            age: Duration::ZERO,
            devices: vec![device_id.to_owned()],
            key: None,
            form: Form::Session,
            expires: DEFAULT_EXPIRES,
            created: None,
            focus: DEFAULT_FOCUS.to_owned(),
            focus_selection: "multi_sfu".to_owned(),
            fields: Map::new(),
            left_out: Vec::new(),
        }
    }

    /// The same for a device at hand.
    pub fn of(device: &Device) -> Self {
        Self::session(&device.user_id, &device.device_id)
    }

    /// `expires`, counted from `created_ts` or the event's time.
    #[must_use]
    pub fn expires(mut self, expires: Duration) -> Self {
        self.expires = expires;
        self
    }

    /// `created_ts`; absent otherwise, as in the first event of every call.
    #[must_use]
    pub fn created_ts(mut self, created: DateTime<Utc>) -> Self {
        self.created = Some(created);
        self
    }

    /// Gives the event an `origin_server_ts` that lies this far back.
    #[must_use]
    pub fn aged(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Another state key than the form's usual one.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Another `livekit_service_url`.
    #[must_use]
    pub fn focus(mut self, url: &str) -> Self {
        url.clone_into(&mut self.focus);
        self
    }

    /// `multi_sfu` otherwise; older clients write `oldest_membership`.
    #[must_use]
    pub fn focus_selection(mut self, selection: &str) -> Self {
        selection.clone_into(&mut self.focus_selection);
        self
    }

    /// The array form of 2023 and 2024: all devices of the user in one event, under the user id as key.
    #[must_use]
    pub fn array(mut self) -> Self {
        self.form = Form::Array;
        self
    }

    /// One more device in an array form.
    #[must_use]
    pub fn also(mut self, device_id: &str) -> Self {
        self.devices.push(device_id.to_owned());
        self
    }

    /// Sets a field of the content (of each entry, in the array form) to anything.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a field of the content out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.left_out.push(name.to_owned());
        self
    }

    /// Exactly this content, under the key of the session form unless [`Membership::key`] says otherwise.
    #[must_use]
    pub fn raw(mut self, content: Value) -> Self {
        self.form = Form::Raw(content);
        self
    }

    /// The state key it will be written under.
    pub fn state_key(&self) -> String {
        match (&self.key, &self.form) {
            (Some(key), _) => key.clone(),
            (None, Form::Array) => self.user_id.clone(),
            (None, Form::Session | Form::Raw(_)) => session_key(&self.user_id, &self.devices[0]),
        }
    }

    /// The content it will be written with in this room.
    pub fn content(&self, room: &str) -> Value {
        match &self.form {
            Form::Raw(content) => content.clone(),
            Form::Session => self.entry(room, &self.devices[0]),
            Form::Array => {
                let entries = self.devices.iter().map(|device| self.entry(room, device));
                json!({"memberships": entries.collect::<Vec<_>>()})
            }
        }
    }

    /// When the server is to say that the event was sent.
    pub(crate) fn sent_at(&self) -> DateTime<Utc> {
        clock::now() - self.age
    }

    fn entry(&self, room: &str, device_id: &str) -> Value {
        let focus = json!({"type": "livekit", "livekit_service_url": self.focus, "livekit_alias": room});
        let expires = u64::try_from(self.expires.as_millis()).unwrap_or(u64::MAX);
        let mut entry = json!({
            "application": "m.call",
            "call_id": "",
            "scope": "m.room",
            "device_id": device_id,
            "expires": expires,
            "membershipID": format!("{}:{device_id}", self.user_id),
        });
        if self.form == Form::Array {
            let ends = self.created.unwrap_or_else(|| self.sent_at()) + self.expires;
            entry["expires_ts"] = json!(ends.timestamp_millis());
            entry["foci_active"] = json!([focus]);
        } else {
            entry["focus_active"] = json!({"type": "livekit", "focus_selection": self.focus_selection});
            entry["foci_preferred"] = json!([focus]);
        }
        if let Some(created) = self.created {
            entry["created_ts"] = json!(created.timestamp_millis());
        }
        if let Some(entry) = entry.as_object_mut() {
            entry.extend(self.fields.clone());
            entry.retain(|name, _| !self.left_out.contains(name));
        }
        entry
    }
}
