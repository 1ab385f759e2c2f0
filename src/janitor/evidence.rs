//! What the neighbours say about the owners of open memberships.
//!
//! One file per source, each in three steps: *what to ask* (pure), *ask* (needs a port and nothing of the
//! janitor), *take in*. So the sources are asked side by side, and an answer that comes late finds its
//! place. What was answered stays known until an event or its age says otherwise.

mod device_lists;
mod room_members;
mod source;

use std::collections::HashMap;

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    judge::{
        evidence::{Device, DeviceHistory, RoomMember},
        policy::Neighbour,
        room::{Observations, Placed, SfuRoom},
    },
    ledger::ObservedAt,
    rtc::membership::{Focus, Owner},
    time::Timestamp,
};

pub(in crate::janitor) use device_lists::{DeviceListEvidence, ListQuestion, ListsTaken};
pub(in crate::janitor) use room_members::{MemberEvidence, ask as read_member};
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
}

impl Evidence {
    /// `devices` is what earlier starts learned of devices.
    pub(in crate::janitor) fn new(devices: HashMap<Owner, DeviceHistory>) -> Self {
        Self {
            homeserver: Health::default(),
            members: MemberEvidence::default(),
            lists: DeviceListEvidence::new(devices),
        }
    }

    /// How a source has been; `None` for one that is not set up.
    pub(in crate::janitor) fn health(&self, neighbour: Neighbour) -> Option<&Health> {
        match neighbour {
            Neighbour::Homeserver => Some(&self.homeserver),
            Neighbour::DeviceLists => Some(self.lists.health()),
            Neighbour::Sfu => None,
        }
    }

    /// The next instant at which a source that was away is believed again.
    pub(in crate::janitor) fn settles_at(&self, now: Timestamp) -> Option<Timestamp> {
        let all = Neighbour::ALL.into_iter().filter_map(|neighbour| self.health(neighbour));
        all.filter_map(|health| health.settles_at(now)).min()
    }

    /// When the evidence on one owner in one room was observed.
    pub(in crate::janitor) fn observed_at(&self, room: &RoomId, owner: &Owner, now: Timestamp) -> ObservedAt {
        ObservedAt {
            now,
            homeserver: self.members.observed_at(room, &owner.user).unwrap_or(now),
            device_lists: self.lists.observed_at(&owner.user).unwrap_or(now),
            sfu: now,
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

    fn is_our_sfu(&self, _: &Focus) -> bool {
        false
    }

    fn sfu_room(&self, _: &Focus, _: &str) -> SfuRoom {
        SfuRoom::Unknown
    }

    fn on_each_sfu(&self, _: &str) -> Vec<SfuRoom> {
        Vec::new()
    }

    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }
}
