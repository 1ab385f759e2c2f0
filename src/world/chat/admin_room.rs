//! Being in the admin room, and hearing what is said there.

mod history;
mod speak;
mod syncing;
mod threads;

use std::{future::Future, sync::Arc, time::Duration};

use matrix_sdk::{
    Room,
    config::SyncToken,
    deserialized_responses::TimelineEvent,
    ruma::{OwnedRoomId, RoomId as RumaRoomId, events::AnySyncTimelineEvent, serde::Raw},
};
use rtc_janitor_core::{ids::RoomId, rtc::state_key::RoomPower};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

use self::{
    syncing::{Synced, is_about_the_token},
    threads::Threads,
};
use super::{
    ChatConnection, listen,
    sdk::{self, Shared},
};
use crate::world::{EventBatch, NeighbourError, RoomEvent, Rooms as _, Trust, backoff::Backoff};

/// How long one `/sync` stays open. Outside the room it is also how often joining is tried.
const LONG_POLL: Duration = Duration::from_secs(30);

/// The pauses after failed syncs.
const BACKOFF: Backoff = Backoff::new(OUTSIDE, Duration::from_secs(30));

/// The pause between two syncs while the device is not in the room.
const OUTSIDE: Duration = Duration::from_secs(1);

/// How long after a sync the admin room counts as heard: three long polls.
const ANSWER_HOLDS: Duration = Duration::from_secs(90);

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
    /// When the last sync answered: a task that hangs must not be taken for one that waits for news.
    answered_at: Arc<watch::Sender<Option<Instant>>>,
    /// Why the last message was not taken, until one is.
    not_taken: Arc<watch::Sender<Option<NeighbourError>>>,
    /// In which threads commands came.
    threads: Arc<watch::Sender<Threads>>,
}

/// An encrypted event whose key has not come yet.
struct Undecrypted {
    event: Raw<AnySyncTimelineEvent>,
    since: Instant,
    is_backlog: bool,
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
            answered_at: Arc::default(),
            threads: Arc::default(),
            not_taken: Arc::default(),
        })
    }
}

impl AdminRoom {
    /// Keeps the connection going until `stop` is ready: joins when invited, follows who is in the
    /// room, hands out keys, and hands over what is said to `events`. Waits for everything that may heal.
    ///
    /// # Errors
    ///
    /// Only [`NeighbourError::SignedOut`]: then a new sign-in is needed.
    pub async fn run(
        &self,
        events: mpsc::Sender<EventBatch>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), NeighbourError> {
        tokio::select! {
            () = stop => Ok(()),
            error = self.follow(events) => Err(error),
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

    async fn follow(&self, events: mpsc::Sender<EventBatch>) -> NeighbourError {
        let mut backoff = BACKOFF;
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
                    self.answered_at.send_replace(Some(Instant::now()));
                    let inside = synced.inside.is_ok();
                    self.note(synced.inside.clone().map_err(|why| self.not_in_the_room(Some(&why))));
                    let next = synced.next.clone();
                    let mut heard = self.listen(synced, &mut undecrypted).await;
                    if inside
                        && !knows_of_upgrade
                        && let Ok(upgrade) = self.upgrade().await
                    {
                        knows_of_upgrade = true;
                        heard.extend(upgrade);
                    }
                    self.hand_over(heard, &events).await;
                    // What waits for its key is heard again after a restart.
                    if undecrypted.is_empty() {
                        self.keep_token(&next).await;
                    }
                    if matches!(token, SyncToken::NoToken) {
                        self.keep_room_of_token().await;
                    }
                    long_poll = if undecrypted.is_empty() { LONG_POLL } else { SHORT_POLL };
                    (token, backoff) = (SyncToken::ReusePrevious, BACKOFF);
                    if !inside {
                        sleep(OUTSIDE).await;
                    }
                }
                Err(error) => {
                    self.note(Err(error.clone()));
                    if is_about_the_token(&error) && !matches!(token, SyncToken::NoToken) {
                        tracing::warn!(
                            "the homeserver no longer takes the chat device's sync token: beginning anew"
                        );
                        token = self.forget_token().await;
                        long_poll = Duration::ZERO;
                    }
                    if matches!(error, NeighbourError::SignedOut(_)) {
                        return error;
                    }
                    sleep(backoff.after(&error)).await;
                }
            }
        }
    }

    /// What was said, and what could be decrypted only now. What cannot be for long is told as such.
    async fn listen(&self, synced: Synced, undecrypted: &mut Vec<Undecrypted>) -> Vec<RoomEvent> {
        let Ok(room) = self.joined_room() else { return Vec::new() };
        let is_encrypted = (**room).encryption_state().is_encrypted();
        let me = &self.connection.user_id;
        let mut heard = Vec::new();
        for waiting in std::mem::take(undecrypted) {
            let event = sdk::decrypt(&room, &waiting.event).await;
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
        for (event, root) in heard.iter().filter_map(|one| Some((&one.event, one.thread.as_ref()?))) {
            self.threads.send_modify(|threads| threads.note(event.clone(), root.clone()));
        }
        heard
    }

    /// The upgrade of the room, where there is one.
    async fn upgrade(&self) -> Result<Option<RoomEvent>, NeighbourError> {
        let tombstone = self.connection.homeserver().state_event(&self.id(), "m.room.tombstone", "").await?;
        Ok(tombstone.and_then(|tombstone| {
            Some(RoomEvent {
                what: listen::upgrade(&tombstone.content)?,
                event: tombstone.event_id,
                sender: tombstone.sender,
                at: tombstone.origin_server_ts,
                trust: Trust::Enough,
                is_backlog: true,
                thread: None,
            })
        }))
    }

    /// Waits until what was heard is in the journal: only then it may be forgotten here.
    async fn hand_over(&self, events: Vec<RoomEvent>, batches: &mpsc::Sender<EventBatch>) {
        if events.is_empty() {
            return;
        }
        let (ack, was_taken) = oneshot::channel();
        if batches.send(EventBatch { events, ack }).await.is_ok() {
            // Nobody there to take it means the program is ending; the next start hears it again.
            if was_taken.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn not_in_the_room(&self, why: Option<&str>) -> NeighbourError {
        let (me, room) = (&self.connection.user_id, self.id());
        NeighbourError::NotInRoom(match why {
            None => format!("{me} is not in the admin room {room}: invite it there"),
            Some(why) => format!(
                "{me} is not in the admin room {room}: invite it there, after lifting a ban if there is one \
                 (the homeserver says: {why})"
            ),
        })
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

    fn joined_room(&self) -> Result<Shared<Room>, NeighbourError> {
        sdk::joined_room(&self.connection.client, &self.ruma_id()).ok_or_else(|| self.not_in_the_room(None))
    }

    /// The room, when it is joined and what is known of it is fresh.
    fn fresh_room(&self) -> Result<Shared<Room>, NeighbourError> {
        self.state.borrow().clone()?;
        let silent_for = self.answered_at.borrow().map(|at| at.elapsed()).unwrap_or_default();
        if silent_for > ANSWER_HOLDS {
            let shown = humantime::format_duration(Duration::from_secs(silent_for.as_secs()));
            let why = format!("the admin room has not been synced for {shown}");
            return Err(NeighbourError::Unreachable(why));
        }
        self.joined_room()
    }
}

fn room_id(room: &RoomId) -> Result<OwnedRoomId, NeighbourError> {
    RumaRoomId::parse(room.as_str())
        .map_err(|error| NeighbourError::Invalid(format!("{room} is not a room id: {error}")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use matrix_sdk::{Client, ruma::OwnedUserId};

    use super::*;
    use crate::world::chat::ChatSettings;

    #[tokio::test(start_paused = true)]
    async fn a_room_that_was_not_synced_for_90_s_is_out_of_reach() {
        let client = Client::builder().homeserver_url("http://localhost").build().await.unwrap();
        let connection = ChatConnection {
            client: sdk::share(client),
            user_id: OwnedUserId::try_from("@bot:hs").unwrap(),
            password: None,
            settings: ChatSettings { store: PathBuf::new(), passphrase: None, recovery_key: None },
        };
        let room = connection.admin_room(&"!admin:hs".into()).unwrap();
        let answers = |room: &AdminRoom| match room.fresh_room() {
            // It is synced, but that the account is in it the SDK has not heard.
            Err(NeighbourError::NotInRoom(_)) => true,
            Err(NeighbourError::Unreachable(_)) => false,
            other => panic!("{:?}", other.map(drop)),
        };
        assert!(!answers(&room), "before the first sync");

        let _ = room.state.send_replace(Ok(()));
        room.answered_at.send_replace(Some(Instant::now()));
        tokio::time::advance(Duration::from_secs(89)).await;
        assert!(answers(&room));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!answers(&room));
        room.answered_at.send_replace(Some(Instant::now()));
        assert!(answers(&room));
    }
}
