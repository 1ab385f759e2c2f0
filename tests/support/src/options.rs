//! What a test may choose of a server.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::names::random;

/// Whether the server slows its users down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimits {
    /// Nobody is limited.
    Off,
    /// Synapse's defaults: above all one message or state event per 5 s and user, after a burst of 10. Only logins stay
    /// unlimited, because tests make many and the default is one in five minutes.
    Default,
}

/// Where a server keeps what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// In a file.
    Sqlite,
    /// In a PostgreSQL of its own, which takes a second more to start; see [`crate::Postgres::installed`].
    Postgres,
}

/// How a server is set up. The default suits most tests.
#[derive(Debug, Clone)]
pub struct SynapseOptions {
    /// The part after the colon in user ids; one that federates is called `localhost` and its port instead.
    pub server_name: String,
    /// Whether it speaks with other servers of this machine that do, too. Then it is found by its name alone.
    pub federation: bool,
    /// Where it keeps what it knows.
    pub database: Database,
    /// Whether users are slowed down.
    pub rate_limits: RateLimits,
    /// The longest delay of a delayed event (MSC4140); `None` turns them off, as Synapse does by itself.
    pub max_event_delay: Option<Duration>,
    /// Appservices beside the one that every server has, [`crate::Synapse::appservice`].
    pub appservices: Vec<Appservice>,
    /// Registration files that something else has written; they must be there at every start.
    pub registrations: Vec<PathBuf>,
    /// More of `homeserver.yaml`, as an object; its top-level keys replace the ones chosen here.
    pub extra: Value,
}

impl Default for SynapseOptions {
    fn default() -> Self {
        Self {
            server_name: "hs.test".to_owned(),
            federation: false,
            database: Database::Sqlite,
            rate_limits: RateLimits::Off,
            max_event_delay: Some(Duration::from_hours(24)),
            appservices: Vec::new(),
            registrations: Vec::new(),
            extra: json!({}),
        }
    }
}

/// A program that a server lets speak as its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appservice {
    /// Its name, by which the admin API says whose a user is.
    pub id: String,
    /// Its access token.
    pub token: String,
    /// The server's own token towards it, which nobody asks for here: it is sent nothing.
    pub hs_token: String,
    /// The localpart of its own user, which Synapse lets do everything but sync.
    pub sender_localpart: String,
    /// A regular expression of the user ids that it may speak as.
    pub namespace: String,
    /// Whether nobody else may make such users.
    pub exclusive: bool,
    /// Whether it is slowed down as people are.
    pub rate_limited: bool,
}

impl Appservice {
    /// One with tokens of its own, called `id` like its own user, that may speak as any user, none exclusively.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            token: format!("as-{:x}{:x}", random(), random()),
            hs_token: format!("hs-{:x}", random()),
            sender_localpart: id.to_owned(),
            namespace: "@.*".to_owned(),
            exclusive: false,
            rate_limited: false,
        }
    }

    /// Its registration file, as JSON, which is YAML.
    pub fn registration(&self) -> Value {
        json!({
            "id": self.id,
            "url": null,
            "as_token": self.token,
            "hs_token": self.hs_token,
            "sender_localpart": self.sender_localpart,
            "rate_limited": self.rate_limited,
            "namespaces": {
                "users": [{"exclusive": self.exclusive, "regex": self.namespace}],
                "aliases": [],
                "rooms": [],
            },
        })
    }
}
