//! The names under which a LiveKit SFU knows a call and the devices in it.
//!
//! They are made by lk-jwt-service, whose recipe changed with its versions, and several versions may
//! stand before one SFU: so all of them are asked, every time. An SFU answers a name that it does not
//! know with an empty list, as if everybody had left.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::membership::{Call, Focus, Membership, Owner};
use crate::ids::RoomId;

/// The slot of an `m.call` without a call id; `/sfu/get` knows no other.
const ROOM_SLOT: &str = "m.call#ROOM";

/// How lk-jwt-service makes the name of the SFU room that `/sfu/get` leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipe {
    /// The Matrix room's own id: up to v0.4.0.
    RoomId,
    /// A hash of room and slot with `|` between them: v0.4.1 and v0.4.2.
    Pipe,
    /// A hash of room and slot as JSON: v0.4.3 and later.
    Json,
}

impl Recipe {
    /// All that are known.
    pub const ALL: [Self; 3] = [Self::RoomId, Self::Pipe, Self::Json];

    /// The name in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoomId => "room_id",
            Self::Pipe => "pipe",
            Self::Json => "json",
        }
    }

    /// The recipe of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|recipe| recipe.as_str() == name)
    }

    /// The name of the SFU room of a Matrix room.
    pub fn name(self, room: &RoomId) -> String {
        match self {
            Self::RoomId => room.as_str().to_owned(),
            Self::Pipe => STANDARD_NO_PAD.encode(sha256(&format!("{room}|{ROOM_SLOT}"))),
            Self::Json => STANDARD_NO_PAD.encode(sha256(&go_json(&[room.as_str(), ROOM_SLOT]))),
        }
    }

    /// The recipe by which a Matrix room has this name on an SFU; `None` where it is none that is known.
    pub fn of(room: &RoomId, name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|recipe| recipe.name(room) == name)
    }
}

/// All names that the SFU room of a call may have, each once.
pub fn rooms(room: &RoomId, call: &Call, focus: Option<&Focus>) -> Vec<String> {
    let room = room.as_str();
    let mut names = vec![room.to_owned()];
    // `/sfu/get` has no slot and always takes the room's own; `/get_token` takes the slot it is given.
    let slot = format!("{}#{}", call.application, if call.id.is_empty() { "ROOM" } else { &call.id });
    for slot in [ROOM_SLOT, slot.as_str()] {
        names.push(STANDARD_NO_PAD.encode(sha256(&go_json(&[room, slot])))); // v0.4.3 and later
        names.push(STANDARD_NO_PAD.encode(sha256(&format!("{room}|{slot}")))); // v0.4.1, v0.4.2
        names.push(hex(&sha256(&format!("{room}|{slot}")))); // v0.4.0
    }
    // Up to v0.3.0 the client's own alias was taken as it came.
    names.extend(focus.and_then(|focus| focus.alias.as_deref()).map(str::to_owned));
    names.sort_unstable();
    names.dedup();
    names
}

/// The identity that an SFU gives a device when its client asks for no other.
pub fn identity(owner: &Owner) -> String {
    format!("{}:{}", owner.user, owner.device)
}

/// The identities under which an SFU may list a membership.
///
/// `user:device` on the SFU that it publishes to. On every other SFU of the call, and on its own for a
/// moment before, Element Call is listed under what `/get_token` makes of its `membershipID`. And that
/// itself, where a client chose one of its own.
pub fn identities(membership: &Membership) -> impl Iterator<Item = String> {
    let default = identity(&membership.owner);
    let chosen = membership.membership_id.as_deref().filter(|id| **id != default).map(str::to_owned);
    let Owner { user, device } = &membership.owner;
    let member = chosen.as_deref().unwrap_or(&default);
    let hashed = [
        STANDARD_NO_PAD.encode(sha256(&go_json(&[user.as_str(), device.as_str(), member]))), // v0.4.3 and later
        STANDARD_NO_PAD.encode(sha256(&format!("{user}|{device}|{member}"))),                // v0.4.1, v0.4.2
    ];
    std::iter::once(default).chain(hashed).chain(chosen)
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A compact JSON array as Go's `json.Marshal` writes it: like everybody's, but `<`, `>`, `&` and
/// the two Unicode line separators are escaped.
fn go_json(texts: &[&str]) -> String {
    let mut json = serde_json::Value::from(texts.to_vec()).to_string();
    for (plain, escaped) in [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ] {
        json = json.replace(plain, escaped);
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rtc::{
            membership::{Content, FirstSeen, read},
            state_event::StateEvent,
        },
        time::Timestamp,
    };

    #[test]
    fn the_known_answers_of_lk_jwt_service_are_among_the_names() {
        let call = Call { application: "m.call".into(), id: "".into() };
        let names = rooms(&"!room:example.org".into(), &call, None);
        for known in [
            "!room:example.org",
            "TK4o8wNCXi5t5936bOvIzE/X3XFc7cgp3jGRDqK0j5E",
            "II7ni4mwimWHg/Kq2e7GHBQ3xwgnCug6IeGCcWN2czw",
            "208ee78b89b08a658783f2aad9eec61c1437c708270ae83a21e182716376733c",
        ] {
            assert!(names.contains(&known.to_owned()), "{known} is missing from {names:?}");
        }
        assert_eq!(names.len(), 4, "each name once");
    }

    #[test]
    fn the_name_of_a_room_tells_by_which_recipe_it_was_made() {
        let room = RoomId::from("!room:example.org");
        for (name, recipe) in [
            ("!room:example.org", Some(Recipe::RoomId)),
            ("II7ni4mwimWHg/Kq2e7GHBQ3xwgnCug6IeGCcWN2czw", Some(Recipe::Pipe)),
            ("TK4o8wNCXi5t5936bOvIzE/X3XFc7cgp3jGRDqK0j5E", Some(Recipe::Json)),
            // What `/get_token` of v0.4.0 makes is no name that `/sfu/get` gives.
            ("208ee78b89b08a658783f2aad9eec61c1437c708270ae83a21e182716376733c", None),
            ("!other:example.org", None),
        ] {
            assert_eq!(Recipe::of(&room, name), recipe, "{name}");
        }
        for recipe in Recipe::ALL {
            assert_eq!(Recipe::named(recipe.as_str()), Some(recipe));
        }
    }

    #[test]
    fn the_known_identities_of_lk_jwt_service_are_among_those_of_a_membership() {
        let content = serde_json::json!({"application": "m.call", "call_id": "", "device_id": "ALICEDEV1",
            "membershipID": "7f0c0f6e-0000-4000-8000-000000000001", "focus_active": {"type": "livekit"}});
        let event = StateEvent::from_json(serde_json::json!({
            "type": "org.matrix.msc3401.call.member", "state_key": "_@alice:example.org_ALICEDEV1_m.call",
            "event_id": "$e", "sender": "@alice:example.org", "origin_server_ts": 0, "content": content,
        }))
        .expect("an event");
        let seen = FirstSeen { at: Timestamp::from_millis(0), live: true };
        let Content::Entries(entries) = read(&event, seen) else { unreachable!("a session") };
        let all: Vec<_> = identities(entries[0].as_ref().expect("a membership")).collect();
        for known in [
            "@alice:example.org:ALICEDEV1",
            "H//Qua949xZXcT/6BAXPij33N05hLZr/pDGpNpKJk8Y",
            "oyZMyaOZAbp9rp+aryb5/DLjzRBZ9ldUYqJe/0imhco",
            "7f0c0f6e-0000-4000-8000-000000000001",
        ] {
            assert!(all.contains(&known.to_owned()), "{known} is missing from {all:?}");
        }
    }

    #[test]
    fn json_is_escaped_as_go_does() {
        assert_eq!(go_json(&["!a<b>&:x\u{2028}", "\"s\""]), r#"["!a\u003cb\u003e\u0026:x\u2028","\"s\""]"#);
    }
}
