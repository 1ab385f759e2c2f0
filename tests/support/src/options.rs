//! What a test may choose of a server.

use std::time::Duration;

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
            extra: json!({}),
        }
    }
}

/// The appservice every server has: it may speak as any user of the server, none exclusively.
#[derive(Debug, Clone)]
pub struct Appservice {
    /// Its access token.
    pub token: String,
    /// The localpart of its own user, which Synapse lets do everything but sync.
    pub sender_localpart: String,
}

impl Appservice {
    pub(crate) fn new() -> Self {
        Self { token: format!("as-{:x}{:x}", random(), random()), sender_localpart: "appservice".to_owned() }
    }
}
