//! Spans, instants, reasons and verdicts in words.

use std::{collections::HashSet, fmt::Write, time::Duration};

use super::message::harmless;
use crate::{
    ids::RoomId,
    judge::{
        evidence::{Device, Evidence, ListKind, Sfu},
        policy::Reason,
        verdict::{Judgement, UnknownWhy, Verdict},
    },
    leave_lag::{LeaveLags, Leaver},
    plan::Route,
    rtc::{membership::Membership, state_key::Blocked},
    time::Timestamp,
};

/// A span as people say it, with its two largest units: `3 h 12 min`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {large_unit}")
        } else {
            format!("{large} {large_unit} {small} {small_unit}")
        }
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => two(minutes, "min", seconds % 60, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

/// An instant as people read it, in UTC, to the minute.
pub fn instant(at: Timestamp) -> String {
    at.to_utc().map_or_else(|| at.to_string(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// The day of an instant, in UTC.
pub fn day(at: Timestamp) -> String {
    at.to_utc().map_or_else(String::new, |time| time.format("%Y-%m-%d").to_string())
}

/// The time of day of an instant, in UTC, to the minute.
pub fn time_of_day(at: Timestamp) -> String {
    at.to_utc().map_or_else(|| at.to_string(), |time| time.format("%H:%M").to_string())
}

/// An instant to the second, in UTC.
pub fn instant_with_seconds(at: Timestamp) -> String {
    at.to_utc().map_or_else(|| at.to_string(), |time| time.format("%H:%M:%S UTC").to_string())
}

/// How long ago something was, or in how long it will be.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    if then > now {
        format!("in {}", span(then.since(now)))
    } else {
        format!("{} ago", span(now.since(then)))
    }
}

/// A reason in a few words.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NotJoined => "not in the room",
        Reason::Expired => "expired",
        Reason::DeviceGone => "device gone",
        Reason::Superseded => "joined again under another key",
        Reason::NotOnSfu => "not connected to the call server",
        Reason::DeviceIdle => "device idle",
        Reason::Silent => "no sign of life",
    }
}

/// A reason with the source of its evidence, where that is not the usual one.
pub fn reason_by(reason: Reason, missing_from: Option<ListKind>) -> String {
    let words = self::reason(reason);
    match (reason, missing_from) {
        (Reason::DeviceGone, Some(ListKind::OwnList)) => format!("{words}, by the homeserver's own list"),
        _ => words.to_owned(),
    }
}

/// How a key is cleared by a route, in a few words.
pub fn route(route: Route) -> &'static str {
    match route {
        Route::OwnPower => "by my own power level",
        Route::Appservice => "as the owner, by the appservice",
        Route::Redaction => "by redaction",
    }
}

/// The same where it is not the usual one.
pub(crate) fn other_route(route: Option<Route>) -> Option<&'static str> {
    route.filter(|route| *route != Route::OwnPower).map(self::route)
}

/// What people see of a redaction.
pub(crate) const AFTER_REDACTION: &str =
    "clients that keep the old event in their memory show it until they are reloaded";

/// The same of so many.
pub(crate) fn after_redaction(number: usize) -> String {
    format!("{number} by redaction: {AFTER_REDACTION}.")
}

/// How long memberships stood after their device had gone from the call server; `None` where none did.
pub fn leave_lags(lags: &LeaveLags) -> Option<String> {
    let did = |leaver| match leaver {
        Leaver::Owner => "people leave the call list",
        Leaver::Janitor => "I clear who is left there",
        Leaver::Other => "others clear who is left there",
    };
    let medians: Vec<_> = Leaver::ALL
        .into_iter()
        .filter_map(|leaver| {
            let median = span(lags.median(leaver)?);
            let of = match lags.count(leaver) {
                1 => "once".to_owned(),
                count => format!("median of {count}"),
            };
            Some(format!("{} {median} after the call ({of})", did(leaver)))
        })
        .collect();
    (!medians.is_empty()).then(|| medians.join("; "))
}

/// What came of an attempt to clear a key, from what the journal keeps of it.
pub fn outcome(outcome: Option<&str>) -> &'static str {
    match outcome {
        Some("cleared") => "cleared",
        Some("spared") => "would clear",
        Some("changed") => "not cleared, it had changed",
        Some(_) => "could not clear",
        None => "not known yet",
    }
}

/// A room with its name, where that is known, for a terminal.
pub fn room(id: &RoomId, name: Option<&str>) -> String {
    let id = harmless(id.as_str());
    name.map_or_else(|| id.clone(), |name| format!("{} ({id})", harmless(name)))
}

/// The verdict in one sentence.
pub fn why(membership: &Membership, judgement: &Judgement, evidence: &Evidence, now: Timestamp) -> String {
    match judgement.verdict {
        Verdict::Active if judgement.vetoed => "the call server lists the device as connected".into(),
        Verdict::Active => {
            format!("no sign of trouble; last refreshed {}", ago(membership.last_sign, now))
        }
        Verdict::Unknown(UnknownWhy::DeviceListUnavailable) => {
            "its owner's device list could not be read, or tells nothing of this device, which may have no keys or be a \
             bridge's"
                .into()
        }
        Verdict::Stale(reason) => {
            let since = judgement.reasons().next().and_then(|(_, since)| since);
            because(reason, since, membership, evidence, now)
        }
    }
}

/// Why somebody cannot clear a key; `None`: the state does not tell who may.
pub fn obstacle(blocked: Option<Blocked>) -> String {
    match blocked {
        None => "the state has no m.room.create, so it does not tell who may".into(),
        Some(Blocked::OnlyItsOwner) => "only its owner may write this key, at any power level".into(),
        Some(Blocked::OwnerHasAsMuchPower) => {
            "this room version asks for a higher power level than its owner's".into()
        }
        Some(Blocked::NotEnoughPower { has, needs }) => {
            format!("the power level is {has}, and call memberships need {needs}")
        }
        Some(Blocked::NotAUserKey) => "this room version lets nobody write this key".into(),
        Some(Blocked::NotInTheRoom) => "not in the room".into(),
        Some(Blocked::AppserviceAway) => "the homeserver does not take the appservice's token".into(),
    }
}

/// A sentence that begins as sentences do.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

/// A sentence as it stands within another.
pub fn within_a_sentence(text: &str) -> String {
    // "I" stays what it is.
    if text.starts_with("I ") {
        return text.to_owned();
    }
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

/// The sentences on the memberships of one event, each once. Many devices can share an event, and a
/// message holds many events.
pub fn several(whys: impl IntoIterator<Item = String>) -> String {
    const MOST: usize = 3;
    let (mut distinct, mut seen) = (Vec::new(), HashSet::new());
    for why in whys {
        if seen.insert(why.clone()) {
            distinct.push(why);
        }
    }
    let more = distinct.len().saturating_sub(MOST);
    distinct.truncate(MOST);
    let mut text = distinct.join("; ");
    if more > 0 {
        let _ = write!(text, "; and {more} more of the kind");
    }
    text
}

fn because(
    reason: Reason,
    since: Option<Timestamp>,
    membership: &Membership,
    evidence: &Evidence,
    now: Timestamp,
) -> String {
    let since = since.map(|since| ago(since, now));
    match (reason, since) {
        (Reason::NotJoined, Some(since)) => format!("its owner left the room {since}"),
        (Reason::NotJoined, None) => "its owner is not in the room".into(),
        (Reason::Expired, _) => format!("it expired {}", ago(membership.expires, now)),
        (Reason::DeviceGone, _) => match evidence.device {
            Device::Missing { by: ListKind::OwnList, seen_before: true } => {
                "the device is signed out, by the homeserver's own list".into()
            }
            Device::Missing { by: ListKind::OwnList, seen_before: false } => {
                "the device is not in the homeserver's own list of its owner's devices".into()
            }
            _ => "the device is not in its owner's device list".into(),
        },
        (Reason::Superseded, since) => {
            format!("the same device joined again under another key {}", since.unwrap_or_default())
        }
        (Reason::NotOnSfu, _) => match evidence.sfu {
            Sfu::Absent { .. } => "the call server does not list the device".into(),
            _ => "the device is not on the call server".into(),
        },
        (Reason::DeviceIdle, _) => match evidence.device {
            Device::Listed { last_seen: Some(seen) } => {
                format!("the homeserver last saw the device {}", ago(seen, now))
            }
            _ => "the homeserver has not seen the device for long".into(),
        },
        (Reason::Silent, _) => format!(
            "last refreshed {}; a client that is still there would have refreshed since",
            ago(membership.last_sign, now)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_many_is_said_once_and_not_of_all() {
        let said = |whys: &[&str]| several(whys.iter().map(|why| (*why).to_owned()));
        assert_eq!(said(&["a", "b", "a", "b"]), "a; b");
        assert_eq!(said(&["a", "b", "c", "a", "d", "e"]), "a; b; c; and 2 more of the kind");
        assert_eq!(said(&[]), "");
    }

    #[test]
    fn only_a_device_that_was_listed_is_said_to_be_signed_out() {
        let membership = crate::guard::breaker::tests::membership();
        let why = |by, seen_before| {
            let evidence = Evidence { device: Device::Missing { by, seen_before }, ..Evidence::NONE };
            because(Reason::DeviceGone, None, &membership, &evidence, membership.start)
        };
        assert_eq!(why(ListKind::OwnList, true), "the device is signed out, by the homeserver's own list");
        let never = "the device is not in the homeserver's own list of its owner's devices";
        assert_eq!(why(ListKind::OwnList, false), never);
        for seen_before in [true, false] {
            let why = why(ListKind::KeysQuery, seen_before);
            assert_eq!(why, "the device is not in its owner's device list");
        }
    }

    #[test]
    fn spans_read_as_people_say_them() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (11_520, "3 h 12 min"),
            (7200, "2 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
    }
}
