//! What the memberships of one room say about each other: which is the newest of a device, whose SFU
//! is whose, and what an SFU's list means for each.

use std::collections::BTreeSet;

mod focuses;
mod on_sfus;
mod own_writes;

use focuses::focuses;
use on_sfus::CallsOnSfus;
use own_writes::OwnWrites;

use super::evidence::{Device, Evidence, RoomMember, Sfu};
use crate::{
    ids::{RoomId, StateKey, UserId},
    rtc::{
        membership::{Focus, Form, Membership, Owner},
        sfu_names,
    },
    time::Timestamp,
};

/// A membership with the key it stands under.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The state key of its event.
    pub key: &'a StateKey,
    /// The membership.
    pub membership: &'a Membership,
}

/// What one SFU answered for one of its rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SfuRoom {
    /// It did not answer.
    Unknown,
    /// Who is connected.
    Participants(Participants),
    /// Some who are connected; others may be, too: it has restarted, or is only just back.
    AtLeast(Participants),
}

/// Who is connected to a room of an SFU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participants {
    /// All identities.
    pub identities: BTreeSet<String>,
    /// Those of them that are recorders, agents or phones: no membership need explain them.
    pub machines: BTreeSet<String>,
}

impl FromIterator<String> for Participants {
    fn from_iter<I: IntoIterator<Item = String>>(people: I) -> Self {
        Self { identities: people.into_iter().collect(), machines: BTreeSet::new() }
    }
}

/// What the neighbours observed, as far as a room's evidence needs it.
pub trait Observations {
    /// The owner's own room membership.
    fn room_member(&self, user: &UserId) -> RoomMember;

    /// Whether the owner's devices are in lists at all. A bridge's user writes device ids that are in none:
    /// of those the lists say nothing, whatever they answer (`owners.without_device_lists`).
    fn has_device_lists(&self, _user: &UserId) -> bool {
        true
    }

    /// What the device lists say of the device.
    fn device(&self, owner: &Owner) -> Device;

    /// Whether any SFU is ours; where none is, none need be asked.
    fn has_sfu(&self) -> bool {
        true
    }

    /// Whether it is known what memberships call our SFU. Where not, it is asked for everybody: whom it lists is
    /// there.
    fn knows_our_sfu(&self) -> bool {
        true
    }

    /// Whether the SFU behind a focus is ours.
    fn is_our_sfu(&self, focus: &Focus) -> bool;

    /// What our SFU answered for a room name; a name that it does not know has no participants.
    fn sfu_room(&self, focus: &Focus, name: &str) -> SfuRoom;

    /// What each SFU of ours answered for a room name, whoever publishes where.
    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom>;

    /// Whether this very membership was seen on the SFU before.
    fn was_on_sfu(&self, placed: Placed<'_>) -> bool;

    /// Whether it is known for sure that the SFU room of a membership has one of the names that are asked
    /// for: a call that began later was found under one, or a token of the authorisation service has named
    /// one since.
    fn knows_sfu_room(&self, _placed: Placed<'_>) -> bool {
        false
    }
}

/// The names of SFU rooms that have to be asked for, all of them, to tell who of a room is on an SFU of
/// ours. None where everybody is on another's for sure.
pub fn sfu_rooms_to_ask(
    room: &RoomId,
    open: &[Placed<'_>],
    observations: &dyn Observations,
    now: Timestamp,
) -> BTreeSet<String> {
    let focuses = focuses(open, observations, now);
    let mut names = BTreeSet::new();
    for (placed, place) in open.iter().zip(focuses) {
        let focus = place.map(|place| place.focus);
        let is_ours = focus.is_some_and(|focus| observations.is_our_sfu(focus));
        let is_foreign = observations.knows_our_sfu() && !is_ours && place.is_some_and(|place| place.is_sure);
        // Group calls have no SFU.
        if placed.membership.form != Form::GroupCall && !is_foreign {
            names.extend(sfu_names::rooms(room, &placed.membership.call, focus.filter(|_| is_ours)));
        }
    }
    names
}

/// The evidence on each of the open memberships of a room, in their order.
pub fn gather(
    room: &RoomId,
    open: &[Placed<'_>],
    observations: &dyn Observations,
    now: Timestamp,
) -> Vec<Evidence> {
    let own = OwnWrites::gather(open);
    let sfus = observations.has_sfu().then(|| {
        let focuses = focuses(open, observations, now);
        (CallsOnSfus::gather(room, open, &focuses, observations), focuses)
    });
    open.iter()
        .enumerate()
        .map(|(index, placed)| Evidence {
            room_member: observations.room_member(&placed.membership.owner.user),
            device: if observations.has_device_lists(&placed.membership.owner.user) {
                observations.device(&placed.membership.owner)
            } else {
                Device::NotAsked
            },
            sfu: sfus
                .as_ref()
                .map_or(Sfu::NotOurs, |(calls, focuses)| calls.says(index, open, focuses, observations)),
            superseded_at: own.superseded_at(*placed),
        })
        .collect()
}

#[cfg(test)]
mod tests;
