//! Being in the admin room, and hearing what is said there.

mod speak;

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use matrix_sdk::{
    Room, RoomState,
    config::{SyncSettings, SyncToken},
    deserialized_responses::TimelineEvent,
    ruma::{
        OwnedRoomId, RoomId as RumaRoomId,
        events::{AnySyncTimelineEvent, room::encrypted::OriginalSyncRoomEncryptedEvent},
        presence::PresenceState,
        serde::Raw,
    },
    sync::SyncResponse,
};
use rtc_janitor_core::{ids::RoomId, rtc::state_key::RoomPower};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

use super::{ChatConnection, filter, listen};
use crate::world::{Delivery, Heard, NeighbourError, Rooms as _, Trust, homeserver::failure};

/// How long one `/sync` stays open. Outside the room it is also how often joining is tried.
const LONG_POLL: Duration = Duration::from_secs(30);

/// The pause after a failed sync: doubled each time up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Under this name the store keeps the room that its sync token was made for.
const TOKEN_IS_FOR: &[u8] = b"rtc-janitor.token_is_for";

/// Under this name it keeps the token up to which everything heard is in the journal. The SDK keeps its
/// own before anybody has seen what came with it.
const HANDED_OVER: &[u8] = b"rtc-janitor.handed_over";

/// How long the key of a message may take to arrive; a key may come a little after what it opens.
const KEYS_MAY_TAKE: Duration = Duration::from_secs(10);

/// How long one `/sync` stays open while a key is missing.
const SHORT_POLL: Duration = Duration::from_secs(2);

/// The admin room, by its id. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminRoom {
    connection: ChatConnection,
    /// It can be upgraded.
    room_id: Arc<watch::Sender<OwnedRoomId>>,
    /// How the last sync went; nothing can be posted before the first.
    state: Arc<watch::Sender<Result<(), NeighbourError>>>,
    /// Whether the server has refused a message for want of power, and not been seen to give it since.
    is_muted: Arc<AtomicBool>,
}

/// An encrypted event whose key has not come yet.
struct Undecrypted {
    event: Raw<AnySyncTimelineEvent>,
    since: Instant,
    is_backlog: bool,
}

/// What one `/sync` brought.
struct Synced {
    /// Whether the bot is in the room.
    is_inside: bool,
    events: Vec<TimelineEvent>,
    /// Whether what came may be older than the bot's being there.
    is_backlog: bool,
    next: String,
}

impl ChatConnection {
    /// The admin room. Nothing happens there before [`AdminRoom::run`].
    ///
    /// # Errors
    ///
    /// When the id is none.
    pub fn admin_room(&self, room: &RoomId) -> Result<AdminRoom, NeighbourError> {
        let room_id = room_id(room)?;
        let not_yet = NeighbourError::Unreachable("the admin room has not been synced yet".to_owned());
        Ok(AdminRoom {
            connection: self.clone(),
            room_id: Arc::new(watch::Sender::new(room_id)),
            state: Arc::new(watch::Sender::new(Err(not_yet))),
            is_muted: Arc::default(),
        })
    }
}

impl AdminRoom {
    /// Keeps the connection going until `stop` is ready: joins when invited, follows who is in the
    /// room, hands out keys, and hands over what is said to `ears`. Waits for everything that may heal.
    ///
    /// # Errors
    ///
    /// Only [`NeighbourError::SignedOut`]: then a new sign-in is needed.
    pub async fn run(
        &self,
        ears: mpsc::Sender<Delivery>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), NeighbourError> {
        tokio::select! {
            () = stop => Ok(()),
            error = self.follow(ears) => Err(error),
        }
    }

    /// The room, by the id it has now.
    pub fn id(&self) -> RoomId {
        self.room_id.borrow().as_str().into()
    }

    fn ruma_id(&self) -> OwnedRoomId {
        self.room_id.borrow().clone()
    }

    /// Waits until the room has been entered and synced, or for ever.
    pub async fn ready(&self) {
        let mut changes = self.state.subscribe();
        while self.fresh_room().is_err() && changes.changed().await.is_ok() {}
    }

    async fn follow(&self, ears: mpsc::Sender<Delivery>) -> NeighbourError {
        let mut pause = PAUSES.0;
        let mut token = self.first_token().await;
        // Only once it knows how things stand, it may wait for news.
        let mut long_poll = Duration::ZERO;
        let mut undecrypted = Vec::new();
        // One that came while the bot was away may be in no answer.
        let mut knows_of_upgrade = false;
        let mut room = self.room_id.subscribe();
        loop {
            if room.has_changed().is_ok_and(|changed| changed) {
                room.mark_unchanged();
                (token, long_poll) = (self.first_token().await, Duration::ZERO);
                knows_of_upgrade = false;
            }
            match self.sync(token.clone(), long_poll).await {
                Ok(synced) => {
                    let inside = synced.is_inside;
                    self.note(if inside { Ok(()) } else { Err(self.not_in_the_room()) });
                    let next = synced.next.clone();
                    let mut heard = self.listen(synced, &mut undecrypted).await;
                    if inside
                        && !knows_of_upgrade
                        && let Ok(upgrade) = self.upgrade().await
                    {
                        knows_of_upgrade = true;
                        heard.extend(upgrade);
                    }
                    self.hand_over(heard, &ears).await;
                    // What waits for its key is heard again after a restart.
                    if undecrypted.is_empty() {
                        self.keep(HANDED_OVER, &next).await;
                    }
                    if matches!(token, SyncToken::NoToken) {
                        self.keep(TOKEN_IS_FOR, self.ruma_id().as_str()).await;
                    }
                    long_poll = if undecrypted.is_empty() { LONG_POLL } else { SHORT_POLL };
                    (token, pause) = (SyncToken::ReusePrevious, PAUSES.0);
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

    /// What was said, and what could be decrypted only now. What cannot be for long is told as such.
    async fn listen(&self, synced: Synced, undecrypted: &mut Vec<Undecrypted>) -> Vec<Heard> {
        let Ok(room) = self.joined_room() else { return Vec::new() };
        let is_encrypted = room.encryption_state().is_encrypted();
        let me = &self.connection.user_id;
        let mut heard = Vec::new();
        for waiting in std::mem::take(undecrypted) {
            let event: &Raw<OriginalSyncRoomEncryptedEvent> = waiting.event.cast_ref_unchecked();
            let event = room.decrypt_event(event, None).await.ok();
            let event = event.filter(|event| listen::is_undecrypted(event).is_none());
            match event {
                Some(event) => heard.extend(listen::heard(&event, me, is_encrypted, waiting.is_backlog)),
                None if waiting.since.elapsed() < KEYS_MAY_TAKE => undecrypted.push(waiting),
                None => {
                    let event = TimelineEvent::from_utd(
                        waiting.event,
                        matrix_sdk::deserialized_responses::UnableToDecryptInfo {
                            session_id: None,
                            reason: matrix_sdk::deserialized_responses::UnableToDecryptReason::Unknown,
                        },
                    );
                    heard.extend(listen::heard(&event, me, is_encrypted, waiting.is_backlog));
                }
            }
        }
        let is_backlog = synced.is_backlog;
        let edited = listen::edited(&synced.events);
        for event in synced.events {
            match listen::is_undecrypted(&event) {
                Some(raw) => {
                    undecrypted.push(Undecrypted { event: raw.clone(), since: Instant::now(), is_backlog });
                }
                None => heard.extend(listen::heard(&event, me, is_encrypted, is_backlog)),
            }
        }
        heard.retain(|one| !edited.contains(&(one.sender.clone(), one.event.clone())));
        heard
    }

    /// The upgrade of the room, where there is one.
    async fn upgrade(&self) -> Result<Option<Heard>, NeighbourError> {
        let tombstone = self.connection.homeserver().state_event(&self.id(), "m.room.tombstone", "").await?;
        Ok(tombstone.and_then(|tombstone| {
            Some(Heard {
                what: listen::upgrade(&tombstone.content)?,
                event: tombstone.event_id,
                sender: tombstone.sender,
                at: tombstone.origin_server_ts,
                trust: Trust::Enough,
                is_backlog: true,
            })
        }))
    }

    /// Waits until what was heard is in the journal: only then it may be forgotten here.
    async fn hand_over(&self, heard: Vec<Heard>, ears: &mpsc::Sender<Delivery>) {
        if heard.is_empty() {
            return;
        }
        let (taken, was_taken) = oneshot::channel();
        if ears.send(Delivery { heard, taken }).await.is_ok() {
            // Nobody there to take it means the program is ending; the next start hears it again.
            if was_taken.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The token in the store is of use only where it was made with the same filter: the changes
    /// since then would not tell what another room is like.
    async fn first_token(&self) -> SyncToken {
        if self.kept(TOKEN_IS_FOR).await.is_some_and(|room| room == self.ruma_id().as_str()) {
            return self.kept(HANDED_OVER).await.map_or(SyncToken::ReusePrevious, SyncToken::Specific);
        }
        // From here on the token is neither room's, until the first sync is through.
        self.keep(TOKEN_IS_FOR, "").await;
        SyncToken::NoToken
    }

    async fn kept(&self, name: &[u8]) -> Option<String> {
        let value = self.connection.client.state_store().get_custom_value(name).await.ok().flatten()?;
        String::from_utf8(value).ok()
    }

    async fn keep(&self, name: &[u8], value: &str) {
        let store = self.connection.client.state_store();
        if let Err(error) = store.set_custom_value_no_read(name, value.as_bytes().to_vec()).await {
            tracing::warn!("the chat store cannot be written: {error}");
        }
    }

    /// One `/sync`, and an attempt to join where the room is not joined after it.
    async fn sync(&self, token: SyncToken, long_poll: Duration) -> Result<Synced, NeighbourError> {
        let is_first = matches!(token, SyncToken::NoToken);
        let was_inside = self.joined_room().is_ok();
        let response = self.sync_once(token, long_poll).await?;
        if self.joined_room().is_ok() {
            return Ok(self.synced(response, true, is_first || !was_inside));
        }
        match self.connection.client.join_room_by_id(&self.ruma_id()).await {
            // The state of the room comes with the next sync.
            Ok(_) => {
                let response = self.sync_once(SyncToken::ReusePrevious, Duration::ZERO).await?;
                Ok(self.synced(response, true, true))
            }
            Err(error) => match failure::of_sdk(&error) {
                NeighbourError::Refused { message, .. } => {
                    tracing::debug!(room = %self.id(), "not let in: {message}");
                    Ok(self.synced(response, false, true))
                }
                other => Err(other),
            },
        }
    }

    fn synced(&self, mut response: SyncResponse, is_inside: bool, is_backlog: bool) -> Synced {
        let room = response.rooms.joined.remove(&self.ruma_id());
        let events = room.map(|room| room.timeline.events).unwrap_or_default();
        Synced { is_inside, events, is_backlog, next: response.next_batch }
    }

    async fn sync_once(&self, token: SyncToken, long_poll: Duration) -> Result<SyncResponse, NeighbourError> {
        let settings = SyncSettings::new()
            .filter(filter::of(&self.ruma_id()).into())
            .token(token)
            .timeout(long_poll)
            .set_presence(PresenceState::Offline);
        let synced = self.connection.client.sync_once(settings).await;
        synced.map_err(|error| failure::of_sdk(&error))
    }

    fn not_in_the_room(&self) -> NeighbourError {
        self.refused("is not in the admin room", "invite it there")
    }

    fn refused(&self, what: &str, cure: &str) -> NeighbourError {
        NeighbourError::Refused {
            status: 403,
            errcode: "M_FORBIDDEN".to_owned(),
            message: format!("{} {what} {}: {cure}", self.connection.user_id, self.id()),
        }
    }

    /// Keeps the result for [`Chat::reachable`], and says in the log when it has changed.
    fn note(&self, result: Result<(), NeighbourError>) {
        self.state.send_modify(|last| {
            if *last == result {
                return;
            }
            match &result {
                Ok(()) => tracing::info!(room = %self.id(), "in the admin room"),
                Err(error) => {
                    tracing::warn!(room = %self.id(), "the admin room is out of reach: {error}");
                }
            }
            *last = result;
        });
    }

    /// Who may do what there, read afresh; `None` where the room has no `m.room.create`.
    async fn power(&self) -> Result<Option<RoomPower>, NeighbourError> {
        let (room, server) = (self.id(), self.connection.homeserver());
        let Some(create) = server.state_event(&room, "m.room.create", "").await? else { return Ok(None) };
        let levels = server.state_event(&room, "m.room.power_levels", "").await?.map(|event| event.content);
        // When it was read plays no part here.
        let read_at = create.origin_server_ts;
        Ok(Some(RoomPower::new(&create.content, &create.sender, levels.as_ref(), read_at)))
    }

    fn joined_room(&self) -> Result<Room, NeighbourError> {
        let room = self.connection.client.get_room(&self.ruma_id());
        room.filter(|room| room.state() == RoomState::Joined).ok_or_else(|| self.not_in_the_room())
    }

    /// The room, when it is joined and what is known of it is fresh.
    fn fresh_room(&self) -> Result<Room, NeighbourError> {
        self.state.borrow().clone()?;
        self.joined_room()
    }
}

fn room_id(room: &RoomId) -> Result<OwnedRoomId, NeighbourError> {
    RumaRoomId::parse(room.as_str()).map_err(|error| NeighbourError::Refused {
        status: 400,
        errcode: "M_INVALID_PARAM".to_owned(),
        message: format!("{room} is not a room id: {error}"),
    })
}
