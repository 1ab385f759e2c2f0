//! What memberships call our SFU, and what it calls the rooms of their calls.
//!
//! An SFU answers for a room that it does not know as for one that everybody has left. So somebody's absence
//! from it counts only where the name is known for sure: the authorisation service that stands before the SFU
//! has made a token for it, or a call that began later was found under one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rtc_janitor_core::{
    ids::RoomId,
    rtc::{membership::Focus, sfu_names::Recipe},
    time::Timestamp,
};

use crate::world::{backoff::Backoff, livekit::NoProof};

/// What each service answered: the name of the SFU room, or why there is none.
pub(in crate::janitor) type Proofs = Vec<(String, Result<String, NoProof>)>;

/// The pauses after no service has proved anything.
const BACKOFF: Backoff = Backoff::new(Duration::from_mins(1), Duration::from_hours(1));

/// The least time between two questions.
const GATHER: Duration = Duration::from_secs(30);

/// Services that were found out are looked for again this often: others may have come.
const LOOK_AGAIN: Duration = Duration::from_hours(6);

/// The names of our SFU and of its rooms.
#[derive(Debug)]
pub(in crate::janitor) struct SfuNames {
    /// As the settings name it; empty: it is found out.
    configured: BTreeSet<String>,
    /// Services that gave a token for it.
    proven: BTreeSet<String>,
    /// Services that gave one for another SFU, whatever the settings say.
    others: BTreeSet<String>,
    /// Until when each way to name rooms is known to have been in use: calls that began before it have their
    /// room under one of these names.
    recipes: BTreeMap<Recipe, Timestamp>,
    /// A membership began after all of that.
    is_wanted: bool,
    is_asking: bool,
    last: Option<Timestamp>,
    next: Option<Timestamp>,
    pause: Backoff,
    /// Why no service proves anything, where none does.
    failure: Option<String>,
}

impl SfuNames {
    pub(super) fn new(
        configured: BTreeSet<String>,
        proven: BTreeSet<String>,
        recipes: BTreeMap<Recipe, Timestamp>,
    ) -> Self {
        Self {
            configured,
            proven,
            others: BTreeSet::new(),
            recipes,
            is_wanted: false,
            is_asking: false,
            last: None,
            next: None,
            pause: BACKOFF,
            failure: None,
        }
    }

    /// Whether a focus means our SFU.
    pub(in crate::janitor) fn is_ours(&self, focus: &Focus) -> bool {
        focus.names().any(|name| self.all().contains(name) && !self.others.contains(name))
    }

    /// What memberships call it.
    fn all(&self) -> &BTreeSet<String> {
        if self.configured.is_empty() { &self.proven } else { &self.configured }
    }

    /// Whether it is not known what memberships call it.
    pub(in crate::janitor) fn is_unknown(&self) -> bool {
        self.all().is_empty()
    }

    /// Why no service proves anything, where none does.
    pub(in crate::janitor) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The services that the settings name; empty: they are to be found out.
    pub(in crate::janitor) fn configured(&self) -> &BTreeSet<String> {
        &self.configured
    }

    /// Services that gave a token for our SFU, for the journal.
    pub(in crate::janitor) fn proven(&self) -> &BTreeSet<String> {
        &self.proven
    }

    /// The known ways to name rooms, for the journal.
    pub(in crate::janitor) fn recipes(&self) -> &BTreeMap<Recipe, Timestamp> {
        &self.recipes
    }

    /// Whether the room of a membership that began then has one of the names that are known.
    pub(in crate::janitor) fn knows_room_of(&self, start: Timestamp) -> bool {
        self.recipes.values().any(|until| *until > start)
    }

    /// Whether somebody is absent of whom it is not known whether that means anything.
    pub(in crate::janitor) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Somebody who began then is absent, and it is not known whether that means anything.
    pub(in crate::janitor) fn want(&mut self, start: Timestamp) {
        self.is_wanted |= !self.knows_room_of(start);
    }

    /// A membership that began then was found in a room whose name was made so; true when that is new. The
    /// latest tells how names are made now: what contradicts it is dropped.
    pub(in crate::janitor) fn matched(&mut self, recipe: Recipe, start: Timestamp) -> bool {
        if self.recipes.values().any(|until| *until >= start) {
            return false;
        }
        let is_another = !self.recipes.contains_key(&recipe);
        self.recipes.retain(|known, _| *known == recipe);
        if is_another {
            tracing::info!(recipe = recipe.as_str(), "rooms of the call server are named so");
        }
        self.recipes.insert(recipe, start);
        true
    }

    /// When a service is to be asked for a token.
    pub(in crate::janitor) fn next_question(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_asking {
            return None;
        }
        let soon = self.last.map_or(now, |last| last + GATHER);
        if (self.is_wanted || self.is_unknown()) && self.failure.is_none() {
            return Some(soon);
        }
        // Of what was found out there may be more by now.
        let again = self.next.filter(|_| self.failure.is_some() || self.configured.is_empty());
        again.map(|again| again.max(soon))
    }

    pub(in crate::janitor) fn is_asked(&mut self, now: Timestamp) {
        self.is_asking = true;
        self.last = Some(now);
    }

    /// Takes in what services answered when asked for `room`; true when something was learned.
    pub(in crate::janitor) fn proved(
        &mut self,
        room: &RoomId,
        proofs: Proofs,
        asked: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.is_asking = false;
        let mut named = BTreeSet::new();
        let (mut learned, mut is_unreadable) = (false, false);
        let mut failures = Vec::new();
        for (service, proof) in proofs {
            match proof {
                Ok(name) => {
                    learned |= self.proven.insert(service.clone()) | self.others.remove(&service);
                    if let Some(recipe) = Recipe::of(room, &name) {
                        named.insert(recipe);
                    } else {
                        is_unreadable = true;
                        failures.push(format!("{service} names rooms in a way that is not known here"));
                    }
                }
                Err(why) => {
                    // Whoever stands before another SFU is no name of ours.
                    let is_other = matches!(why, NoProof::OtherSfu(_));
                    learned |=
                        is_other && (self.proven.remove(&service) | self.others.insert(service.clone()));
                    failures.push(format!("{service}: {why}"));
                }
            }
        }
        if is_unreadable {
            // Somebody's room may have any name by now, so nobody's absence counts by it.
            learned |= !self.recipes.is_empty();
            self.recipes.clear();
            named.clear();
        }
        if named.is_empty() {
            let failure = if failures.is_empty() {
                "no authorisation service is named".to_owned()
            } else {
                failures.join("; ")
            };
            if self.failure.as_ref() != Some(&failure) {
                tracing::warn!("it is not known how the call server names its rooms: {failure}");
            }
            self.failure = Some(failure);
            self.next = Some(now + self.pause.next());
            return learned;
        }
        self.recipes.retain(|recipe, _| named.contains(recipe));
        for recipe in named {
            learned |= self.recipes.insert(recipe, asked).is_none();
        }
        (self.is_wanted, self.failure, self.pause) = (false, None, BACKOFF);
        self.next = Some(now + LOOK_AGAIN);
        learned
    }
}
