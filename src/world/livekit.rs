//! LiveKit: the call server (SFU), the only one that knows who is in a call, and the authorisation service
//! before it (lk-jwt-service, MSC4195).
//!
//! Plain requests, as few as there can be: each is a line in the log of whoever runs the SFU. No address out
//! of somebody's membership is ever asked for anything.

mod authorisation;
mod failure;
mod room_service;
mod token;
pub mod webhook;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use matrix_sdk::reqwest::{self, Url};
use rtc_janitor_core::{ids::RoomId, rtc::focus};

pub use authorisation::NoProof;
pub use failure::SfuError;
pub use room_service::{SfuRoomView, SfuView};
pub use token::{ApiKey, BadToken};

use super::{
    clock::Clock,
    homeserver::{Homeserver, transport},
};
use crate::metrics::{Asked, Metrics};

/// How long one request may take. An SFU answers in milliseconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The SFU.
#[async_trait]
pub trait CallServer: Send + Sync {
    /// Which of the rooms of these names there are, and who is in them. A name that is missing in the answer
    /// has nobody. Either all of it is known or nothing.
    async fn view(&self, names: &BTreeSet<String>) -> Result<SfuView, SfuError>;

    /// The authorisation services that our own homeserver and domain name; each may stand before any SFU.
    async fn services(&self) -> BTreeSet<String>;

    /// Has an authorisation service give a token for the SFU room of a Matrix room, and shows by it that the SFU behind is ours. Returns the name of the SFU room.
    async fn proof(&self, service: &str, room: &RoomId) -> Result<String, NoProof>;
}

/// A LiveKit server that the janitor has a key of.
#[derive(Clone)]
pub struct LiveKit {
    http: reqwest::Client,
    /// The base of its API, with a path where a proxy gives it one and without a slash at the end.
    base: String,
    key: ApiKey,
    /// Vouches for who asks an authorisation service.
    homeserver: Homeserver,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl fmt::Debug for LiveKit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveKit").field("base", &self.base).finish_non_exhaustive()
    }
}

impl LiveKit {
    /// The server at this address: `ws` and `wss` are the same as `http` and `https`.
    ///
    /// # Errors
    ///
    /// When the system has no TLS to offer.
    pub fn new(
        url: &Url,
        key: ApiKey,
        homeserver: Homeserver,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> reqwest::Result<Self> {
        let base = focus::normalised(url.as_str());
        let http = transport::http_client_builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .build()?;
        Ok(Self { http, base, key, homeserver, clock, metrics })
    }
}

#[async_trait]
impl CallServer for LiveKit {
    async fn view(&self, names: &BTreeSet<String>) -> Result<SfuView, SfuError> {
        self.list(names).await
    }

    async fn services(&self) -> BTreeSet<String> {
        self.named_services().await
    }

    async fn proof(&self, service: &str, room: &RoomId) -> Result<String, NoProof> {
        let proof = self.ask_for_proof(service, room).await;
        self.metrics.asked(
            Asked::AuthorisationService,
            match &proof {
                Ok(_) => "ok",
                Err(NoProof::NoToken(_)) => "unreachable",
                Err(_) => "refused",
            },
        );
        proof
    }
}
