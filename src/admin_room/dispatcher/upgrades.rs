//! Upgrades of the admin room: followed when somebody made them who may give commands, beside everything else,
//! for the homeserver is asked who that was and may hang.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use rtc_janitor_core::ids::{RoomId, UserId};
use tokio::time::{Instant, sleep_until};

use crate::{
    admin_room::{
        authority::{Authority, Effect, Refusal},
        request::Stopped,
    },
    janitor::handle::JanitorHandle,
    world::{Chat, backoff::Backoff},
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

/// Who is asked and told when an upgrade is followed.
#[derive(Clone)]
pub(super) struct Follower {
    pub(super) chat: Arc<dyn Chat>,
    pub(super) authority: Arc<Authority>,
    pub(super) janitor: JanitorHandle,
}

/// The last upgrade that was seen, until it is followed or not to be.
pub(super) struct Upgrades {
    follower: Follower,
    waiting: Option<Upgrade>,
    following: Option<BoxFuture<'static, Result<Option<Upgrade>, Stopped>>>,
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrades").field("is_idle", &self.is_idle()).finish_non_exhaustive()
    }
}

impl Upgrades {
    pub(super) fn new(follower: Follower) -> Self {
        Self { follower, waiting: None, following: None }
    }

    /// Somebody has upgraded the admin room.
    pub(super) fn made(&mut self, by: UserId, successor: RoomId) {
        self.waiting = Some(Upgrade { by, successor, backoff: BACKOFF, at: Instant::now() });
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.following.is_none()
    }

    /// Tries once to follow what waits, when it is time to. May be dropped and called again at any moment.
    pub(super) async fn follow(&mut self) -> Result<(), Stopped> {
        if self.following.is_none() {
            let Some(at) = self.waiting.as_ref().map(|upgrade| upgrade.at) else { return Ok(()) };
            sleep_until(at).await;
            let follower = self.follower.clone();
            self.following = self.waiting.take().map(|upgrade| follower.follow(upgrade).boxed());
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

impl Follower {
    /// Follows an upgrade, when somebody who may give commands made it. Returns it where that could not be
    /// read, so that it is tried again.
    async fn follow(self, upgrade: Upgrade) -> Result<Option<Upgrade>, Stopped> {
        let Upgrade { by, successor, mut backoff, .. } = upgrade;
        match self.authority.check(&*self.chat, &by, Effect::Any).await {
            Ok(()) => {}
            Err(Refusal::Unknown(error)) => {
                tracing::warn!(%by, %successor, "the upgrade of the admin room is not followed yet: {error}");
                let at = Instant::now() + backoff.after(&error);
                return Ok(Some(Upgrade { by, successor, backoff, at }));
            }
            // Who may upgrade a room need not be one of those who may give commands.
            Err(refusal) => {
                let why = refusal.message().plain;
                tracing::warn!(%by, %successor, "the upgrade of the admin room is not followed: {why}");
                return Ok(None);
            }
        }
        if let Err(error) = self.chat.move_to(&successor) {
            tracing::warn!(%successor, "the admin room was upgraded to no room: {error}");
            return Ok(None);
        }
        tracing::info!(%by, %successor, "the admin room was upgraded");
        let moved = self.janitor.ask(move |janitor| janitor.move_admin_room(&successor));
        moved.await.ok_or(Stopped)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use rtc_janitor_core::ids::EventId;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::world::{NeighbourError, Post, Standing};

    /// A room whose homeserver takes its time to say who somebody is, and fails so many times.
    #[derive(Default)]
    struct Slow {
        failures: Mutex<u32>,
        moved: Mutex<Vec<RoomId>>,
    }

    #[async_trait]
    impl Chat for Slow {
        async fn standing(&self, _: &UserId) -> Result<Standing, NeighbourError> {
            sleep(Duration::from_secs(8)).await;
            let mut failures = self.failures.lock().unwrap();
            if let Some(left) = failures.checked_sub(1) {
                *failures = left;
                return Err(NeighbourError::Unreachable("503".to_owned()));
            }
            Ok(Standing::Inside(100))
        }

        async fn identity_changed(&self, _: &UserId) -> Result<bool, NeighbourError> {
            Ok(false)
        }

        fn move_to(&self, room: &RoomId) -> Result<(), NeighbourError> {
            self.moved.lock().unwrap().push(room.clone());
            Ok(())
        }

        async fn post(&self, _: &str, _: &Post) -> Result<EventId, NeighbourError> {
            unreachable!("nothing is said here")
        }

        async fn reachable(&self) -> Result<(), NeighbourError> {
            Ok(())
        }

        async fn own_name(&self) -> Option<String> {
            None
        }

        async fn has_spoken_before(&self) -> Result<bool, NeighbourError> {
            Ok(true)
        }
    }

    fn upgrades(chat: &Arc<Slow>) -> Upgrades {
        // Nobody is there to be told; the upgrade has been followed by then.
        let (janitor, _) = JanitorHandle::new();
        let authority = Arc::new(Authority::new(50, []));
        Upgrades::new(Follower { chat: Arc::clone(chat) as Arc<dyn Chat>, authority, janitor })
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_meanwhile_neither_waits_for_an_upgrade_nor_makes_it_begin_anew() {
        let chat = Arc::new(Slow::default());
        let mut upgrades = upgrades(&chat);
        upgrades.made("@boss:hs".into(), "!new".into());
        // A command each second, as the dispatcher's loop sees it.
        for _ in 0..7 {
            assert!(timeout(Duration::from_secs(1), upgrades.follow()).await.is_err(), "still being asked");
        }
        assert!(chat.moved.lock().unwrap().is_empty());
        assert!(timeout(Duration::from_secs(2), upgrades.follow()).await.is_ok());
        assert_eq!(*chat.moved.lock().unwrap(), [RoomId::from("!new")]);
        assert!(upgrades.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgrade_whose_maker_cannot_be_read_is_tried_again_and_a_later_one_counts_instead() {
        let chat = Arc::new(Slow { failures: Mutex::new(2), ..Slow::default() });
        let mut upgrades = upgrades(&chat);
        upgrades.made("@boss:hs".into(), "!new".into());
        upgrades.follow().await.expect("it goes on");
        upgrades.follow().await.expect("it goes on");
        assert!(chat.moved.lock().unwrap().is_empty() && !upgrades.is_idle());
        upgrades.made("@boss:hs".into(), "!newer".into());
        assert!(upgrades.follow().await.is_err(), "nobody is there to be told");
        assert_eq!(*chat.moved.lock().unwrap(), [RoomId::from("!newer")]);
    }
}
