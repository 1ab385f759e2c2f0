//! Speaking in the admin room, once the keys of the chat device are set up or that takes too long.

use std::time::Duration;

use rtc_janitor_core::render::report;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    admin_room::{self, Posting},
    janitor::{Announcement, handle::JanitorHandle},
    shutdown::Shutdown,
    world::{
        backoff::Backoff,
        chat::{AdminRoom, ChatConnection, KeySetUp},
    },
};

/// How long a word in the admin room waits for the keys of the chat device: people see it as unverified
/// without, but they do see it.
const KEYS_FIRST: Duration = Duration::from_mins(1);

/// The pauses before the keys of the chat device are tried again.
const KEYS_AGAIN: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_mins(10));

/// Posts what is to be said until told to stop.
pub(super) async fn run(
    posting: Posting,
    mut keys: impl Future<Output = ()> + Unpin,
    janitor: JanitorHandle,
    shutdown: Shutdown,
) {
    let first = async {
        let are_set_up = timeout(KEYS_FIRST, &mut keys).await.is_ok();
        admin_room::settle_past(&*posting.chat, &janitor).await;
        are_set_up
    };
    let Some(are_set_up) = shutdown.or(first).await else { return };
    let keys = async {
        if !are_set_up {
            tracing::warn!("speaking in the admin room without the keys of the chat device");
            let _: Option<()> = shutdown.or(keys).await;
        }
    };
    tokio::join!(keys, posting.run(shutdown.clone()));
}

/// Sets up the keys of the chat device, so that nobody sees it as unverified.
pub(super) async fn set_up_keys(
    chat: ChatConnection,
    room: AdminRoom,
    announce: mpsc::UnboundedSender<Announcement>,
) {
    room.ready().await;
    let mut backoff = KEYS_AGAIN;
    loop {
        match chat.set_up_keys().await {
            Ok(KeySetUp::Ready) => return,
            Ok(KeySetUp::FirstStart { recovery_key_path }) => {
                let message = report::first_start(&recovery_key_path.display().to_string());
                let _ = announce.send(Announcement { subject: "first start".into(), message });
                return;
            }
            Ok(KeySetUp::Incomplete(why)) => {
                tracing::warn!("{why}");
                let subject = format!("keys incomplete: {why}");
                let _ = announce.send(Announcement { subject, message: report::keys_incomplete(&why) });
                return;
            }
            Err(error) => tracing::warn!("the keys of the chat device are not set up yet: {error}"),
        }
        sleep(backoff.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{sync::watch, time::Instant};

    use super::*;
    use crate::metrics::Metrics;
    use crate::{
        admin_room::posting_tests::{Narrow, notice},
        janitor::Outbox,
    };

    #[tokio::test(start_paused = true)]
    async fn what_is_to_be_said_is_said_though_the_keys_cannot_be_set_up() {
        let room = Arc::new(Narrow::new(Vec::new()));
        let (mut outbox, mail) = Outbox::new();
        outbox.put(notice("hello", "hello"));
        outbox.release();
        let (posted, mut acknowledged) = mpsc::unbounded_channel();
        let posting = Posting {
            chat: Arc::clone(&room) as _,
            mail,
            posted,
            posts: watch::Sender::new(None),
            metrics: Metrics::new(),
        };
        let (janitor, requests) = JanitorHandle::new();
        drop(requests);
        let shutdown = Shutdown::new();
        let begun = Instant::now();
        let task = tokio::spawn(run(posting, std::future::pending(), janitor, shutdown.clone()));
        acknowledged.recv().await.expect("it is posted");
        assert_eq!(begun.elapsed(), KEYS_FIRST);
        shutdown.request();
        task.await.expect("it ends");
    }
}
