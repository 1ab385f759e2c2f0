//! Clients that are killed: when the SFU notices, and when the bot clears them.

use std::time::Duration;

use anyhow::Result;
use rtc_janitor_test_support::{
    AuthorisationService, Bot, BotSetup, Device, LiveKit, LiveKitOptions, Membership, Participant,
    RealClient, Recipe, RoomOptions, Synapse, SynapseOptions, call_key, free_port, wait_until,
};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_mins(6);

/// One room with a bot, at its default settings but for limits and breaker.
struct Call<'a> {
    synapse: &'a Synapse,
    livekit: &'a LiveKit,
    room: String,
    members: Vec<(Device, Option<RealClient>)>,
    bot: Bot,
    _setup: BotSetup<'a>,
    _stays: Participant,
}

/// `kills:COUNT`
pub(crate) async fn kills(program: &str, count: u32) -> Result<()> {
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let webhooks = vec![format!("http://{listen}/livekit/webhook")];
    let livekit = LiveKit::start(LiveKitOptions { webhooks, ..LiveKitOptions::default() }).await?;
    let service = AuthorisationService::start(livekit.url())?;
    let mut calls = Vec::new();
    for listen in [listen.as_str(), ""] {
        calls.push(Call::begin(program, &synapse, &livekit, &service, listen, count).await?);
    }
    // What is seen on the SFU is polled within 15 s.
    sleep(Duration::from_secs(40)).await;
    let mut times = Vec::new();
    for call in &mut calls {
        times.push(call.kill_all().await?);
    }
    for (name, mut times) in ["told by webhook", "polling alone"].into_iter().zip(times) {
        for (what, seconds) in [("gone at the SFU", &mut times.0), ("cleared", &mut times.1)] {
            seconds.sort_by(f64::total_cmp);
            println!(
                "   {name:<16} {what:<16} p50 {:.1} s, at most {:.1} s",
                seconds[seconds.len() / 2],
                seconds[seconds.len() - 1]
            );
        }
    }
    for call in calls {
        call.bot.stop().await?;
    }
    Ok(())
}

impl<'a> Call<'a> {
    async fn begin(
        program: &str,
        synapse: &'a Synapse,
        livekit: &'a LiveKit,
        service: &AuthorisationService,
        listen: &str,
        count: u32,
    ) -> Result<Self> {
        let setup = BotSetup::new(synapse, program).await?;
        for key in [
            "janitor.sweep_interval",
            "janitor.device_check_interval",
            "janitor.minimum_age",
            "grace.default",
            "grace.not_joined",
        ] {
            setup.unset(key);
        }
        setup
            .set("http.listen", listen)
            .set("livekit.url", livekit.url())
            .set("livekit.api_key", LiveKit::KEY)
            .set("livekit.api_secret", LiveKit::SECRET)
            .set_raw("livekit.service_urls", &format!("[\"{}\"]", service.url()))
            .set_raw("breaker.minimum", "1000");
        let host = synapse.sign_in_new("host").await?;
        let room = synapse.create_room(&host, RoomOptions::new().invite(&setup.account.user_id)).await?;
        let bot = setup.start().await?;
        setup.wait_for_the_bot_in(&room).await?;
        let sfu_room = Recipe::Base64Json.sfu_room(&room);
        let mut members = Vec::new();
        for number in 0..count {
            let device = synapse.sign_in_new(&format!("member{number}")).await?;
            synapse.bring_in(&host, &room, &device).await?;
            synapse.write_membership(&room, Membership::of(&device).focus(service.url())).await?;
            let client = RealClient::join(livekit, &sfu_room, &identity(&device)).await?;
            members.push((device, Some(client)));
        }
        // With somebody there it is no restart when all others go.
        let stays = Participant::stay(livekit, &sfu_room, "@host:hs.test:STAYS").await?;
        Ok(Self { synapse, livekit, room, members, bot, _setup: setup, _stays: stays })
    }

    /// Kills one after the other; seconds from each kill until it is gone at the SFU, and until it is cleared.
    async fn kill_all(&mut self) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut killed = Vec::new();
        for (device, client) in &mut self.members {
            if let Some(client) = client.take() {
                client.kill()?;
            }
            killed.push((device.clone(), Instant::now()));
            sleep(Duration::from_millis(1300)).await;
        }
        let sfu_room = Recipe::Base64Json.sfu_room(&self.room);
        let (mut gone, mut cleared) = (Vec::new(), Vec::new());
        let mut left = killed;
        let mut listed: Vec<_> = left.clone();
        wait_until("all to be cleared", LIMIT, async || {
            let identities = self.livekit.identities(&sfu_room).await?;
            for (_, begun) in listed.extract_if(.., |(device, _)| !identities.contains(&identity(device))) {
                gone.push(begun.elapsed().as_secs_f64());
            }
            let mut open = Vec::new();
            for (device, begun) in std::mem::take(&mut left) {
                if self.synapse.is_open(&self.room, &call_key(&device)).await? {
                    open.push((device, begun));
                } else {
                    cleared.push(begun.elapsed().as_secs_f64());
                }
            }
            left = open;
            anyhow::Ok(left.is_empty())
        })
        .await?;
        Ok((gone, cleared))
    }
}

fn identity(device: &Device) -> String {
    format!("{}:{}", device.user_id, device.device_id)
}
