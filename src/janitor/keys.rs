//! Opening and closing keys: the one way in which what stands in a room reaches all parts that keep
//! something about it.

use rtc_janitor_core::{
    ids::{EventId, RoomId, StateKey},
    rtc::state_event::StateEvent,
    time::Timestamp,
};

use super::{
    Janitor,
    memory::{OpenEvent, Taken},
    reads::{Read, Urgency},
};
use crate::world::journal::{FindingKind, JournalError};

impl Janitor {
    /// A key holds an open event that was not known.
    pub(super) fn open_key(
        &mut self,
        room: &RoomId,
        event: &StateEvent,
        open: OpenEvent,
        is_live: bool,
    ) -> Result<(), JournalError> {
        self.outdate_view(room);
        let now = self.now();
        let key = &event.state_key;
        let before = self.memory.get(room, key).cloned();
        let owners: Vec<_> = open.memberships().map(|membership| membership.owner.clone()).collect();
        if self.memory.take_in(room, key, Some(open)) != Taken::Opened {
            return Ok(());
        }
        let is_looked_at = self.settings.looks_at(room);
        if is_looked_at && let Some(sfu) = &mut self.evidence.sfu {
            sfu.opened();
        }
        for owner in &owners {
            if is_looked_at {
                self.evidence.lists.opened(owner, now);
            }
            if is_live && event.sender == owner.user {
                self.evidence.members.has_sent(room, &owner.user, now);
            }
        }
        if let Some(before) = before {
            self.forget_event(room, key, &before);
        }
        if self.journal.was_found(&event.event_id, FindingKind::WouldClear)? {
            self.sweep.is_dealt_with(&event.event_id, FindingKind::WouldClear);
        }
        self.sweep.mark(room);
        Ok(())
    }

    /// A key is no longer open.
    pub(super) fn close_key(&mut self, room: &RoomId, key: &StateKey) -> Result<(), JournalError> {
        let Some(before) = self.memory.get(room, key).cloned() else { return Ok(()) };
        self.outdate_view(room);
        self.memory.take_in(room, key, None);
        self.left_behind.forget_key(room, key);
        self.forget_event(room, key, &before);
        self.evidence.members.retain(room, |user| self.memory.owns(room, user));
        if let Some(sfu) = &mut self.evidence.sfu {
            sfu.forget_key(room, key);
        }
        self.journal.forget_key(room, key)?;
        self.sweep.mark(room);
        Ok(())
    }

    /// An event was found to be over, or was emptied by an own write: a view that still shows it is behind.
    /// What stands under the key by now may be another one, and that stays.
    pub(super) fn end_event(
        &mut self,
        room: &RoomId,
        key: &StateKey,
        event: &EventId,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.memory.is_over(event, now);
        if self.memory.is_open(room, key, event) { self.close_key(room, key) } else { Ok(()) }
    }

    /// A view of the room that is under way may be older than what has just changed: it is taken again.
    fn outdate_view(&mut self, room: &RoomId) {
        let view = Read::View(room.clone());
        if self.reads.is_under_way(&view) {
            self.reads.want(view, Urgency::Needed);
        }
    }

    /// Forgets whatever is kept of an event that is no longer open.
    fn forget_event(&mut self, room: &RoomId, key: &StateKey, before: &OpenEvent) {
        let now = self.now();
        let is_looked_at = self.settings.looks_at(room);
        for membership in before.memberships().filter(|_| is_looked_at) {
            if self.evidence.lists.closed(&membership.owner) {
                self.sweep.breakers.hung_up(&membership.owner, now);
            }
        }
        self.sweep.forget(room, key, &before.event_id);
        self.writes.withdraw_key(room, key);
    }
}
