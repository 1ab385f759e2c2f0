//! A homeserver made up for the tests: as fast as a test wants, counting every request, and as bad as it is told to be.
//!
//! It speaks what the bot's two connections ask of a homeserver, for one account in many rooms, and Synapse's admin API
//! to whoever has the token for it. Where a test needs what
//! only a real server can say (who may write what, how a room is upgraded), take [`crate::Synapse`]. It listens on
//! loopback, on threads of its own, and is gone when it is dropped.
//!
//! `world.rs` is what it knows and `population.rs` what it starts with; `serve.rs` is the way of a request; `sync.rs`,
//! `sliding.rs`, `rooms.rs`, `keys.rs`, `account.rs`, `server_admin.rs` and `appservice.rs` are what it answers; `faults.rs`, `fork.rs`,
//! `people.rs`, `residents.rs` and `admin.rs` are what a test does to it; `counts.rs` is what a test sees of the bot.

mod account;
mod admin;
mod appservice;
mod bare_loop;
mod contents;
mod counts;
mod event;
mod faults;
mod filter;
mod fork;
mod keys;
mod people;
mod population;
mod reply;
mod request;
mod residents;
mod rooms;
mod serve;
mod server_admin;
mod sliding;
mod sync;
mod world;

use std::{
    collections::BTreeMap,
    fmt,
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use anyhow::Result;
use tokio::sync::{oneshot, watch};

pub use admin::{Post, Said};
pub use counts::Arrival;
pub use people::Place;
pub use population::Population;
pub use request::Caller;

use crate::proxy::rules::Rules;
use counts::Counts;
use world::World;

/// What all requests share.
struct Shared {
    world: Mutex<World>,
    counts: Mutex<Counts>,
    rules: Arc<Rules>,
    latency: Mutex<Option<faults::Latency>>,
    /// What the bot's account is called outside, where that differs from inside.
    bot_name: Mutex<Option<Arc<str>>>,
    /// Counts up when there may be something to tell.
    changed: watch::Sender<usize>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bot_name(&self) -> Arc<str> {
        let name = self.bot_name.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone().unwrap_or_else(|| world::BOT.into())
    }

    /// Lets the long polls look again.
    fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// The fake. Dropping it closes its port and every connection.
pub struct FakeHomeserver {
    url: String,
    shared: Arc<Shared>,
    call_rooms: usize,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for FakeHomeserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHomeserver").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FakeHomeserver {
    /// Starts one with this population.
    pub fn start(population: &Population) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            world: Mutex::new(population.build()),
            counts: Mutex::default(),
            rules: Arc::default(),
            latency: Mutex::default(),
            bot_name: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new().name("fake-homeserver".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve::serve(serving, listener) => {}
                    _ = stopped => {}
                }
            });
        })?;
        let call_rooms = population.call_rooms.unwrap_or(population.rooms).clamp(1, population.rooms.max(1));
        Ok(Self { url, shared, call_rooms, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account of the bot; any password will do.
    pub fn bot(&self) -> &'static str {
        world::BOT
    }

    /// The admin room.
    pub fn admin_room(&self) -> &'static str {
        world::ADMIN_ROOM
    }

    /// Gives the bot's account another name, as one of the server that the fake is found as.
    pub fn rename_bot(&self, user_id: &str) {
        *self.shared.bot_name.lock().unwrap_or_else(PoisonError::into_inner) = Some(user_id.into());
    }

    /// Sets what `/.well-known/matrix/client` answers; there is none otherwise.
    pub fn publish_well_known(&self, document: serde_json::Value) {
        self.shared.world().well_known = document;
    }

    /// Every request that has arrived since the start or the last reset, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.counts().arrivals().to_vec()
    }

    /// How many of them match.
    pub fn count(&self, when: impl Fn(&Arrival) -> bool) -> usize {
        self.shared.counts().arrivals().iter().filter(|arrival| when(arrival)).count()
    }

    /// How many of them there were of each kind, such as `GET state/m.room.member`.
    pub fn by_kind(&self) -> BTreeMap<String, usize> {
        self.shared.counts().by_kind()
    }

    /// How many bytes of sync it has answered with since the last reset.
    pub fn bytes_synced(&self) -> usize {
        self.shared.counts().synced()
    }

    /// Forgets the requests so far.
    pub fn reset(&self) {
        self.shared.counts().reset();
    }

    /// The requests that write a membership, in order.
    pub fn clears(&self) -> Vec<Arrival> {
        let counts = self.shared.counts();
        counts.arrivals().iter().filter(|arrival| arrival.is_clear()).cloned().collect()
    }

    /// How many devices have signed in.
    pub fn sign_ins(&self) -> usize {
        self.shared.world().account.sign_ins()
    }
}

impl Drop for FakeHomeserver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}
