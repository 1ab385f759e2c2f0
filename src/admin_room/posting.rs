//! What is said in the admin room goes out one message at a time, each exactly once; and whether it can
//! be spoken in is watched.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rtc_janitor_core::{ids::EventId, render::report};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    janitor::{Mail, run::Stop},
    world::{Chat, NeighbourError, Post, journal::StoredMessage},
};

/// How often it is looked whether the room can be spoken in.
const LOOK: Duration = Duration::from_secs(5);

/// The first look comes when the room was synced, or when this much time is over.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// The pause after a message could not be posted.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells whether the room can be spoken in, whenever that changes. `ready` is over when the room was
/// synced for the first time.
pub async fn watch_reachability(
    chat: Arc<dyn Chat>,
    ready: impl Future<Output = ()>,
    state: watch::Sender<Option<Result<(), String>>>,
    stop: Stop,
) {
    let _ = stop.or(tokio::time::timeout(FIRST_LOOK, ready)).await;
    while !stop.is_set() {
        let now = chat.reachable().await.map_err(|error| error.to_string());
        state.send_if_modified(|last| {
            let changed = last.as_ref() != Some(&now);
            *last = Some(now);
            changed
        });
        if stop.or(sleep(LOOK)).await.is_none() {
            break;
        }
    }
}

/// Posts messages until told to stop; answers go before what nobody asked for. What is not posted by
/// then is in the journal, and is posted after the next start under the same transaction id.
pub async fn post_messages(
    chat: Arc<dyn Chat>,
    mut mail: Mail,
    sent: mpsc::UnboundedSender<(String, EventId)>,
    stop: Stop,
) {
    let mut waiting = VecDeque::new();
    // Where edits and reactions go, of what was posted since the start.
    let mut posted: HashMap<String, EventId> = HashMap::new();
    loop {
        if waiting.is_empty() {
            let Some(Some(message)) = stop.or(mail.messages.recv()).await else { return };
            waiting.push_back(message);
        }
        while let Ok(message) = mail.messages.try_recv() {
            waiting.push_back(message);
        }
        let next = waiting.iter().position(StoredMessage::is_answer).unwrap_or(0);
        let Some(stored) = waiting.remove(next) else { continue };
        let Some(post) = post_of(&stored, &posted) else {
            // What it is about has not got through: it can only have been refused for good.
            tracing::warn!(txn = stored.txn, "an edit or a reaction has lost what it is about");
            mail.posted(&stored);
            let _ = sent.send((stored.txn, EventId::from("")));
            continue;
        };
        // Dropping a request that is under way is harmless: the server knows its transaction.
        let Some(result) = stop.or(chat.post(&stored.txn, &post)).await else { return };
        let result = match result {
            // A room may allow no reactions; what there is to press can be said as well.
            Err(NeighbourError::Refused { message: why, .. }) if stored.reaction.is_some() => {
                tracing::warn!("the homeserver takes no reaction in the admin room: {why}");
                Ok(EventId::from(""))
            }
            // It will never be taken as it is, and those behind it must not wait for ever.
            Err(NeighbourError::Refused { status: 400 | 413, message: why, .. }) => {
                tracing::error!("the homeserver refuses a message to the admin room: {why}");
                let short = Post::Notice {
                    message: report::not_taken(&why),
                    reply_to: stored.reply_to.clone(),
                    mentions: Vec::new(),
                };
                let Some(result) = stop.or(chat.post(&format!("{}-short", stored.txn), &short)).await else {
                    return;
                };
                match result {
                    Err(NeighbourError::Refused { status: 400 | 413, .. }) => Ok(EventId::from("")),
                    other => other,
                }
            }
            other => other,
        };
        let pause = match result {
            Ok(event) => {
                mail.posted(&stored);
                posted.insert(stored.txn.clone(), event.clone());
                let _ = sent.send((stored.txn, event));
                continue;
            }
            Err(NeighbourError::RateLimited { retry_after }) => retry_after,
            Err(error) => {
                tracing::warn!("a message to the admin room waits: {error}");
                PAUSE
            }
        };
        waiting.push_front(stored);
        if stop.or(sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// What a stored message is in the room; `None` while what it is about has no event.
fn post_of(stored: &StoredMessage, posted: &HashMap<String, EventId>) -> Option<Post> {
    let StoredMessage { message, reply_to, target, reaction, mentions, .. } = stored.clone();
    let Some((txn, event)) = target else { return Some(Post::Notice { message, reply_to, mentions }) };
    let event = event.or_else(|| posted.get(&txn).cloned()).filter(|event| !event.as_str().is_empty())?;
    Some(match reaction {
        Some(key) => Post::Reaction { to: event, key },
        None => Post::Edit { message, of: event, mentions },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use rtc_janitor_core::{
        ids::{RoomId, UserId},
        render::Message,
    };

    use super::*;
    use crate::{janitor::Outbox, world::Standing};

    /// A room that takes everything but what is too long, and nothing while it is slow.
    #[derive(Default)]
    struct Narrow {
        posted: Mutex<Vec<(String, Post)>>,
        slow: Mutex<u32>,
    }

    #[async_trait]
    impl Chat for Narrow {
        async fn post(&self, transaction: &str, post: &Post) -> Result<EventId, NeighbourError> {
            let mut slow = self.slow.lock().unwrap();
            if *slow > 0 {
                *slow -= 1;
                return Err(NeighbourError::RateLimited { retry_after: Duration::from_millis(1) });
            }
            if matches!(post, Post::Notice { message, .. } if message.plain == "too long") {
                let (errcode, message) = ("M_TOO_LARGE".to_owned(), "event too large".to_owned());
                return Err(NeighbourError::Refused { status: 413, errcode, message });
            }
            let mut posted = self.posted.lock().unwrap();
            posted.push((transaction.to_owned(), post.clone()));
            Ok(format!("${}", posted.len()).into())
        }

        async fn reachable(&self) -> Result<(), NeighbourError> {
            Ok(())
        }

        async fn standing(&self, _: &UserId) -> Result<Standing, NeighbourError> {
            Ok(Standing::Outside)
        }

        fn move_to(&self, _: &RoomId) -> Result<(), NeighbourError> {
            Ok(())
        }

        async fn is_somebody_else_now(&self, _: &UserId) -> Result<bool, NeighbourError> {
            Ok(false)
        }

        async fn own_name(&self) -> Option<String> {
            None
        }
    }

    fn notice(txn: &str, plain: &str) -> StoredMessage {
        StoredMessage {
            txn: txn.to_owned(),
            message: Message { plain: plain.to_owned(), html: plain.to_owned() },
            reply_to: None,
            target: None,
            reaction: None,
            mentions: Vec::new(),
        }
    }

    /// What was posted, as transaction id and text, edit or reaction.
    async fn post_all(chat: Narrow, messages: Vec<StoredMessage>) -> Vec<(String, String)> {
        let chat = Arc::new(chat);
        let (outbox, mail) = Outbox::new();
        let (sent, mut acknowledged) = mpsc::unbounded_channel();
        let (_stopper, stop) = Stop::new();
        let number = messages.len();
        for message in messages {
            outbox.put(message);
        }
        drop(outbox);
        post_messages(Arc::clone(&chat) as _, mail, sent, stop).await;
        for _ in 0..number {
            acknowledged.recv().await.expect("each is acknowledged");
        }
        let posted = chat.posted.lock().unwrap().clone();
        let text = |post: Post| match post {
            Post::Notice { message, .. } => message.plain,
            Post::Edit { message, of, .. } => format!("{of} is now {}", message.plain),
            Post::Reaction { to, key } => format!("{key} on {to}"),
        };
        posted.into_iter().map(|(txn, post)| (txn, text(post))).collect()
    }

    #[tokio::test]
    async fn a_message_that_the_server_will_never_take_does_not_keep_the_others_waiting() {
        let posted = post_all(Narrow::default(), vec![notice("a", "too long"), notice("b", "hello")]).await;
        assert_eq!(posted[0].0, "a-short");
        assert!(posted[0].1.contains("event too large"), "{}", posted[0].1);
        assert_eq!(posted[1], ("b".to_owned(), "hello".to_owned()));
    }

    #[tokio::test]
    async fn answers_go_first_and_edits_and_reactions_find_what_they_are_about() {
        let answer = StoredMessage { reply_to: Some("$command".into()), ..notice("answer", "yes") };
        let edit = StoredMessage { target: Some(("first".into(), None)), ..notice("edit", "better") };
        let tick = StoredMessage {
            target: Some(("first".into(), None)),
            reaction: Some("✅".into()),
            ..notice("tick", "")
        };
        let slow = Narrow { slow: Mutex::new(3), ..Narrow::default() };
        let posted = post_all(slow, vec![notice("first", "one"), edit, tick, answer]).await;
        let texts: Vec<_> = posted.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["yes", "one", "$2 is now better", "✅ on $2"]);
    }
}
