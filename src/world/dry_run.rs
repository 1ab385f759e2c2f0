//! Writing for real, or not at all: the same port in two types, so that no `if` in the logic can get
//! it wrong. A dry run takes every step of the real one except the write.

use std::sync::Arc;

use async_trait::async_trait;
use rtc_janitor_core::ids::{EventId, RoomId, StateKey};

use super::{NeighbourError, StateWriter, journal::FindingKind};

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was emptied, by this event.
    Event(EventId),
    /// It was spared: this is a dry run.
    Nothing,
}

/// The last step of a sweep.
#[async_trait]
pub trait Clear: Send + Sync {
    /// Empties a key, or spares it.
    async fn clear(&self, room: &RoomId, key: &StateKey) -> Result<Written, NeighbourError>;

    /// What a report says of a key that got this far.
    fn finding(&self) -> FindingKind;
}

/// Writes for real.
#[derive(Clone)]
pub struct Armed<W>(pub W);

/// Writes nothing.
#[derive(Clone)]
pub struct DryRun<W>(pub W);

#[async_trait]
impl Clear for Armed<Arc<dyn StateWriter>> {
    async fn clear(&self, room: &RoomId, key: &StateKey) -> Result<Written, NeighbourError> {
        self.0.empty_membership(room, key).await.map(Written::Event)
    }

    fn finding(&self) -> FindingKind {
        FindingKind::Cleared
    }
}

#[async_trait]
impl Clear for DryRun<Arc<dyn StateWriter>> {
    async fn clear(&self, _: &RoomId, _: &StateKey) -> Result<Written, NeighbourError> {
        Ok(Written::Nothing)
    }

    fn finding(&self) -> FindingKind {
        FindingKind::WouldClear
    }
}
