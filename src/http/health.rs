//! Whether the janitor can do its work, by what its tasks have last left here.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rtc_janitor_core::time::Timestamp;
use tokio::sync::watch;

use crate::{janitor::Side, world::clock::Clock};

/// For how long the homeserver may leave a sync unanswered: one stays open for 30 s.
const LATELY: Duration = Duration::from_secs(90);

/// What the tasks leave.
#[derive(Debug)]
pub struct Pulses {
    /// Whether every room with calls was read once since the start.
    pub has_seen_all: watch::Receiver<bool>,
    /// When the homeserver last answered a sync.
    pub synced: watch::Receiver<Option<Timestamp>>,
    /// Whether the admin room can be spoken in, by a sync of its own.
    pub admin_room: watch::Receiver<Option<Side>>,
}

/// Whether the janitor can do its work.
#[derive(Clone)]
pub struct Health {
    /// None before it is signed in.
    pulses: Arc<OnceLock<Pulses>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("pulses", &self.pulses).finish_non_exhaustive()
    }
}

impl Health {
    /// That of a janitor that is not signed in.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { pulses: Arc::default(), clock }
    }

    /// Its tasks run. There are such once.
    pub fn begin(&self, pulses: Pulses) {
        // A second start of the same tasks would be a mistake of this program, and hides nothing.
        let _: Result<(), Pulses> = self.pulses.set(pulses);
    }

    /// When the homeserver last answered a sync.
    pub(super) fn synced(&self) -> Option<Timestamp> {
        *self.pulses.get()?.synced.borrow()
    }

    /// Why it is not ready, one sentence each. Whoever reaches the port may read them: they hold no answer of anybody.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        let Some(pulses) = self.pulses.get() else { return vec!["not signed in yet".to_owned()] };
        let mut obstacles = Vec::new();
        let now = self.clock.now();
        match *pulses.synced.borrow() {
            None => obstacles.push("the homeserver has not answered a sync yet".to_owned()),
            Some(at) if now.since(at) > LATELY => obstacles
                .push(format!("the homeserver has not answered a sync for {} s", now.since(at).as_secs())),
            Some(_) => {}
        }
        if !*pulses.has_seen_all.borrow() {
            obstacles.push("not all rooms with calls are read yet".to_owned());
        }
        match *pulses.admin_room.borrow() {
            Some(Ok(())) => {}
            None => obstacles.push("not in the admin room yet".to_owned()),
            Some(Err(_)) => {
                obstacles.push("the admin room cannot be reached; the log says why".to_owned());
            }
        }
        obstacles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn it_is_ready_once_all_is_seen_and_both_connections_answer() {
        let now = Timestamp::from_millis(1_000_000);
        let health = Health::new(Arc::new(At(now)));
        assert_eq!(health.obstacles(), ["not signed in yet"]);
        let (seen, has_seen_all) = watch::channel(false);
        let (answered, synced) = watch::channel(None);
        let (reachable, admin_room) = watch::channel(None);
        health.begin(Pulses { has_seen_all, synced, admin_room });
        assert_eq!(health.obstacles().len(), 3);
        answered.send_replace(Some(now - LATELY));
        reachable.send_replace(Some(Ok(())));
        assert_eq!(health.obstacles(), ["not all rooms with calls are read yet"]);
        seen.send_replace(true);
        assert!(health.obstacles().is_empty());
        answered.send_replace(Some(now - LATELY - Duration::from_secs(1)));
        assert_eq!(health.obstacles(), ["the homeserver has not answered a sync for 91 s"]);
        answered.send_replace(Some(now));
        reachable.send_replace(Some(Err("M_FORBIDDEN: @secret".to_owned())));
        assert_eq!(health.obstacles(), ["the admin room cannot be reached; the log says why"]);
    }
}
