//! What the memberships of one room say about each other: which is the newest of a device, whose SFU
//! is whose, and what an SFU's list means for each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::evidence::{Device, Evidence, RoomMember, Sfu};
use crate::{
    ids::{RoomId, StateKey, UserId},
    rtc::{
        membership::{Call, Focus, FocusSelection, Form, Membership, Owner},
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
    /// The identities that are connected.
    Participants(BTreeSet<String>),
}

/// What the neighbours observed, as far as a room's evidence needs it.
pub trait Observations {
    /// The owner's own room membership.
    fn room_member(&self, user: &UserId) -> RoomMember;

    /// What the device lists say of the device.
    fn device(&self, owner: &Owner) -> Device;

    /// Whether the SFU behind a focus is ours.
    fn is_our_sfu(&self, focus: &Focus) -> bool;

    /// What our SFU answered for a room name; a name that it does not know has no participants.
    fn sfu_room(&self, focus: &Focus, name: &str) -> SfuRoom;

    /// What each SFU of ours answered for a room name, whoever publishes where.
    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom>;

    /// Whether this very membership was seen on the SFU before.
    fn was_on_sfu(&self, placed: Placed<'_>) -> bool;
}

/// The evidence on each of the open memberships of a room, in their order.
pub fn gather(
    room: &RoomId,
    open: &[Placed<'_>],
    observations: &dyn Observations,
    now: Timestamp,
) -> Vec<Evidence> {
    let own = OwnWrites::gather(open);
    let focuses: Vec<_> = focuses(open, observations, now);
    let halls = Halls::gather(room, open, &focuses, observations);
    open.iter()
        .enumerate()
        .map(|(index, placed)| Evidence {
            room_member: observations.room_member(&placed.membership.owner.user),
            device: observations.device(&placed.membership.owner),
            sfu: halls.says(index, open, &focuses, observations),
            superseded_at: own.superseded_at(*placed),
        })
        .collect()
}

/// What each device wrote of each call by itself, as far as that is known. The older forms share an event,
/// and any device of the user writes all of it again with what the others last said, and goes on doing so
/// when only theirs is left. So an entry of theirs speaks against nothing unless it says when it was made.
struct OwnWrites<'a> {
    by_device: HashMap<(&'a Owner, &'a Call), Vec<OwnWrite<'a>>>,
}

/// One of them; they stand in the order in which they were written.
struct OwnWrite<'a> {
    written: Timestamp,
    /// Of this and of all that were written later.
    earliest: EarliestStart<'a>,
}

/// The earliest start of some memberships, and the earliest under any key but its own: one key can hold
/// several, and none is superseded by its neighbours.
#[derive(Clone, Copy)]
struct EarliestStart<'a> {
    at: Timestamp,
    key: &'a StateKey,
    elsewhere: Option<Timestamp>,
}

impl<'a> EarliestStart<'a> {
    fn or(self, at: Timestamp, key: &'a StateKey) -> Self {
        if self.key == key {
            Self { at: self.at.min(at), ..self }
        } else if at < self.at {
            Self { at, key, elsewhere: Some(self.at) }
        } else {
            Self { elsewhere: Some(self.elsewhere.map_or(at, |elsewhere| elsewhere.min(at))), ..self }
        }
    }

    fn under_another(self, key: &StateKey) -> Option<Timestamp> {
        if self.key == key { self.elsewhere } else { Some(self.at) }
    }
}

impl<'a> OwnWrites<'a> {
    fn gather(open: &[Placed<'a>]) -> Self {
        let mut by_device: HashMap<_, Vec<OwnWrite<'a>>> = HashMap::new();
        for Placed { key, membership } in open {
            // One that is not before its event may be from the future of a clock that is wrong.
            let is_dated = membership.created.is_some_and(|created| created < membership.sent);
            if membership.form == Form::Session || is_dated {
                let earliest = EarliestStart { at: membership.start, key, elsewhere: None };
                let own = OwnWrite { written: written(membership), earliest };
                by_device.entry((&membership.owner, &membership.call)).or_default().push(own);
            }
        }
        for own in by_device.values_mut() {
            own.sort_unstable_by_key(|own| own.written);
            for index in (1..own.len()).rev() {
                let this = own[index - 1].earliest;
                own[index - 1].earliest = own[index].earliest.or(this.at, this.key);
            }
        }
        Self { by_device }
    }

    /// Since when the same device has a newer membership of the same call under another key.
    fn superseded_at(&self, Placed { key, membership }: Placed<'_>) -> Option<Timestamp> {
        let own = self.by_device.get(&(&membership.owner, &membership.call))?;
        let written = written(membership);
        let newer = own.get(own.partition_point(|own| own.written <= written))?;
        // Nothing was superseded before it was there.
        Some(newer.earliest.under_another(key)?.max(written))
    }
}

/// When its own device last wrote it, where it did.
fn written(membership: &Membership) -> Timestamp {
    match membership.form {
        Form::Session => membership.sent,
        Form::Array | Form::GroupCall => membership.start,
    }
}

/// Where a membership publishes to.
#[derive(Clone, Copy)]
struct Place<'a> {
    focus: &'a Focus,
    /// Whether its client goes there for sure. Where not, being there is proof of life all the same, and
    /// not being there proves nothing.
    is_sure: bool,
}

/// The focus each membership publishes to, as its client finds it.
fn focuses<'a>(
    open: &[Placed<'a>],
    observations: &dyn Observations,
    now: Timestamp,
) -> Vec<Option<Place<'a>>> {
    // Clients take the oldest by expiry and room membership alone; so must we, or we would look for
    // a device on an SFU that its client never went to.
    let mut oldest: BTreeMap<&Call, &Placed<'_>> = BTreeMap::new();
    let wanted = open.iter().any(|p| p.membership.focus_selection == FocusSelection::OldestMembership);
    for placed in open.iter().filter(|_| wanted) {
        let membership = placed.membership;
        // Current clients do not read the older forms, so those choose nobody's SFU.
        let shown = membership.form == Form::Session
            && membership.expires > now
            && !matches!(observations.room_member(&membership.owner.user), RoomMember::NotJoined { .. });
        if shown {
            let slot = oldest.entry(&membership.call).or_insert(placed);
            // Two of the same instant: by key, so that the order of the events changes no verdict.
            if (membership.start, placed.key) < (slot.membership.start, slot.key) {
                *slot = placed;
            }
        }
    }
    open.iter()
        .map(|placed| {
            let selection = &placed.membership.focus_selection;
            let oldest = oldest.get(&placed.membership.call);
            let oldest = oldest.filter(|_| *selection == FocusSelection::OldestMembership);
            let found = match oldest {
                Some(oldest) => oldest.membership.focus.as_ref(),
                None => placed.membership.focus.as_ref(),
            };
            let is_sure = oldest.is_some() || *selection == FocusSelection::Own;
            found.map(|focus| Place { focus, is_sure })
        })
        .collect()
}

/// What our SFU says about one call: everybody in any of the rooms that the call may have there.
#[derive(Default)]
struct Hall {
    present: BTreeSet<String>,
    incomplete: bool,
    /// Somebody is there whom no membership explains, so the room may be another call's.
    unexplained: bool,
    /// The latest start among the memberships that are there.
    latest_present: Option<Timestamp>,
}

struct Halls<'a> {
    halls: BTreeMap<(&'a Call, &'a str), Hall>,
    /// Who is in a call on any SFU of ours. To be there is proof of life, whatever SFU a membership names.
    anywhere: BTreeMap<&'a Call, Anywhere>,
}

/// What all of our SFUs together say about one call.
#[derive(Default)]
struct Anywhere {
    present: BTreeSet<String>,
    incomplete: bool,
}

impl Anywhere {
    fn gather(room: &RoomId, call: &Call, observations: &dyn Observations) -> Self {
        let mut anywhere = Self::default();
        for name in sfu_names::rooms(room, call, None) {
            for answer in observations.on_each_sfu(&name) {
                match answer {
                    SfuRoom::Unknown => anywhere.incomplete = true,
                    SfuRoom::Participants(identities) => anywhere.present.extend(identities),
                }
            }
        }
        anywhere
    }
}

impl<'a> Halls<'a> {
    fn gather(
        room: &RoomId,
        open: &[Placed<'a>],
        focuses: &[Option<Place<'a>>],
        observations: &dyn Observations,
    ) -> Self {
        let mut halls: BTreeMap<(&Call, &str), Hall> = BTreeMap::new();
        let mut asked = BTreeSet::new();
        for (placed, focus) in open.iter().zip(focuses) {
            let Some(Place { focus, .. }) = focus.filter(|place| observations.is_our_sfu(place.focus)) else {
                continue;
            };
            let call = &placed.membership.call;
            let hall = halls.entry((call, &focus.service_url)).or_default();
            if !asked.insert((call, &*focus.service_url, focus.alias.as_deref())) {
                continue;
            }
            for name in sfu_names::rooms(room, call, Some(focus)) {
                match observations.sfu_room(focus, &name) {
                    SfuRoom::Unknown => hall.incomplete = true,
                    SfuRoom::Participants(identities) => hall.present.extend(identities),
                }
            }
        }
        let explained: BTreeSet<String> =
            open.iter().flat_map(|placed| sfu_names::identities(placed.membership)).collect();
        for (placed, focus) in open.iter().zip(focuses) {
            let Some(Place { focus, .. }) = focus else { continue };
            let Some(hall) = halls.get_mut(&(&placed.membership.call, &*focus.service_url)) else { continue };
            // What a membership calls itself may be somebody else's name: that proves no place.
            if hall.present.contains(&sfu_names::identity(&placed.membership.owner)) {
                hall.latest_present = hall.latest_present.max(Some(placed.membership.start));
            }
        }
        for hall in halls.values_mut() {
            hall.unexplained = hall.present.iter().any(|identity| !explained.contains(identity));
        }
        let mut anywhere = BTreeMap::new();
        // Group calls have no SFU.
        for placed in open.iter().filter(|placed| placed.membership.form != Form::GroupCall) {
            let call = &placed.membership.call;
            anywhere.entry(call).or_insert_with(|| Anywhere::gather(room, call, observations));
        }
        Self { halls, anywhere }
    }

    fn says(
        &self,
        index: usize,
        open: &[Placed<'a>],
        focuses: &[Option<Place<'a>>],
        observations: &dyn Observations,
    ) -> Sfu {
        let placed = open[index];
        let is_in = |present: &BTreeSet<String>| {
            sfu_names::identities(placed.membership).any(|identity| present.contains(&identity))
        };
        let anywhere = match placed.membership.form {
            Form::GroupCall => None,
            Form::Session | Form::Array => self.anywhere.get(&placed.membership.call),
        };
        if anywhere.is_some_and(|anywhere| is_in(&anywhere.present)) {
            return Sfu::Listed;
        }
        let is_incomplete = anywhere.is_some_and(|anywhere| anywhere.incomplete);
        let place = focuses[index];
        let hall =
            place.and_then(|place| self.halls.get(&(&placed.membership.call, &*place.focus.service_url)));
        let (Some(place), Some(hall)) = (place, hall) else {
            // Only who is known to be on a foreign SFU is on none of ours.
            let is_foreign = place.is_some_and(|place| place.is_sure);
            return if is_incomplete && !is_foreign { Sfu::Unknown } else { Sfu::NotOurs };
        };
        if is_in(&hall.present) {
            return Sfu::Listed;
        }
        // Clients change places, and state is late to tell: whoever is not here may be there.
        if hall.incomplete || is_incomplete {
            return Sfu::Unknown;
        }
        let name_is_right =
            !hall.unexplained && hall.latest_present.is_some_and(|start| start > placed.membership.start);
        Sfu::Absent { counts: place.is_sure && (name_is_right || observations.was_on_sfu(placed)) }
    }
}

#[cfg(test)]
mod tests;
