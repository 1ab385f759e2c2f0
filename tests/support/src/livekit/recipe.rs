//! How an authorisation service names the SFU room of a Matrix room.
//!
//! Written apart from the bot's own table (`core/src/rtc/sfu_names.rs`), so that a slip in one shows against the other.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A way to name the SFU room, by the versions of lk-jwt-service that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// The Matrix room id itself: `/sfu/get` up to v0.4.0.
    RoomId,
    /// SHA-256 of `room|slot` in hexadecimal digits: v0.4.0, which does so for `/get_token` only.
    HexPipe,
    /// SHA-256 of `room|slot` in base64 without padding: v0.4.1 and v0.4.2.
    Base64Pipe,
    /// SHA-256 of the JSON `["room","slot"]` in base64 without padding: v0.4.3 and later.
    Base64Json,
}

impl Recipe {
    /// All there are, oldest first.
    pub const ALL: [Self; 4] = [Self::RoomId, Self::HexPipe, Self::Base64Pipe, Self::Base64Json];

    /// What the SFU calls a Matrix room in which there is a call of the room's own, `m.call#ROOM`.
    pub fn sfu_room(self, room: &str) -> String {
        let slot = "m.call#ROOM";
        let piped = || Sha256::digest(format!("{room}|{slot}"));
        match self {
            Self::RoomId => room.to_owned(),
            Self::HexPipe => piped().iter().fold(String::new(), |mut digits, byte| {
                _ = write!(digits, "{byte:02x}");
                digits
            }),
            Self::Base64Pipe => STANDARD_NO_PAD.encode(piped()),
            Self::Base64Json => STANDARD_NO_PAD.encode(Sha256::digest(as_go_writes(&[room, slot]))),
        }
    }
}

/// Go escapes some characters that others leave alone.
fn as_go_writes(texts: &[&str]) -> String {
    json!(texts)
        .to_string()
        .chars()
        .map(|char| match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", u32::from(char)),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_named_as_the_real_service_did() {
        let names = Recipe::ALL.map(|recipe| recipe.sfu_room("!room:example.org"));
        assert_eq!(
            names,
            [
                "!room:example.org",
                "208ee78b89b08a658783f2aad9eec61c1437c708270ae83a21e182716376733c",
                "II7ni4mwimWHg/Kq2e7GHBQ3xwgnCug6IeGCcWN2czw",
                "TK4o8wNCXi5t5936bOvIzE/X3XFc7cgp3jGRDqK0j5E",
            ]
        );
        assert_eq!(as_go_writes(&["!a<b>&\u{2028}"]), r#"["!a\u003cb\u003e\u0026\u2028"]"#);
    }
}
