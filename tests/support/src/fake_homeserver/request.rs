//! A request taken apart: who asks for what.

use std::collections::HashMap;

use reqwest::Url;
use serde_json::Value;

use super::world::{APPSERVICE, BOT, SERVER_ADMIN};
use crate::ProxiedRequest;

/// By what right a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// With no token, or one that is not known.
    Nobody,
    /// With the token of one of the bot's devices.
    Device,
    /// With [`crate::FakeHomeserver::admin_token`].
    ServerAdmin,
    /// With [`crate::FakeHomeserver::appservice_token`].
    Appservice,
}

/// A request to the client API or the admin API.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// What follows `/_matrix/client/v3` and the like, or else all of it, unescaped.
    pub(super) path: Vec<String>,
    query: HashMap<String, String>,
    pub(super) body: Value,
    pub(super) caller: Caller,
    /// The device whose token came along.
    device: String,
}

impl Call {
    /// `target` is the path with its escapes and the query.
    pub(super) fn new(seen: &ProxiedRequest, target: &str, caller: Caller, device: String) -> Self {
        let url = Url::parse(&format!("http://fake{target}")).ok();
        let escaped = url.as_ref().map(|url| url.path().to_owned()).unwrap_or_default();
        let mut path: Vec<String> = escaped.split('/').skip(1).map(unescaped).collect();
        if path.len() > 2 && path[0] == "_matrix" && path[1] == "client" {
            let versioned = matches!(path[2].as_str(), "r0" | "v1" | "v3" | "unstable");
            path.drain(..if versioned { 3 } else { 2 });
        }
        let query = url.iter().flat_map(Url::query_pairs);
        let query = query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Self { method: seen.method.clone(), path, query, body: seen.body.clone(), caller, device }
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The parts of the path, to match on.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The bot's device that asks; empty when it is none.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// Who asks, or in whose name.
    pub(super) fn user(&self) -> &str {
        match self.caller {
            Caller::Appservice => self.query("user_id").unwrap_or(APPSERVICE),
            Caller::ServerAdmin => SERVER_ADMIN,
            Caller::Device | Caller::Nobody => BOT,
        }
    }

    /// A name for all requests of this kind: what it is called is the same for any room, user or key.
    pub(super) fn kind(&self) -> String {
        let parts = self.parts();
        let name = match parts.as_slice() {
            ["sync", ..] if self.query("since").is_none() => "sync full".to_owned(),
            ["sync", ..] => "sync since".to_owned(),
            ["org.matrix.simplified_msc3575", "sync"] if self.query("pos").is_none() => {
                "sliding full".to_owned()
            }
            ["org.matrix.simplified_msc3575", "sync"] => "sliding since".to_owned(),
            ["_synapse", "admin", _, "rooms"] => "admin/rooms".to_owned(),
            ["_synapse", "admin", _, "rooms", _, what @ ..] => ["admin/room", &what.join("/")].join("/"),
            ["_synapse", "admin", _, "users", _, what @ ..] => ["admin/user", &what.join("/")].join("/"),
            ["_synapse", "admin", _, what, ..] => format!("admin/{what}"),
            ["rooms", _, "state", kind, ..] => format!("state/{kind}"),
            ["rooms", _, what, ..] => (*what).to_owned(),
            ["user", _, what, ..] => format!("user/{what}"),
            ["join" | "directory" | "room_keys", ..] => parts[0].to_owned(),
            _ => parts.join("/"),
        };
        format!("{} {}", self.method, name.trim_end_matches('/'))
    }
}

fn unescaped(part: &str) -> String {
    let query = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    Url::parse(&format!("http://fake/?{query}"))
        .ok()
        .and_then(|url| url.query_pairs().next().map(|(part, _)| part.into_owned()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: &str, target: &str) -> String {
        let seen = ProxiedRequest {
            method: method.to_owned(),
            path: String::new(),
            query: String::new(),
            body: Value::Null,
        };
        Call::new(&seen, target, Caller::Nobody, String::new()).kind()
    }

    #[test]
    fn requests_are_named_by_what_they_ask_and_not_of_whom() {
        assert_eq!(kind("GET", "/_matrix/client/v3/sync?timeout=0"), "GET sync full");
        assert_eq!(kind("GET", "/_matrix/client/v3/sync?since=s"), "GET sync since");
        assert_eq!(kind("PUT", "/_matrix/client/v3/rooms/!a/state/t/_%40a%2Fb"), "PUT state/t");
        assert_eq!(kind("GET", "/_matrix/client/v3/rooms/!a/state"), "GET state");
        assert_eq!(kind("GET", "/_matrix/client/versions"), "GET versions");
        assert_eq!(kind("GET", "/_synapse/admin/v1/rooms?from=100"), "GET admin/rooms");
        assert_eq!(kind("GET", "/_synapse/admin/v1/rooms/!a"), "GET admin/room");
        assert_eq!(kind("GET", "/_synapse/admin/v1/rooms/!a/state"), "GET admin/room/state");
        assert_eq!(kind("GET", "/_synapse/admin/v2/users/@a:b"), "GET admin/user");
        assert_eq!(kind("GET", "/_synapse/admin/v2/users/@a:b/devices"), "GET admin/user/devices");
        assert_eq!(kind("POST", "/_synapse/admin/v1/join/!a"), "POST admin/join");
    }
}
