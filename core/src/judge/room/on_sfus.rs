//! What an SFU's lists mean for each membership of a room.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Observations, Placed, SfuRoom,
    focuses::{Place, SameSfu},
};
use crate::{
    ids::RoomId,
    judge::evidence::Sfu,
    rtc::{
        membership::{Call, Form},
        sfu_names,
    },
    time::Timestamp,
};

/// What our SFU says about one call: everybody in any of the rooms that the call may have there.
#[derive(Default)]
struct CallOnSfu {
    present: BTreeSet<String>,
    /// Those of them who are no people.
    machines: BTreeSet<String>,
    incomplete: bool,
    /// Somebody is there whom no membership explains, so the room may be another call's.
    unexplained: bool,
    /// The latest start among the memberships that are there.
    latest_present: Option<Timestamp>,
}

pub(super) struct CallsOnSfus<'a> {
    by_sfu: BTreeMap<(&'a Call, &'a str), CallOnSfu>,
    same: SameSfu<'a>,
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
                    SfuRoom::Participants(there) => anywhere.present.extend(there.identities),
                    SfuRoom::AtLeast(there) => {
                        anywhere.present.extend(there.identities);
                        anywhere.incomplete = true;
                    }
                }
            }
        }
        anywhere
    }
}

impl<'a> CallsOnSfus<'a> {
    pub(super) fn gather(
        room: &RoomId,
        open: &[Placed<'a>],
        focuses: &[Option<Place<'a>>],
        observations: &dyn Observations,
    ) -> Self {
        let same = SameSfu::gather(focuses);
        let mut by_sfu: BTreeMap<(&Call, &str), CallOnSfu> = BTreeMap::new();
        let mut asked = BTreeSet::new();
        for (placed, focus) in open.iter().zip(focuses) {
            let Some(Place { focus, .. }) = focus.filter(|place| observations.is_our_sfu(place.focus)) else {
                continue;
            };
            let call = &placed.membership.call;
            let on_sfu = by_sfu.entry((call, same.name(focus))).or_default();
            if !asked.insert((call, same.name(focus), focus.alias.as_deref())) {
                continue;
            }
            for name in sfu_names::rooms(room, call, Some(focus)) {
                match observations.sfu_room(focus, &name) {
                    SfuRoom::Unknown => on_sfu.incomplete = true,
                    SfuRoom::Participants(there) => {
                        on_sfu.present.extend(there.identities);
                        on_sfu.machines.extend(there.machines);
                    }
                    SfuRoom::AtLeast(there) => {
                        on_sfu.present.extend(there.identities);
                        on_sfu.machines.extend(there.machines);
                        on_sfu.incomplete = true;
                    }
                }
            }
        }
        let explained: BTreeSet<String> =
            open.iter().flat_map(|placed| sfu_names::identities(placed.membership)).collect();
        for (placed, focus) in open.iter().zip(focuses) {
            let Some(Place { focus, .. }) = focus else { continue };
            let Some(on_sfu) = by_sfu.get_mut(&(&placed.membership.call, same.name(focus))) else { continue };
            // What a membership calls itself may be somebody else's name: that proves no place.
            if on_sfu.present.contains(&sfu_names::identity(&placed.membership.owner)) {
                on_sfu.latest_present = on_sfu.latest_present.max(Some(placed.membership.start));
            }
        }
        for on_sfu in by_sfu.values_mut() {
            let mut people = on_sfu.present.difference(&on_sfu.machines);
            on_sfu.unexplained = people.any(|identity| !explained.contains(identity));
        }
        let mut anywhere = BTreeMap::new();
        // Group calls have no SFU.
        for placed in open.iter().filter(|placed| placed.membership.form != Form::GroupCall) {
            let call = &placed.membership.call;
            anywhere.entry(call).or_insert_with(|| Anywhere::gather(room, call, observations));
        }
        Self { by_sfu, same, anywhere }
    }

    pub(super) fn says(
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
        let on_sfu =
            place.and_then(|place| self.by_sfu.get(&(&placed.membership.call, self.same.name(place.focus))));
        let (Some(place), Some(on_sfu)) = (place, on_sfu) else {
            // Only who is known to be on a foreign SFU is on none of ours.
            let is_foreign = place.is_some_and(|place| place.is_sure);
            return if is_incomplete && !is_foreign { Sfu::Unknown } else { Sfu::NotOurs };
        };
        if is_in(&on_sfu.present) {
            return Sfu::Listed;
        }
        // Clients change places, and state is late to tell: whoever is not here may be there.
        if on_sfu.incomplete || is_incomplete {
            return Sfu::Unknown;
        }
        let name_is_right =
            !on_sfu.unexplained && on_sfu.latest_present.is_some_and(|start| start > placed.membership.start);
        // Somebody whom no membership explains may be this one, under an identity that is not known here.
        let is_named = || !on_sfu.unexplained && observations.knows_sfu_room(placed);
        let is_known = || name_is_right || observations.was_on_sfu(placed) || is_named();
        Sfu::Absent { counts: place.is_sure && is_known() }
    }
}
