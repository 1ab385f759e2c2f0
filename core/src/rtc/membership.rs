//! From one raw membership event to the memberships in it, by the rules of the clients.
//!
//! The rules are those of matrix-js-sdk (`membershipData/session.ts`, and before v36 the array form
//! of `CallMembership.ts`), of its full-mesh group calls (`webrtc/groupCall.ts`), and of Element X.
//! What no client would show is malformed, which is not "left": a malformed membership is never
//! cleared.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::remainder::Remainder;
pub use super::focus::{Focus, FocusSelection};
use super::state_event::{StateEvent, is_leave, saturating_integer};
use super::{focus, state_key};
use crate::{
    ids::{DeviceId, UserId},
    time::Timestamp,
};

/// What `expires` counts as when it is absent (`DEFAULT_EXPIRE_DURATION` of matrix-js-sdk).
pub const DEFAULT_EXPIRES: Duration = Duration::from_hours(4);

/// Two clocks this close together agree: what arrives with a time this far in the future is no anomaly.
const TOLERATED_SKEW: Duration = Duration::from_secs(30);

/// The application of ordinary calls.
pub const M_CALL: &str = "m.call";

/// Whom a membership speaks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The event's `sender`: the key may be written by anybody with the power to.
    pub user: UserId,
    /// The content's `device_id`: clients ignore what the key says.
    pub device: DeviceId,
}

/// Which call of the room a membership belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The application, `m.call` for voice and video.
    pub application: Box<str>,
    /// The call id; the room's own call is the empty one. (`ROOM` on the wire means the same,
    /// matrix-js-sdk since 2026-01.)
    pub id: Box<str>,
}

impl Call {
    fn new(application: &str, id: &str) -> Self {
        Self { application: application.into(), id: if id == "ROOM" { "" } else { id }.into() }
    }

    /// Whether this is a voice or video call, for which refreshes and the SFU mean something.
    pub fn is_m_call(&self) -> bool {
        &*self.application == M_CALL
    }
}

/// The shape a membership came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One event per device; what current clients write.
    Session,
    /// `{"memberships": [...]}` under the bare user id.
    Array,
    /// `{"m.calls": [...]}`, full-mesh group calls of MSC3401.
    GroupCall,
}

/// Something odd that does not keep clients from showing the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// The key names another user than the sender; Element X shows the key's user.
    SenderDiffersFromKey,
    /// `expires` or `expires_ts` is there and is not a number.
    BadExpires,
    /// A `created_ts` after its event, or an event from the future.
    TimestampInFuture,
}

impl Anomaly {
    /// The name in JSON output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SenderDiffersFromKey => "sender_differs_from_key",
            Self::BadExpires => "bad_expires",
            Self::TimestampInFuture => "timestamp_in_future",
        }
    }
}

/// When and how the janitor first saw an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstSeen {
    /// The moment, by our clock.
    pub at: Timestamp,
    /// True when it arrived while the janitor was following the room, so that its age cannot be
    /// more than the time since.
    pub live: bool,
}

/// One device's claim to be in a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// Whom it speaks for.
    pub owner: Owner,
    /// The call it is a claim to.
    pub call: Call,
    /// The shape it came in.
    pub form: Form,
    /// When this event was sent: `origin_server_ts`, never later than it was first seen.
    pub sent: Timestamp,
    /// From when the age of this event counts: [`Self::sent`], or when it was seen to arrive.
    pub last_sign: Timestamp,
    /// When the device joined: `created_ts ?? origin_server_ts`.
    pub start: Timestamp,
    /// `created_ts`, which only refreshed memberships have.
    pub created: Option<Timestamp>,
    /// The `expires` that was written, if a number was.
    pub expires_after: Option<Duration>,
    /// When clients stop showing it; expired at `<= now`.
    pub expires: Timestamp,
    /// How its SFU is found.
    pub focus_selection: FocusSelection,
    /// Its first focus, when that is a LiveKit one.
    pub focus: Option<Focus>,
    /// `membershipID`, where it is text: an identity that the SFU may know it by.
    pub membership_id: Option<Box<str>>,
    /// What is odd about it.
    pub anomalies: Vec<Anomaly>,
}

impl Membership {
    /// Whether it was over before it was sent: its client goes on and never moves `created_ts`. Nobody
    /// sees it, and its client is there.
    pub fn was_expired_when_sent(&self) -> bool {
        self.expires <= self.sent
    }
}

/// Why no client would show a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong with it.
    pub why: &'static str,
    /// The device that it names all the same.
    pub device: Option<Box<str>>,
}

impl Malformed {
    const fn because(why: &'static str) -> Self {
        Self { why, device: None }
    }

    fn of(self, entry: &Value) -> Self {
        Self { device: entry.get("device_id").and_then(Value::as_str).map(Into::into), ..self }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

/// What a membership event says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nobody: what clients write when they leave, an array form with nobody in it, or redacted.
    Left,
    /// Nothing that a client would show.
    Malformed(Malformed),
    /// One entry in the session form, one for each device in the others.
    Entries(Vec<Result<Membership, Malformed>>),
}

/// Reads a membership event.
pub fn read(event: &StateEvent, seen: FirstSeen) -> Content {
    if event.redacted {
        return Content::Left;
    }
    let Value::Object(content) = &event.content else {
        return Content::Malformed(Malformed::because("the content is not an object"));
    };
    if is_leave(content) {
        return Content::Left;
    }
    let reader = Reader::new(event, seen);
    let arrays = ["memberships", "m.calls"].map(|field| content.get(field).and_then(Value::as_array));
    // One client reads the session and another the array of the same event: it speaks for all of them.
    let mut entries = match (reader.session(content), arrays) {
        (Ok(membership), _) => vec![Ok(membership)],
        (Err(why), [None, None]) => return Content::Malformed(why.of(&event.content)),
        (Err(_), _) => Vec::new(),
    };
    let [memberships, calls] = arrays;
    let array = memberships.into_iter().flatten();
    entries.extend(array.map(|entry| reader.array_entry(entry).map_err(|why| why.of(entry))));
    entries.extend(calls.map(|calls| reader.group_calls(calls)).unwrap_or_default());
    if entries.is_empty() { Content::Left } else { Content::Entries(entries) }
}

/// What is odd about an event, whatever it holds.
pub fn anomalies(event: &StateEvent, seen: FirstSeen) -> Vec<Anomaly> {
    Reader::new(event, seen).anomalies
}

/// What all memberships of one event share.
struct Reader<'a> {
    event: &'a StateEvent,
    sent: Timestamp,
    last_sign: Timestamp,
    anomalies: Vec<Anomaly>,
}

impl<'a> Reader<'a> {
    fn new(event: &'a StateEvent, seen: FirstSeen) -> Self {
        let mut anomalies = Vec::new();
        if state_key::user(&event.state_key).is_some_and(|user| user != event.sender.as_str()) {
            anomalies.push(Anomaly::SenderDiffersFromKey);
        }
        let sent = event.origin_server_ts.min(seen.at);
        let tolerated = if seen.live { TOLERATED_SKEW } else { Duration::ZERO };
        if event.origin_server_ts > seen.at + tolerated {
            anomalies.push(Anomaly::TimestampInFuture);
        }
        let last_sign = if seen.live { sent.max(seen.at) } else { sent };
        Self { event, sent, last_sign, anomalies }
    }

    /// The session form, where any client shows it.
    fn session(&self, content: &Map<String, Value>) -> Result<Membership, Malformed> {
        let session = validity::session(content)?;
        let active = session.focus_active;
        let selection = match active.get("focus_selection").and_then(Value::as_str) {
            Some("oldest_membership") => FocusSelection::OldestMembership,
            Some("multi_sfu") => FocusSelection::Own,
            _ => FocusSelection::Unknown,
        };
        Ok(Membership {
            focus_selection: selection,
            focus: session.foci.first().and_then(focus::livekit),
            ..self.membership(
                Form::Session,
                Call::new(session.application, session.call_id),
                session.device,
                content,
            )
        })
    }

    /// One entry of `memberships`, by the rules of matrix-js-sdk v34 and of ruma, the more lenient
    /// of the two wherever they differ.
    fn array_entry(&self, entry: &Value) -> Result<Membership, Malformed> {
        let entry = entry.as_object().ok_or(Malformed::because("the entry is not an object"))?;
        let device = text(entry, "device_id").ok_or(Malformed::because("device_id is not text"))?;
        let call_id = text(entry, "call_id").ok_or(Malformed::because("call_id is not text"))?;
        let application = text(entry, "application").ok_or(Malformed::because("application is not text"))?;
        let foci = entry.get("foci_active").and_then(Value::as_array);
        Ok(Membership {
            focus: foci.and_then(|foci| foci.first()).and_then(focus::livekit),
            ..self.membership(Form::Array, Call::new(application, call_id), device, entry)
        })
    }

    /// All devices in all calls of `m.calls`.
    fn group_calls(&self, calls: &[Value]) -> Vec<Result<Membership, Malformed>> {
        let mut entries = Vec::new();
        for call in calls {
            let call_id = call.get("m.call_id").and_then(Value::as_str);
            for device in call.get("m.devices").and_then(Value::as_array).into_iter().flatten() {
                let entry = match (call_id, device.as_object()) {
                    (Some(call_id), Some(device)) => self.group_call_device(call_id, device),
                    _ => Err(Malformed::because(
                        "a group call without an id, or a device that is not an object",
                    )),
                };
                entries.push(entry.map_err(|why| why.of(device)));
            }
        }
        entries
    }

    fn group_call_device(&self, call_id: &str, device: &Map<String, Value>) -> Result<Membership, Malformed> {
        let id = text(device, "device_id").ok_or(Malformed::because("device_id is not text"))?;
        // Not through `Call::new`: "ROOM" is an id like any other here.
        let call = Call { application: M_CALL.into(), id: call_id.into() };
        Ok(self.membership(Form::GroupCall, call, id, device))
    }

    /// What every form has: times and anomalies.
    fn membership(&self, form: Form, call: Call, device: &str, fields: &Map<String, Value>) -> Membership {
        let mut anomalies = self.anomalies.clone();
        let mut flag = |anomaly| {
            if !anomalies.contains(&anomaly) {
                anomalies.push(anomaly);
            }
        };
        let mut created = number(fields, "created_ts").map(Timestamp::from_millis);
        if created.is_some_and(|created| created > self.sent) {
            created = Some(self.sent);
            flag(Anomaly::TimestampInFuture);
        }
        let read: &[_] = if form == Form::Session { &["expires"] } else { &["expires", "expires_ts"] };
        if read.iter().any(|f| fields.get(*f).is_some_and(|v| !v.is_number() && !v.is_null())) {
            flag(Anomaly::BadExpires);
        }
        anomalies.sort_unstable();
        let start = created.unwrap_or(self.sent);
        let span = number(fields, "expires");
        // Only the old forms have an absolute expiry; clients do not read one in the session form.
        let absolute = if form == Form::Session { None } else { number(fields, "expires_ts") };
        let expires = match (absolute, span) {
            // matrix-dart-sdk writes a constant span beside the moment that it means.
            (Some(at), _) => Timestamp::from_millis(at),
            (None, Some(span)) => start.offset_millis(span),
            (None, None) => start + DEFAULT_EXPIRES,
        };
        Membership {
            owner: Owner { user: self.event.sender.clone(), device: device.into() },
            call,
            form,
            sent: self.sent,
            last_sign: self.last_sign,
            start,
            created,
            expires_after: span.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
            expires,
            focus_selection: FocusSelection::Own,
            focus: None,
            membership_id: text(fields, "membershipID").map(Into::into),
            anomalies,
        }
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn number(fields: &Map<String, Value>, name: &str) -> Option<i64> {
    fields.get(name).and_then(saturating_integer)
}

mod remainder;
mod validity;

#[cfg(test)]
mod tests;
