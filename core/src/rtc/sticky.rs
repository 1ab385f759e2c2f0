//! What calls leave in a room beside their membership events: sticky members and slots.
//!
//! Sticky members (MSC4354) end by themselves within the hour and nobody else can write them. They are
//! only shown, so that nobody reads "no call" while people talk.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use super::state_event::{StateEvent, saturating_integer};
use crate::{ids::UserId, time::Timestamp};

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

/// The longest that an event is sticky (MSC4354).
const LONGEST: Duration = Duration::from_hours(1);

/// The most sticky events that are remembered of one room: anybody can send them.
const MOST: usize = 1_000;

/// A sticky event that may put somebody into a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyEvent {
    /// Who sent it; nobody else can replace it.
    sender: UserId,
    /// What a later one of the same sender replaces it by: its sticky key, or nothing that is known.
    key: Box<str>,
    what: Sticky,
    sent: Timestamp,
    lasts: Duration,
    /// How long it lasts yet, where the server says so.
    rest: Option<Duration>,
}

impl StickyEvent {
    /// Reads a timeline event that a server lists as sticky; `None` where it is neither a sticky member nor
    /// encrypted.
    ///
    /// `event` is in the client format.
    pub fn read(event: &Value) -> Option<Self> {
        let what = sticky(event)?;
        let millis = |value: &Value| {
            let millis = saturating_integer(value)?;
            Some(Duration::from_millis(u64::try_from(millis).ok()?).min(LONGEST))
        };
        let key = match what {
            // What it replaces is encrypted with it.
            Sticky::Encrypted => &event["event_id"],
            Sticky::Member | Sticky::Left => &event["content"]["msc4354_sticky_key"],
        };
        Some(Self {
            sender: event["sender"].as_str()?.into(),
            key: key.as_str().or_else(|| event["content"]["sticky_key"].as_str()).unwrap_or_default().into(),
            what,
            sent: Timestamp::from_millis(saturating_integer(&event["origin_server_ts"])?),
            lasts: STICKY.iter().find_map(|field| millis(&event[field]["duration_ms"])).unwrap_or(LONGEST),
            rest: millis(&event["unsigned"]["msc4354_sticky_duration_ttl_ms"]),
        })
    }

    /// When it ends, seen from `now`, when it came.
    fn ends(&self, now: Timestamp) -> Timestamp {
        self.rest.map_or(self.sent.min(now) + self.lasts, |rest| now + rest)
    }
}

/// The sticky events of one room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StickyEvents(BTreeMap<(UserId, Box<str>), (Sticky, Timestamp)>);

impl StickyEvents {
    /// Takes in one that came now.
    pub fn take_in(&mut self, event: &StickyEvent, now: Timestamp) {
        self.0.retain(|_, (_, ends)| *ends > now);
        let slot = (event.sender.clone(), event.key.clone());
        if event.what == Sticky::Left {
            self.0.remove(&slot);
        } else if self.0.len() < MOST || self.0.contains_key(&slot) {
            self.0.insert(slot, (event.what, event.ends(now)));
        }
    }

    /// Whether there is none, not even one that has ended.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn count(&self, kind: Sticky, now: Timestamp) -> usize {
        self.0.values().filter(|(what, ends)| *what == kind && *ends > now).count()
    }
}

/// What stands in one room beside its membership events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Devices in a call by sticky events.
    pub members: usize,
    /// Encrypted sticky events, which may be members.
    pub encrypted: usize,
    /// The ids of closed slots.
    pub closed_slots: BTreeSet<Box<str>>,
}

impl Beside {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether people may be in a call there that no membership event tells of.
    pub fn may_be_in_a_call(&self) -> bool {
        self.members + self.encrypted > 0
    }

    /// Counts the sticky events that have not ended.
    pub fn add_sticky(&mut self, events: &StickyEvents, now: Timestamp) {
        self.members += events.count(Sticky::Member, now);
        self.encrypted += events.count(Sticky::Encrypted, now);
    }

    /// Takes in a state event, the newest of its key; all but slots is passed over.
    pub fn add_state(&mut self, event: &StateEvent) {
        if is_closed_slot(event) {
            self.closed_slots.insert(event.state_key.as_str().into());
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
