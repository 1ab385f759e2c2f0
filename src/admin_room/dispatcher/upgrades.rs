//! Upgrades of the admin room: followed when somebody made them who may give commands, beside everything else,
//! for the homeserver is asked who that was and may hang.

use std::{fmt, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use rtc_janitor_core::ids::{RoomId, UserId};
use tokio::time::{Instant, sleep_until};

use super::CommandDispatcher;
use crate::{
    admin_room::{
        authority::{Effect, Refusal},
        request::Stopped,
    },
    world::backoff::Backoff,
};

/// The pauses before it is asked again whether an upgrade is to be followed.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(5));

/// An upgrade of the admin room that is not followed yet.
struct Upgrade {
    by: UserId,
    successor: RoomId,
    backoff: Backoff,
    /// When it is tried next.
    at: Instant,
}

/// The last upgrade that was seen, until it is followed or not to be.
pub(super) struct Upgrades<'a> {
    dispatcher: &'a CommandDispatcher,
    waiting: Option<Upgrade>,
    following: Option<BoxFuture<'a, Result<Option<Upgrade>, Stopped>>>,
}

impl fmt::Debug for Upgrades<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_under_way = self.following.is_some();
        f.debug_struct("Upgrades")
            .field("waits", &self.waiting.is_some())
            .field("is_under_way", &is_under_way)
            .finish()
    }
}

impl<'a> Upgrades<'a> {
    pub(super) fn new(dispatcher: &'a CommandDispatcher) -> Self {
        Self { dispatcher, waiting: None, following: None }
    }

    /// Somebody has upgraded the admin room.
    pub(super) fn made(&mut self, by: UserId, successor: RoomId) {
        self.waiting = Some(Upgrade { by, successor, backoff: BACKOFF, at: Instant::now() });
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.following.is_none()
    }

    /// Tries once to follow what waits, when it is time to. May be given up and called again at any moment.
    pub(super) async fn follow(&mut self) -> Result<(), Stopped> {
        if self.following.is_none() {
            let Some(at) = self.waiting.as_ref().map(|upgrade| upgrade.at) else { return Ok(()) };
            sleep_until(at).await;
            let dispatcher = self.dispatcher;
            self.following = self.waiting.take().map(|upgrade| dispatcher.follow_upgrade(upgrade).boxed());
        }
        if let Some(following) = &mut self.following {
            let again = following.await;
            self.following = None;
            // What was made meanwhile counts.
            self.waiting = self.waiting.take().or(again?);
        }
        Ok(())
    }
}

impl CommandDispatcher {
    /// Follows an upgrade of the admin room, when somebody who may give commands made it. Returns it where
    /// that could not be read, so that it is tried again.
    async fn follow_upgrade(&self, upgrade: Upgrade) -> Result<Option<Upgrade>, Stopped> {
        let Upgrade { by, successor, mut backoff, .. } = upgrade;
        match self.authority.check(&*self.context.chat, &by, Effect::Any).await {
            Ok(()) => {}
            Err(Refusal::Unknown(error)) => {
                tracing::warn!(%by, %successor, "the upgrade of the admin room is not followed yet: {error}");
                let at = Instant::now() + backoff.after(&error);
                return Ok(Some(Upgrade { by, successor, backoff, at }));
            }
            // Who may upgrade a room need not be one of those who may give commands.
            Err(refusal) => {
                tracing::warn!(%by, %successor, ?refusal, "the upgrade of the admin room is not followed");
                return Ok(None);
            }
        }
        if let Err(error) = self.context.chat.move_to(&successor) {
            tracing::warn!(%successor, "the admin room was upgraded to no room: {error}");
            return Ok(None);
        }
        tracing::info!(%by, %successor, "the admin room was upgraded");
        let moved = self.context.janitor.ask(move |janitor| janitor.move_admin_room(&successor));
        moved.await.ok_or(Stopped)?;
        Ok(None)
    }
}
