//! A command on its way: who gave it, what it works with, and what comes of it.

use std::sync::Arc;

use rtc_janitor_core::{
    ids::{EventId, UserId},
    render::Message,
};

use crate::{
    config::Row,
    janitor::{
        Janitor,
        desk::{Desk, Work},
        plans::Proposed,
    },
    world::{Chat, Rooms, clock::Clock},
};

/// What commands work with.
#[derive(Clone)]
pub struct House {
    /// The janitor.
    pub desk: Desk,
    /// The homeserver.
    pub rooms: Arc<dyn Rooms>,
    /// The admin room.
    pub chat: Arc<dyn Chat>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who chats.
    pub me: UserId,
    /// What commands begin with.
    pub prefix: String,
    /// The settings of the machine, with where they come from.
    pub settings: Arc<[Row]>,
}

/// The janitor is gone: the program is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// What comes of a command.
#[derive(Debug)]
pub(super) enum Reply {
    /// This is to be said.
    Message(Message),
    /// This is to be shown, and can be approved.
    Plan(Proposed),
    /// Whoever carries it out says so.
    Elsewhere,
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

/// A command on its way.
pub(super) struct Asked<'a> {
    pub(super) house: &'a House,
    /// Who gave it.
    pub(super) by: &'a UserId,
    /// By which event.
    pub(super) event: &'a EventId,
}

impl Asked<'_> {
    /// Asks the janitor.
    pub(super) async fn janitor<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Janitor) -> Work<'a, T> + Send + 'static,
    ) -> Result<T, Gone> {
        self.house.desk.ask(work).await.ok_or(Gone)
    }
}
