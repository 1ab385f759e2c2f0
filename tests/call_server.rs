//! What only the SFU knows: the real program beside a real Synapse and a real LiveKit, at its default settings.
//!
//! Each test has in the same run who is cleared and who is not, with one difference between them. Without an SFU that
//! was built (`tests/livekit/build`) nothing here is tried, and `cargo test` says so at its end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rtc_janitor_test_support::{
    AuthorisationService, Bot, BotSetup, Device, FaultProxy, LiveKit, LiveKitOptions, Membership,
    Participant, RealClient, Recipe, RoomOptions, Synapse, call_key, matching, wait_until,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

#[path = "call_server/absence.rs"]
mod absence;
#[path = "call_server/clients.rs"]
mod clients;
#[path = "call_server/crowds.rs"]
mod crowds;
#[path = "call_server/foreign.rs"]
mod foreign;
#[path = "call_server/healing.rs"]
mod healing;
#[path = "call_server/names.rs"]
mod names;
#[path = "call_server/outages.rs"]
mod outages;
#[path = "call_server/webhooks.rs"]
mod webhooks;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// What a test waits for at most, on a machine that does much else.
const LIMIT: Duration = Duration::from_mins(6);

/// What makes the program's settings short in tests; without it they are what an admin has.
const SHORT: [&str; 8] = [
    "janitor.sweep_interval",
    "janitor.device_check_interval",
    "janitor.minimum_age",
    "grace.default",
    "grace.not_joined",
    "limits.per_sweep",
    "limits.per_room",
    "limits.per_hour",
];

/// A room with a call, a bot that asks the SFU about it, and whoever is brought in.
struct Scene<'a> {
    synapse: &'a Synapse,
    setup: BotSetup<'a>,
    livekit: LiveKit,
    service: AuthorisationService,
    host: Device,
    room: String,
}

/// Whether there is an SFU to try it with.
fn has_sfu() -> bool {
    LiveKit::installed().is_some()
}

impl<'a> Scene<'a> {
    async fn set(synapse: &'a Synapse) -> Result<Self> {
        Self::with(synapse, LiveKitOptions::default()).await
    }

    /// With an SFU that is set up in a way of its own.
    async fn with(synapse: &'a Synapse, options: LiveKitOptions) -> Result<Self> {
        let livekit = LiveKit::start(options).await?;
        let service = AuthorisationService::start(livekit.url())?;
        let setup = BotSetup::new(synapse, PROGRAM).await?;
        for key in SHORT {
            setup.unset(key);
        }
        setup
            .set("livekit.url", &livekit.ws_url())
            .set("livekit.api_key", LiveKit::KEY)
            .set("livekit.api_secret", LiveKit::SECRET)
            .set_raw("livekit.service_urls", &format!("[\"{}\"]", service.url()))
            // Two of a few are half of them, and breakers have tests of their own.
            .set_raw("breaker.minimum", "100");
        let host = synapse.sign_in_new("host").await?;
        let room = synapse.create_room(&host, RoomOptions::new().invite(&setup.account.user_id)).await?;
        Ok(Self { synapse, setup, livekit, service, host, room })
    }

    /// Short intervals, for what is not about time.
    fn hurry(&self) -> &Self {
        for (key, span) in [
            ("livekit.poll_interval", "3s"),
            ("grace.not_on_sfu", "5s"),
            ("grace.default", "2s"),
            ("janitor.minimum_age", "1s"),
            ("janitor.sweep_interval", "2s"),
            ("janitor.device_check_interval", "2s"),
        ] {
            self.setup.set(key, span);
        }
        self
    }

    /// Puts a proxy between the bot and the SFU, below which the API is at this path.
    fn proxied(&self, path: &str) -> Result<FaultProxy> {
        let proxy = FaultProxy::start(self.livekit.url())?;
        self.setup.set("livekit.url", &format!("{}{path}", proxy.url()));
        Ok(proxy)
    }

    async fn start(&self) -> Result<Bot> {
        let bot = self.setup.start().await?;
        self.setup.wait_for_the_bot_in(&self.room).await?;
        Ok(bot)
    }

    /// Somebody in the room, and in no call.
    async fn newcomer(&self, name: &str) -> Result<Device> {
        let device = self.synapse.sign_in_new(name).await?;
        self.synapse.bring_in(&self.host, &self.room, &device).await?;
        Ok(device)
    }

    /// Somebody with a membership on this SFU, whose device stays signed in.
    async fn member(&self, name: &str) -> Result<Device> {
        let device = self.newcomer(name).await?;
        self.write(Membership::of(&device)).await?;
        Ok(device)
    }

    /// Somebody with a membership on another SFU.
    async fn foreigner(&self, name: &str, service: &str) -> Result<Device> {
        let device = self.newcomer(name).await?;
        self.synapse.write_membership(&self.room, Membership::of(&device).focus(service)).await?;
        Ok(device)
    }

    async fn write(&self, membership: Membership) -> Result<()> {
        self.synapse.write_membership(&self.room, membership.focus(self.service.url())).await?;
        Ok(())
    }

    fn sfu_room(&self) -> String {
        Recipe::Base64Json.sfu_room(&self.room)
    }

    async fn client(&self, device: &Device) -> Result<RealClient> {
        RealClient::join(&self.livekit, &self.sfu_room(), &identity(device)).await
    }

    /// Somebody who stays connected.
    async fn stays(&self, device: &Device) -> Result<Participant> {
        Participant::stay(&self.livekit, &self.sfu_room(), &identity(device)).await
    }

    async fn is_open(&self, device: &Device) -> Result<bool> {
        self.synapse.is_open(&self.room, &call_key(device)).await
    }

    /// Waits until somebody is cleared; how long that took since `begun`.
    async fn cleared(&self, device: &Device, begun: Instant) -> Result<Duration> {
        wait_until(&format!("{} to be cleared", device.user_id), LIMIT, async || {
            anyhow::Ok(!self.is_open(device).await?)
        })
        .await?;
        Ok(begun.elapsed())
    }

    /// The room's own record: it was never cleared, and is open.
    async fn was_left_alone(&self, device: &Device, bot: &Bot) -> Result<()> {
        let emptied = self.setup.times_emptied(&self.room, device).await?;
        ensure!(emptied == 0, "{} was cleared {emptied} times\n{}", device.user_id, bot.log());
        ensure!(self.is_open(device).await?, "{}\n{}", device.user_id, bot.log());
        Ok(())
    }

    /// Waits until the bot has said these words so often in all.
    async fn is_said(&self, words: &str, times: usize, bot: &Bot) -> Result<()> {
        wait_until(&format!("the bot to say {words:?} {times} times"), LIMIT, async || {
            anyhow::Ok(self.setup.times_said(words).await? == times)
        })
        .await
        .with_context(|| bot.log())
    }

    /// Waits until the bot has seen a device on the SFU.
    async fn is_seen(&self, bot: &Bot, device: &Device) -> Result<()> {
        let line = format!("device={}", device.device_id);
        wait_until(&format!("the bot to see {} on the SFU", device.user_id), LIMIT, async || {
            anyhow::Ok(bot.log().lines().any(|at| at.contains("seen on the SFU") && at.contains(&line)))
        })
        .await
    }
}

impl Scene<'_> {
    /// What the bot says of the call.
    async fn explain(&self) -> Result<String> {
        self.ask(&format!("explain {}", self.room)).await
    }

    /// What the bot answers to a command.
    async fn ask(&self, command: &str) -> Result<String> {
        self.setup.ask(command, LIMIT).await
    }
}

/// Waits until a span is over that is itself what a test is about.
async fn pass(span: Duration) -> Result<()> {
    let begun = Instant::now();
    wait_until("a span to be over", LIMIT, async || begun.elapsed() >= span).await
}

/// What `/get_token` makes of a device: its member id is the default, as Element Call's is.
fn hashed_identity(device: &Device) -> String {
    let parts = [&device.user_id, &device.device_id, &identity(device)];
    STANDARD_NO_PAD.encode(Sha256::digest(json!(parts).to_string()))
}

/// As the authorisation service names a device.
fn identity(device: &Device) -> String {
    format!("{}:{}", device.user_id, device.device_id)
}
