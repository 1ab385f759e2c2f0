//! The admin room from the janitor's side: what is said there goes out one message at a time, in
//! order, each exactly once, and whether it can be spoken in is watched.

use std::{sync::Arc, time::Duration};

use rtc_janitor_core::{ids::EventId, render::report};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    janitor::run::Stop,
    world::{Chat, NeighbourError, journal::StoredMessage},
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

/// Posts messages until told to stop. What is not posted by then is in the journal, and is posted
/// after the next start under the same transaction id.
pub async fn post_messages(
    chat: Arc<dyn Chat>,
    mut messages: mpsc::UnboundedReceiver<StoredMessage>,
    sent: mpsc::UnboundedSender<(String, EventId)>,
    stop: Stop,
) {
    while let Some(Some(StoredMessage { txn, mut message })) = stop.or(messages.recv()).await {
        let mut transaction = txn.clone();
        loop {
            // Dropping a request that is under way is harmless: the server knows its transaction.
            let Some(posted) = stop.or(chat.post(&transaction, &message)).await else { return };
            let pause = match posted {
                Ok(event) => {
                    let _ = sent.send((txn, event));
                    break;
                }
                // It will never be taken as it is, and those behind it must not wait for ever.
                Err(NeighbourError::Refused { status: 400 | 413, message: why, .. }) => {
                    if transaction != txn {
                        tracing::error!("a message to the admin room is lost: {why}");
                        let _ = sent.send((txn, EventId::from("")));
                        break;
                    }
                    tracing::error!("the homeserver refuses a message to the admin room: {why}");
                    (message, transaction) = (report::not_taken(&why), format!("{txn}-short"));
                    Duration::ZERO
                }
                Err(NeighbourError::RateLimited { retry_after }) => retry_after,
                Err(error) => {
                    tracing::warn!("a message to the admin room waits: {error}");
                    PAUSE
                }
            };
            if stop.or(sleep(pause)).await.is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use rtc_janitor_core::render::Message;

    use super::*;
    use crate::janitor::run::Stop;

    /// A room that refuses one message for good.
    #[derive(Default)]
    struct Narrow(Mutex<Vec<(String, String)>>);

    #[async_trait]
    impl Chat for Narrow {
        async fn post(&self, transaction: &str, message: &Message) -> Result<EventId, NeighbourError> {
            if message.plain == "too long" {
                let (errcode, message) = ("M_TOO_LARGE".to_owned(), "event too large".to_owned());
                return Err(NeighbourError::Refused { status: 413, errcode, message });
            }
            let mut posted = self.0.lock().unwrap();
            posted.push((transaction.to_owned(), message.plain.clone()));
            Ok(format!("${}", posted.len()).into())
        }

        async fn reachable(&self) -> Result<(), NeighbourError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_message_that_the_server_will_never_take_does_not_keep_the_others_waiting() {
        let chat = Arc::new(Narrow::default());
        let (outbox, messages) = mpsc::unbounded_channel();
        let (sent, mut acknowledged) = mpsc::unbounded_channel();
        let (_stopper, stop) = Stop::new();
        for (txn, plain) in [("a", "too long"), ("b", "hello")] {
            let message = Message { plain: plain.to_owned(), html: plain.to_owned() };
            outbox.send(StoredMessage { txn: txn.to_owned(), message }).unwrap();
        }
        drop(outbox);
        post_messages(Arc::clone(&chat) as _, messages, sent, stop).await;

        let posted = chat.0.lock().unwrap().clone();
        assert_eq!(posted[0].0, "a-short");
        assert!(posted[0].1.contains("event too large"), "{}", posted[0].1);
        assert_eq!(posted[1], ("b".to_owned(), "hello".to_owned()));
        assert_eq!(acknowledged.recv().await.unwrap().0, "a");
        assert_eq!(acknowledged.recv().await.unwrap().0, "b");
    }
}
