//! Everything that reaches the loop, and what goes first.

use std::time::Duration;

use rtc_janitor_core::{ids::EventId, render::Message};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    background::{Background, Outcome},
    handle::{Request, Requests},
    presence::Side,
};
use crate::{
    shutdown::Shutdown,
    world::{NeighbourError, SyncBatch, livekit::webhook::Departures},
};

/// What the task that follows sync tells.
#[derive(Debug)]
pub enum SyncUpdate {
    /// One answer; `live` is false for what happened before the janitor looked.
    Batch {
        /// What it says.
        batch: SyncBatch,
        /// Whether its events were seen to arrive.
        live: bool,
    },
    /// The first full sync is over, and nothing in it came from a cache.
    CaughtUp,
    /// The homeserver did not answer.
    Lost(NeighbourError),
}

/// Something that is to be said in the admin room once and never again.
#[derive(Debug)]
pub struct Announcement {
    /// What tells it from others.
    pub subject: String,
    /// The text.
    pub message: Message,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its transaction.
    pub txn: String,
    /// Its event; `None` when it can never be posted.
    pub event: Option<EventId>,
}

/// The ends of the channels by which other tasks reach the loop.
#[derive(Debug)]
pub struct Inbox {
    /// From the task that follows sync; it waits while a batch is taken in.
    pub sync: mpsc::Receiver<SyncUpdate>,
    /// What became of messages.
    pub posted: mpsc::UnboundedReceiver<Posted>,
    /// Whether the admin room can be spoken in; `None` before that is known.
    pub admin_room: watch::Receiver<Option<Side>>,
    /// Whether the homeserver takes messages there; `None` before one was sent.
    pub posts: watch::Receiver<Option<Side>>,
    /// What others want said in the admin room, each once.
    pub announcements: mpsc::UnboundedReceiver<Announcement>,
    /// Who has left the SFU, by its own webhooks.
    pub departures: mpsc::Receiver<Departures>,
    /// What others ask of the janitor.
    pub requests: Requests,
}

/// One thing that happened.
pub(super) enum Input {
    /// The program is to end.
    Shutdown,
    /// Somebody asks something.
    Request(Request),
    /// What was asked of a neighbour came back.
    Outcome(Outcome),
    /// Whether the admin room can be spoken in.
    AdminRoom(Option<Side>),
    /// Whether messages are taken.
    Posts(Option<Side>),
    /// A message was posted, or given up.
    Posted(Posted),
    /// Something is to be said.
    Announcement(Announcement),
    /// The SFU tells who has left.
    Departures(Departures),
    /// A sync answer.
    Sync(SyncUpdate),
    /// The sync answer that is being taken in goes on.
    Ingest,
    /// The time has come for something.
    Due,
}

impl Inbox {
    /// The next thing, the most urgent first: shutdown, then what people ask, then whether it can speak, then
    /// answers, then sync.
    /// While a sync answer is being taken in (`is_ingesting`) that goes on in between, and no other is
    /// fetched.
    pub(super) async fn next(
        &mut self,
        background: &mut Background,
        is_ingesting: bool,
        wait: Duration,
        shutdown: &Shutdown,
    ) -> Input {
        tokio::select! {
            biased;
            () = shutdown.requested() => Input::Shutdown,
            Some(request) = self.requests.0.recv() => Input::Request(request),
            // Where it cannot speak it may not write: that is not to wait behind a hundred answers.
            Ok(()) = self.admin_room.changed() => {
                Input::AdminRoom(self.admin_room.borrow_and_update().clone())
            }
            Ok(()) = self.posts.changed() => Input::Posts(self.posts.borrow_and_update().clone()),
            outcome = background.next() => Input::Outcome(outcome),
            Some(posted) = self.posted.recv() => Input::Posted(posted),
            Some(announcement) = self.announcements.recv() => Input::Announcement(announcement),
            Some(departures) = self.departures.recv() => Input::Departures(departures),
            () = std::future::ready(()), if is_ingesting => Input::Ingest,
            Some(update) = self.sync.recv() => Input::Sync(update),
            () = sleep(wait) => Input::Due,
        }
    }

    /// What else is there already, so that one commit is enough for all of it.
    pub(super) fn try_next(&mut self, background: &mut Background, is_ingesting: bool) -> Option<Input> {
        if let Ok(request) = self.requests.0.try_recv() {
            return Some(Input::Request(request));
        }
        if self.admin_room.has_changed().unwrap_or(false) {
            return Some(Input::AdminRoom(self.admin_room.borrow_and_update().clone()));
        }
        if self.posts.has_changed().unwrap_or(false) {
            return Some(Input::Posts(self.posts.borrow_and_update().clone()));
        }
        if let Some(outcome) = background.try_next() {
            return Some(Input::Outcome(outcome));
        }
        if let Ok(posted) = self.posted.try_recv() {
            return Some(Input::Posted(posted));
        }
        if let Ok(departures) = self.departures.try_recv() {
            return Some(Input::Departures(departures));
        }
        if is_ingesting {
            return None;
        }
        self.sync.try_recv().ok().map(Input::Sync)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::janitor::handle::JanitorHandle;

    #[tokio::test]
    async fn that_it_cannot_speak_is_taken_in_before_all_answers() {
        let (_updates, sync) = mpsc::channel(1);
        let (_acknowledge, posted) = mpsc::unbounded_channel();
        let (reachable, admin_room) = watch::channel(None);
        let (taken, posts) = watch::channel(None);
        let (_announce, announcements) = mpsc::unbounded_channel();
        let (_tell, departures) = mpsc::channel(1);
        let (_janitor, requests) = JanitorHandle::new();
        let mut inbox = Inbox { sync, posted, admin_room, posts, announcements, departures, requests };
        let mut background = Background::default();
        for _ in 0..50 {
            background.start(async { Outcome::Joined("!a".into(), Ok(())) });
        }
        background.release();
        // All of them are done.
        tokio::task::yield_now().await;
        reachable.send_replace(Some(Err("kicked".to_owned())));
        taken.send_replace(Some(Err("muted".to_owned())));

        let shutdown = Shutdown::new();
        let first = inbox.next(&mut background, true, Duration::ZERO, &shutdown).await;
        let second = inbox.try_next(&mut background, true).expect("there is more");
        let third = inbox.try_next(&mut background, true).expect("there is more");
        assert!(matches!(first, Input::AdminRoom(Some(Err(_)))));
        assert!(matches!(second, Input::Posts(Some(Err(_)))));
        assert!(matches!(third, Input::Outcome(_)));
    }
}
