//! What a server is started with: the options a test may choose, and the files Synapse reads.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};

use crate::names::{random, random_key};

/// Whether the server slows its users down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimits {
    /// Nobody is limited.
    Off,
    /// Synapse's defaults: above all one message or state event per 5 s and user, after a burst of 10. Only logins stay
    /// unlimited, because tests make many and the default is one in five minutes.
    Default,
}

/// How a server is set up. The default suits most tests.
#[derive(Debug, Clone)]
pub struct SynapseOptions {
    /// The part after the colon in user ids.
    pub server_name: String,
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

/// The secret of shared-secret registration; the server listens on loopback only.
pub(crate) const REGISTRATION_SECRET: &str = "only for tests";

/// Writes what Synapse reads into `data`. All of it is JSON, which is YAML.
pub(crate) fn write_files(
    options: &SynapseOptions,
    appservice: &Appservice,
    port: u16,
    data: &Path,
) -> Result<()> {
    let file = |name: &str| data.join(name).display().to_string();
    let mut config = json!({
        "server_name": options.server_name,
        "listeners": [{
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "type": "http",
            "resources": [{"names": ["client"]}],
        }],
        "database": {"name": "sqlite3", "args": {"database": file("homeserver.db")}},
        "media_store_path": file("media"),
        "signing_key_path": file("signing.key"),
        "log_config": file("log.yaml"),
        "app_service_config_files": [file("appservice.yaml")],
        "registration_shared_secret": REGISTRATION_SECRET,
        // The default of 12 costs a quarter of a second for every registration and login.
        "bcrypt_rounds": 4,
        "report_stats": false,
        "trusted_key_servers": [],
        // No federation: a key query for a remote user is answered at once with a failure for its server.
        "federation_domain_whitelist": [],
    });
    if let Some(delay) = options.max_event_delay {
        merge(&mut config, &json!({"max_event_delay_duration": format!("{}s", delay.as_secs())}));
    }
    merge(&mut config, &limits(options.rate_limits));
    merge(&mut config, &options.extra);

    let registration = json!({
        "id": "test-support",
        "url": null,
        "as_token": appservice.token,
        "hs_token": format!("hs-{:x}", random()),
        "sender_localpart": appservice.sender_localpart,
        "rate_limited": false,
        "namespaces": {"users": [{"exclusive": false, "regex": "@.*"}], "aliases": [], "rooms": []},
    });
    let log = json!({
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "WARNING", "handlers": ["console"]},
    });
    let key = STANDARD_NO_PAD.encode(random_key());
    fs::write(data.join("homeserver.yaml"), config.to_string())?;
    fs::write(data.join("appservice.yaml"), registration.to_string())?;
    fs::write(data.join("log.yaml"), log.to_string())?;
    fs::write(data.join("signing.key"), format!("ed25519 a_1 {key}\n"))?;
    Ok(())
}

fn limits(limits: RateLimits) -> Value {
    let off = json!({"per_second": 1_000_000, "burst_count": 1_000_000});
    let logins = json!({
        "rc_registration": off,
        "rc_login": {"address": off, "account": off, "failed_attempts": off},
    });
    if limits == RateLimits::Default {
        return logins;
    }
    let mut all = json!({
        "rc_message": off,
        "rc_joins": {"local": off, "remote": off},
        "rc_joins_per_room": off,
        "rc_invites": {"per_room": off, "per_user": off, "per_issuer": off},
        "rc_room_creation": off,
        "rc_key_requests": off,
        "rc_delayed_event_mgmt": off,
        "rc_admin_redaction": off,
        "rc_presence": {"per_user": off},
        "rc_user_directory": off,
        "rc_profile": off,
    });
    merge(&mut all, &logins);
    all
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}
