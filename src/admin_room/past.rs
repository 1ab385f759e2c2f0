//! Whether this account has spoken in the admin room before: asked once, where the journal does not know.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{janitor::handle::JanitorHandle, world::Chat};

/// The pause before the homeserver is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// How long an answer may take.
const LONGEST: Duration = Duration::from_secs(20);

/// How often it is asked, where the room can be spoken in; then it counts as yes.
const ATTEMPTS: u32 = 3;

/// Lets the janitor know whether this account has spoken in the admin room before, where it asks for
/// that; then it is in the journal. Nothing may be posted sooner, or the answer is always yes.
pub async fn settle_past(chat: &dyn Chat, janitor: &JanitorHandle) {
    let asks = janitor.ask(|janitor| Ok(janitor.asks_for_earlier_journal())).await;
    if asks == Some(true) {
        let has_spoken = has_spoken(chat).await;
        janitor.ask(move |janitor| janitor.take_in_past(has_spoken)).await;
    }
}

async fn has_spoken(chat: &dyn Chat) -> bool {
    let mut attempts = 0;
    loop {
        // In a room that it is not in, nothing can be said either.
        if matches!(timeout(LONGEST, chat.reachable()).await, Ok(Ok(()))) {
            match timeout(LONGEST, chat.has_spoken_before()).await {
                Ok(Ok(has_spoken)) => return has_spoken,
                Ok(Err(error)) => tracing::warn!("whether I have spoken here before is not known: {error}"),
                Err(_) => tracing::warn!("whether I have spoken here before is not known: no answer"),
            }
            attempts += 1;
            if attempts == ATTEMPTS {
                return true;
            }
        }
        sleep(AGAIN).await;
    }
}
