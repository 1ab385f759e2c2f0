//! The admin room from the janitor's side: what is said there goes out one message at a time, in
//! order, each exactly once, and whether it can be spoken in is watched.

use std::{sync::Arc, time::Duration};

use rtc_janitor_core::ids::EventId;
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
    while let Some(Some(message)) = stop.or(messages.recv()).await {
        loop {
            // Dropping a request that is under way is harmless: the server knows its transaction.
            let Some(posted) = stop.or(chat.post(&message.txn, &message.message)).await else { return };
            let pause = match posted {
                Ok(event) => {
                    let _ = sent.send((message.txn, event));
                    break;
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
