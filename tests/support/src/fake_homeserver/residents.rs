//! Who has an account on the fake, with which devices, and what the admin API says of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{FakeHomeserver, contents};

/// A device as the server lists it.
#[derive(Debug, Clone)]
pub(super) struct ListedDevice {
    pub(super) id: String,
    /// Whether it has uploaded keys: `/keys/query` lists no others.
    pub(super) has_keys: bool,
    /// When the server last heard of it.
    pub(super) seen_ms: Option<i64>,
}

impl ListedDevice {
    /// With keys, and never used: a server that was just moved knows no more.
    pub(super) fn new(id: String) -> Self {
        Self { id, has_keys: true, seen_ms: None }
    }
}

/// An account.
#[derive(Debug, Default)]
pub(super) struct Resident {
    pub(super) devices: Vec<ListedDevice>,
    /// What the admin API says beside what it says of everybody.
    pub(super) said: Map<String, Value>,
    /// `override_ratelimit`; null where there is none.
    pub(super) rate_limits: Value,
}

/// All accounts, by user id.
pub(super) type Residents = BTreeMap<String, Resident>;

impl FakeHomeserver {
    /// The owner of the membership with this number.
    pub fn user(&self, number: usize) -> String {
        contents::user_id(number)
    }

    /// The device that the membership with this number is of.
    pub fn device(&self, number: usize) -> String {
        contents::device_id(number)
    }

    /// A user signs in; the account is made where there is none.
    pub fn sign_in(&self, user_id: &str, device_id: &str) {
        self.list(user_id, ListedDevice::new(device_id.to_owned()));
    }

    /// The same with a device that uploads no keys: the server lists it, `/keys/query` does not.
    pub fn sign_in_keyless(&self, user_id: &str, device_id: &str) {
        self.list(user_id, ListedDevice { has_keys: false, ..ListedDevice::new(device_id.to_owned()) });
    }

    /// A device is no longer in any list.
    pub fn sign_out_device(&self, user_id: &str, device_id: &str) {
        self.resident(user_id, |resident| resident.devices.retain(|device| device.id != device_id));
    }

    /// Sets when the server last heard of a device; `None` is never, as at the start.
    pub fn set_last_seen(&self, user_id: &str, device_id: &str, time: Option<DateTime<Utc>>) {
        let seen_ms = time.map(|time| time.timestamp_millis());
        self.resident(user_id, |resident| {
            if let Some(device) = resident.devices.iter_mut().find(|device| device.id == device_id) {
                device.seen_ms = seen_ms;
            }
        });
    }

    /// Sets fields of what the admin API says of an account, such as `appservice_id` or `shadow_banned`.
    pub fn describe(&self, user_id: &str, fields: &Value) {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.resident(user_id, |resident| resident.said.extend(fields));
    }

    /// Ends an account with all its devices; its memberships stay.
    pub fn deactivate(&self, user_id: &str) {
        self.resident(user_id, |resident| resident.devices.clear());
        self.describe(user_id, &json!({"deactivated": true}));
    }

    /// What limits an administrator has given a user; null where it has none of its own.
    pub fn rate_limits_of(&self, user_id: &str) -> Value {
        self.shared
            .world()
            .residents
            .get(user_id)
            .map(|resident| resident.rate_limits.clone())
            .unwrap_or_default()
    }

    fn list(&self, user_id: &str, device: ListedDevice) {
        self.resident(user_id, |resident| {
            resident.devices.retain(|old| old.id != device.id);
            resident.devices.push(device);
        });
    }

    fn resident(&self, user_id: &str, change: impl FnOnce(&mut Resident)) {
        change(self.shared.world().residents.entry(user_id.to_owned()).or_default());
    }
}
