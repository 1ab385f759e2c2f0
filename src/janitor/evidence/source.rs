//! A source of evidence: what it said and when, and whether it can be believed now.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, time::Duration};

use rtc_janitor_core::time::Timestamp;

/// After a source was away for longer than this, what it says is not believed at once.
const LONG_GAP: Duration = Duration::from_mins(2);

/// For how long its reasons gain no sightings then: clients have to reconnect, too.
const SETTLING: Duration = Duration::from_mins(5);

/// Something that was observed, and when.
#[derive(Clone, Debug)]
pub(super) struct Fact<T> {
    pub(super) value: T,
    pub(super) at: Timestamp,
}

/// Facts by what they are about.
#[derive(Debug)]
pub(super) struct Source<K, T> {
    facts: HashMap<K, Fact<T>>,
}

impl<K, T> Default for Source<K, T> {
    fn default() -> Self {
        Self { facts: HashMap::new() }
    }
}

impl<K: Eq + Hash, T> Source<K, T> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, about: &Q) -> Option<&Fact<T>>
    where
        K: Borrow<Q>,
    {
        self.facts.get(about)
    }

    pub(super) fn put(&mut self, about: K, value: T, at: Timestamp) {
        self.facts.insert(about, Fact { value, at });
    }

    pub(super) fn forget<Q: Eq + Hash + ?Sized>(&mut self, about: &Q)
    where
        K: Borrow<Q>,
    {
        self.facts.remove(about);
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.facts.retain(|about, _| keep(about));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Fact<T>)> {
        self.facts.iter()
    }
}

/// Whether a source answers, and since when.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::janitor) struct Health {
    away_since: Option<Timestamp>,
    settles_at: Option<Timestamp>,
}

impl Health {
    /// It did not answer.
    pub(in crate::janitor) fn failed(&mut self, now: Timestamp) {
        self.away_since.get_or_insert(now);
    }

    /// It answered; true when it had been away for so long that it is not believed at once.
    pub(in crate::janitor) fn answered(&mut self, now: Timestamp) -> bool {
        let was_long = self.away_since.take().is_some_and(|since| now.since(since) > LONG_GAP);
        if was_long {
            self.settles_at = Some(now + SETTLING);
        }
        was_long
    }

    /// Since when it does not answer.
    pub(in crate::janitor) fn away_since(&self) -> Option<Timestamp> {
        self.away_since
    }

    /// Whether it did not answer when it was last asked.
    pub(in crate::janitor) fn is_away(&self) -> bool {
        self.away_since.is_some()
    }

    /// Whether it was away for long and is only just back.
    pub(in crate::janitor) fn is_settling(&self, now: Timestamp) -> bool {
        self.settles_at(now).is_some()
    }

    /// When it is believed again, while it is not.
    pub(in crate::janitor) fn settles_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.settles_at.filter(|at| now < *at)
    }
}
