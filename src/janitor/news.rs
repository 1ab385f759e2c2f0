//! What a sync brought: memberships, and rooms gained, lost and upgraded.

use std::collections::{BTreeSet, HashMap};

use rtc_janitor_core::{
    ids::{RoomId, StateKey},
    render::report,
    rtc::{
        membership::FirstSeen,
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};

use super::{Janitor, act, tracker::OpenEvent};
use crate::world::{
    Invite, LeftRoom, RoomUpdate, SyncBatch,
    journal::{FindingKind, JournalError},
};

impl Janitor {
    /// Takes in what one sync said. `live` is false for what had happened before the janitor looked:
    /// nobody knows then when it arrived.
    ///
    /// # Errors
    ///
    /// When the journal cannot be written.
    pub async fn take_in(&mut self, batch: SyncBatch, live: bool) -> Result<(), JournalError> {
        let now = self.now();
        let seen = FirstSeen { at: now, live: live && !batch.full };
        if batch.full {
            self.forget_what_is_not_in(&batch)?;
            // Every cached answer is older than this view.
            self.observed.forget_members();
        }
        self.journal.add_rooms(batch.joined.iter().map(|update| &update.room_id))?;
        for update in batch.joined {
            self.take_in_room(update, batch.full, seen).await?;
        }
        for left in batch.left {
            self.leave_room(&left, now)?;
        }
        for invite in batch.invited {
            self.consider(invite).await;
        }
        self.journal.set_since(&batch.next_batch)
    }

    /// A full view names every room: what it does not name is gone.
    fn forget_what_is_not_in(&mut self, batch: &SyncBatch) -> Result<(), JournalError> {
        let named: BTreeSet<_> = batch.joined.iter().map(|update| &update.room_id).collect();
        let lost: Vec<_> = self.journal.rooms()?.into_keys().filter(|room| !named.contains(room)).collect();
        for room in lost {
            if batch.left.iter().all(|left| left.room_id != room) {
                let left = LeftRoom { room_id: room, by: None, reason: None, banned: false };
                self.leave_room(&left, self.now())?;
            }
        }
        Ok(())
    }

    async fn take_in_room(
        &mut self,
        update: RoomUpdate,
        full: bool,
        seen: FirstSeen,
    ) -> Result<(), JournalError> {
        let room = update.room_id;
        // What stands in a room that was just entered came before anybody looked.
        let seen = FirstSeen { live: seen.live && self.tracker.knows(&room), ..seen };
        self.tracker.add_room(&room);
        self.room_names.entry(room.clone()).or_default();
        let mut newest = HashMap::new();
        if full {
            self.close_all_but(&room, &update.events)?;
            let places =
                update.events.iter().enumerate().filter(|(_, event)| event.event_type == CALL_MEMBER);
            newest = places.map(|(at, event)| (event.state_key.clone(), at)).collect();
        }
        for (at, event) in update.events.into_iter().enumerate() {
            match event.event_type.as_str() {
                // A full view brings what a key held before, too: that is over, and is no news.
                CALL_MEMBER if full && newest.get(&event.state_key) != Some(&at) => {
                    self.verify(&room, &event)?;
                }
                CALL_MEMBER => self.take_in_membership(&room, event, seen)?,
                "m.room.member" => {
                    self.observed.doubt_member(&room, &event.state_key.as_str().into());
                }
                _ => self.take_in_about(&room, &event, seen.live).await?,
            }
        }
        for event in update.redacted {
            // A redaction is no state change: the event stays, and what is in it is gone.
            if let Some(key) = self.tracker.key_of(&room, &event).cloned() {
                self.close(&room, &key)?;
            }
        }
        Ok(())
    }

    /// Takes in a fresh view of all memberships of one room.
    pub(super) async fn take_in_memberships(
        &mut self,
        room: &RoomId,
        events: Vec<StateEvent>,
    ) -> Result<(), JournalError> {
        let update = RoomUpdate { room_id: room.clone(), events, redacted: Vec::new() };
        self.take_in_room(update, true, FirstSeen { at: self.now(), live: false }).await
    }

    /// A full view of a room names every key: what it does not name is gone.
    fn close_all_but(&mut self, room: &RoomId, events: &[StateEvent]) -> Result<(), JournalError> {
        let named: BTreeSet<_> = events
            .iter()
            .filter(|event| event.event_type == CALL_MEMBER)
            .map(|event| event.state_key.clone())
            .collect();
        let keys = self.tracker.add_room(room);
        let gone: Vec<_> = keys.keys().filter(|key| !named.contains(*key)).cloned().collect();
        for key in gone {
            self.close(room, &key)?;
        }
        Ok(())
    }

    /// What a room is called, who may do what there, and whether it goes on elsewhere.
    async fn take_in_about(
        &mut self,
        room: &RoomId,
        event: &StateEvent,
        live: bool,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let may_clear = |janitor: &Self| {
            janitor.tracker.about(room).and_then(|about| about.may_clear(&janitor.settings.user_id, now))
        };
        let before = may_clear(self);
        let about = self.tracker.about_mut(room);
        if !about.take_in(event) {
            return Ok(());
        }
        match event.event_type.as_str() {
            "m.room.power_levels" => {
                self.retry_at.retain(|(other, _), _| other != room);
                if let (Some(Ok(())), Some(Err(blocked))) = (before, may_clear(self))
                    && live
                {
                    tracing::warn!(%room, ?blocked, "lost the power to clear keys");
                    let message = report::lost_power(room, self.name_of(room).as_deref(), blocked);
                    self.alarm(&message, Some(&format!("lost power {}", event.event_id)), now)?;
                }
            }
            "m.room.name" | "m.room.canonical_alias" => {
                let shown = about.shown().map(str::to_owned);
                if self.room_names.get(room) != Some(&shown) {
                    self.journal.name_room(room, shown.as_deref())?;
                    self.room_names.insert(room.clone(), shown);
                }
            }
            "m.room.tombstone" => self.follow(room, event).await?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn take_in_membership(
        &mut self,
        room: &RoomId,
        event: StateEvent,
        seen: FirstSeen,
    ) -> Result<(), JournalError> {
        let key = event.state_key.clone();
        if self.tracker.is_open(room, &key, &event.event_id) {
            // A redaction that sync did not tell of leaves the id as it was.
            return if act::is_empty(&event) { self.close(room, &key) } else { Ok(()) };
        }
        self.verify(room, &event)?;
        // Whether it counts as seen to arrive is settled the first time.
        let candidate = OpenEvent::read(event, seen);
        let Some(open) = candidate else { return self.close(room, &key) };
        let seen = self.journal.see_event(room, &key, &open.event.event_id, seen)?;
        let Some(open) = OpenEvent::read(open.event, seen) else { return Ok(()) };
        self.notice_return(room, &open)?;
        for membership in open.memberships() {
            self.observed.doubt_devices(&membership.owner.user);
        }
        if self.journal.was_found(&open.event.event_id, FindingKind::WouldClear)? {
            let event = open.event.event_id.clone();
            self.dealt_with.insert((event, FindingKind::WouldClear));
        }
        self.tracker.add_room(room).insert(key, open);
        Ok(())
    }

    /// A key is no longer open.
    pub(super) fn close(&mut self, room: &RoomId, key: &StateKey) -> Result<(), JournalError> {
        if let Some(open) = self.tracker.remove(room, key) {
            self.dealt_with.retain(|(event, _)| *event != open.event.event_id);
            self.retry_at.remove(&(room.clone(), key.clone()));
            self.journal.forget_key(room, key)?;
        }
        Ok(())
    }

    fn leave_room(&mut self, left: &LeftRoom, now: Timestamp) -> Result<(), JournalError> {
        let room = &left.room_id;
        let was_known = self.journal.rooms()?.contains_key(room);
        let keys: Vec<_> = self.tracker.remove_room(room).into_iter().flatten().collect();
        for (key, open) in keys {
            self.dealt_with.retain(|(event, _)| *event != open.event.event_id);
            self.journal.forget_key(room, &key)?;
        }
        let name = self.room_names.remove(room).flatten();
        self.journal.remove_room(room)?;
        if was_known && left.by.as_ref() != Some(&self.settings.user_id) {
            tracing::warn!(%room, by = ?left.by, "removed from a room");
            let message =
                report::removed(room, name.as_deref(), left.by.as_ref(), left.reason.as_deref(), left.banned);
            self.say(&message, None, now)?;
        }
        Ok(())
    }

    async fn consider(&mut self, invite: Invite) {
        let Invite { room_id, inviter } = invite;
        let is_admin_room = self.settings.admin_room.as_ref() == Some(&room_id);
        let is_welcome =
            inviter.as_ref().is_some_and(|inviter| self.settings.accept_invites_from.matches(inviter));
        if !is_admin_room && !is_welcome {
            tracing::info!(room = %room_id, ?inviter, "invitation not accepted: see rooms.accept_invites_from");
            return;
        }
        let via: Vec<_> =
            inviter.iter().filter_map(|inviter| inviter.server_name().map(str::to_owned)).collect();
        match self.ports.rooms.join(&room_id, &via).await {
            Ok(()) => tracing::info!(room = %room_id, ?inviter, "invitation accepted"),
            // The invitation stays open and is in the next full view.
            Err(error) => {
                tracing::warn!(room = %room_id, "cannot accept the invitation, will try again: {error}");
            }
        }
    }

    /// Follows an upgrade: joins the room that a tombstone names, or asks to be let in.
    async fn follow(&mut self, room: &RoomId, tombstone: &StateEvent) -> Result<(), JournalError> {
        let successor = tombstone.content.get("replacement_room").and_then(serde_json::Value::as_str);
        let Some(successor) = successor.map(RoomId::from) else { return Ok(()) };
        if self.journal.rooms()?.contains_key(&successor) {
            return Ok(());
        }
        let via: Vec<_> = tombstone.sender.server_name().map(str::to_owned).into_iter().collect();
        let joined = self.ports.rooms.join(&successor, &via).await;
        if let Err(error) = &joined {
            tracing::warn!(%room, %successor, "cannot join the successor of an upgraded room: {error}");
        }
        let name = self.room_names.get(room).cloned().flatten();
        let message = report::upgraded(room, name.as_deref(), &successor, joined.is_ok());
        let outcome = if joined.is_ok() { "joined" } else { "asked" };
        self.say(&message, Some(&format!("upgraded {room} {successor} {outcome}")), self.now())
    }
}
