//! A request taken apart: who asks for what.

use std::collections::HashMap;

use reqwest::Url;
use serde_json::Value;

use crate::ProxiedRequest;

/// A request to the client API.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// What follows `/_matrix/client/v3` and the like, unescaped.
    pub(super) path: Vec<String>,
    query: HashMap<String, String>,
    pub(super) body: Value,
    /// The device whose token came along.
    device: Option<String>,
}

impl Call {
    /// `target` is the path with its escapes and the query.
    pub(super) fn new(seen: &ProxiedRequest, target: &str, device: Option<String>) -> Self {
        let url = Url::parse(&format!("http://fake{target}")).ok();
        let escaped = url.as_ref().map(|url| url.path().to_owned()).unwrap_or_default();
        let mut path: Vec<String> = escaped.split('/').skip(1).map(unescaped).collect();
        if path.len() > 2 && path[0] == "_matrix" && path[1] == "client" {
            let versioned = matches!(path[2].as_str(), "r0" | "v1" | "v3" | "unstable");
            path.drain(..if versioned { 3 } else { 2 });
        }
        let query = url.iter().flat_map(Url::query_pairs);
        let query = query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Self { method: seen.method.clone(), path, query, body: seen.body.clone(), device }
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The parts of the path, to match on.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The device that asks; empty when nobody is signed in.
    pub(super) fn device(&self) -> &str {
        self.device.as_deref().unwrap_or_default()
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
            ["rooms", _, "state", kind, ..] => format!("state/{kind}"),
            ["rooms", _, what, ..] => (*what).to_owned(),
            ["user", _, what, ..] => format!("user/{what}"),
            ["join" | "directory" | "room_keys", ..] => parts[0].to_owned(),
            _ => parts.join("/"),
        };
        format!("{} {name}", self.method)
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
        Call::new(&seen, target, None).kind()
    }

    #[test]
    fn requests_are_named_by_what_they_ask_and_not_of_whom() {
        assert_eq!(kind("GET", "/_matrix/client/v3/sync?timeout=0"), "GET sync full");
        assert_eq!(kind("GET", "/_matrix/client/v3/sync?since=s"), "GET sync since");
        assert_eq!(kind("PUT", "/_matrix/client/v3/rooms/!a/state/t/_%40a%2Fb"), "PUT state/t");
        assert_eq!(kind("GET", "/_matrix/client/v3/rooms/!a/state"), "GET state");
        assert_eq!(kind("GET", "/_matrix/client/versions"), "GET versions");
    }
}
