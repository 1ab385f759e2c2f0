//! The authorisation service before an SFU (lk-jwt-service, MSC4195): what it gives away about the SFU.
//!
//! It gives every user of its homeservers a token for the SFU room of a Matrix room. One that our own secret
//! verifies proves that it stands before our SFU, and names the room as the service names rooms today.

use std::{collections::BTreeSet, time::Duration};

use matrix_sdk::reqwest::{self, header};
use rtc_janitor_core::{ids::RoomId, rtc::focus::normalised};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BadToken, LiveKit, SfuError, failure};
use crate::world::{NeighbourError, homeserver::request::JsonRequest};

/// How long the web server of a domain may take over `.well-known`.
const PATIENCE_WITH_WELL_KNOWN: Duration = Duration::from_secs(10);

/// No answer is longer.
const MOST_BYTES: usize = 1 << 20;

/// Why an authorisation service proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// The homeserver gives no OpenID token.
    #[error("the homeserver gives no OpenID token: {0}")]
    NoOpenId(NeighbourError),
    /// It gives no token.
    #[error("it gives no token: {0}")]
    NoToken(String),
    /// What it gives is not for our SFU.
    #[error("its token is not for our SFU: {0}")]
    OtherSfu(#[from] BadToken),
    /// The token names no room.
    #[error("its token names no room")]
    NoRoom,
}

/// Where homeserver and domain say that calls go.
#[derive(Default, Deserialize)]
struct Transports {
    /// `GET /rtc/transports` (MSC4143).
    #[serde(default)]
    rtc_transports: Value,
    /// `/.well-known/matrix/client`.
    #[serde(default, rename = "org.matrix.msc4143.rtc_foci")]
    rtc_foci: Value,
}

impl Transports {
    fn services(&self) -> impl Iterator<Item = String> {
        let lists = [&self.rtc_transports, &self.rtc_foci].into_iter().filter_map(Value::as_array);
        let livekit = lists.flatten().filter(|one| one["type"] == "livekit");
        livekit.filter_map(|one| one["livekit_service_url"].as_str()).map(normalised)
    }
}

#[derive(Deserialize)]
struct SfuToken {
    jwt: String,
}

impl LiveKit {
    /// The authorisation services that our homeserver and our domain name. What does not answer names none.
    pub(super) async fn named_services(&self) -> BTreeSet<String> {
        let of_homeserver =
            JsonRequest::get(&["_matrix", "client", "unstable", "org.matrix.msc4143", "rtc", "transports"]);
        let of_homeserver = async {
            let answer = of_homeserver.send(self.homeserver.transport()).await.ok()?;
            answer.json::<Transports>("the transports").ok()
        };
        let of_domain = async {
            let domain = self.homeserver.user_id().server_name()?;
            let url = format!("https://{domain}/.well-known/matrix/client");
            let request = self.http.get(url).timeout(PATIENCE_WITH_WELL_KNOWN);
            serde_json::from_slice::<Transports>(&body_of(request).await.ok()?).ok()
        };
        let (homeserver, domain) = tokio::join!(of_homeserver, of_domain);
        [homeserver, domain]
            .into_iter()
            .flatten()
            .flat_map(|found| found.services().collect::<Vec<_>>())
            .collect()
    }

    /// The SFU room that a service gives a token of ours for, when asked for a Matrix room.
    pub(super) async fn ask_for_proof(&self, service: &str, room: &RoomId) -> Result<String, NoProof> {
        let user = self.homeserver.user_id().as_str();
        let open_id = JsonRequest::post(
            &["_matrix", "client", "v3", "user", user, "openid", "request_token"],
            &json!({}),
        );
        let open_id: Value =
            async { open_id.send(self.homeserver.transport()).await?.json("the OpenID token") }
                .await
                .map_err(NoProof::NoOpenId)?;
        let question = json!({
            "room": room.as_str(),
            "openid_token": open_id,
            "device_id": self.homeserver.device_id().as_str(),
        });
        let request = self
            .http
            .post(format!("{}/sfu/get", service.trim_end_matches('/')))
            .header(header::CONTENT_TYPE, "application/json")
            .body(question.to_string());
        let answer = body_of(request).await.map_err(|error| NoProof::NoToken(error.to_string()))?;
        // Nothing of what it says is shown: a token may be anywhere in it.
        let SfuToken { jwt } = serde_json::from_slice(&answer)
            .map_err(|_| NoProof::NoToken("its answer is none of /sfu/get".to_owned()))?;
        let claims = self.key.verify(&jwt, self.clock.now())?;
        match claims.video["room"].as_str() {
            Some(name) if !name.is_empty() => Ok(name.to_owned()),
            _ => Err(NoProof::NoRoom),
        }
    }
}

/// The body of an answer with success.
async fn body_of(request: reqwest::RequestBuilder) -> Result<Vec<u8>, SfuError> {
    let mut response = request.send().await.map_err(|error| failure::of_network(&error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(SfuError::Unreachable(format!("HTTP {}", status.as_u16())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure::of_network(&error))? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(SfuError::NotLiveKit("its answer has no end".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_those_of_livekit_that_homeserver_and_domain_name() {
        let found: Transports = serde_json::from_value(json!({
            "rtc_transports": [
                {"type": "livekit", "livekit_service_url": "https://a.example/"},
                {"type": "full_mesh", "livekit_service_url": "https://b.example"},
                {"type": "livekit"}, 7,
            ],
            "org.matrix.msc4143.rtc_foci": [{"type": "livekit", "livekit_service_url": "https://c.example/jwt"}],
            "m.homeserver": {"base_url": "https://hs"},
        }))
        .expect("an object");
        assert_eq!(found.services().collect::<Vec<_>>(), ["https://a.example", "https://c.example/jwt"]);
        for odd in [json!({}), json!({"rtc_transports": {}}), json!({"rtc_transports": null})] {
            let found: Transports = serde_json::from_value(odd).expect("an object");
            assert_eq!(found.services().count(), 0);
        }
    }
}
