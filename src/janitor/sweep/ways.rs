//! By which route a key can be cleared here, as far as is known now.

use rtc_janitor_core::{
    ids::{RoomId, StateKey, UserId},
    judge::evidence::RoomMember,
    plan::{Candidate, Entry, Means, Route, route},
    rtc::power::Blocked,
};

use crate::janitor::Janitor;

impl Janitor {
    /// By which route a key can be cleared; `None` where that is to be read first.
    pub(in crate::janitor) fn route(&self, room: &RoomId, key: &StateKey) -> Option<Result<Route, Blocked>> {
        let writer = &self.settings.user_id;
        let power = self.memory.info(room)?.power(writer, self.now())?;
        let means = Means {
            writer,
            appservice: self.acts_for_owner_of(room, key),
            appservice_is_away: self.appservice.away().is_some(),
            allow_redaction: self.settings.allow_redaction,
        };
        Some(route(power, key, means))
    }

    /// The owner of a key as whom it may be written: nobody writes into a room they have left.
    fn acts_for_owner_of(&self, room: &RoomId, key: &StateKey) -> Option<&UserId> {
        let owner = &self.memory.get(room, key)?.memberships().next()?.owner.user;
        let has_left = matches!(self.evidence.members.says(room, owner), RoomMember::NotJoined { .. });
        (self.settings.acts_for(owner) && !has_left).then_some(owner)
    }

    /// A write is believed to be possible until the power levels of its room are known: so that the limits,
    /// and not every ghost there is, decide whose are read.
    pub(super) fn assumed_route(&self, candidate: &Candidate) -> Route {
        let is_stale = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| !entry.due.is_empty());
        let is_whole = candidate.entries.iter().all(is_stale);
        let acts = self.appservice.away().is_none();
        if !is_whole && acts && self.acts_for_owner_of(&candidate.room, &candidate.key).is_some() {
            Route::Appservice
        } else {
            Route::OwnPower
        }
    }
}
