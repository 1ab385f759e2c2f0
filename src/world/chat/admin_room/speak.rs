//! Speaking in the admin room, and who is who there.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use matrix_sdk::ruma::{
    OwnedEventId, OwnedTransactionId, OwnedUserId, UserId as RumaUserId,
    events::{
        Mentions, MessageLikeEventType,
        reaction::ReactionEventContent,
        relation::{Annotation, InReplyTo, Reply},
        room::message::{Relation, ReplacementMetadata, RoomMessageEventContent},
    },
};
use rtc_janitor_core::{
    ids::{EventId, RoomId, UserId},
    render::Message,
};

use super::{AdminRoom, room_id};
use crate::world::{Chat, NeighbourError, Post, Rooms as _, Standing, homeserver::failure};

#[async_trait]
impl Chat for AdminRoom {
    async fn post(&self, transaction: &str, post: &Post) -> Result<EventId, NeighbourError> {
        let room = self.fresh_room()?;
        let transaction = OwnedTransactionId::from(transaction);
        let sent = match post {
            Post::Notice { message, reply_to, mentions } => {
                let mut content = notice(message, mentions);
                if let Some(event) = reply_to {
                    content.relates_to = Some(Relation::Reply(Reply::new(InReplyTo::new(event_id(event)?))));
                }
                room.send(content).with_transaction_id(transaction).await
            }
            Post::Edit { message, of, mentions } => {
                let original = ReplacementMetadata::new(event_id(of)?, Some(mentioning(mentions)));
                let content = notice(message, mentions).make_replacement(original);
                room.send(content).with_transaction_id(transaction).await
            }
            Post::Reaction { to, key } => {
                let content = ReactionEventContent::new(Annotation::new(event_id(to)?, key.clone()));
                room.send(content).with_transaction_id(transaction).await
            }
        };
        let sent = sent.map_err(|error| failure::of_sdk(&error));
        if matches!(sent, Err(NeighbourError::Refused { status: 403, .. })) {
            self.is_muted.store(true, Ordering::Relaxed);
        }
        Ok(sent?.response.event_id.as_str().into())
    }

    async fn reachable(&self) -> Result<(), NeighbourError> {
        let room = self.fresh_room()?;
        let is_muted = self.is_muted.load(Ordering::Relaxed);
        let levels = room.power_levels_or_default().await;
        let me = &self.connection.user_id;
        let kinds = [MessageLikeEventType::RoomMessage, MessageLikeEventType::RoomEncrypted];
        if !is_muted && kinds.iter().all(|kind| levels.user_can_send_message(me, kind.clone())) {
            return Ok(());
        }
        // What is kept of the room can be behind; while all is well nothing is asked for.
        let me = self.connection.user_id();
        let power = self.power().await?;
        if power.is_some_and(|power| kinds.iter().all(|kind| power.may_say(&me, &kind.to_string()))) {
            self.is_muted.store(false, Ordering::Relaxed);
            return Ok(());
        }
        Err(self.refused("may not speak in the admin room", "give it the power to"))
    }

    /// By fresh reads: what the SDK keeps of a room can be behind, and who has a say must not be.
    async fn standing(&self, user: &UserId) -> Result<Standing, NeighbourError> {
        let server = self.connection.homeserver();
        let member = server.state_event(&self.id(), "m.room.member", user.as_str()).await?;
        if member.is_none_or(|event| event.content.get("membership") != Some(&"join".into())) {
            return Ok(Standing::Outside);
        }
        let power = self.power().await?;
        Ok(power.map_or(Standing::Outside, |power| Standing::Inside(power.level_of(user))))
    }

    async fn is_somebody_else_now(&self, user: &UserId) -> Result<bool, NeighbourError> {
        if !self.joined_room()?.encryption_state().is_encrypted() {
            return Ok(false);
        }
        let Ok(user) = <&RumaUserId>::try_from(user.as_str()) else { return Ok(true) };
        let identity = self.connection.client.encryption().request_user_identity(user).await;
        let identity = identity.map_err(|error| failure::of_sdk(&error))?;
        Ok(identity.is_some_and(|identity| identity.has_verification_violation()))
    }

    fn move_to(&self, room: &RoomId) -> Result<(), NeighbourError> {
        let room = room_id(room)?;
        self.room_id.send_if_modified(|current| std::mem::replace(current, room.clone()) != room);
        Ok(())
    }

    async fn own_name(&self) -> Option<String> {
        let room = self.joined_room().ok()?;
        let member = room.get_member_no_sync(&self.connection.user_id).await.ok().flatten()?;
        member.display_name().map(str::to_owned)
    }
}

fn notice(message: &Message, mentions: &[UserId]) -> RoomMessageEventContent {
    let mut content = RoomMessageEventContent::notice_html(&message.plain, &message.html);
    content.mentions = Some(mentioning(mentions));
    content
}

/// Present also when empty: without it, clients look for names in the text and ping their owners.
fn mentioning(users: &[UserId]) -> Mentions {
    let users = users.iter().filter_map(|user| OwnedUserId::try_from(user.as_str()).ok());
    Mentions::with_user_ids(users)
}

fn event_id(event: &EventId) -> Result<OwnedEventId, NeighbourError> {
    OwnedEventId::try_from(event.as_str()).map_err(|error| NeighbourError::Refused {
        status: 400,
        errcode: "M_INVALID_PARAM".to_owned(),
        message: format!("{event} is not an event id: {error}"),
    })
}
