//! What saved answers of servers say.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    judge::{
        evidence::{Listing, RoomMember},
        room::{Participants, SfuRoom},
    },
    rtc::{
        membership::Owner,
        state_event::{StateEvent, saturating_integer},
    },
    time::Timestamp,
};

/// Reads a saved answer, also one with a byte order mark and in UTF-16: so write the editors and the
/// shell of Windows.
///
/// # Errors
///
/// When it is not JSON.
pub fn json(file: &[u8]) -> serde_json::Result<Value> {
    let utf16 = |from_bytes: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units = bytes.chunks_exact(2).map(|pair| from_bytes([pair[0], pair[1]]));
        String::from_utf16_lossy(&units.collect::<Vec<_>>())
    };
    match file {
        [0xef, 0xbb, 0xbf, rest @ ..] => serde_json::from_slice(rest),
        [0xff, 0xfe, rest @ ..] => serde_json::from_str(&utf16(u16::from_le_bytes, rest)),
        [0xfe, 0xff, rest @ ..] => serde_json::from_str(&utf16(u16::from_be_bytes, rest)),
        plain => serde_json::from_slice(plain),
    }
}

/// What an `m.room.member` event says of its user; a missing one is a user who never joined.
pub fn room_member(event: Option<&StateEvent>) -> RoomMember {
    let Some(event) = event else { return RoomMember::NotJoined { since: None } };
    match event.content.get("membership").and_then(Value::as_str) {
        Some("join") => RoomMember::Joined,
        Some(_) => RoomMember::NotJoined { since: Some(event.origin_server_ts) },
        // No server sends that; the content could not be read.
        None => RoomMember::Unknown,
    }
}

/// The saved answers.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) keys_query: Option<Value>,
    pub(super) own: BTreeMap<String, Value>,
    pub(super) sfu: Option<BTreeMap<String, SfuRoom>>,
}

impl Lists {
    pub(super) fn own_list(&self, owner: &Owner) -> Listing {
        let Some(answer) = self.own.get(owner.user.as_str()) else { return Listing::NotAsked };
        // An error body has no list in it; a 404 is no empty list.
        let Some(devices) = answer.get("devices").and_then(Value::as_array) else { return Listing::Unknown };
        let device = devices
            .iter()
            .find(|device| device.get("device_id").and_then(Value::as_str) == Some(owner.device.as_str()));
        let last_seen = |device: &Value| {
            device.get("last_seen_ts").and_then(saturating_integer).map(Timestamp::from_millis)
        };
        Listing::Known { device: device.map(last_seen), empty: devices.is_empty() }
    }

    pub(super) fn keys_query(&self, owner: &Owner) -> Listing {
        let Some(answer) = &self.keys_query else { return Listing::NotAsked };
        let failed = owner.user.server_name().is_some_and(|server| {
            answer.get("failures").is_some_and(|failures| failures.get(server).is_some())
        });
        match answer["device_keys"].get(owner.user.as_str()).and_then(Value::as_object) {
            Some(devices) if !failed => Listing::Known {
                device: devices.contains_key(owner.device.as_str()).then_some(None),
                empty: devices.is_empty(),
            },
            _ => Listing::Unknown,
        }
    }
}

/// Who is connected by a `ListParticipants` answer.
pub fn participants(answer: &Value) -> SfuRoom {
    // An answer without participants may leave the list out; anything else in it is no such answer.
    let list = match answer.as_object() {
        Some(fields) if fields.is_empty() => &[][..],
        Some(fields) => match fields.get("participants") {
            Some(Value::Array(list)) => list,
            _ => return SfuRoom::Unknown,
        },
        None => return SfuRoom::Unknown,
    };
    let mut there = Participants::default();
    for participant in list.iter().filter(|one| !one.get("state").is_some_and(is_disconnected)) {
        let Some(identity) = participant.get("identity").and_then(Value::as_str) else { continue };
        there.identities.insert(identity.to_owned());
        if is_machine(participant) {
            there.machines.insert(identity.to_owned());
        }
    }
    SfuRoom::Participants(there)
}

/// Whether a participant's state says that it has gone. Enums come as names or as numbers (LiveKit's
/// `ParticipantInfo.State`); whatever else it may be, the participant is listed and so may be there.
fn is_disconnected(state: &Value) -> bool {
    match state {
        Value::String(name) => name.trim().eq_ignore_ascii_case("DISCONNECTED") || name.trim() == "3",
        number => saturating_integer(number) == Some(3),
    }
}

/// Whether a participant says that it is a recorder, an agent or a phone (LiveKit's
/// `ParticipantInfo.Kind`, and the permissions that recorders and agents had before there was one).
fn is_machine(participant: &Value) -> bool {
    let kind = match participant.get("kind") {
        Some(Value::String(name)) => {
            ["INGRESS", "EGRESS", "SIP", "AGENT"].iter().any(|kind| name.eq_ignore_ascii_case(kind))
        }
        Some(number) => saturating_integer(number).is_some_and(|number| (1..=4).contains(&number)),
        None => false,
    };
    let may = |permission: &str| participant["permission"][permission] == true;
    kind || may("recorder") || may("agent")
}
