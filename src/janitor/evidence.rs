//! What the neighbours say about the owners of open memberships.
//!
//! One file per source, each in three steps: *what to ask* (pure), *ask* (needs a port and nothing of the
//! janitor), *take in*. So the sources are asked side by side, and an answer that comes late finds its
//! place. What was answered stays known until an event or its age says otherwise.

mod device_lists;
mod room_members;
mod sfu;
mod source;

use std::collections::HashMap;

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    judge::{
        evidence::{Device, DeviceHistory, ListKind, RoomMember},
        policy::Neighbour,
        room::{Observations, Placed, SfuRoom},
    },
    ledger::ObservedAt,
    rtc::membership::{Focus, Owner},
    time::Timestamp,
};

pub(in crate::janitor) use device_lists::{Covers, DeviceListEvidence, ListQuestion, ListsTaken, OwnNews};
pub(in crate::janitor) use room_members::{MemberEvidence, ask as read_member};
pub(in crate::janitor) use sfu::{Proofs, SfuEvidence};
pub(in crate::janitor) use source::Health;

use super::Settings;

/// All that was observed.
#[derive(Debug)]
pub(in crate::janitor) struct Evidence {
    /// The homeserver's room state.
    pub(in crate::janitor) homeserver: Health,
    /// Who is in which room, by that state.
    pub(in crate::janitor) members: MemberEvidence,
    /// Who has which devices.
    pub(in crate::janitor) lists: DeviceListEvidence,
    /// Who is in which call, by our SFU; `None` where none is set up.
    pub(in crate::janitor) sfu: Option<SfuEvidence>,
}

impl Evidence {
    /// `devices` is what earlier starts learned of devices; `own_lists` of whom the server's own lists can be had.
    pub(in crate::janitor) fn new(
        devices: HashMap<Owner, DeviceHistory>,
        own_lists: Option<Covers>,
        sfu: Option<SfuEvidence>,
    ) -> Self {
        Self {
            homeserver: Health::default(),
            members: MemberEvidence::default(),
            lists: DeviceListEvidence::new(devices, own_lists),
            sfu,
        }
    }

    /// How a source has been; `None` for one that is not set up.
    pub(in crate::janitor) fn health(&self, neighbour: Neighbour) -> Option<&Health> {
        match neighbour {
            Neighbour::Homeserver => Some(&self.homeserver),
            Neighbour::DeviceLists => self.lists.health(ListKind::KeysQuery),
            Neighbour::Sfu => self.sfu.as_ref().map(SfuEvidence::health),
        }
    }

    /// Why a source does not answer, where more is known than that.
    pub(in crate::janitor) fn why_away(&self, neighbour: Neighbour) -> Option<String> {
        let sfu = self.sfu.as_ref().filter(|_| neighbour == Neighbour::Sfu)?;
        sfu.failure().map(ToString::to_string)
    }

    /// Why it is not known which memberships a source is about, where it is not.
    pub(in crate::janitor) fn why_unidentified(&self, neighbour: Neighbour) -> Option<String> {
        let names = &self.sfu.as_ref().filter(|_| neighbour == Neighbour::Sfu)?.names;
        names.is_unknown().then(|| names.failure().unwrap_or("it is being found out").to_owned())
    }

    /// Whether a source answers and is not believed yet.
    pub(in crate::janitor) fn is_settling(&self, neighbour: Neighbour, now: Timestamp) -> bool {
        let restarted = self.sfu.as_ref().filter(|_| neighbour == Neighbour::Sfu);
        restarted.is_some_and(|sfu| sfu.settles_at(now).is_some())
            || self.health(neighbour).is_some_and(|health| health.is_settling(now))
    }

    /// The next instant at which a source that was away is believed again.
    pub(in crate::janitor) fn settles_at(&self, now: Timestamp) -> Option<Timestamp> {
        let all = Neighbour::ALL.into_iter().filter_map(|neighbour| self.health(neighbour));
        let all = all.chain(self.lists.health(ListKind::OwnList));
        let restarted = self.sfu.as_ref().and_then(|sfu| sfu.settles_at(now));
        all.filter_map(|health| health.settles_at(now)).chain(restarted).min()
    }

    /// When the evidence on one owner in one room was observed.
    pub(in crate::janitor) fn observed_at(&self, room: &RoomId, owner: &Owner, now: Timestamp) -> ObservedAt {
        ObservedAt {
            now,
            homeserver: self.members.observed_at(room, &owner.user).unwrap_or(now),
            device_lists: self.lists.observed_at(&owner.user).unwrap_or(now),
            sfu: self.sfu.as_ref().and_then(SfuEvidence::observed_at).unwrap_or(now),
        }
    }
}

/// What was observed about the owners in one room, as the judgement asks for it.
pub(in crate::janitor) struct RoomObservations<'a> {
    pub(in crate::janitor) room: &'a RoomId,
    pub(in crate::janitor) evidence: &'a Evidence,
    pub(in crate::janitor) settings: &'a Settings,
    pub(in crate::janitor) now: Timestamp,
}

impl Observations for RoomObservations<'_> {
    fn room_member(&self, user: &UserId) -> RoomMember {
        self.evidence.members.says(self.room, user)
    }

    fn device(&self, owner: &Owner) -> Device {
        self.evidence.lists.says(owner, self.now)
    }

    fn has_device_lists(&self, user: &UserId) -> bool {
        !self.settings.without_device_lists.matches(user)
    }

    fn has_sfu(&self) -> bool {
        self.evidence.sfu.is_some()
    }

    fn knows_our_sfu(&self) -> bool {
        self.evidence.sfu.as_ref().is_some_and(|sfu| !sfu.names.is_unknown())
    }

    fn is_our_sfu(&self, focus: &Focus) -> bool {
        self.evidence.sfu.as_ref().is_some_and(|sfu| sfu.names.is_ours(focus))
    }

    fn sfu_room(&self, _: &Focus, name: &str) -> SfuRoom {
        self.evidence.sfu.as_ref().map_or(SfuRoom::Unknown, |sfu| sfu.room(name, self.now))
    }

    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom> {
        self.evidence.sfu.iter().map(|sfu| sfu.room(name, self.now)).collect()
    }

    fn was_on_sfu(&self, Placed { key, membership }: Placed<'_>) -> bool {
        self.evidence.sfu.as_ref().is_some_and(|sfu| sfu.has_seen(self.room, key, membership))
    }

    fn knows_sfu_room(&self, placed: Placed<'_>) -> bool {
        self.evidence.sfu.as_ref().is_some_and(|sfu| sfu.names.knows_room_of(placed.membership.start))
    }
}
