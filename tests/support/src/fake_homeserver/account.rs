//! The bot's account: sessions, filters, account data, encryption keys and their backup.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{filter::Filter, reply::Reply, request::Call, world::BOT};

#[derive(Debug, Default)]
pub(super) struct Account {
    /// Access token to device.
    sessions: HashMap<String, String>,
    filters: Vec<Value>,
    /// Type to content, and how many were set before it.
    data: BTreeMap<String, (Value, usize)>,
    data_set: usize,
    /// How much of the account data each device was told.
    data_told: HashMap<String, usize>,
    /// Device to `device_keys`.
    pub(super) device_keys: Map<String, Value>,
    /// `master_key` and the like.
    pub(super) cross_signing: Map<String, Value>,
    one_time_keys: HashMap<String, usize>,
    backup: Option<Value>,
}

impl Account {
    /// The device a token belongs to.
    pub(super) fn device_of(&self, token: &str) -> Option<String> {
        self.sessions.get(token).cloned()
    }

    /// The devices that have signed in.
    pub(super) fn devices(&self) -> BTreeSet<&str> {
        self.sessions.values().map(String::as_str).collect()
    }

    /// How many sign-ins there have been.
    pub(super) fn sign_ins(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn login(&mut self, call: &Call) -> Reply {
        if call.method == "GET" {
            return Reply::json(&json!({"flows": [{"type": "m.login.password"}]}));
        }
        let name = call.body["initial_device_display_name"].as_str().unwrap_or_default();
        let kind = if name.contains("chat") { "CHAT" } else { "WATCH" };
        let fresh = format!("{kind}{:04}", self.sessions.len());
        let device = call.body["device_id"].as_str().map_or(fresh, ToOwned::to_owned);
        let token = format!("token-{}-{device}", self.sessions.len());
        self.sessions.insert(token.clone(), device.clone());
        Reply::json(&json!({"user_id": BOT, "access_token": token, "device_id": device}))
    }

    /// A filter by its id or as JSON.
    pub(super) fn filter(&self, given: &str) -> Filter {
        let kept = given.parse::<usize>().ok().and_then(|id| self.filters.get(id)).cloned();
        Filter::read(&kept.unwrap_or_else(|| serde_json::from_str(given).unwrap_or_default()))
    }

    /// `/user/{id}/…`
    pub(super) fn user(&mut self, call: &Call) -> Reply {
        match (call.method.as_str(), call.parts().as_slice()) {
            ("POST", ["user", _, "filter"]) => {
                self.filters.push(call.body.clone());
                Reply::json(&json!({"filter_id": (self.filters.len() - 1).to_string()}))
            }
            ("GET", ["user", _, "filter", id]) => {
                let filter = id.parse::<usize>().ok().and_then(|id| self.filters.get(id));
                filter.map_or_else(|| Reply::error(404, "M_NOT_FOUND", "No such filter"), Reply::json)
            }
            ("PUT", ["user", _, "account_data", kind]) => {
                self.data_set += 1;
                self.data.insert((*kind).to_owned(), (call.body.clone(), self.data_set));
                Reply::json(&json!({}))
            }
            ("GET", ["user", _, "account_data", kind]) => self.data.get(*kind).map_or_else(
                || Reply::error(404, "M_NOT_FOUND", "Account data not found"),
                |(content, _)| Reply::json(content),
            ),
            _ => Reply::unrecognized(),
        }
    }

    /// All account data that the filter lets through, as the members of a JSON array.
    pub(super) fn all_data(&self, filter: &Filter) -> String {
        self.data_after(0, filter)
    }

    /// Account data that this device was not told of yet.
    pub(super) fn changed_since(
        &mut self,
        device: &str,
        end: usize,
        place: usize,
        filter: &Filter,
    ) -> String {
        // Sync tokens count events, so what was told is kept by device; nothing is lost when a token is used
        // twice, for account data is state.
        let told = self.data_told.get(device).copied().unwrap_or(0).min(self.data_set);
        let told = if place > end { 0 } else { told };
        let changed = self.data_after(told, filter);
        self.data_told.insert(device.to_owned(), self.data_set);
        changed
    }

    fn data_after(&self, told: usize, filter: &Filter) -> String {
        let data =
            self.data.iter().filter(|(kind, (_, set))| *set > told && filter.account_data.passes(kind));
        let data = data.map(|(kind, (content, _))| json!({"type": kind, "content": content}).to_string());
        data.collect::<Vec<_>>().join(",")
    }

    pub(super) fn one_time_keys(&self, device: &str) -> usize {
        self.one_time_keys.get(device).copied().unwrap_or(0)
    }

    /// `/keys/upload`
    pub(super) fn upload_keys(&mut self, call: &Call) -> Reply {
        if call.body["device_keys"].is_object() {
            self.device_keys.insert(call.device().to_owned(), call.body["device_keys"].clone());
        }
        let more = call.body["one_time_keys"].as_object().map_or(0, Map::len);
        let count = self.one_time_keys.entry(call.device().to_owned()).or_default();
        *count += more;
        Reply::json(&json!({"one_time_key_counts": {"signed_curve25519": *count}}))
    }

    /// `/keys/device_signing/upload`
    pub(super) fn upload_cross_signing(&mut self, call: &Call) -> Reply {
        for name in ["master_key", "self_signing_key", "user_signing_key"] {
            if let Some(key) = call.body.get(name) {
                self.cross_signing.insert(name.to_owned(), key.clone());
            }
        }
        Reply::json(&json!({}))
    }

    /// `/keys/signatures/upload`: puts the new signatures beside those that are there.
    pub(super) fn upload_signatures(&mut self, call: &Call) -> Reply {
        for (id, object) in call.body[BOT].as_object().into_iter().flatten() {
            let target = match self.device_keys.get_mut(id) {
                Some(device) => Some(device),
                None => self.cross_signing.get_mut("master_key"),
            };
            let Some(target) = target else { continue };
            for (user, signatures) in object["signatures"].as_object().into_iter().flatten() {
                for (key, signature) in signatures.as_object().into_iter().flatten() {
                    target["signatures"][user][key] = signature.clone();
                }
            }
        }
        Reply::json(&json!({"failures": {}}))
    }

    /// `/room_keys/…`: one backup that nothing is ever put into.
    pub(super) fn backup(&mut self, call: &Call) -> Reply {
        match (call.method.as_str(), call.parts().get(1).copied()) {
            ("POST", Some("version")) => {
                let mut backup = call.body.clone();
                backup["version"] = "1".into();
                backup["count"] = 0.into();
                backup["etag"] = "1".into();
                self.backup = Some(backup);
                Reply::json(&json!({"version": "1"}))
            }
            ("GET", Some("version")) => self
                .backup
                .as_ref()
                .map_or_else(|| Reply::error(404, "M_NOT_FOUND", "No backup found"), Reply::json),
            _ => Reply::json(&json!({"count": 0, "etag": "1"})),
        }
    }
}
