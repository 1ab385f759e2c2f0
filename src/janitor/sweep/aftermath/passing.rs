//! What sync brings under keys that are being written, in its order.
//!
//! A server that does not tell what a write replaced (Dendrite) still sends the events of a room in the order in which
//! they replaced each other: what comes after the event that was judged, and before our own, was overwritten. That
//! holds as long as sync leaves nothing out.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    rtc::state_event::StateEvent,
};
use serde_json::Value;

use crate::janitor::memory::is_empty;

type Place = (RoomId, StateKey);

/// What an own write took the place of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Replaced {
    pub(super) event: EventId,
    /// What it held, where that is known.
    pub(super) content: Option<Value>,
    /// Whether that was nobody, as far as is known.
    pub(super) is_leave: bool,
}

impl Replaced {
    /// What a write took the place of, when that is read.
    pub(super) fn read(event: &StateEvent) -> Self {
        let content = (!event.redacted).then(|| event.content.clone());
        Self { event: event.event_id.clone(), content, is_leave: is_empty(event) }
    }

    /// What an event replaced, by its own word.
    pub(super) fn told_by(event: &StateEvent) -> Option<Self> {
        let content = event.prev_content.clone();
        let before = content.clone().map(|content| StateEvent { content, redacted: false, ..event.clone() });
        Some(Self {
            event: event.replaces_state.clone()?,
            content,
            is_leave: before.is_some_and(|before| is_empty(&before)),
        })
    }
}

/// What has passed under keys that are being written.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// What came last under a key while a write was under way there, its event awaited, or its answer lost.
    newer: BTreeMap<Place, Replaced>,
    /// The events that emptied keys and have not come by sync.
    answered: BTreeMap<Place, EventId>,
}

impl Passing {
    /// A write begins: what came before it was judged.
    pub(super) fn begin(&mut self, room: &RoomId, key: &StateKey) {
        let place = (room.clone(), key.clone());
        self.newer.remove(&place);
        self.answered.remove(&place);
    }

    /// A write was answered with this event, which is still to come by sync, or has come.
    pub(super) fn answer(&mut self, room: &RoomId, key: &StateKey, written: &EventId, has_come: bool) {
        let place = (room.clone(), key.clone());
        if has_come {
            // What came after it is no business of its.
            self.newer.remove(&place);
        } else {
            self.answered.insert(place, written.clone());
        }
    }

    /// An event of somebody comes under a key, in the order of sync.
    pub(super) fn pass(&mut self, room: &RoomId, event: &StateEvent, is_under_way: bool) {
        if self.newer.is_empty() && self.answered.is_empty() && !is_under_way {
            return;
        }
        let place = (room.clone(), event.state_key.clone());
        if is_under_way || self.answered.contains_key(&place) {
            self.newer.insert(place, Replaced::read(event));
        } else {
            self.newer.remove(&place);
        }
    }

    /// The own event comes, by whatever way: what it replaced, where that is newer than what was judged.
    pub(super) fn own(&mut self, room: &RoomId, key: &StateKey) -> Option<Replaced> {
        let place = (room.clone(), key.clone());
        self.answered.remove(&place);
        self.newer.remove(&place)
    }

    /// Whether this event came before the own one that emptied its key, which is still to come.
    pub(super) fn is_before(
        &self,
        room: &RoomId,
        key: &StateKey,
        event: &EventId,
        written: &EventId,
    ) -> bool {
        let place = (room.clone(), key.clone());
        self.answered.get(&place) == Some(written)
            && self.newer.get(&place).is_some_and(|newer| newer.event == *event)
    }

    /// Sync has left something out of a room: nothing can be told by its order any more. Returns the own events of
    /// which it is known that they overwrote something.
    pub(super) fn lose_track(&mut self, room: &RoomId) -> Vec<(EventId, EventId)> {
        let is_here = |place: &&Place| place.0 == *room;
        let places: Vec<_> = self.newer.keys().chain(self.answered.keys()).filter(is_here).cloned().collect();
        let mut overwrote = Vec::new();
        for place in places {
            let own = self.answered.remove(&place);
            let newer = self.newer.remove(&place);
            // Somebody who left the call in that instant lost nothing.
            overwrote.extend(
                own.zip(newer.filter(|newer| !newer.is_leave)).map(|(own, newer)| (own, newer.event)),
            );
        }
        overwrote
    }
}

#[cfg(test)]
mod tests {
    use rtc_janitor_core::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn event(id: &str, content: Value) -> StateEvent {
        StateEvent {
            event_type: "org.matrix.msc3401.call.member".into(),
            state_key: "k".into(),
            event_id: id.into(),
            sender: "@a:b".into(),
            origin_server_ts: Timestamp::from_millis(1),
            content,
            redacted: false,
            redacted_by: None,
            replaces_state: None,
            prev_content: None,
        }
    }

    fn open(id: &str) -> StateEvent {
        event(id, json!({"device_id": "D"}))
    }

    fn place() -> (RoomId, StateKey) {
        ("!r".into(), "k".into())
    }

    #[test]
    fn what_comes_between_the_judged_event_and_the_own_one_was_overwritten() {
        let (room, key) = place();
        // Sync is quicker than the answer, and the other way round.
        for answer_comes_first in [false, true] {
            let mut passing = Passing::default();
            passing.begin(&room, &key);
            if answer_comes_first {
                passing.answer(&room, &key, &"$own".into(), false);
            }
            passing.pass(&room, &open("$newer"), !answer_comes_first);
            assert_eq!(passing.is_before(&room, &key, &"$newer".into(), &"$own".into()), answer_comes_first);
            assert_eq!(passing.own(&room, &key), Some(Replaced::read(&open("$newer"))));
            passing.pass(&room, &open("$back"), false);
            assert!(!passing.is_before(&room, &key, &"$back".into(), &"$own".into()), "it came after it");
            assert_eq!(passing.own(&room, &key), None);
        }
    }

    #[test]
    fn what_comes_after_the_own_one_was_not_overwritten() {
        let (room, key) = place();
        let mut passing = Passing::default();
        passing.begin(&room, &key);
        assert_eq!(passing.own(&room, &key), None);
        passing.pass(&room, &open("$back"), true);
        passing.answer(&room, &key, &"$own".into(), true);
        assert!(!passing.is_before(&room, &key, &"$back".into(), &"$own".into()));
        assert_eq!(passing.lose_track(&room), []);
    }

    #[test]
    fn who_left_again_lost_nothing() {
        let (room, key) = place();
        let mut passing = Passing::default();
        passing.begin(&room, &key);
        passing.pass(&room, &open("$newer"), true);
        passing.pass(&room, &event("$left", json!({})), true);
        assert!(passing.own(&room, &key).is_some_and(|replaced| replaced.is_leave));
    }

    #[test]
    fn a_gap_ends_it_and_what_was_known_before_is_told() {
        let (room, key) = place();
        let mut passing = Passing::default();
        passing.begin(&room, &key);
        passing.answer(&room, &key, &"$own".into(), false);
        passing.pass(&room, &open("$newer"), false);
        assert_eq!(passing.lose_track(&"!other".into()), []);
        assert_eq!(passing.lose_track(&room), [("$own".into(), "$newer".into())]);
        assert_eq!(passing.own(&room, &key), None);
    }
}
