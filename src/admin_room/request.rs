//! A command being carried out: who gave it, what it works with, and its reply.

use std::{sync::Arc, time::Duration};

use rtc_janitor_core::{
    ids::{EventId, UserId},
    render::Message,
    survey::Survey,
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::surveys::Surveys;

use crate::{
    config::Row,
    janitor::{Janitor, handle::JanitorHandle, lookups::LookedUp, plans::Proposed},
    world::{Chat, Rooms, clock::Clock, journal::JournalError},
};

/// The longest a command waits for a fresh view of rooms.
const LOOK_UP: Duration = Duration::from_mins(1);

/// What commands work with.
#[derive(Clone)]
pub struct CommandContext {
    /// The janitor.
    pub janitor: JanitorHandle,
    /// The homeserver.
    pub rooms: Arc<dyn Rooms>,
    /// The admin room.
    pub chat: Arc<dyn Chat>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The account that chats.
    pub me: UserId,
    /// What commands begin with.
    pub prefix: String,
    /// Surveys of the server's rooms; `None` where its admin API may not be asked.
    pub surveys: Option<Surveys>,
    /// The configuration, with where each value comes from.
    pub settings: Arc<[Row]>,
    /// What it runs on.
    pub paths: Paths,
}

/// Files of this process, as they are shown.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// The config file; `None` where all comes from the environment.
    pub config_file: Option<String>,
    /// The store.
    pub store: String,
}

/// The janitor has ended, and with it the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// What comes of a command.
#[derive(Debug)]
pub(super) enum Reply {
    /// This is to be said.
    Message(Message),
    /// This is to be shown, and can be approved.
    Plan(Proposed),
    /// The rooms that one could get into are to be shown as a plan, which can be approved.
    Joins(Arc<Survey>),
    /// Whoever carries it out says so.
    Elsewhere,
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

/// A command being carried out.
pub(super) struct Request<'a> {
    pub(super) context: &'a CommandContext,
    /// Who gave it.
    pub(super) by: &'a UserId,
    /// By which event.
    pub(super) event: &'a EventId,
    /// Takes how far it is, where that takes long.
    pub(super) news: &'a watch::Sender<Option<Message>>,
}

impl Request<'_> {
    /// Has the janitor do something, or say something.
    pub(super) async fn janitor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Janitor) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Stopped> {
        self.context.janitor.ask(work).await.ok_or(Stopped)
    }

    /// Waits until what [`Janitor::look_up`] has begun is read from its current state.
    pub(super) async fn looked_up(&self, begun: oneshot::Receiver<LookedUp>) -> Result<LookedUp, Stopped> {
        match timeout(LOOK_UP, begun).await {
            Ok(looked_up) => looked_up.map_err(|_| Stopped),
            Err(_) => Ok(LookedUp {
                failed: Some(format!("the homeserver did not answer within {} s", LOOK_UP.as_secs())),
                ..LookedUp::default()
            }),
        }
    }
}
