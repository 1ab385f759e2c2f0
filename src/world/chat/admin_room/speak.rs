//! Speaking in the admin room, and who is who there.

use async_trait::async_trait;
use matrix_sdk::ruma::{
    OwnedEventId, OwnedTransactionId, OwnedUserId, UserId as RumaUserId,
    events::{
        AnyMessageLikeEventContent, Mentions, MessageLikeEventType,
        reaction::ReactionEventContent,
        relation::{Annotation, InReplyTo, Reply, Thread},
        room::message::{Relation, ReplacementMetadata, RoomMessageEventContent},
    },
};
use rtc_janitor_core::{
    ids::{EventId, RoomId, UserId},
    render::Message,
};

use super::{AdminRoom, history, room_id, sdk};
use crate::world::{Chat, NeighbourError, Post, Rooms as _, Standing};

#[async_trait]
impl Chat for AdminRoom {
    async fn post(&self, transaction: &str, post: &Post) -> Result<EventId, NeighbourError> {
        let room = self.fresh_room()?;
        let transaction = OwnedTransactionId::from(transaction);
        let sent = sdk::send(&room, self.content(post)?, transaction).await;
        // A room may allow no reactions, and messages all the same.
        if !matches!(post, Post::Reaction { .. }) {
            self.note_sent(&sent);
        }
        // What answers this stays in the thread, too.
        if let (Ok(event), Post::Notice { reply_to: Some(answered), .. }) = (&sent, post) {
            self.threads.send_if_modified(|threads| threads.follow(event, answered));
        }
        sent
    }

    async fn reachable(&self) -> Result<(), NeighbourError> {
        let room = self.fresh_room()?;
        let not_taken = self.not_taken.borrow().clone();
        let kinds = [MessageLikeEventType::RoomMessage, MessageLikeEventType::RoomEncrypted];
        if not_taken.is_none() && sdk::may_send(&room, &self.connection.user_id, &kinds).await {
            return Ok(());
        }
        // What is kept of the room can be behind; while all is well nothing is asked for.
        let me = self.connection.user_id();
        let power = self.power().await?;
        if power.is_none_or(|power| !kinds.iter().all(|kind| power.may_say(&me, &kind.to_string()))) {
            return Err(NeighbourError::NotAllowed(format!(
                "{me} may not speak in the admin room {}: give it the power to",
                self.id()
            )));
        }
        not_taken.map_or(Ok(()), Err)
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

    async fn identity_changed(&self, user: &UserId) -> Result<bool, NeighbourError> {
        if !(**self.joined_room()?).encryption_state().is_encrypted() {
            return Ok(false);
        }
        let Ok(user) = RumaUserId::parse(user.as_str()) else { return Ok(true) };
        sdk::has_changed_identity(&self.connection.client, user).await
    }

    async fn has_spoken_before(&self) -> Result<bool, NeighbourError> {
        history::has_spoken(&self.connection.homeserver(), &self.id()).await
    }

    fn move_to(&self, room: &RoomId) -> Result<(), NeighbourError> {
        let room = room_id(room)?;
        self.room_id.send_if_modified(|current| std::mem::replace(current, room.clone()) != room);
        Ok(())
    }

    async fn own_name(&self) -> Option<String> {
        let room = self.joined_room().ok()?;
        sdk::display_name(&room, &self.connection.user_id).await
    }
}

impl AdminRoom {
    /// Whoever cannot be told must not be written for, whatever code it is refused with. What is only
    /// slowed down, or was never sent, says nothing.
    fn note_sent(&self, sent: &Result<EventId, NeighbourError>) {
        match sent {
            Ok(_) => {
                self.not_taken.send_replace(None);
            }
            Err(
                error @ (NeighbourError::Refused { .. }
                | NeighbourError::Unreachable(_)
                | NeighbourError::Redirected(_)),
            ) => {
                self.not_taken.send_replace(Some(error.clone()));
            }
            Err(_) => {}
        }
    }

    fn content(&self, post: &Post) -> Result<AnyMessageLikeEventContent, NeighbourError> {
        let thread_of = |event: &EventId| self.threads.borrow().root_of(event).cloned();
        let me = self.connection.user_id();
        content(post, me.server_name(), thread_of)
    }
}

/// What is sent from this server; an answer stays in the thread of what it answers.
fn content(
    post: &Post,
    server: Option<&str>,
    thread_of: impl Fn(&EventId) -> Option<EventId>,
) -> Result<AnyMessageLikeEventContent, NeighbourError> {
    // Whoever is on another server cannot enter a room without one that is in it.
    let linked =
        |message: &Message| server.map_or_else(|| message.clone(), |server| message.by_way_of(server));
    Ok(match post {
        Post::Notice { message, reply_to, mentions, is_alarm } => {
            let message = linked(message);
            let mut content = if *is_alarm { text(&message, mentions) } else { notice(&message, mentions) };
            if let Some(event) = reply_to {
                content.relates_to = Some(match thread_of(event) {
                    Some(root) => Relation::Thread(Thread::reply(event_id(&root)?, event_id(event)?)),
                    None => Relation::Reply(Reply::new(InReplyTo::new(event_id(event)?))),
                });
            }
            content.into()
        }
        Post::Edit { message, of, mentions } => {
            let original = ReplacementMetadata::new(event_id(of)?, Some(mentioning(mentions)));
            notice(&linked(message), mentions).make_replacement(original).into()
        }
        Post::Reaction { to, key } => {
            ReactionEventContent::new(Annotation::new(event_id(to)?, key.clone())).into()
        }
    })
}

fn text(message: &Message, mentions: &[UserId]) -> RoomMessageEventContent {
    let mut content = RoomMessageEventContent::text_html(&message.plain, message.html.as_str());
    content.mentions = Some(mentioning(mentions));
    content
}

fn notice(message: &Message, mentions: &[UserId]) -> RoomMessageEventContent {
    let mut content = RoomMessageEventContent::notice_html(&message.plain, message.html.as_str());
    content.mentions = Some(mentioning(mentions));
    content
}

/// Present also when empty: without it, clients look for names in the text and ping their owners.
fn mentioning(users: &[UserId]) -> Mentions {
    let users = users.iter().filter_map(|user| OwnedUserId::try_from(user.as_str()).ok());
    Mentions::with_user_ids(users)
}

fn event_id(event: &EventId) -> Result<OwnedEventId, NeighbourError> {
    OwnedEventId::try_from(event.as_str())
        .map_err(|error| NeighbourError::Invalid(format!("{event} is not an event id: {error}")))
}

#[cfg(test)]
mod tests {
    use rtc_janitor_core::render::message;

    use super::*;

    #[test]
    fn what_is_sent_links_to_every_room_by_way_of_a_server() {
        let message = message::room(&"!31hneApx".into(), Some("Team"));
        let notice =
            Post::Notice { message: message.clone(), reply_to: None, mentions: Vec::new(), is_alarm: false };
        let alarm =
            Post::Notice { message: message.clone(), reply_to: None, mentions: Vec::new(), is_alarm: true };
        let edit = Post::Edit { message, of: "$one:hs".into(), mentions: Vec::new() };
        for post in [notice, alarm, edit] {
            let sent = serde_json::to_string(&content(&post, Some("hs"), |_| None).unwrap()).unwrap();
            let links = sent.matches("matrix.to/#/%2131hneApx").count();
            assert!(links > 0 && sent.matches("%2131hneApx?via=hs").count() == links, "{sent}");
        }
    }
}
