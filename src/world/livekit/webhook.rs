//! What an SFU tells by webhook, once it is shown that ours tells it.
//!
//! The header `Authorization` holds a token of the SFU's (without `Bearer`), and that the hash of the body.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rtc_janitor_core::time::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{ApiKey, BadToken};

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWebhook {
    /// Its token is none of ours, or of another time.
    #[error("{0}")]
    Token(#[from] BadToken),
    /// The token has no end.
    #[error("its token has no end")]
    Endless,
    /// The token was made for another body.
    #[error("its token is for another body")]
    Body,
    /// The body is no webhook.
    #[error("its body is none of LiveKit's")]
    Malformed,
}

/// What an SFU tells. Its JSON is in camelCase and leaves defaults out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// What happened, such as `participant_left`.
    pub event: String,
    /// What tells it from others; the same when it is sent again.
    #[serde(default)]
    pub id: String,
    /// When it happened, in seconds, as text.
    #[serde(default)]
    created_at: Option<String>,
    /// Where.
    #[serde(default)]
    pub room: Room,
    /// To whom.
    #[serde(default)]
    pub participant: Participant,
}

/// What is read of a room. It also has a password for TURN, which goes nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Room {
    /// The SFU's name of it.
    #[serde(default)]
    pub name: String,
}

/// What is read of a participant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// By which the SFU knows them.
    #[serde(default)]
    pub identity: String,
    /// Why they left.
    #[serde(default)]
    pub disconnect_reason: String,
}

/// Somebody has left a room of the SFU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Departure {
    /// The SFU's name of the room.
    pub sfu_room: String,
    /// By which the SFU knew them.
    pub identity: String,
}

/// Who has left lately, and when.
pub type Departures = BTreeMap<Departure, Timestamp>;

/// What a token says of the webhook that it goes with: our SFU has made it, and just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    sha256: String,
}

impl Signed {
    /// Reads the token; that is cheap, and comes before anything else is taken from whoever sends it.
    ///
    /// # Errors
    ///
    /// Why it is not believed; nothing of it is in the error.
    pub fn read(key: &ApiKey, token: &str, now: Timestamp) -> Result<Self, BadWebhook> {
        let claims = key.verify(token, now)?;
        if !claims.ends() {
            return Err(BadWebhook::Endless);
        }
        claims.sha256.map(|sha256| Self { sha256 }).ok_or(BadWebhook::Body)
    }

    /// What the webhook says, if that is what was signed.
    ///
    /// # Errors
    ///
    /// Why it is not believed; nothing of it is in the error.
    pub fn webhook(&self, body: &[u8]) -> Result<Webhook, BadWebhook> {
        // The hash is signed: nobody learns anything from how long the comparison takes.
        if self.sha256 != STANDARD.encode(Sha256::digest(body)) {
            return Err(BadWebhook::Body);
        }
        serde_json::from_slice(body).map_err(|_| BadWebhook::Malformed)
    }
}

impl Webhook {
    /// When it happened, by the SFU's clock in whole seconds, as far as it says.
    pub fn created(&self) -> Option<Timestamp> {
        let seconds: i64 = self.created_at.as_ref()?.parse().ok()?;
        Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const BODY: &[u8] = br#"{"event":"participant_left","room":{"sid":"RM_1","name":"r1","turnPassword":"x"},
        "participant":{"sid":"PA_1","identity":"@alice:hs:DEV","disconnectReason":"CONNECTION_TIMEOUT"},
        "id":"EV_1","createdAt":"1800000000"}"#;

    fn key(secret: &str) -> ApiKey {
        ApiKey { name: "devkey".into(), secret: secret.into() }
    }

    fn sent(body: &[u8], secret: &str, at: Timestamp) -> String {
        key(secret).sign_webhook(body, at)
    }

    fn read(token: &str, body: &[u8], now: Timestamp) -> Result<Webhook, BadWebhook> {
        Signed::read(&key("secret"), token, now)?.webhook(body)
    }

    #[test]
    fn a_webhook_of_our_sfu_is_read() {
        let told = read(&sent(BODY, "secret", NOW), BODY, NOW).expect("ours");
        assert_eq!((told.event.as_str(), told.id.as_str()), ("participant_left", "EV_1"));
        assert_eq!((told.room.name.as_str(), told.participant.identity.as_str()), ("r1", "@alice:hs:DEV"));
        assert_eq!(told.participant.disconnect_reason, "CONNECTION_TIMEOUT");
        assert_eq!(told.created(), Some(NOW));
        let least = br#"{"event":"room_started"}"#;
        let told = read(&sent(least, "secret", NOW), least, NOW).expect("ours");
        assert_eq!((told.created(), told.room.name.as_str()), (None, ""));
    }

    #[test]
    fn any_other_is_not_believed() {
        let ours = sent(BODY, "secret", NOW);
        assert_eq!(read(&sent(BODY, "other", NOW), BODY, NOW), Err(BadWebhook::Token(BadToken::Signature)));
        assert_eq!(read(&ours, BODY, NOW + Duration::from_mins(4)), Err(BadWebhook::Token(BadToken::Time)));
        let mut changed = BODY.to_vec();
        changed[10] ^= 1;
        assert_eq!(read(&ours, &changed, NOW), Err(BadWebhook::Body));
        // A token of a participant, or one that we have made for a request.
        let request = key("secret").sign(&json!({"roomList": true}), NOW);
        assert_eq!(read(&request, BODY, NOW), Err(BadWebhook::Body));
        assert_eq!(read(&sent(b"[]", "secret", NOW), b"[]", NOW), Err(BadWebhook::Malformed));
        assert_eq!(read("", BODY, NOW), Err(BadWebhook::Token(BadToken::Malformed)));
        assert_eq!(read(&format!("Bearer {ours}"), BODY, NOW), Err(BadWebhook::Token(BadToken::Malformed)));
    }

    #[test]
    fn a_token_that_never_ends_proves_no_webhook() {
        let claims = json!({"sha256": STANDARD.encode(Sha256::digest(BODY)), "exp": null});
        let endless = key("secret").sign_claims(claims, NOW);
        assert_eq!(read(&endless, BODY, NOW), Err(BadWebhook::Endless));
    }
}
