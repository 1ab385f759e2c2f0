//! Who was alive lately, and who of them turned stale at once by the word of which neighbour.
//!
//! Counts are kept as owners change, so that a look at one room of ten thousand costs one room's work.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use crate::{
    judge::{
        evidence::ListKind,
        policy::Neighbour,
        verdict::{Judgement, Verdict},
    },
    rtc::membership::Owner,
    time::Timestamp,
};

/// Owners count as living for this long after they were last judged active.
pub(super) const LIVING: Duration = Duration::from_mins(10);

/// What was concluded of one membership: its owner, and which kind of list tells of the owner's devices.
pub type Judged<'a> = (&'a Owner, ListKind, &'a Judgement);

/// What one sweep said of each owner. One may have several memberships; any that is active makes it
/// living.
#[derive(Default)]
pub(super) struct Looks<'a>(BTreeMap<&'a Owner, Look>);

struct Look {
    /// Which kind of list tells of its devices.
    list: ListKind,
    is_active: bool,
    is_unknown: bool,
    /// By whose word any of its memberships is stale.
    stale_by: BTreeSet<Neighbour>,
}

impl<'a> Looks<'a> {
    pub(super) fn gather(judged: impl IntoIterator<Item = Judged<'a>>) -> Self {
        let mut looks = Self::default();
        for (owner, list, judgement) in judged {
            let look = looks.0.entry(owner).or_insert_with(|| Look {
                list,
                is_active: false,
                is_unknown: false,
                stale_by: BTreeSet::new(),
            });
            look.is_active |= judgement.verdict == Verdict::Active;
            look.is_unknown |= matches!(judgement.verdict, Verdict::Unknown(_));
            look.stale_by.extend(judgement.reasons().filter_map(|(reason, _)| reason.neighbour()));
        }
        looks
    }
}

/// What is remembered of one owner.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When it was last judged active; `None` once it turned stale.
    active: Option<Timestamp>,
    /// When it was last judged at all: time in which nobody looked makes nobody less alive.
    looked: Timestamp,
    /// Whether it has an open membership.
    is_here: bool,
    list: ListKind,
}

impl Seen {
    fn is_living_at(&self, looked: Timestamp) -> bool {
        self.active.is_some_and(|active| looked.since(active) <= LIVING)
    }

    fn counts(&self) -> bool {
        self.is_here && self.is_living_at(self.looked)
    }
}

/// An owner who turned stale lately.
#[derive(Clone, Debug)]
struct Turned {
    at: Timestamp,
    by: BTreeSet<Neighbour>,
    list: ListKind,
}

/// How many owners there are whose devices one kind of list tells.
#[derive(Clone, Debug, Default)]
struct Counts {
    /// Who count as living.
    living: usize,
    /// Who turned stale lately.
    turned: usize,
    /// Of those, by the word of each neighbour.
    turned_by: BTreeMap<Neighbour, usize>,
}

/// So many have turned stale at once by the word of a neighbour, of so many who were living.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) neighbour: Neighbour,
    pub(super) turned: usize,
    pub(super) living: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Living {
    owners: HashMap<Owner, Seen>,
    /// By the kind of list that tells of their devices.
    counts: BTreeMap<ListKind, Counts>,
    /// Those who left, by when; they are forgotten when they no longer count as living.
    gone: BTreeSet<(Timestamp, Owner)>,
    /// Who turned stale lately.
    turned: HashMap<Owner, Turned>,
    /// The same in order of time; some of them have been forgotten since.
    order: VecDeque<(Timestamp, Owner)>,
    last_sweep: Option<Timestamp>,
}

impl Living {
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.owners.len()
    }

    /// All who have an open membership and are not among these.
    pub(super) fn here_without(&self, looks: &Looks<'_>) -> Vec<Owner> {
        let here = self.owners.iter().filter(|(owner, seen)| seen.is_here && !looks.0.contains_key(owner));
        here.map(|(owner, _)| owner.clone()).collect()
    }

    pub(super) fn hung_up(&mut self, owner: &Owner, now: Timestamp) {
        if let Some(seen) = self.owners.get(owner).copied().filter(|seen| seen.is_here) {
            self.put(owner, Seen { is_here: false, looked: now, ..seen });
            self.gone.insert((now, owner.clone()));
        }
    }

    /// Takes in what was judged; returns how many of the living have turned stale at once by the word of each
    /// neighbour by which anybody turned just now: who turned before was counted then.
    ///
    /// They are counted among everybody; and of those of whom one kind of device list tells by themselves, too, for a
    /// kind that is wrong is wrong about them, however many others there are.
    pub(super) fn take_in(&mut self, looks: &Looks<'_>, at_once: Duration, now: Timestamp) -> Vec<Loss> {
        let last_sweep = self.last_sweep.replace(now).map_or(now, |last| last.min(now));
        self.forget(at_once, now, last_sweep);
        // Who comes back within 10 min was alive all the time.
        for owner in looks.0.keys() {
            if let Some(seen) = self.owners.get(*owner).copied().filter(|seen| !seen.is_here) {
                let back = Seen { is_here: true, looked: last_sweep, ..seen };
                self.put(owner, back);
            }
        }
        let were_living: BTreeMap<_, _> =
            self.counts.iter().map(|(list, counts)| (*list, counts.living + counts.turned)).collect();
        let mut words = BTreeSet::new();
        for (owner, look) in &looks.0 {
            if self.turns(owner, look, now) {
                words.extend(look.stale_by.iter().map(|by| (*by, None)));
                let by_a_list = look.stale_by.get(&Neighbour::DeviceLists);
                words.extend(by_a_list.map(|by| (*by, Some(look.list))));
            }
        }
        let loss = |(neighbour, only): (Neighbour, Option<ListKind>)| {
            let told = self.counts.iter().filter(|(list, _)| only.is_none_or(|only| only == **list));
            let turned = told.clone().filter_map(|(_, counts)| counts.turned_by.get(&neighbour)).sum();
            let living = told.filter_map(|(list, _)| were_living.get(list)).sum();
            Loss { neighbour, turned, living }
        };
        words.into_iter().map(loss).collect()
    }

    /// Takes in how one owner was judged; whether it has turned stale by it.
    fn turns(&mut self, owner: &Owner, look: &Look, now: Timestamp) -> bool {
        let before = self.owners.get(owner).copied();
        let active = before.and_then(|seen| seen.active);
        if look.is_active {
            self.turned_no_more(owner);
            self.put(owner, Seen { active: Some(now), looked: now, is_here: true, list: look.list });
        } else if look.is_unknown && look.stale_by.is_empty() {
            // While a neighbour cannot be asked, whoever was alive is taken to be.
            if before.is_some_and(|seen| seen.counts()) {
                self.put(owner, Seen { active: Some(now), looked: now, is_here: true, list: look.list });
            }
        } else if !look.stale_by.is_empty() {
            // What was judged alive at this very moment in another room is.
            if active == Some(now) {
                return false;
            }
            let turns = before.is_some_and(|seen| seen.counts());
            if turns {
                let counts = self.counts.entry(look.list).or_default();
                counts.turned += 1;
                for neighbour in &look.stale_by {
                    *counts.turned_by.entry(*neighbour).or_default() += 1;
                }
                let turned = Turned { at: now, by: look.stale_by.clone(), list: look.list };
                self.turned.insert(owner.clone(), turned);
                self.order.push_back((now, owner.clone()));
            }
            self.put(owner, Seen { active: None, looked: now, is_here: true, list: look.list });
            return turns;
        } else if let Some(seen) = before {
            self.put(owner, Seen { looked: now, ..seen });
        }
        false
    }

    fn turned_no_more(&mut self, owner: &Owner) {
        let Some(Turned { by, list, .. }) = self.turned.remove(owner) else { return };
        let counts = self.counts.entry(list).or_default();
        counts.turned = counts.turned.saturating_sub(1);
        for neighbour in by {
            if let Some(count) = counts.turned_by.get_mut(&neighbour) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn put(&mut self, owner: &Owner, seen: Seen) {
        let before = self.owners.insert(owner.clone(), seen);
        self.counts.entry(seen.list).or_default().living += usize::from(seen.counts());
        if let Some(before) = before.filter(Seen::counts) {
            self.counts.entry(before.list).or_default().living -= 1;
        }
    }

    /// Forgets what no longer matters. Time in which nobody looked does not count.
    fn forget(&mut self, at_once: Duration, now: Timestamp, last_sweep: Timestamp) {
        while let Some((at, owner)) = self.order.pop_front_if(|(at, _)| now.since(*at) >= at_once) {
            if self.turned.get(&owner).is_some_and(|turned| turned.at == at) {
                self.turned_no_more(&owner);
            }
        }
        while self.gone.first().is_some_and(|(at, _)| last_sweep.since(*at) > LIVING) {
            let Some((at, owner)) = self.gone.pop_first() else { return };
            // It may have come and gone again since.
            if self.owners.get(&owner).is_some_and(|seen| !seen.is_here && seen.looked == at) {
                self.owners.remove(&owner);
            }
        }
    }
}
