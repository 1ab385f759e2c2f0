//! The files Synapse reads, made from the options of a test.

use std::{fs, path::Path};

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};

use crate::{
    names::random_key,
    options::{Appservice, RateLimits, SynapseOptions},
    postgres::Postgres,
    tls_front::TlsFront,
};

/// The ports of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// Where clients come in.
    pub(crate) client: u16,
    /// Where other servers come in, by TLS; the server is named by it.
    pub(crate) federation: Option<u16>,
}

impl Ports {
    fn listeners(self) -> Vec<Value> {
        let listener = |port: u16, is_tls: bool, resource: &str| {
            json!({
                "port": port,
                "bind_addresses": ["127.0.0.1"],
                "type": "http",
                "tls": is_tls,
                "resources": [{"names": [resource]}],
            })
        };
        let federation = self.federation.map(|port| listener(port, true, "federation"));
        [listener(self.client, false, "client")].into_iter().chain(federation).collect()
    }
}

/// The secret of shared-secret registration; the server listens on loopback only.
pub(crate) const REGISTRATION_SECRET: &str = "only for tests";

/// What Synapse is started with; it names the others.
pub(crate) const MAIN_FILE: &str = "homeserver.yaml";

/// Writes what Synapse reads into `data`. All of it is JSON, which is YAML.
pub(crate) fn write_files(
    options: &SynapseOptions,
    appservice: &Appservice,
    ports: Ports,
    postgres: Option<&Postgres>,
    data: &Path,
) -> Result<()> {
    let file = |name: &str| data.join(name).display().to_string();
    let mut registrations = options.registrations.clone();
    for (number, appservice) in [appservice].into_iter().chain(&options.appservices).enumerate() {
        let path = data.join(format!("appservice-{number}.yaml"));
        fs::write(&path, appservice.registration().to_string())?;
        registrations.push(path);
    }
    let mut config = json!({
        "server_name": options.server_name,
        "listeners": ports.listeners(),
        "database": postgres.map_or_else(|| sqlite(data), Postgres::as_synapse_names_it),
        "media_store_path": file("media"),
        "signing_key_path": file("signing.key"),
        "log_config": file("log.yaml"),
        "app_service_config_files": registrations,
        "registration_shared_secret": REGISTRATION_SECRET,
        // The default of 12 costs a quarter of a second for every registration and login.
        "bcrypt_rounds": 4,
        "allow_guest_access": true,
        "report_stats": false,
        "trusted_key_servers": [],
    });
    merge(&mut config, &if options.federation { federating() } else { alone() });
    if let Some(delay) = options.max_event_delay {
        merge(&mut config, &json!({"max_event_delay_duration": format!("{}s", delay.as_secs())}));
    }
    merge(&mut config, &limits(options.rate_limits));
    merge(&mut config, &options.extra);

    let log = json!({
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "WARNING", "handlers": ["console"]},
    });
    let key = STANDARD_NO_PAD.encode(random_key());
    write(&config, data)?;
    fs::write(data.join("log.yaml"), log.to_string())?;
    fs::write(data.join("signing.key"), format!("ed25519 a_1 {key}\n"))?;
    Ok(())
}

/// What Synapse reads of `data` when it starts.
pub(crate) fn read(data: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(data.join(MAIN_FILE))?)?)
}

/// Replaces what Synapse reads when it starts.
pub(crate) fn write(config: &Value, data: &Path) -> Result<()> {
    Ok(fs::write(data.join(MAIN_FILE), config.to_string())?)
}

fn sqlite(data: &Path) -> Value {
    json!({"name": "sqlite3", "args": {"database": data.join("homeserver.db")}})
}

/// No federation: a key query for a remote user is answered at once with a failure for its server.
fn alone() -> Value {
    json!({"federation_domain_whitelist": []})
}

/// Other servers on this machine are spoken to, whatever certificate they show; one that was down is tried again soon.
fn federating() -> Value {
    let certificate = TlsFront::certificate();
    json!({
        "tls_certificate_path": certificate,
        // In the same file.
        "tls_private_key_path": certificate,
        "federation_verify_certificates": false,
        // The default keeps off loopback.
        "ip_range_blacklist": [],
        "federation": {
            "client_timeout": "5s",
            "max_short_retries": 1,
            "max_long_retries": 1,
            // The default is 10 minutes after one failure.
            "destination_min_retry_interval": "1s",
            "destination_retry_multiplier": 1,
            "destination_max_retry_interval": "5s",
        },
    })
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
