//! What calls leave in a room beside their membership events: sticky members and slots.
//!
//! Sticky members (MSC4354) end by themselves within the hour and nobody else can write them. They are
//! only shown, so that nobody reads "no call" while people talk.

use serde_json::Value;

use super::state_event::StateEvent;

/// The types of sticky members: the one in use, and the stable one that the Rust crates read.
pub const STICKY_MEMBER: [&str; 2] = ["org.matrix.msc4143.rtc.member", "m.rtc.member"];

/// The types of a room's slots; their state key is the slot id, such as `m.call#ROOM`.
pub const SLOT: [&str; 2] = ["org.matrix.msc4143.rtc.slot", "m.rtc.slot"];

/// The field beside a timeline event's content that makes it sticky, by its unstable and its stable name.
const STICKY: [&str; 2] = ["msc4354_sticky", "sticky"];

/// What a timeline event says of sticky members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// Somebody is in a call by it.
    Member,
    /// Somebody has left by it.
    Left,
    /// It is encrypted: something is sticky there, and nobody but the room's members can tell what.
    Encrypted,
}

/// Reads a timeline event; `None` where it is neither a sticky member nor an encrypted sticky event.
///
/// `event` is in the client format. Whether it is still sticky, the server says by listing it.
pub fn sticky(event: &Value) -> Option<Sticky> {
    let kind = event.get("type")?.as_str()?;
    let is_sticky = STICKY.iter().any(|field| event.get(field).is_some_and(Value::is_object));
    if kind == "m.room.encrypted" && is_sticky {
        return Some(Sticky::Encrypted);
    }
    if !STICKY_MEMBER.contains(&kind) {
        return None;
    }
    let content = event.get("content").and_then(Value::as_object);
    // A member names its application or, in the MSC's current text, itself; whoever leaves names neither,
    // or says so.
    let is_member = content.is_some_and(|content| {
        let object = |field| content.get(field).and_then(Value::as_object);
        let says_leave =
            object("member").and_then(|member| member.get("membership")).is_some_and(|m| m == "leave");
        (object("application").is_some() || object("member").is_some())
            && !says_leave
            && !content.contains_key("leave_reason")
    });
    Some(if is_member { Sticky::Member } else { Sticky::Left })
}

/// What stands in one room beside its membership events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Devices in a call by sticky events.
    pub members: usize,
    /// Encrypted sticky events, which may be members.
    pub encrypted: usize,
    /// The ids of closed slots.
    pub closed_slots: Vec<Box<str>>,
}

impl Beside {
    /// Takes in a timeline event that the server lists as sticky.
    pub fn add_sticky(&mut self, event: &Value) {
        match sticky(event) {
            Some(Sticky::Member) => self.members += 1,
            Some(Sticky::Encrypted) => self.encrypted += 1,
            Some(Sticky::Left) | None => {}
        }
    }

    /// Takes in a state event; all but slots is passed over.
    pub fn add_state(&mut self, event: &StateEvent) {
        if is_closed_slot(event) {
            self.closed_slots.push(event.state_key.as_str().into());
        }
    }
}

/// Whether an event of the type [`SLOT`] says that its slot is closed: matrix-js-sdk then shows no sticky
/// member of it, and state members as ever.
pub fn is_closed_slot(event: &StateEvent) -> bool {
    SLOT.contains(&event.event_type.as_str())
        && !event.redacted
        && event.content.get("status").and_then(Value::as_str) == Some("closed")
}
