//! Being in the admin room, and speaking there.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use matrix_sdk::{
    Room, RoomState,
    config::{SyncSettings, SyncToken},
    ruma::{
        OwnedRoomId, OwnedTransactionId, RoomId as RumaRoomId,
        events::{Mentions, MessageLikeEventType, room::message::RoomMessageEventContent},
        presence::PresenceState,
    },
};
use rtc_janitor_core::{
    ids::{EventId, RoomId},
    render::Message,
};
use tokio::{sync::watch, time::sleep};

use super::{ChatConnection, filter};
use crate::world::{Chat, NeighbourError, homeserver::failure};

/// How long one `/sync` stays open. Outside the room it is also how often joining is tried.
const LONG_POLL: Duration = Duration::from_secs(30);

/// The pause after a failed sync: doubled each time up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Under this name the store keeps the room that its sync token was made for.
const TOKEN_IS_FOR: &[u8] = b"rtc-janitor.token_is_for";

/// The admin room, by its id. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminRoom {
    connection: ChatConnection,
    room_id: OwnedRoomId,
    /// How the last sync went; nothing can be posted before the first.
    state: Arc<watch::Sender<Result<(), NeighbourError>>>,
}

impl ChatConnection {
    /// The admin room. Nothing happens there before [`AdminRoom::run`].
    ///
    /// # Errors
    ///
    /// When the id is none.
    pub fn admin_room(&self, room: &RoomId) -> Result<AdminRoom, NeighbourError> {
        let room_id = RumaRoomId::parse(room.as_str()).map_err(|error| NeighbourError::Refused {
            status: 400,
            errcode: "M_INVALID_PARAM".to_owned(),
            message: format!("{room} is not a room id: {error}"),
        })?;
        let not_yet = NeighbourError::Unreachable("the admin room has not been synced yet".to_owned());
        Ok(AdminRoom { connection: self.clone(), room_id, state: Arc::new(watch::Sender::new(Err(not_yet))) })
    }
}

impl AdminRoom {
    /// Keeps the connection going until `stop` is ready: joins when invited, follows who is in the
    /// room, hands out keys. Waits for everything that may heal.
    ///
    /// # Errors
    ///
    /// Only [`NeighbourError::SignedOut`]: then a new sign-in is needed.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), NeighbourError> {
        tokio::select! {
            () = stop => Ok(()),
            error = self.follow() => Err(error),
        }
    }

    /// Waits until the room has been entered and synced, or for ever.
    pub async fn ready(&self) {
        let mut changes = self.state.subscribe();
        while self.fresh_room().is_err() && changes.changed().await.is_ok() {}
    }

    async fn follow(&self) -> NeighbourError {
        let mut pause = PAUSES.0;
        let mut token = self.first_token().await;
        // Only once it knows how things stand, it may wait for news.
        let mut long_poll = Duration::ZERO;
        loop {
            match self.sync(token.clone(), long_poll).await {
                Ok(inside) => {
                    self.note(if inside { Ok(()) } else { Err(self.not_in_the_room()) });
                    if matches!(token, SyncToken::NoToken) {
                        self.keep_whose_token(self.room_id.as_str()).await;
                    }
                    (token, long_poll, pause) = (SyncToken::ReusePrevious, LONG_POLL, PAUSES.0);
                    if !inside {
                        sleep(PAUSES.0).await;
                    }
                }
                Err(error) => {
                    self.note(Err(error.clone()));
                    match error {
                        NeighbourError::SignedOut(_) => return error,
                        NeighbourError::RateLimited { retry_after } => sleep(retry_after).await,
                        _ => sleep(pause).await,
                    }
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// The token in the store is of use only where it was made with the same filter: the changes
    /// since then would not tell what another room is like.
    async fn first_token(&self) -> SyncToken {
        let kept = self.connection.client.state_store().get_custom_value(TOKEN_IS_FOR).await;
        if kept.ok().flatten().is_some_and(|room| room == self.room_id.as_bytes()) {
            return SyncToken::ReusePrevious;
        }
        // From here on the token is neither room's, until the first sync is through.
        self.keep_whose_token("").await;
        SyncToken::NoToken
    }

    async fn keep_whose_token(&self, room: &str) {
        let store = self.connection.client.state_store();
        if let Err(error) = store.set_custom_value_no_read(TOKEN_IS_FOR, room.as_bytes().to_vec()).await {
            tracing::warn!("the chat store cannot be written: {error}");
        }
    }

    /// One `/sync`, and an attempt to join where the room is not joined after it. False when it is
    /// not let in.
    async fn sync(&self, token: SyncToken, long_poll: Duration) -> Result<bool, NeighbourError> {
        self.sync_once(token, long_poll).await?;
        if self.joined_room().is_ok() {
            return Ok(true);
        }
        match self.connection.client.join_room_by_id(&self.room_id).await {
            // The state of the room comes with the next sync.
            Ok(_) => self.sync_once(SyncToken::ReusePrevious, Duration::ZERO).await.map(|()| true),
            Err(error) => match failure::of_sdk(&error) {
                NeighbourError::Refused { message, .. } => {
                    tracing::debug!(room = %self.room_id, "not let in: {message}");
                    Ok(false)
                }
                other => Err(other),
            },
        }
    }

    async fn sync_once(&self, token: SyncToken, long_poll: Duration) -> Result<(), NeighbourError> {
        let settings = SyncSettings::new()
            .filter(filter::of(&self.room_id).into())
            .token(token)
            .timeout(long_poll)
            .set_presence(PresenceState::Offline);
        let synced = self.connection.client.sync_once(settings).await;
        synced.map(drop).map_err(|error| failure::of_sdk(&error))
    }

    fn not_in_the_room(&self) -> NeighbourError {
        self.refused("is not in the admin room", "invite it there")
    }

    fn refused(&self, what: &str, cure: &str) -> NeighbourError {
        NeighbourError::Refused {
            status: 403,
            errcode: "M_FORBIDDEN".to_owned(),
            message: format!("{} {what} {}: {cure}", self.connection.user_id, self.room_id),
        }
    }

    /// Keeps the result for [`Chat::reachable`], and says in the log when it has changed.
    fn note(&self, result: Result<(), NeighbourError>) {
        self.state.send_modify(|last| {
            if *last == result {
                return;
            }
            match &result {
                Ok(()) => tracing::info!(room = %self.room_id, "in the admin room"),
                Err(error) => {
                    tracing::warn!(room = %self.room_id, "the admin room is out of reach: {error}");
                }
            }
            *last = result;
        });
    }

    fn joined_room(&self) -> Result<Room, NeighbourError> {
        let room = self.connection.client.get_room(&self.room_id);
        room.filter(|room| room.state() == RoomState::Joined).ok_or_else(|| self.not_in_the_room())
    }

    /// The room, when it is joined and what is known of it is fresh.
    fn fresh_room(&self) -> Result<Room, NeighbourError> {
        self.state.borrow().clone()?;
        self.joined_room()
    }
}

#[async_trait]
impl Chat for AdminRoom {
    async fn post(&self, transaction: &str, message: &Message) -> Result<EventId, NeighbourError> {
        let room = self.fresh_room()?;
        let mut content = RoomMessageEventContent::notice_html(&message.plain, &message.html);
        // Present and empty: without it, clients look for names in the text and ping their owners.
        content.mentions = Some(Mentions::new());
        let sent = room.send(content).with_transaction_id(OwnedTransactionId::from(transaction)).await;
        let sent = sent.map_err(|error| failure::of_sdk(&error))?;
        Ok(sent.response.event_id.as_str().into())
    }

    async fn reachable(&self) -> Result<(), NeighbourError> {
        let room = self.fresh_room()?;
        let levels = room.power_levels_or_default().await;
        let me = &self.connection.user_id;
        let kinds = [MessageLikeEventType::RoomMessage, MessageLikeEventType::RoomEncrypted];
        if kinds.into_iter().all(|kind| levels.user_can_send_message(me, kind)) {
            return Ok(());
        }
        Err(self.refused("may not speak in the admin room", "give it the power to"))
    }
}
