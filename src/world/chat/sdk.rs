//! The calls into the SDK that the admin room makes while others wait, each as a plain function.
//!
//! Neither the SDK's client nor its `Room` may stand in an `async` block of ours as itself: whatever is
//! held over an await there, the compiler proves to be `Send` at every place that needs the whole to be,
//! down through all of the SDK, which takes it 5 to 15 s each time. So both are held behind a `dyn`, and the
//! functions return boxed futures; inside an `async` method a box would be too late.

use std::{ops::Deref, sync::Arc};

use futures_util::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use matrix_sdk::{
    Client, Room, RoomState,
    config::SyncSettings,
    deserialized_responses::TimelineEvent,
    ruma::{
        OwnedRoomId, OwnedTransactionId, OwnedUserId, RoomId, UserId,
        events::{
            AnyMessageLikeEventContent, AnySyncTimelineEvent, MessageLikeEventType,
            room::encrypted::OriginalSyncRoomEncryptedEvent,
        },
        serde::Raw,
    },
    sync::SyncResponse,
};
use rtc_janitor_core::ids::EventId;

use crate::world::{NeighbourError, homeserver::failure};

/// Something of the SDK's that may be held over an await.
pub(super) type Shared<T> = Arc<dyn Deref<Target = T> + Send + Sync>;

/// What `answer` comes to, sooner or later.
type Answer<'a, T> = BoxFuture<'a, Result<T, NeighbourError>>;

/// The client, so that it may be held over an await.
pub(super) fn share(client: Client) -> Shared<Client> {
    Arc::new(Box::new(client))
}

/// A room that the account is in, as far as the last sync told.
pub(super) fn joined_room(client: &Client, room: &RoomId) -> Option<Shared<Room>> {
    let room = client.get_room(room).filter(|room| room.state() == RoomState::Joined)?;
    Some(Arc::new(Box::new(room)))
}

/// One `/sync`, its answer taken into the store.
pub(super) fn sync(client: &Client, settings: SyncSettings) -> Answer<'static, SyncResponse> {
    let client = client.clone();
    Box::pin(async move { client.sync_once(settings).await.map_err(|error| failure::of_sdk(&error)) })
}

/// Joins a room.
pub(super) fn join(client: &Client, room: OwnedRoomId) -> Answer<'static, ()> {
    let client = client.clone();
    Box::pin(
        async move { client.join_room_by_id(&room).await.map(drop).map_err(|error| failure::of_sdk(&error)) },
    )
}

/// Sends a message, encrypted where the room is.
pub(super) fn send(
    room: &Room,
    content: AnyMessageLikeEventContent,
    transaction: OwnedTransactionId,
) -> Answer<'_, EventId> {
    let sent = room.send(content).with_transaction_id(transaction).into_future();
    let sent = sent.map_err(|error| failure::of_sdk(&error));
    sent.map_ok(|sent| sent.response.event_id.as_str().into()).boxed()
}

/// Decrypts an event whose key may have come by now.
pub(super) fn decrypt<'a>(
    room: &'a Room,
    event: &'a Raw<AnySyncTimelineEvent>,
) -> BoxFuture<'a, Option<TimelineEvent>> {
    let event: &Raw<OriginalSyncRoomEncryptedEvent> = event.cast_ref_unchecked();
    Box::pin(async move { room.decrypt_event(event, None).await.ok() })
}

/// Whether somebody has the power to send all of these, by what the store knows of the room.
pub(super) fn may_send<'a>(
    room: &'a Room,
    user: &'a UserId,
    kinds: &'a [MessageLikeEventType],
) -> BoxFuture<'a, bool> {
    Box::pin(async move {
        let levels = room.power_levels_or_default().await;
        kinds.iter().all(|kind| levels.user_can_send_message(user, kind.clone()))
    })
}

/// What somebody is called in the room, by what the store knows of it.
pub(super) fn display_name<'a>(room: &'a Room, user: &'a UserId) -> BoxFuture<'a, Option<String>> {
    Box::pin(async move {
        let member = room.get_member_no_sync(user).await.ok().flatten()?;
        member.display_name().map(str::to_owned)
    })
}

/// Whether somebody was verified once and has another identity now, by the keys that the server has now.
pub(super) fn has_changed_identity(client: &Client, user: OwnedUserId) -> Answer<'static, bool> {
    let client = client.clone();
    Box::pin(async move {
        let identity = client.encryption().request_user_identity(&user).await;
        let identity = identity.map_err(|error| failure::of_sdk(&error))?;
        Ok(identity.is_some_and(|identity| identity.has_verification_violation()))
    })
}

/// A value that was kept in the store beside what the SDK keeps there.
pub(super) fn kept(client: &Client, name: &'static [u8]) -> BoxFuture<'static, Option<String>> {
    let client = client.clone();
    Box::pin(async move {
        let value = client.state_store().get_custom_value(name).await.ok().flatten()?;
        String::from_utf8(value).ok()
    })
}

/// Keeps a value in the store.
pub(super) fn keep(client: &Client, name: &'static [u8], value: &str) -> BoxFuture<'static, ()> {
    let (client, value) = (client.clone(), value.as_bytes().to_vec());
    Box::pin(async move {
        if let Err(error) = client.state_store().set_custom_value_no_read(name, value).await {
            tracing::warn!("the chat store cannot be written: {error}");
        }
    })
}
