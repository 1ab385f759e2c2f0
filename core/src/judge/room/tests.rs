#![expect(clippy::panic, reason = "tests")]

mod sfu;

use proptest::prelude::*;
use serde_json::json;

use super::{
    Placed,
    own_writes::{OwnWrites, written},
};
use crate::{
    ids::StateKey,
    rtc::{
        membership::{Content, FirstSeen, Form, Membership, read},
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};

/// What one device put under a key: when, and its entries by when they were made. One that says nothing
/// of that is the newer form, which is alone.
type Written = (i64, Vec<i64>);

fn memberships(key: &StateKey, (sent, made): &Written) -> Vec<Membership> {
    let content = if made.is_empty() {
        json!({"application": "m.call", "call_id": "", "device_id": "D",
            "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"}, "foci_preferred": []})
    } else {
        let entry =
            |at: &i64| json!({"application": "m.call", "call_id": "", "device_id": "D", "created_ts": at});
        json!({"memberships": made.iter().map(entry).collect::<Vec<_>>()})
    };
    let event = json!({"type": CALL_MEMBER, "state_key": key.as_str(), "sender": "@a:hs",
        "event_id": format!("${}", key.as_str()), "origin_server_ts": sent, "content": content});
    let event = StateEvent::from_json(event).expect("an event");
    let Content::Entries(entries) =
        read(&event, FirstSeen { at: Timestamp::from_millis(*sent), live: false })
    else {
        panic!("{event:?} is no membership")
    };
    entries.into_iter().map(|entry| entry.expect("well-formed")).collect()
}

/// The rule by itself: what the same device wrote later under another key began when it began.
fn by_comparing_all(placed: Placed<'_>, open: &[Placed<'_>]) -> Option<Timestamp> {
    let is_own = |other: &Membership| {
        other.form == Form::Session || other.created.is_some_and(|created| created < other.sent)
    };
    open.iter()
        .filter(|other| other.key != placed.key && is_own(other.membership))
        .filter(|other| written(other.membership) > written(placed.membership))
        .map(|other| other.membership.start)
        .min()
        .map(|earliest| earliest.max(written(placed.membership)))
}

proptest! {
    #[test]
    fn superseded_is_as_if_each_were_compared_with_each(
        all in prop::collection::vec((0_i64..12, prop::collection::vec(0_i64..12, 0..4)), 1..7),
    ) {
        let keys: Vec<StateKey> = (0..all.len()).map(|n| format!("_@a:hs_{n}").as_str().into()).collect();
        let owned: Vec<_> = keys
            .iter()
            .zip(&all)
            .flat_map(|(key, written)| memberships(key, written).into_iter().map(move |one| (key, one)))
            .collect();
        let open: Vec<_> = owned.iter().map(|(key, membership)| Placed { key, membership }).collect();
        let own = OwnWrites::gather(&open);
        for placed in &open {
            prop_assert_eq!(own.superseded_at(*placed), by_comparing_all(*placed, &open), "{:?}", placed.key);
        }
    }
}
