//! What systemd is told (`Type=notify`): that it is up, how it stands, that the loop turns, and that it ends.
//!
//! Where no service manager has asked for it (`NOTIFY_SOCKET`), nothing is told and no task runs.

use std::{
    future, io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use sd_notify::NotifyState::{self, Ready, Status, Stopping, Watchdog};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{http::Health, janitor::handle::JanitorHandle, shutdown::Shutdown, supervisor::Supervisor};

/// How often it looks at how it stands: that changes by the clock, too, so there is nothing to wait for.
const LOOK: Duration = Duration::from_secs(5);

/// The service manager of a bot that starts.
pub(super) struct ServiceManager {
    is_there: bool,
    /// Empty while there is no loop.
    janitor: Arc<OnceLock<JanitorHandle>>,
}

/// Begins to tell the service manager, where there is one, how things stand.
pub(super) fn follow(health: Health, supervisor: &mut Supervisor, shutdown: &Shutdown) -> ServiceManager {
    let manager =
        ServiceManager { is_there: std::env::var_os("NOTIFY_SOCKET").is_some(), janitor: Arc::default() };
    if manager.is_there {
        let (janitor, shutdown) = (Arc::clone(&manager.janitor), shutdown.clone());
        supervisor.spawn("service manager", async move {
            let longest = sd_notify::watchdog_enabled();
            tell_until_the_end(sd_notify::notify, &health, &janitor, longest, &shutdown).await;
            Ok(())
        });
    }
    manager
}

impl ServiceManager {
    /// It is up: the settings are right and the store is its own, so that no mistake is left that only shows at a
    /// start. The homeserver is not waited for: it may be away for longer than a start may take.
    pub(super) fn is_up(&self) {
        if self.is_there
            && let Err(error) = sd_notify::notify(&[Ready])
        {
            tracing::warn!("cannot tell the service manager (NOTIFY_SOCKET) that it is up: {error}");
        }
    }

    /// The loop begins, and answers for itself from now on.
    pub(super) fn loop_begins(&self, janitor: JanitorHandle) {
        // There is one loop in a process.
        let _: Result<(), JanitorHandle> = self.janitor.set(janitor);
    }
}

/// How something is told: [`sd_notify::notify`].
trait Tell: Fn(&[NotifyState<'_>]) -> io::Result<()> {}

impl<T: Fn(&[NotifyState<'_>]) -> io::Result<()>> Tell for T {}

async fn tell_until_the_end(
    tell: impl Tell,
    health: &Health,
    janitor: &OnceLock<JanitorHandle>,
    longest: Option<Duration>,
    shutdown: &Shutdown,
) {
    let say = |state: NotifyState<'_>| {
        if let Err(error) = tell(&[state]) {
            tracing::debug!("cannot tell the service manager: {error}");
        }
    };
    tokio::select! {
        biased;
        () = shutdown.requested() => say(Stopping),
        () = feed_watchdog(say, janitor, longest) => {}
        () = show_status(say, health) => {}
    }
}

/// Feeds the watchdog twice in the `longest` time that it may go unfed, as `sd_watchdog_enabled(3)` recommends: each
/// time after the loop has answered. One that hangs does not, and the service manager restarts the process.
///
/// Before the loop begins there is nothing to ask: the start waits for the homeserver, for as long as that takes.
async fn feed_watchdog(
    say: impl Fn(NotifyState<'_>),
    janitor: &OnceLock<JanitorHandle>,
    longest: Option<Duration>,
) {
    let Some(longest) = longest else { return future::pending().await };
    let mut times = every(longest / 2);
    loop {
        times.tick().await;
        let turns = match janitor.get() {
            Some(janitor) => janitor.ask(|_| Ok(())).await.is_some(),
            None => true,
        };
        if turns {
            say(Watchdog);
        }
    }
}

/// Tells what `/ready` says, whenever that has changed.
async fn show_status(say: impl Fn(NotifyState<'_>), health: &Health) {
    let mut times = every(LOOK);
    let mut shown = String::new();
    loop {
        times.tick().await;
        let obstacles = health.obstacles();
        let status = if obstacles.is_empty() {
            "ready".to_owned()
        } else {
            format!("waiting: {}", obstacles.join("; "))
        };
        if status != shown {
            say(Status(&status));
            shown = status;
        }
    }
}

/// At once, and then with this much between two of them, however long one takes.
fn every(period: Duration) -> Interval {
    // A period of nothing would panic.
    let mut times = interval(period.max(Duration::from_millis(1)));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    times
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rtc_janitor_core::time::Timestamp;
    use tokio::{sync::watch, time::sleep};

    use super::*;
    use crate::{http::Pulses, world::clock::Clock};

    const LONGEST: Duration = Duration::from_mins(2);

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_000_000)
        }
    }

    /// Tells a list until `shutdown` is requested.
    async fn told(
        health: Health,
        janitor: Option<JanitorHandle>,
        during: impl Future<Output = ()>,
    ) -> Vec<String> {
        let told = Mutex::new(Vec::new());
        let tell = |states: &[NotifyState<'_>]| {
            told.lock().unwrap().extend(states.iter().map(ToString::to_string));
            Ok(())
        };
        let (shutdown, cell) = (Shutdown::new(), OnceLock::new());
        if let Some(janitor) = janitor {
            cell.set(janitor).unwrap();
        }
        let end = async {
            during.await;
            shutdown.request();
        };
        tokio::join!(tell_until_the_end(tell, &health, &cell, Some(LONGEST), &shutdown), end);
        told.into_inner().unwrap()
    }

    fn signed_out() -> Health {
        Health::new(Arc::new(Stopped))
    }

    fn fed(told: &[String]) -> usize {
        told.iter().filter(|line| *line == "WATCHDOG=1").count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_waits_for_its_homeserver_feeds_the_watchdog() {
        let told = told(signed_out(), None, sleep(10 * LONGEST)).await;
        assert!((20..=21).contains(&fed(&told)), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_feeds_no_watchdog() {
        let (janitor, _unanswered) = JanitorHandle::new();
        let told = told(signed_out(), Some(janitor), sleep(10 * LONGEST)).await;
        assert_eq!(fed(&told), 0, "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_gone_feeds_no_watchdog() {
        let (janitor, requests) = JanitorHandle::new();
        drop(requests);
        let told = told(signed_out(), Some(janitor), sleep(10 * LONGEST)).await;
        assert_eq!(fed(&told), 0, "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_status_says_what_it_waits_for_and_each_once() {
        let health = signed_out();
        let (_seen, has_seen_all) = watch::channel(true);
        let (_answered, synced) = watch::channel(Some(Stopped.now()));
        let (reachable, admin_room) = watch::channel(None);
        let during = async {
            sleep(3 * LOOK).await;
            health.begin(Pulses { has_seen_all, synced, admin_room });
            sleep(3 * LOOK).await;
            reachable.send_replace(Some(Ok(())));
            sleep(3 * LOOK).await;
        };
        let told = told(health.clone(), None, during).await;
        let told: Vec<_> = told.into_iter().filter(|line| line != "WATCHDOG=1").collect();
        let expected = [
            "STATUS=waiting: not signed in yet",
            "STATUS=waiting: not in the admin room yet",
            "STATUS=ready",
            "STOPPING=1",
        ];
        assert_eq!(told, expected);
    }
}
