//! Takes in what the order of sync tells of own writes.

use rtc_janitor_core::{ids::RoomId, rtc::state_event::StateEvent};

use crate::{
    janitor::{Janitor, memory::OpenEvent},
    world::journal::JournalError,
};

impl Janitor {
    /// An event of a membership comes by a sync that leaves nothing out.
    pub(in crate::janitor) fn pass(&mut self, room: &RoomId, event: &StateEvent) -> Result<(), JournalError> {
        let key = &event.state_key;
        let is_ours = event.sender == self.settings.user_id || self.is_own_write(room, event)?;
        let is_own = self.aftermath.awaited.contains(&event.event_id);
        // Something stood there before: it is known, or was emptied by this.
        let is_another = |open: &OpenEvent| open.event_id != event.event_id;
        if (is_own && is_ours) || self.memory.get(room, key).is_some_and(is_another) {
            self.server.tells_replaced(event.replaces_state.is_some());
        }
        let place = (room.clone(), key.clone());
        // One whose answer was lost may still be made.
        let is_under_way = self.writes.is_under_way(room, key)
            || self.unsettled.contains_key(&place)
            || self.aftermath.kept.given_up(&place, self.now()).is_some();
        if !is_own && (!is_under_way || !is_ours) {
            self.aftermath.passing.pass(room, event, is_under_way);
        }
        Ok(())
    }

    /// Sync has left something out of a room. What is known by then to have been overwritten is told.
    pub(in crate::janitor) fn lose_track(&mut self, room: &RoomId) -> Result<(), JournalError> {
        for (written, _) in self.aftermath.passing.lose_track(room) {
            if let Some(write) = self.journal.unverified(room, &written)? {
                self.journal.verified(write.id)?;
                self.overwrote(&write)?;
            }
        }
        Ok(())
    }
}
