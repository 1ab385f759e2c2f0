//! Whose SFU is whose, as clients find it.

use std::collections::BTreeMap;

use super::{Observations, Placed};
use crate::{
    judge::evidence::RoomMember,
    rtc::membership::{Call, Focus, FocusSelection, Form},
    time::Timestamp,
};

/// Where a membership publishes to.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) focus: &'a Focus,
    /// Whether its client goes there for sure. Where not, being there is proof of life all the same, and
    /// not being there proves nothing.
    pub(super) is_sure: bool,
}

/// The focus each membership publishes to, as its client finds it.
pub(super) fn focuses<'a>(
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

/// Two names of one SFU, where a focus gives both: others may give either.
pub(super) struct SameSfu<'a>(BTreeMap<&'a str, Option<&'a str>>);

impl<'a> SameSfu<'a> {
    pub(super) fn gather(focuses: &[Option<Place<'a>>]) -> Self {
        let mut service_of: BTreeMap<_, Option<&str>> = BTreeMap::new();
        for Place { focus, .. } in focuses.iter().flatten() {
            if let (Some(service), Some(url)) = (focus.service_url.as_deref(), focus.url.as_deref()) {
                let known = service_of.entry(url).or_insert(Some(service));
                // Several services before one SFU, or somebody is wrong: then each name is by itself.
                *known = known.filter(|known| *known == service);
            }
        }
        Self(service_of)
    }

    /// One name for all of them.
    pub(super) fn name(&self, focus: &'a Focus) -> &'a str {
        let first = focus.names().next().unwrap_or_default();
        self.0.get(first).copied().flatten().unwrap_or(first)
    }
}
