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
//! Tried with 401 rooms and 600 keys on SQLite: everything takes 0.26 s and 0.9 MB by sliding sync, 0.9 to
//! 2.4 s and 1 MB by `/sync` v2; what changed comes in 0.01 s by either, and messages wake neither.
//! Everybody's `m.room.member` could be asked of sliding sync to see who left, but that is most of what a
//! server has; of redactions it has nothing to ask for.
//!
//! A token is taken before the full view is: what happens meanwhile is told twice, and never missed. It is a
//! token of `/sync` v2 either way, so it holds over restarts; a position of sliding sync never leaves here.

pub(super) mod reading;
mod sliding;
mod v2;

use std::time::Duration;

use async_trait::async_trait;

use super::Homeserver;
use crate::world::{NeighbourError, SyncBatch, Watch};

/// How long an answer may be on its way once the long poll is over.
const GRACE_FOR_AN_ANSWER: Duration = Duration::from_secs(15);

/// How long the server may take to put a full view together: by `/sync` v2 Synapse needs about 6 s for
/// 1000 rooms.
const PATIENCE_FOR_A_FULL_VIEW: Duration = Duration::from_mins(5);

/// The watch connection.
#[derive(Debug)]
pub struct HomeserverWatch {
    homeserver: Homeserver,
    /// What the server says that it has; `None` before it was asked.
    offer: Option<sliding::Offer>,
}

impl Homeserver {
    /// The stream of changes that this connection sees.
    pub fn watch(&self) -> HomeserverWatch {
        HomeserverWatch { homeserver: self.clone(), offer: None }
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
        let offer = match self.offer {
            Some(known) => known,
            None => sliding::offer(&self.homeserver).await?,
        };
        let go_on_with = |sliding_sync| Some(sliding::Offer { sliding_sync, ..offer });
        self.offer = Some(offer);
        if offer.sliding_sync {
            let next_batch = v2::token(&self.homeserver).await?;
            match sliding::everything(&self.homeserver, offer).await {
                Ok(Some(view)) => return Ok(SyncBatch { next_batch, ..view }),
                Ok(None) => {
                    tracing::warn!(
                        "the server's sliding sync does not tell of all rooms: going on without it"
                    );
                    self.offer = go_on_with(false);
                }
                Err(NeighbourError::Refused { status, errcode, message }) => {
                    tracing::warn!("the server refuses sliding sync with {status} {errcode}: {message}");
                    // It may have been switched off; anything else is tried again with the next full view.
                    self.offer = go_on_with(status != 404 && errcode != "M_UNRECOGNIZED");
                }
                Err(other) => return Err(other),
            }
        }
        v2::everything(&self.homeserver).await
    }
}
