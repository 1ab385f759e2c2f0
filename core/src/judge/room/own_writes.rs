//! Which membership of a device is its newest, and since when the others are left over.

use std::collections::HashMap;

use super::Placed;
use crate::{
    ids::StateKey,
    rtc::membership::{Call, Form, Membership, Owner},
    time::Timestamp,
};

/// What each device wrote of each call by itself, as far as that is known. The older forms share an event,
/// and any device of the user writes all of it again with what the others last said, and goes on doing so
/// when only theirs is left. So an entry of theirs speaks against nothing unless it says when it was made.
pub(super) struct OwnWrites<'a> {
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
    pub(super) fn gather(open: &[Placed<'a>]) -> Self {
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
    pub(super) fn superseded_at(&self, Placed { key, membership }: Placed<'_>) -> Option<Timestamp> {
        let own = self.by_device.get(&(&membership.owner, &membership.call))?;
        let written = written(membership);
        let newer = own.get(own.partition_point(|own| own.written <= written))?;
        // Nothing was superseded before it was there.
        Some(newer.earliest.under_another(key)?.max(written))
    }
}

/// When its own device last wrote it, where it did.
pub(super) fn written(membership: &Membership) -> Timestamp {
    match membership.form {
        Form::Session => membership.sent,
        Form::Array | Form::GroupCall => membership.start,
    }
}
