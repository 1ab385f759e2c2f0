//! A room whose event graph has forked, as Synapse's does after writes at the same instant: its full `/sync`, and a
//! limited one, tell of one branch, where keys are open that are empty by now and living ones are missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    event::Event,
    world::{Room, World},
};
use crate::CALL_MEMBER;

/// What `/sync` tells of a room other than it is.
#[derive(Debug, Default)]
pub(super) struct Fork {
    /// What it shows in place of the current event of a key.
    shown: BTreeMap<Arc<str>, Arc<Event>>,
    /// Keys it does not show at all.
    hidden: BTreeSet<Arc<str>>,
}

impl Room {
    /// The state as a full `/sync` tells it.
    pub(super) fn told_state(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.state.iter().filter_map(|((kind, key), event)| match &self.fork {
            Some(fork) if kind == CALL_MEMBER => {
                let told = fork.shown.get(key).or(Some(event));
                told.filter(|_| !fork.hidden.contains(key))
            }
            _ => Some(event),
        })
    }
}

impl World {
    /// From now on `/sync` tells this room with what these keys hold now, whatever happens to them.
    pub(super) fn keep_showing(&mut self, room: usize, keys: &[String]) {
        for key in keys {
            let Some(event) = self.rooms[room].get(CALL_MEMBER, key).cloned() else { continue };
            let fork = self.rooms[room].fork.get_or_insert_default();
            fork.shown.insert(key.as_str().into(), event);
        }
    }

    /// From now on `/sync` tells this room without these keys.
    pub(super) fn hide(&mut self, room: usize, keys: &[String]) {
        let fork = self.rooms[room].fork.get_or_insert_default();
        fork.hidden.extend(keys.iter().map(|key| Arc::from(key.as_str())));
    }
}
