//! What a sync or a full view of a room brings into memory: memberships, and rooms gained, lost and
//! upgraded.
//!
//! A full sync of many rooms is taken in a few rooms at a time ([`Ingest`]); in between, the loop takes in
//! commands and shutdown.

use std::collections::{BTreeSet, HashMap};

use rtc_janitor_core::{
    ids::{RoomId, StateKey},
    judge::evidence::RoomMember,
    render::{report, words},
    rtc::{
        membership::FirstSeen,
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};

use super::{
    Janitor,
    joins::JoinFor,
    memory::{OpenEvent, Told, is_empty},
    reads::{Read, Urgency},
};
use crate::world::{
    Invite, LeftRoom, RoomUpdate, RoomView, ServerAbilities, SyncBatch, journal::JournalError,
};

/// The event that makes a room.
const CREATE: &str = "m.room.create";

/// How many rooms are taken in at a time.
const SLICE: usize = 200;

/// A sync answer that is being taken in.
pub(super) struct Ingest {
    joined: Box<dyn Iterator<Item = RoomUpdate> + Send>,
    /// The rooms that a full view names; empty for an incremental one.
    named: BTreeSet<RoomId>,
    is_full: bool,
    is_current: bool,
    seen: FirstSeen,
    left: Vec<LeftRoom>,
    invited: Vec<Invite>,
    next_batch: String,
    abilities: Option<ServerAbilities>,
}

impl Ingest {
    /// `live` is false for what had happened before the janitor looked: nobody knows then when it arrived.
    pub(super) fn new(batch: SyncBatch, live: bool, now: Timestamp) -> Self {
        let SyncBatch { full, is_current, joined, invited, left, next_batch, abilities } = batch;
        Self {
            named: if full { joined.ids().cloned().collect() } else { BTreeSet::new() },
            joined: joined.into_iter(),
            is_full: full,
            is_current,
            seen: FirstSeen { at: now, live: live && !full },
            left,
            invited,
            next_batch,
            abilities,
        }
    }
}

impl Janitor {
    /// Takes in a few more rooms; true when that was all.
    pub(super) fn ingest(&mut self, ingest: &mut Ingest) -> Result<bool, JournalError> {
        for _ in 0..SLICE {
            let Some(update) = ingest.joined.next() else {
                return self.ingest_rest(ingest).map(|()| true);
            };
            self.take_in_room(update, ingest)?;
        }
        Ok(false)
    }

    /// What is not about one joined room: it comes last, when all of them are known.
    fn ingest_rest(&mut self, ingest: &mut Ingest) -> Result<(), JournalError> {
        let now = self.now();
        let left = std::mem::take(&mut ingest.left);
        if ingest.is_full {
            // A full view names every room: what it does not name is gone.
            for room in self.memory.not_among(&ingest.named) {
                if left.iter().all(|left| left.room_id != room) {
                    let left = LeftRoom { room_id: room, by: None, reason: None, banned: false };
                    self.leave_room(&left)?;
                }
            }
            let open = ingest.invited.iter().map(|invite| invite.room_id.clone()).collect();
            self.joins.retain_invitations(&open);
        }
        for left in left {
            self.joins.forget(&left.room_id);
            self.leave_room(&left)?;
        }
        for invite in ingest.invited.drain(..) {
            self.consider(invite, now);
        }
        if let Some(abilities) = ingest.abilities.take() {
            self.server.says(abilities);
        }
        self.journal.set_since(&ingest.next_batch)
    }

    fn take_in_room(&mut self, update: RoomUpdate, ingest: &Ingest) -> Result<(), JournalError> {
        let RoomUpdate { room_id: room, events, redacted, sticky, limited, had_memberships, joined_members } =
            update;
        let is_new = self.memory.add_room(&room);
        if is_new {
            self.journal.add_rooms([&room])?;
            self.joins.forget(&room);
        }
        self.memory.count_members(&room, joined_members);
        // What stands in a room that was just entered came before anybody looked.
        let seen = FirstSeen { live: ingest.seen.live && !is_new, ..ingest.seen };
        let newest: HashMap<StateKey, usize> =
            memberships(&events).map(|(place, event)| (event.state_key.clone(), place)).collect();
        if !newest.is_empty() || had_memberships {
            self.memory.has_had_calls(&room);
        }
        if ingest.is_full {
            let named = newest.keys().collect();
            for key in self.memory.not_named(&room, &named) {
                self.close_key(&room, &key)?;
            }
        }
        let is_in_order = !ingest.is_full && !limited && !is_new;
        if !is_in_order {
            self.lose_track(&room)?;
        }
        // Power rests on how the room was made, which need not come first.
        for event in events.iter().filter(|event| event.event_type == CREATE) {
            self.take_in_info(&room, event, ingest.is_current, seen.live)?;
        }
        for (place, event) in events.iter().enumerate() {
            match event.event_type.as_str() {
                CREATE => {}
                // A full view brings what a key held before, too: that is over.
                CALL_MEMBER if ingest.is_full && newest.get(&event.state_key) != Some(&place) => {
                    self.verify(&room, event)?;
                }
                CALL_MEMBER => {
                    if is_in_order {
                        self.pass(&room, event)?;
                    }
                    self.take_in_membership(&room, event, seen)?;
                }
                "m.room.member" => self.take_in_member(&room, event),
                _ => self.take_in_info(&room, event, ingest.is_current, seen.live)?,
            }
        }
        if let Some(info) = self.memory.info_mut(&room) {
            for event in &sticky {
                info.take_in_sticky(event, ingest.seen.at);
            }
        }
        for event in redacted {
            // A redaction is no state change: the event stays, and what is in it is gone.
            if let Some(key) = self.memory.key_of(&room, &event).cloned() {
                self.close_key(&room, &key)?;
            }
        }
        // After a fork, neither a full `/sync` nor one with a gap is the current state.
        let is_hearsay = (ingest.is_full || limited) && !ingest.is_current;
        if is_hearsay || is_new {
            self.memory.doubt(&room);
            self.want_view(&room);
        }
        if ingest.is_full && ingest.is_current && !self.memory.with_calls().contains(&room) {
            self.memory.is_current(&room);
        }
        Ok(())
    }

    /// Has a room read from its current state, once the first full sync is over: at once where something
    /// is open, and in the background where something once was.
    pub(super) fn want_view(&mut self, room: &RoomId) {
        if !self.has_caught_up || !self.settings.looks_at(room) {
            return;
        }
        if self.memory.with_calls().contains(room) {
            self.reads.want(Read::View(room.clone()), Urgency::Needed);
        } else if self.memory.hearsay_of(room) {
            self.reads.want(Read::View(room.clone()), Urgency::Background);
        }
    }

    /// Takes in one room as it was read from its current state.
    pub(super) fn take_in_view(&mut self, room: &RoomId, view: &RoomView) -> Result<(), JournalError> {
        if !self.memory.knows(room) {
            return Ok(());
        }
        let now = self.now();
        let (first, rest): (Vec<_>, Vec<_>) =
            view.events.iter().partition(|event| event.event_type == CREATE);
        let mut has_levels = false;
        for event in first.into_iter().chain(rest) {
            has_levels |= event.event_type == "m.room.power_levels";
            if event.event_type != CALL_MEMBER {
                self.take_in_info(room, event, true, false)?;
            }
        }
        if let Some(info) = self.memory.info_mut(room).filter(|_| !has_levels) {
            info.take_in_power(None, &self.settings.writers(), true, now);
        }
        let named = memberships(&view.events).map(|(_, event)| &event.state_key).collect();
        for key in self.memory.not_named(room, &named) {
            if let Some(event) = self.memory.get(room, &key).map(|open| open.event_id.clone()) {
                self.end_event(room, &key, &event, now)?;
            }
        }
        for (_, event) in memberships(&view.events) {
            let before = self.memory.get(room, &event.state_key).map(|open| open.event_id.clone());
            if let Some(before) = before.filter(|before| *before != event.event_id) {
                self.memory.is_over(&before, now);
            }
            self.take_in_membership(room, event, FirstSeen { at: now, live: false })?;
        }
        let owners: BTreeSet<_> = self
            .memory
            .keys(room)
            .into_iter()
            .flatten()
            .flat_map(|(_, open)| open.memberships().map(|membership| membership.owner.user.clone()))
            .collect();
        for user in owners {
            let member = view.members.get(&user).copied().unwrap_or(RoomMember::NotJoined { since: None });
            self.evidence.members.take_in(room, &user, member, now);
        }
        self.memory.is_current(room);
        self.sweep.mark(room);
        Ok(())
    }

    /// Takes in what stands under one key now.
    pub(super) fn take_in_membership(
        &mut self,
        room: &RoomId,
        event: &StateEvent,
        seen: FirstSeen,
    ) -> Result<(), JournalError> {
        let key = &event.state_key;
        if self.memory.is_open(room, key, &event.event_id) {
            // A redaction that sync did not tell of leaves the id as it was.
            return if is_empty(event) { self.close_key(room, key) } else { Ok(()) };
        }
        self.verify(room, event)?;
        if self.memory.was_over(&event.event_id) {
            return Ok(());
        }
        let is_ours = self.is_own_write(room, event)?;
        // Who is left in an event of ours has given no sign of life by it.
        let seen = FirstSeen { live: seen.live && !is_ours, ..seen };
        let Some(open) = OpenEvent::read(event, seen) else {
            let by = if is_ours { self.settings.user_id.clone() } else { event.sender.clone() };
            self.note_leave(room, key, &by)?;
            return self.close_key(room, key);
        };
        // Whether it counts as seen to arrive is settled the first time.
        let first_seen = self.journal.see_event(room, key, &event.event_id, event.origin_server_ts, seen)?;
        let open = if first_seen == seen { Some(open) } else { OpenEvent::read(event, first_seen) };
        let Some(open) = open else { return Ok(()) };
        if !is_ours {
            self.notice_return(room, key, Some(event), &open)?;
        }
        self.open_key(room, event, open, seen.live)
    }

    /// Something happened to somebody's membership of a room. It matters where they own something open,
    /// and is read before it counts.
    fn take_in_member(&mut self, room: &RoomId, event: &StateEvent) {
        let user = event.state_key.as_str().into();
        if self.memory.owns(room, &user) {
            self.evidence.members.doubt(room, &user);
            self.reads.want(Read::Member(room.clone(), user), Urgency::Needed);
        }
    }

    /// What a room is called, who may do what there, and whether it goes on elsewhere.
    fn take_in_info(
        &mut self,
        room: &RoomId,
        event: &StateEvent,
        is_current: bool,
        is_live: bool,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let me = self.settings.user_id.clone();
        let Some(info) = self.memory.info_mut(room) else { return Ok(()) };
        let before = info.may_clear(&me);
        match info.take_in(event, &self.settings.writers(), is_current, now) {
            Told::Nothing => {}
            Told::Power => {
                let after = info.may_clear(&me);
                if before != after {
                    self.sweep.power_changed(room);
                }
                if let (Some(Ok(())), Some(Err(blocked)), true) = (before, after, is_live) {
                    let why = words::obstacle(Some(blocked));
                    tracing::warn!(%room, "lost the power to clear keys: {why}");
                    let message = report::lost_power(room, self.name_of(room).as_deref(), blocked);
                    self.alarm(&message, Some(&format!("lost power {}", event.event_id)))?;
                }
            }
            Told::Name => {
                if self.memory.rename(room) {
                    self.journal.name_room(room, self.memory.name_of(room).as_deref())?;
                }
            }
            Told::Successor => self.follow(room, event),
        }
        Ok(())
    }

    fn leave_room(&mut self, left: &LeftRoom) -> Result<(), JournalError> {
        let room = &left.room_id;
        let was_known = self.memory.knew(room);
        let keys: Vec<_> = self.memory.keys(room).into_iter().flatten().map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.close_key(room, &key)?;
        }
        let (_, name) = self.memory.remove_room(room);
        self.evidence.members.forget_room(room);
        self.sweep.forget_room(room);
        self.reads.forget_room(room);
        self.first_views.remove(room);
        self.journal.remove_room(room)?;
        if was_known && left.by.as_ref() != Some(&self.settings.user_id) {
            tracing::warn!(%room, by = left.by.as_ref().map(tracing::field::display), "removed from a room");
            let message =
                report::removed(room, name.as_deref(), left.by.as_ref(), left.reason.as_deref(), left.banned);
            self.say(&message, None)?;
        }
        Ok(())
    }

    fn consider(&mut self, invite: Invite, now: Timestamp) {
        let Invite { room_id, inviter } = invite;
        let is_admin_room = self.settings.admin_room.as_ref() == Some(&room_id);
        let is_welcome =
            inviter.as_ref().is_some_and(|inviter| self.settings.accept_invites_from.matches(inviter));
        if !is_admin_room && !is_welcome {
            tracing::info!(room = %room_id, inviter = inviter.as_ref().map(tracing::field::display), "invitation not accepted: see rooms.accept_invites_from");
            return;
        }
        let via = inviter.iter().filter_map(|inviter| inviter.server_name().map(str::to_owned)).collect();
        self.joins.want(&room_id, JoinFor::Invitation(inviter), via, now);
    }

    /// Follows an upgrade: has the room joined that a tombstone names.
    fn follow(&mut self, room: &RoomId, tombstone: &StateEvent) {
        let successor = self.memory.info(room).and_then(|info| info.successor().cloned());
        let Some(successor) = successor.filter(|successor| !self.memory.knew(successor)) else { return };
        let via = tombstone.sender.server_name().map(str::to_owned).into_iter().collect();
        self.joins.want(&successor, JoinFor::UpgradeOf(room.clone()), via, self.now());
    }
}

/// The membership events among others, with their places.
fn memberships(events: &[StateEvent]) -> impl Iterator<Item = (usize, &StateEvent)> {
    events.iter().enumerate().filter(|(_, event)| event.event_type == CALL_MEMBER)
}
