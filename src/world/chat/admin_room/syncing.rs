//! One `/sync` of the admin room: from which token, what came, and whether the bot is in the room after it.

use std::time::Duration;

use matrix_sdk::{
    config::{SyncSettings, SyncToken},
    deserialized_responses::TimelineEvent,
    ruma::presence::PresenceState,
    sync::SyncResponse,
};

use super::AdminRoom;
use crate::world::{
    NeighbourError,
    chat::{filter, sdk},
};

/// Under this name the store keeps the room that its sync token was made for.
const TOKEN_IS_FOR: &[u8] = b"rtc-janitor.token_is_for";

/// Under this name it keeps the token up to which everything heard is in the journal. The SDK keeps its
/// own before anybody has seen what came with it.
const HANDED_OVER: &[u8] = b"rtc-janitor.handed_over";

/// What one `/sync` brought.
pub(super) struct Synced {
    /// Whether the bot is in the room; in the server's own words why it is not let in.
    pub(super) inside: Result<(), String>,
    pub(super) events: Vec<TimelineEvent>,
    /// Whether what came may be older than the bot's being there.
    pub(super) is_backlog: bool,
    pub(super) next: String,
}

impl AdminRoom {
    /// The token in the store is of use only where it was made with the same filter: the changes
    /// since then would not tell what another room is like.
    pub(super) async fn first_token(&self) -> SyncToken {
        if sdk::kept(&self.connection.client, TOKEN_IS_FOR)
            .await
            .is_some_and(|room| room == self.ruma_id().as_str())
        {
            return sdk::kept(&self.connection.client, HANDED_OVER)
                .await
                .map_or(SyncToken::ReusePrevious, SyncToken::Specific);
        }
        self.forget_token().await
    }

    /// From here on the token in the store is no room's, until the first sync without one is through.
    pub(super) async fn forget_token(&self) -> SyncToken {
        sdk::keep(&self.connection.client, TOKEN_IS_FOR, "").await;
        SyncToken::NoToken
    }

    /// One `/sync`, and an attempt to join where the room is not joined after it.
    pub(super) async fn sync(&self, token: SyncToken, long_poll: Duration) -> Result<Synced, NeighbourError> {
        let is_first = matches!(token, SyncToken::NoToken);
        let was_inside = self.joined_room().is_ok();
        let response = self.sync_once(token, long_poll).await?;
        if self.joined_room().is_ok() {
            return Ok(self.synced(response, Ok(()), is_first || !was_inside));
        }
        match sdk::join(&self.connection.client, self.ruma_id()).await {
            // The state of the room comes with the next sync.
            Ok(()) => {
                let response = self.sync_once(SyncToken::ReusePrevious, Duration::ZERO).await?;
                Ok(self.synced(response, Ok(()), true))
            }
            Err(NeighbourError::Refused { message, .. }) => Ok(self.synced(response, Err(message), true)),
            Err(other) => Err(other),
        }
    }

    fn synced(&self, mut response: SyncResponse, inside: Result<(), String>, is_backlog: bool) -> Synced {
        let room = response.rooms.joined.remove(&self.ruma_id());
        let events = room.map(|room| room.timeline.events).unwrap_or_default();
        Synced { inside, events, is_backlog, next: response.next_batch }
    }

    async fn sync_once(&self, token: SyncToken, long_poll: Duration) -> Result<SyncResponse, NeighbourError> {
        let settings = SyncSettings::new()
            .filter(filter::of(&self.ruma_id()).into())
            .token(token)
            .timeout(long_poll)
            .set_presence(PresenceState::Offline);
        sdk::sync(&self.connection.client, settings).await
    }

    /// What was heard with this answer need not be heard again: the next start goes on from here.
    pub(super) async fn keep_token(&self, next: &str) {
        sdk::keep(&self.connection.client, HANDED_OVER, next).await;
    }

    /// A sync without a token is through: what is in the store is of this room.
    pub(super) async fn keep_room_of_token(&self) {
        sdk::keep(&self.connection.client, TOKEN_IS_FOR, self.ruma_id().as_str()).await;
    }
}

/// Whether a refusal of `/sync` may be meant for the token: Synapse says 400 `M_UNKNOWN` of one that it
/// cannot read, as after going back to an older version or to another implementation.
pub(super) fn is_about_the_token(error: &NeighbourError) -> bool {
    matches!(error, NeighbourError::Refused { status, .. } if *status != 403)
}
