//! Reading the parts of an answer that matter, each event on its own, so that one that is no good
//! spoils nothing but itself.

use std::{borrow::Cow, fmt};

use matrix_sdk::bytes::Bytes;
use rtc_janitor_core::{
    ids::{EventId, RoomId, UserId},
    rtc::{
        state_event::{CALL_MEMBER, StateEvent},
        sticky::StickyEvent,
    },
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::super::event;
use crate::world::{Invite, LeftRoom};

/// The entries of a JSON object in their order, each still text.
#[derive(Debug, Default)]
pub(super) struct Entries<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Each).map(Self)
    }
}

impl Entries<'_> {
    /// The same as rooms and slices of the body that they were read from.
    pub(super) fn in_body(self, body: &Bytes) -> Vec<(RoomId, Bytes)> {
        let slice = |(room, text): (String, &RawValue)| (room.into(), body.slice_ref(text.get().as_bytes()));
        self.0.into_iter().map(slice).collect()
    }
}

/// As much of an event as tells whether the rest matters.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Head<'a> {
    #[serde(borrow, rename = "type")]
    pub(in super::super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(in super::super) state_key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sender: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    pub(in super::super) fn of(event: &'a RawValue) -> Option<Self> {
        serde_json::from_str(event.get()).ok()
    }

    /// Whether it is a membership that somebody else has emptied. In a view of everything it is not
    /// needed: there are thousands of them, and a key that is not there is not open either.
    pub(in super::super) fn is_emptied_by_others(&self, me: &UserId) -> bool {
        let is_empty = || self.content.is_some_and(|content| is_empty_object(content.get()));
        self.kind == CALL_MEMBER && self.sender.as_deref() != Some(me.as_str()) && is_empty()
    }
}

fn is_empty_object(json: &str) -> bool {
    let inside = json.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| inside.trim().is_empty())
}

/// One event as it is; `None`, and a note in the log, where it cannot be read.
pub(super) fn value(event: &RawValue, room: &RoomId) -> Option<Value> {
    event::read(event.get()).inspect_err(|error| tracing::debug!(%room, %error, "an event is skipped")).ok()
}

/// One state event; `None`, and a note in the log, for anything else.
pub(in super::super) fn state_event(event: &RawValue, room: &RoomId) -> Option<StateEvent> {
    from_value(value(event, room)?, room)
}

pub(super) fn from_value(event: Value, room: &RoomId) -> Option<StateEvent> {
    StateEvent::from_json(event)
        .inspect_err(|error| tracing::debug!(%room, %error, "an event is skipped"))
        .ok()
}

/// The sticky events that may put somebody into a call.
pub(super) fn sticky(events: &[&RawValue], room: &RoomId) -> Vec<StickyEvent> {
    events.iter().filter_map(|event| StickyEvent::read(&value(event, room)?)).collect()
}

/// What a redaction redacts: in the content from room version 11 on, beside it before. Servers may
/// send both; a redaction is only a hint to look again, so whatever is named counts.
pub(super) fn redacted_by(redaction: &Value) -> impl Iterator<Item = EventId> + use<> {
    let content = redaction["content"]["redacts"].as_str().map(EventId::from);
    let top = redaction["redacts"].as_str().map(EventId::from);
    let second = if top == content { None } else { top };
    content.into_iter().chain(second)
}

/// An invitation, by the bot's own membership in it.
pub(super) fn invite(room_id: RoomId, own: Option<&Value>) -> Invite {
    Invite { inviter: own.and_then(|event| event["sender"].as_str()).map(UserId::from), room_id }
}

/// A room that is left, by the bot's own membership there.
pub(super) fn left(room_id: RoomId, own: Option<&Value>) -> LeftRoom {
    let own = own.unwrap_or(&Value::Null);
    LeftRoom {
        by: own["sender"].as_str().map(UserId::from),
        reason: own["content"]["reason"].as_str().map(str::to_owned),
        banned: own["content"]["membership"] == "ban",
        room_id,
    }
}

pub(super) fn is_membership_of(event: &Value, user: &UserId) -> bool {
    event["type"] == "m.room.member" && event["state_key"] == user.as_str()
}
