//! The watch connection: what changes in the rooms, by plain requests, reduced to memberships and what
//! bears on them. The SDK's own sync is never used here: it would upload encryption keys and keep every
//! room.
//!
//! Changes come by `/sync` v2. The view of everything comes by sliding sync (MSC4186) where the server has
//! it, and by `/sync` v2 without a token where it has not; [`SyncBatch::is_current`] tells which. Why not
//! one of them for both, as Synapse 1.163 behaves:
//!
//! - The full view of `/sync` v2 is not the current state of a room whose event graph has forked: 25 keys
//!   too many with a timeline limit of 1, every open key hidden with 50. That of sliding sync is, in one
//!   request for all rooms.
//! - Sliding sync says nothing of a redaction, which is no state change, and neither by whom nor that
//!   somebody else left: such a room only comes with another number of members. `/sync` v2 says both, and
//!   was right in each forked room when it went on from an earlier token.
//!
//! Measured with 10,000 rooms and 5,000 open keys, Synapse on PostgreSQL, on two busy cores:
//!
//! | | sliding sync | `/sync` v2 |
//! | --- | --- | --- |
//! | full view | 11 to 31 s, 13 to 39 CPU seconds, 15.5 MB | 83 to 124 s, 117 to 155 CPU seconds, 18 MB |
//! | full view beside 40 events a second | 64 s | 379 s, and others' writes take up to 39 s |
//! | one look without news | 110 ms, 470 KB: every answer lists all rooms | 22 ms, 143 bytes |
//! | 5 refreshes and 5 messages a second: until one is told, p50, p99 | 311, 1649 ms; 471 KB an answer | 52, 206 ms; 1.5 KB an answer |
//!
//! Both named all rooms and the same open keys, told of each refresh, and woke nobody for messages. Everybody's
//! `m.room.member` could be asked of sliding sync to see who left, but that is most of what a server has; of
//! redactions it has nothing to ask for.
//!
//! A token is taken before the full view is: what happens meanwhile is told twice, and never missed. It is a
//! token of `/sync` v2 either way, so it holds over restarts; a position of sliding sync never leaves here.

pub(super) mod reading;
mod sliding;
mod v2;

use std::time::Duration;

use async_trait::async_trait;

use super::{Homeserver, abilities};
use crate::world::{NeighbourError, ServerAbilities, SyncBatch, Watch};

/// How long an answer may be on its way once the long poll is over.
const GRACE_FOR_AN_ANSWER: Duration = Duration::from_secs(15);

/// How long the server may take to put a full view together: by `/sync` v2 a busy Synapse has needed over 6 min
/// for 10,000 rooms.
const PATIENCE_FOR_A_FULL_VIEW: Duration = Duration::from_mins(10);

/// The watch connection.
#[derive(Debug)]
pub struct HomeserverWatch {
    homeserver: Homeserver,
    /// What the server says that it can do; `None` before it was asked.
    abilities: Option<ServerAbilities>,
}

impl Homeserver {
    /// The stream of changes that this connection sees.
    pub fn watch(&self) -> HomeserverWatch {
        HomeserverWatch { homeserver: self.clone(), abilities: None }
    }
}

#[async_trait]
impl Watch for HomeserverWatch {
    async fn sync(&mut self, since: Option<&str>, timeout: Duration) -> Result<SyncBatch, NeighbourError> {
        match since {
            Some(since) => v2::changes(&self.homeserver, since, timeout).await,
            None => self.everything().await,
        }
    }
}

impl HomeserverWatch {
    async fn everything(&mut self) -> Result<SyncBatch, NeighbourError> {
        let mut known = match self.abilities.take() {
            Some(known) => known,
            None => abilities::ask(&self.homeserver).await?,
        };
        let view = self.view_by(&mut known).await;
        self.abilities = Some(known.clone());
        Ok(SyncBatch { abilities: Some(known), ..view? })
    }

    /// A view of everything by the best that the server has; what it turns out not to have is taken back.
    async fn view_by(&self, known: &mut ServerAbilities) -> Result<SyncBatch, NeighbourError> {
        if known.sliding_sync {
            let position = v2::position(&self.homeserver).await?;
            known.takes_wildcards = Some(position.takes_wildcards());
            match sliding::everything(&self.homeserver, known.sticky_events).await {
                Ok(Some(view)) => return Ok(SyncBatch { next_batch: position.next_batch, ..view }),
                Ok(None) => {
                    tracing::warn!(
                        "the server's sliding sync does not tell of all rooms: going on without it"
                    );
                    known.sliding_sync = false;
                }
                Err(NeighbourError::Refused { status, errcode, message }) => {
                    tracing::warn!("the server refuses sliding sync with {status} {errcode}: {message}");
                    // It may have been switched off; anything else is tried again with the next full view.
                    known.sliding_sync = status != 404 && errcode != "M_UNRECOGNIZED";
                }
                Err(other) => return Err(other),
            }
        }
        let (view, takes_wildcards) = v2::everything(&self.homeserver).await?;
        known.takes_wildcards = Some(takes_wildcards);
        Ok(view)
    }
}
