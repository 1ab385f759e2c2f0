//! What a write of ours must not do, mended: it put somebody back into a call who had left.
//!
//! A write that takes some entries out of an event leaves the others as they were when it was read. Who of them left
//! in the instant before stands there again by it.

use super::{PlannedWrite, Route};
use crate::{
    ids::RoomId,
    rtc::{
        membership::{Content, FirstSeen, Membership, read},
        state_event::StateEvent,
    },
};

impl PlannedWrite {
    /// Takes those out of an own event, written as its owner, who were not in what it replaced any more: `replaced` is
    /// the content of that. `None` where it put nobody back, or where that cannot be told.
    pub fn taking_back(room: &RoomId, own: &StateEvent, replaced: &serde_json::Value) -> Option<Self> {
        let before = StateEvent { content: replaced.clone(), redacted: false, ..own.clone() };
        let still_there: Vec<Membership> = match entries(&before)? {
            Content::Entries(entries) => entries.into_iter().flatten().collect(),
            _ => Vec::new(),
        };
        let Some(Content::Entries(entries)) = entries(own) else { return None };
        let total = entries.len();
        let is_put_back = |membership: &Membership| {
            !still_there.iter().any(|other| other.owner == membership.owner && other.call == membership.call)
        };
        let put_back: Vec<_> = (0_u32..)
            .zip(entries)
            .filter_map(|(place, entry)| entry.ok().filter(is_put_back).map(|entry| (place, entry)))
            .collect();
        let (places, owners): (Vec<_>, Vec<_>) =
            put_back.into_iter().map(|(place, membership)| (place, membership.owner)).unzip();
        (!places.is_empty()).then(|| Self {
            room: room.clone(),
            key: own.state_key.clone(),
            event: own.event_id.clone(),
            owners,
            part: (places.len() < total).then_some(places),
            reason: None,
            since: own.origin_server_ts,
            route: Route::Appservice,
            probes: Vec::new(),
            is_shown: true,
        })
    }
}

/// What an event says; `None` where no client would read it.
fn entries(event: &StateEvent) -> Option<Content> {
    let content = read(event, FirstSeen { at: event.origin_server_ts, live: false });
    (!matches!(content, Content::Malformed(_))).then_some(content)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::time::Timestamp;

    fn array(devices: &[&str]) -> Value {
        let entry = |device: &&str| {
            json!({"application": "m.call", "call_id": "", "scope": "m.room", "device_id": device,
                "expires": 14_400_000, "foci_active": [], "membershipID": device})
        };
        json!({"memberships": devices.iter().map(entry).collect::<Vec<_>>()})
    }

    fn own(content: Value) -> StateEvent {
        StateEvent {
            event_type: "org.matrix.msc3401.call.member".into(),
            state_key: "@a:hs".into(),
            event_id: "$own".into(),
            sender: "@a:hs".into(),
            origin_server_ts: Timestamp::from_millis(1_800_000_000_000),
            content,
            redacted: false,
            redacted_by: None,
            replaces_state: Some("$newer".into()),
            prev_content: None,
        }
    }

    fn taken_back(left: &[&str], replaced: &Value) -> Option<(Vec<String>, Option<Vec<u32>>)> {
        let write = PlannedWrite::taking_back(&"!r".into(), &own(array(left)), replaced)?;
        assert_eq!((write.event().as_str(), write.key().as_str()), ("$own", "@a:hs"));
        assert_eq!((write.route(), write.reason()), (Route::Appservice, None));
        let devices = write.owners().iter().map(|owner| owner.device.to_string()).collect();
        Some((devices, write.part().map(<[u32]>::to_vec)))
    }

    #[test]
    fn who_had_left_is_taken_out_again_and_nobody_else() {
        let named = |devices: &[&str]| devices.iter().map(|device| (*device).to_owned()).collect::<Vec<_>>();
        assert_eq!(taken_back(&["A", "B"], &json!({})), Some((named(&["A", "B"]), None)));
        assert_eq!(taken_back(&["A", "B"], &array(&[])), Some((named(&["A", "B"]), None)));
        assert_eq!(taken_back(&["A", "B"], &array(&["DEAD", "A"])), Some((named(&["B"]), Some(vec![1]))));
        assert_eq!(taken_back(&["A"], &array(&["DEAD", "NEW"])), Some((named(&["A"]), None)));
    }

    #[test]
    fn nobody_is_taken_out_who_was_there_or_of_whom_that_is_not_known() {
        assert_eq!(taken_back(&["A", "B"], &array(&["B", "DEAD", "A", "NEW"])), None);
        assert_eq!(taken_back(&["A"], &json!({"odd": true})), None);
        assert_eq!(taken_back(&[], &json!({})), None, "nobody is in it");
    }
}
