//! The tokens that LiveKit takes and makes: JSON Web Tokens signed with the API secret.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::LiveKit;
use crate::clock;

/// What an authorisation service gives out. A client needs it again when it connects anew.
const JOIN_LIFE: TimeDelta = TimeDelta::hours(1);

/// One call is one token.
const ADMIN_LIFE: TimeDelta = TimeDelta::minutes(1);

/// LiveKit gives it so long.
const WEBHOOK_LIFE: TimeDelta = TimeDelta::minutes(5);

/// By which this identity may join this room.
pub(super) fn join(identity: &str, room: &str, secret: &str) -> String {
    let grants = json!({
        "roomJoin": true, "room": room,
        "canPublish": true, "canSubscribe": true, "canUpdateOwnMetadata": true,
    });
    signed(json!({"sub": identity, "identity": identity, "video": grants}), JOIN_LIFE, secret)
}

/// By which a recorder of this name may join this room.
pub(super) fn record(name: &str, room: &str, secret: &str) -> String {
    let grants =
        json!({"roomJoin": true, "room": room, "canSubscribe": true, "hidden": true, "recorder": true});
    signed(json!({"sub": name, "identity": name, "kind": "egress", "video": grants}), JOIN_LIFE, secret)
}

/// By which the API can be called.
pub(super) fn admin(grants: &Value, secret: &str) -> String {
    signed(json!({"video": grants}), ADMIN_LIFE, secret)
}

/// As it goes with a webhook that was sent so long ago.
pub(super) fn webhook(body: &[u8], age: TimeDelta, secret: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(body));
    signed_at(clock::now() - age, json!({"sha256": hash}), WEBHOOK_LIFE, secret)
}

fn signed(claims: Value, life: TimeDelta, secret: &str) -> String {
    signed_at(clock::now(), claims, life, secret)
}

fn signed_at(now: DateTime<Utc>, mut claims: Value, life: TimeDelta, secret: &str) -> String {
    claims["iss"] = LiveKit::KEY.into();
    claims["iat"] = now.timestamp().into();
    claims["nbf"] = (now - TimeDelta::seconds(10)).timestamp().into();
    claims["exp"] = (now + life).timestamp().into();
    sealed(&claims, secret)
}

/// The same claims, made by another clock.
pub(super) fn moved(token: &str, ahead: TimeDelta, secret: &str) -> Option<String> {
    let mut claims = claims(token, secret)?;
    for instant in ["iat", "nbf", "exp"] {
        if let Some(before) = claims[instant].as_i64() {
            claims[instant] = (before + ahead.num_seconds()).into();
        }
    }
    Some(sealed(&claims, secret))
}

fn sealed(claims: &Value, secret: &str) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let text = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(mac(&text, secret).finalize().into_bytes());
    format!("{text}.{signature}")
}

/// The claims of a token that was signed with this secret.
pub(super) fn claims(token: &str, secret: &str) -> Option<Value> {
    let (text, signature) = token.rsplit_once('.')?;
    mac(text, secret).verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let (_, claims) = text.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(text: &str, secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("a key").chain_update(text)
}
