//! The names and contents by which everybody in a fake homeserver can be found by number.

use serde_json::{Value, json};

use super::world::{ADMIN, SERVER};
use crate::CALL_MEMBER;

/// Power levels as Element writes them, with this one for call memberships.
pub(super) fn power_levels(call_member: i64) -> Value {
    json!({
        "users": {ADMIN: 100}, "users_default": 0, "events_default": 0, "state_default": 50,
        "ban": 50, "kick": 50, "redact": 50, "invite": 0, "historical": 100,
        "events": {
            "m.room.name": 50, "m.room.power_levels": 100, "m.room.history_visibility": 100,
            "m.room.canonical_alias": 50, "m.room.avatar": 50, "m.room.tombstone": 100,
            "m.room.server_acl": 100, "m.room.encryption": 100, CALL_MEMBER: call_member,
        },
    })
}

/// The content of the membership of the user with this number.
pub(super) fn membership(user: usize, room: usize, expires_ms: i64, created_ms: Option<i64>) -> Value {
    let (owner, device) = (user_id(user), device_id(user));
    let mut content = json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": device,
        "expires": expires_ms, "m.call.intent": "video", "membershipID": format!("{owner}:{device}"),
        "focus_active": {"type": "livekit", "focus_selection": "oldest_membership"},
        "foci_preferred": [{"type": "livekit", "livekit_alias": room_id(room.saturating_sub(1)),
            "livekit_service_url": "https://livekit.fake.test/livekit/jwt"}],
    });
    if let Some(created) = created_ms {
        content["created_ts"] = created.into();
    }
    content
}

/// The id of the room with this number, counted from 0.
pub(super) fn room_id(number: usize) -> String {
    format!("!room{number:06}:{SERVER}")
}

/// The user who owns the membership with this number.
pub(super) fn user_id(number: usize) -> String {
    format!("@user{number:07}:{SERVER}")
}

/// The device that the membership with this number is of.
pub(super) fn device_id(number: usize) -> String {
    format!("DEV{number:07}")
}

/// The key of the membership with this number.
pub(super) fn state_key(number: usize) -> String {
    format!("_{}_{}_m.call", user_id(number), device_id(number))
}
