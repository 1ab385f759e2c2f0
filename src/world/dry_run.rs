//! A dry run: the port that writes, in a type that writes nothing. So no `if` in the logic can get it
//! wrong, and a dry run takes every step of the real one except the write.

use async_trait::async_trait;

use super::{KeyWrite, NeighbourError, StateWriter, Written};

/// Writes nothing.
#[derive(Clone, Copy, Debug)]
pub struct DryRun;

#[async_trait]
impl StateWriter for DryRun {
    async fn clear(&self, _: KeyWrite<'_>) -> Result<Written, NeighbourError> {
        Ok(Written::Nothing)
    }
}
