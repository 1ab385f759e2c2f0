//! From an answer of `/sync` to what somebody did in the admin room.
//!
//! Events are read as raw JSON: what is not exactly a command, a reaction or an upgrade is nothing.

use std::collections::BTreeSet;

use matrix_sdk::{
    deserialized_responses::{
        DecryptedRoomEvent, DeviceLinkProblem, TimelineEvent, TimelineEventKind, VerificationLevel,
        VerificationState,
    },
    ruma::{RoomId as RumaRoomId, UserId as RumaUserId, events::AnySyncTimelineEvent, serde::Raw},
};
use rtc_janitor_core::{
    ids::{EventId, UserId},
    time::Timestamp,
};
use serde_json::Value;

use crate::world::{RoomEvent, RoomEventKind, Trust};

/// What an event says, `None` when it is nothing to the bot.
pub(super) fn heard(
    event: &TimelineEvent,
    me: &RumaUserId,
    is_encrypted: bool,
    is_backlog: bool,
) -> Option<RoomEvent> {
    let raw = event.kind.raw();
    let json: Value = serde_json::from_str(raw.json().get()).ok()?;
    let sender = json["sender"].as_str().filter(|sender| *sender != me.as_str())?;
    let (what, trust) = match &event.kind {
        TimelineEventKind::UnableToDecrypt { .. } => (RoomEventKind::Undecryptable, Trust::Enough),
        TimelineEventKind::Decrypted(DecryptedRoomEvent { encryption_info, .. }) => {
            // State is never encrypted: what says so is somebody's invention.
            let what = what(&json).filter(|what| !matches!(what, RoomEventKind::Upgrade { .. }))?;
            (what, trust(&encryption_info.verification_state))
        }
        TimelineEventKind::PlainText { .. } => {
            let what = what(&json)?;
            // Reactions and state are never encrypted.
            let may_be_plain = !matches!(what, RoomEventKind::Text { .. }) || !is_encrypted;
            (what, if may_be_plain { Trust::Enough } else { Trust::InTheClear })
        }
    };
    Some(RoomEvent {
        event: json["event_id"].as_str()?.into(),
        sender: sender.into(),
        at: Timestamp::from_millis(json["origin_server_ts"].as_i64().unwrap_or(0)),
        what,
        trust,
        is_backlog,
        thread: thread(&json),
    })
}

/// What was edited by its own sender in the same breath, as sender and event. A server tells of an edit
/// beside the event only where it leaves the edit itself out.
pub(super) fn edited(events: &[TimelineEvent]) -> BTreeSet<(UserId, EventId)> {
    let edited = |event: &TimelineEvent| {
        let json: Value = serde_json::from_str(event.kind.raw().json().get()).ok()?;
        let relation = &json["content"]["m.relates_to"];
        let original = relation["event_id"].as_str().filter(|_| relation["rel_type"] == "m.replace")?;
        Some((json["sender"].as_str()?.into(), original.into()))
    };
    events.iter().filter_map(edited).collect()
}

/// Whether an event is encrypted and its key has not come yet.
pub(super) fn is_undecrypted(event: &TimelineEvent) -> Option<&Raw<AnySyncTimelineEvent>> {
    match &event.kind {
        TimelineEventKind::UnableToDecrypt { event, .. } => Some(event),
        _ => None,
    }
}

/// The root of the thread in which an event stands.
fn thread(event: &Value) -> Option<EventId> {
    let relation = &event["content"]["m.relates_to"];
    relation["event_id"].as_str().filter(|_| relation["rel_type"] == "m.thread").map(EventId::from)
}

fn what(event: &Value) -> Option<RoomEventKind> {
    let content = &event["content"];
    let relation = &content["m.relates_to"];
    match event["type"].as_str()? {
        "m.room.message" => {
            // Neither an edit nor something that was edited since: nobody could tell which was meant.
            let is_edit = relation["rel_type"] == "m.replace" || content.get("m.new_content").is_some();
            let was_edited = !event["unsigned"]["m.relations"]["m.replace"].is_null();
            if content["msgtype"] != "m.text" || is_edit || was_edited {
                return None;
            }
            let html = content["formatted_body"].as_str();
            let html = html.filter(|_| content["format"] == "org.matrix.custom.html");
            Some(RoomEventKind::Text {
                body: content["body"].as_str()?.to_owned(),
                html: html.map(str::to_owned),
            })
        }
        "m.reaction" => Some(RoomEventKind::Reaction {
            to: relation["event_id"].as_str().filter(|_| relation["rel_type"] == "m.annotation")?.into(),
            key: relation["key"].as_str()?.to_owned(),
        }),
        "m.room.tombstone" if event["state_key"] == "" => upgrade(content),
        _ => None,
    }
}

/// Where a room goes on by the content of its tombstone.
pub(super) fn upgrade(tombstone: &Value) -> Option<RoomEventKind> {
    let successor = RumaRoomId::parse(tombstone["replacement_room"].as_str()?).ok()?;
    Some(RoomEventKind::Upgrade { successor: successor.as_str().into() })
}

fn trust(state: &VerificationState) -> Trust {
    match state {
        VerificationState::Unverified(VerificationLevel::VerificationViolation) => Trust::IdentityViolated,
        VerificationState::Unverified(
            VerificationLevel::MismatchedSender | VerificationLevel::None(DeviceLinkProblem::InsecureSource),
        ) => Trust::Unattributable,
        VerificationState::Verified
        | VerificationState::Unverified(
            VerificationLevel::UnverifiedIdentity
            | VerificationLevel::UnsignedDevice
            | VerificationLevel::None(DeviceLinkProblem::MissingDevice),
        ) => Trust::Enough,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use matrix_sdk::deserialized_responses::{AlgorithmInfo, EncryptionInfo};
    use serde_json::json;

    use super::*;

    fn text(content: &Value) -> Option<RoomEventKind> {
        what(&json!({"type": "m.room.message", "content": content}))
    }

    #[test]
    fn only_an_unedited_text_is_a_command() {
        let plain = json!({"msgtype": "m.text", "body": "!janitor status"});
        assert_eq!(text(&plain), Some(RoomEventKind::Text { body: "!janitor status".into(), html: None }));
        for content in [
            json!({"msgtype": "m.notice", "body": "!janitor status"}),
            json!({"msgtype": "m.emote", "body": "!janitor status"}),
            json!({"msgtype": "m.image", "body": "!janitor status"}),
            json!({"msgtype": "m.text", "body": "* !janitor status", "m.new_content": {"msgtype": "m.text", "body": "!janitor status"},
                "m.relates_to": {"rel_type": "m.replace", "event_id": "$e"}}),
            json!({"msgtype": "m.text", "body": 7}),
            json!([]),
        ] {
            assert_eq!(text(&content), None, "{content}");
        }
        let edited = json!({"type": "m.room.message", "content": {"msgtype": "m.text", "body": "!janitor status"},
            "unsigned": {"m.relations": {"m.replace": {"event_id": "$x"}}}});
        assert_eq!(what(&edited), None);
        let redacted = json!({"type": "m.room.message", "content": {}});
        assert_eq!(what(&redacted), None);
    }

    #[test]
    fn an_upgrade_is_plain_and_names_a_room() {
        let tombstone = |successor: &str| {
            json!({"type": "m.room.tombstone", "state_key": "", "event_id": "$e", "sender": "@a:hs",
                "origin_server_ts": 1, "content": {"replacement_room": successor}})
        };
        assert_eq!(what(&tombstone("!new:hs")), Some(RoomEventKind::Upgrade { successor: "!new:hs".into() }));
        for nowhere in ["", "new", "#new:hs"] {
            assert_eq!(what(&tombstone(nowhere)), None, "{nowhere}");
        }
        let me = matrix_sdk::ruma::user_id!("@bot:hs");
        let plain = TimelineEvent::from_plaintext(raw(&tombstone("!new:hs")));
        assert!(heard(&plain, me, true, false).is_some());
        let decrypted = |event: &Value| {
            let info = EncryptionInfo {
                sender: matrix_sdk::ruma::owned_user_id!("@a:hs"),
                sender_device: None,
                forwarder: None,
                algorithm_info: AlgorithmInfo::MegolmV1AesSha2 {
                    curve25519_key: String::new(),
                    sender_claimed_keys: BTreeMap::new(),
                    session_id: None,
                },
                verification_state: VerificationState::Verified,
            };
            let event = DecryptedRoomEvent {
                event: raw(event).cast_unchecked(),
                encryption_info: std::sync::Arc::new(info),
                unsigned_encryption_info: None,
            };
            heard(&TimelineEvent::from_decrypted(event, None), me, true, false)
        };
        assert_eq!(decrypted(&tombstone("!new:hs")), None);
        let text = json!({"type": "m.room.message", "event_id": "$e", "sender": "@a:hs", "origin_server_ts": 1,
            "content": {"msgtype": "m.text", "body": "x"}});
        assert!(decrypted(&text).is_some(), "the control");
    }

    fn raw(event: &Value) -> Raw<AnySyncTimelineEvent> {
        Raw::from_json(serde_json::value::to_raw_value(event).expect("JSON"))
    }

    #[test]
    fn a_reaction_names_what_it_is_to() {
        let reaction =
            |relation: Value| what(&json!({"type": "m.reaction", "content": {"m.relates_to": relation}}));
        let tick = reaction(json!({"rel_type": "m.annotation", "event_id": "$plan", "key": "✅"}));
        assert_eq!(tick, Some(RoomEventKind::Reaction { to: "$plan".into(), key: "✅".into() }));
        assert_eq!(reaction(json!({"rel_type": "m.thread", "event_id": "$plan", "key": "✅"})), None);
        assert_eq!(reaction(json!({})), None);
    }

    #[test]
    fn a_violated_identity_and_a_sender_who_is_not_the_devices_owner_are_not_trusted() {
        let unverified = VerificationState::Unverified;
        for (state, expected) in [
            (VerificationState::Verified, Trust::Enough),
            (unverified(VerificationLevel::UnverifiedIdentity), Trust::Enough),
            (unverified(VerificationLevel::UnsignedDevice), Trust::Enough),
            (unverified(VerificationLevel::VerificationViolation), Trust::IdentityViolated),
            (unverified(VerificationLevel::MismatchedSender), Trust::Unattributable),
            (unverified(VerificationLevel::None(DeviceLinkProblem::InsecureSource)), Trust::Unattributable),
        ] {
            assert_eq!(trust(&state), expected, "{state:?}");
        }
    }
}
