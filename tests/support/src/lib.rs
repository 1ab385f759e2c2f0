//! A real Synapse and a real SFU for the tests and the demo of rtc-janitor, and the hands that use it.
//!
//! [`Synapse`] installs a pinned Matrix homeserver on first use and runs it on loopback; its methods are what people and
//! their clients do there: register, log in, make rooms, join calls, crash. [`FaultProxy`] stands between the server and
//! the bot and counts, holds, answers or changes requests. [`LiveKit`] is a real SFU, where `tests/livekit/build` has built
//! one, with [`Participant`]s and [`RealClient`]s in its rooms. [`Dendrite`] is a second make of homeserver, where
//! `tests/dendrite/build` has built one. [`wait_until`] is the only way to wait.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use rtc_janitor_test_support::{RoomOptions, Synapse, call_key};
//!
//! let synapse = Synapse::shared().await?;
//! let alice = synapse.login(&synapse.register("alice").await?).await?;
//! let room = synapse.create_room(&alice, RoomOptions::new()).await?;
//! synapse.join_call(&alice, &room).await?;
//! synapse.logout(&alice).await?;
//! assert!(synapse.is_open(&room, &call_key(&alice)).await?);
//! # Ok(())
//! # }
//! ```

mod accounts;
mod begun;
mod bot;
mod calls;
mod clock;
mod config;
mod dendrite;
mod fake_homeserver;
mod guarded;
mod homeserver;
mod http;
mod install;
mod livekit;
mod loopback;
mod membership;
mod names;
mod options;
mod ports;
mod postgres;
mod program;
mod prometheus;
mod proxy;
mod reading;
mod rooms;
mod scene;
mod server;
mod signal;
mod stage;
mod tls_front;
mod users;
mod wait;
mod watchdog;

pub use begun::Begun;
pub use bot::{BotSetup, PATIENCE};
pub use calls::{DelayedLeave, leave_content};
pub use clock::now;
pub use dendrite::Dendrite;
pub use fake_homeserver::{Arrival, Caller, FakeHomeserver, Place, Population, Post, Said};
pub use homeserver::Homeserver;
pub use http::{Refusal, Request};
pub use livekit::{
    AuthorisationService, LiveKit, LiveKitOptions, Participant, RealClient, Recipe, Webhook, WebhookSink,
};
pub use membership::{CALL_MEMBER, DEFAULT_EXPIRES, DEFAULT_FOCUS, Membership, call_key};
pub use names::unique;
pub use options::{Appservice, Database, RateLimits, SynapseOptions};
pub use ports::free_tcp as free_port;
pub use postgres::Postgres;
pub use program::{Bot, Program};
pub use prometheus::Prometheus;
pub use proxy::{FaultProxy, ProxiedRequest, Rule, below, matching};
pub use reading::{Message, is_open_content};
pub use reqwest::Method;
pub use rooms::RoomOptions;
pub use scene::Scene;
pub use server::Synapse;
pub use stage::Stage;
pub use tls_front::TlsFront;
pub use users::{Device, User};
pub use wait::{Answer, wait_until};
