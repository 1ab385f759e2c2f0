//! Sections whose keys are read together: what each comes to.

use std::{fmt, time::Duration};

use matrix_sdk::reqwest::Url;
use rtc_janitor_core::ids::UserId;
use secrecy::SecretString;

use super::Namespace;

/// `[homeserver]`
#[derive(Clone, Debug)]
pub struct Homeserver {
    /// Where it answers.
    pub address: HomeserverAddress,
    /// The janitor's own account.
    pub user_id: UserId,
}

/// How the homeserver is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeserverAddress {
    /// `homeserver.url`: the base of its client API, http or https.
    Url(Url),
    /// `homeserver.server_name`: found by `.well-known`.
    ServerName(String),
}

/// `[synapse_admin]`
#[derive(Clone, Debug)]
pub struct SynapseAdmin {
    /// A token of a server admin.
    pub access_token: SecretString,
    /// Where the admin API answers; `None` where the homeserver does.
    pub url: Option<Url>,
}

/// `[livekit]`
#[derive(Clone, Debug)]
pub struct LiveKit {
    /// Where its API answers.
    pub url: Url,
    /// A key of it.
    pub api_key: SecretString,
    /// The secret of that key.
    pub api_secret: SecretString,
    /// What memberships call it, normalised; empty: to be found out.
    pub service_urls: Vec<String>,
    /// How often it is asked while somebody may be in a call there.
    pub poll_interval: Duration,
    /// Whether it may tell who has left.
    pub webhook: bool,
}

/// `[appservice]`
#[derive(Clone, Debug)]
pub struct Appservice {
    /// The token of its registration.
    pub as_token: SecretString,
    /// As whom it may write.
    pub namespace: Namespace,
}

impl fmt::Display for HomeserverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(url) => url.as_str().trim_end_matches('/'),
            Self::ServerName(name) => name,
        })
    }
}
