//! What a person has approved, key by key.
//!
//! A person may decide more than a sweep: no grace, limit, breaker or quarantine holds it back. What
//! stays is what a person cannot know at the moment of approval: whether the key is still what was
//! shown, and whether it may be written at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HeldBack, PlannedWrite, Route, refuse_if};
use crate::{
    ids::{EventId, RoomId, StateKey},
    judge::policy::Reason,
    rtc::{membership::Owner, state_key::Blocked},
    time::Timestamp,
};

/// How long a plan may be approved and carried out after it was made.
pub const FRESH: Duration = Duration::from_mins(15);

/// One key of a plan, as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The room.
    pub room: RoomId,
    /// Its name at that time.
    pub room_name: Option<String>,
    /// The key.
    pub key: StateKey,
    /// The event that was shown; nothing else may be overwritten.
    pub event: EventId,
    /// Whose memberships are cleared.
    pub owners: Vec<Owner>,
    /// The places of the entries that are taken out, where others stay.
    #[serde(default)]
    pub part: Option<Vec<u32>>,
    /// By which route it would be cleared when it was shown.
    #[serde(default)]
    pub route: Option<Route>,
    /// The reason that it would be cleared for, where there is one.
    pub reason: Option<Reason>,
    /// Since when that has been seen.
    pub since: Timestamp,
    /// Whether clients still show it.
    pub is_shown: bool,
    /// Whether it looks active: nothing is known to speak against it.
    pub is_alive: bool,
    /// Whether what could speak against it is not known.
    #[serde(default)]
    pub is_unknown: bool,
    /// What is known of it, in a sentence.
    pub why: String,
    /// Why a sweep would not do it by itself.
    pub reservation: Option<String>,
}

impl Proposal {
    /// Whether somebody may be in a call by it: clearing it would drop them.
    pub const fn may_be_there(&self) -> bool {
        self.is_alive || self.is_unknown
    }
}

/// What holds when an approved key is about to be written.
#[derive(Clone, Copy, Debug)]
pub struct Approval {
    /// Paused by command.
    pub is_paused: bool,
    /// The room or an owner is excluded.
    pub is_excluded: bool,
    /// When the plan was made.
    pub made: Timestamp,
    /// How the key can be cleared; `None` when that could not be read.
    pub route: Option<Result<Route, Blocked>>,
    /// Now.
    pub now: Timestamp,
}

impl PlannedWrite {
    /// A write that a person has approved.
    ///
    /// # Errors
    ///
    /// What holds it back all the same.
    pub fn approved(proposal: &Proposal, approval: &Approval) -> Result<Self, HeldBack> {
        refuse_if(approval.now.since(approval.made) >= FRESH, HeldBack::TooOld)?;
        refuse_if(approval.is_excluded, HeldBack::Excluded)?;
        refuse_if(approval.is_paused, HeldBack::Paused)?;
        let route = match approval.route {
            Some(Ok(route)) => route,
            Some(Err(blocked)) => return Err(HeldBack::NoRoute(blocked)),
            None => return Err(HeldBack::RouteUnknown),
        };
        // Nothing but a write as the owner can leave the others as they are.
        refuse_if(proposal.part.is_some() && route != Route::Appservice, HeldBack::OthersInEvent)?;
        // A redaction and a write as the owner have consequences of their own: who approved has to have read them.
        let is_other = proposal.route.is_some_and(|shown| shown != route);
        refuse_if(is_other && route != Route::OwnPower, HeldBack::OtherRoute)?;
        Ok(Self {
            room: proposal.room.clone(),
            key: proposal.key.clone(),
            event: proposal.event.clone(),
            owners: proposal.owners.clone(),
            part: proposal.part.clone(),
            reason: proposal.reason,
            since: proposal.since,
            route,
            probes: Vec::new(),
            is_shown: proposal.is_shown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approved_key_is_written_unless_paused_excluded_too_old_or_out_of_reach() {
        let made = Timestamp::from_millis(1_000_000);
        let proposal = Proposal {
            room: "!r".into(),
            room_name: None,
            key: "_@a:b_D_m.call".into(),
            event: "$e".into(),
            owners: Vec::new(),
            part: None,
            route: None,
            reason: None,
            since: made,
            is_shown: true,
            is_alive: true,
            is_unknown: false,
            why: String::new(),
            reservation: None,
        };
        let fine = Approval {
            is_paused: false,
            is_excluded: false,
            made,
            route: Some(Ok(Route::OwnPower)),
            now: made + FRESH - Duration::from_millis(1),
        };
        let write = PlannedWrite::approved(&proposal, &fine).expect("the control");
        assert_eq!((write.event(), write.reason()), (&proposal.event, None));
        for (approval, why) in [
            (Approval { is_paused: true, ..fine }, HeldBack::Paused),
            (Approval { is_excluded: true, ..fine }, HeldBack::Excluded),
            (Approval { now: made + FRESH, ..fine }, HeldBack::TooOld),
            (Approval { route: None, ..fine }, HeldBack::RouteUnknown),
            (
                Approval { route: Some(Err(Blocked::OnlyItsOwner)), ..fine },
                HeldBack::NoRoute(Blocked::OnlyItsOwner),
            ),
        ] {
            assert_eq!(PlannedWrite::approved(&proposal, &approval), Err(why));
        }
        let shown = |route| Proposal { route: Some(route), ..proposal.clone() };
        let redaction = Approval { route: Some(Ok(Route::Redaction)), ..fine };
        let other = PlannedWrite::approved(&shown(Route::OwnPower), &redaction);
        assert_eq!(other, Err(HeldBack::OtherRoute), "who approved did not read of it");
        assert!(PlannedWrite::approved(&shown(Route::Redaction), &redaction).is_ok());
        assert!(
            PlannedWrite::approved(&shown(Route::Redaction), &fine).is_ok(),
            "the usual one takes nothing"
        );
        let part = Proposal { part: Some(vec![1]), ..proposal };
        assert_eq!(PlannedWrite::approved(&part, &fine), Err(HeldBack::OthersInEvent));
        let as_the_owner = Approval { route: Some(Ok(Route::Appservice)), ..fine };
        let write = PlannedWrite::approved(&part, &as_the_owner).expect("only that route can");
        assert_eq!(write.part(), Some(&[1][..]));
    }
}
