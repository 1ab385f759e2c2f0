//! LiveKit's access tokens: JWTs signed with HMAC-SHA256.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use rtc_janitor_core::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

/// LiveKit forgives clocks that differ by 60 s; begun a little earlier, a token holds at once on a slow one.
const BEGUN_BEFORE: Duration = Duration::from_secs(10);

/// One request needs it no longer.
const HOLDS_FOR: Duration = Duration::from_mins(2);

/// By how much clocks may differ when somebody else's token is checked, as LiveKit has it.
const LEEWAY: Duration = Duration::from_mins(1);

/// The key that an SFU knows the janitor by.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its name, `iss` in a token.
    pub name: SecretString,
    /// What tokens are signed with.
    pub secret: SecretString,
}

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Not three parts of base64 with JSON in them, or another algorithm.
    #[error("it is no token")]
    Malformed,
    /// Made with another secret.
    #[error("it is not signed with livekit.api_secret")]
    Signature,
    /// Made by another key.
    #[error("it is of another key than livekit.api_key")]
    Key,
    /// Over, or not begun.
    #[error("it is of another time")]
    Time,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// What of a token's claims is read.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    #[serde(default)]
    exp: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    pub(super) video: Value,
    /// Of a webhook: the SHA-256 of its body in base64.
    #[serde(default)]
    pub(super) sha256: Option<String>,
}

impl Claims {
    /// Whether it is over some day.
    pub(super) const fn ends(&self) -> bool {
        self.exp.is_some()
    }
}

impl ApiKey {
    /// A token for one request, with this grant.
    pub(super) fn sign(&self, video: &Value, now: Timestamp) -> String {
        self.sign_claims(json!({"video": video}), now)
    }

    /// What goes with a webhook of this body, as the SFU makes it.
    #[cfg(test)]
    pub(crate) fn sign_webhook(&self, body: &[u8], now: Timestamp) -> String {
        use base64::engine::general_purpose::STANDARD;
        use sha2::Digest as _;
        self.sign_claims(json!({"sha256": STANDARD.encode(Sha256::digest(body))}), now)
    }

    /// A token for now with these claims beside those of every token, which give way to them.
    pub(super) fn sign_claims(&self, claims: Value, now: Timestamp) -> String {
        let seconds = |at: Timestamp| at.as_millis() / 1000;
        let mut all = json!({
            "iss": self.name.expose_secret(),
            "nbf": seconds(now - BEGUN_BEFORE),
            "exp": seconds(now + HOLDS_FOR),
        });
        if let (Value::Object(all), Value::Object(claims)) = (&mut all, claims) {
            all.extend(claims);
        }
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&json!({"alg": "HS256", "typ": "JWT"})), encoded(&all));
        let signature = self.mac(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token claims, once it is shown that this key has made it and that it holds.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, BadToken> {
        let (signed, signature) = token.trim().rsplit_once('.').ok_or(BadToken::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(BadToken::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Malformed);
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| BadToken::Malformed)?;
        if header.alg != "HS256" {
            return Err(BadToken::Malformed);
        }
        self.mac(signed).verify_slice(&decoded(signature)?).map_err(|_| BadToken::Signature)?;
        let claims: Claims = serde_json::from_slice(&decoded(claims)?).map_err(|_| BadToken::Malformed)?;
        if claims.iss != self.name.expose_secret() {
            return Err(BadToken::Key);
        }
        let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
        let is_over = claims.exp.is_some_and(|exp| at(exp) + LEEWAY < now);
        let is_early = claims.nbf.is_some_and(|nbf| now + LEEWAY < at(nbf));
        if is_over || is_early { Err(BadToken::Time) } else { Ok(claims) }
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()) else {
            unreachable!("HMAC takes a key of any length")
        };
        mac.chain_update(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(name: &str, secret: &str) -> ApiKey {
        ApiKey { name: name.into(), secret: secret.into() }
    }

    #[test]
    fn a_token_is_believed_when_our_key_has_made_it_for_about_now() {
        let ours = key("devkey", "secret");
        let token = ours.sign(&json!({"room": "!r"}), NOW);
        assert_eq!(ours.verify(&token, NOW).expect("our own").video["room"], "!r");
        assert_eq!(key("devkey", "other").verify(&token, NOW).unwrap_err(), BadToken::Signature);
        assert_eq!(key("other", "secret").verify(&token, NOW).unwrap_err(), BadToken::Key);
        assert!(ours.verify(&token, NOW + Duration::from_secs(179)).is_ok());
        assert_eq!(ours.verify(&token, NOW + Duration::from_secs(181)).unwrap_err(), BadToken::Time);
        assert_eq!(ours.verify(&token, NOW - Duration::from_secs(71)).unwrap_err(), BadToken::Time);
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        for garbled in [
            "",
            ".",
            "..",
            "a.b.c",
            signed,
            &format!("{signed}."),
            &format!("{signed}x.{signature}"),
            // Nobody's signature is needed where the token itself may say so.
            &format!(
                "{}.{}.",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
                URL_SAFE_NO_PAD.encode(r#"{"iss":"devkey"}"#)
            ),
        ] {
            assert!(ours.verify(garbled, NOW).is_err(), "{garbled}");
        }
    }

    #[test]
    fn a_token_that_another_program_has_made_with_our_key_is_read() {
        // Made by hand with Python: hmac.new(b"secret", ..., "sha256").
        let theirs = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJkZXZrZXkiLCJ2aWRlbyI6eyJyb29tIjoiciJ9fQ.\
                      LKjrid-1ipr-XHcFwUJg3OKdmdweNGcewK_rEe79owY";
        let claims = key("devkey", "secret").verify(theirs, NOW).expect("the same key");
        assert_eq!(claims.video["room"], "r");
    }
}
