//! Many who are gone from a healthy SFU at once: the breaker first, and then all of them.

use serde_json::Value;

use super::*;

pub(super) const OPENED: &str = "turned stale at once";
pub(super) const STAYS_OPEN: &str = "its breaker stays open. I try another";
const CLOSED: &str = "stayed away: I trust the call server again";

impl Scene<'_> {
    /// The breaker as it is by default, but for its times.
    pub(super) fn with_breaker(&self) -> &Self {
        self.setup.unset("breaker.minimum").set("breaker.open_for", "8s").set("breaker.probe_for", "15s");
        self
    }

    /// Several of them.
    pub(super) async fn members(&self, name: &str, count: usize) -> Result<Vec<Device>> {
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(self.member(name).await?);
        }
        Ok(members)
    }

    /// All of these stay connected.
    pub(super) async fn all_stay(&self, devices: &[Device]) -> Result<Vec<Participant>> {
        let mut there = Vec::new();
        for device in devices {
            there.push(self.stays(device).await?);
        }
        Ok(there)
    }

    /// Waits until all of these are cleared.
    pub(super) async fn all_are_cleared(&self, devices: &[Device]) -> Result<()> {
        for device in devices {
            self.cleared(device, Instant::now()).await?;
        }
        Ok(())
    }

    /// None of these was ever cleared, and all are open.
    pub(super) async fn were_left_alone(&self, devices: &[Device], bot: &Bot) -> Result<()> {
        for device in devices {
            self.was_left_alone(device, bot).await?;
        }
        Ok(())
    }

    /// Waits until the bot has seen all of these on the SFU.
    pub(super) async fn all_are_seen(&self, bot: &Bot, devices: &[Device]) -> Result<()> {
        for device in devices {
            self.is_seen(bot, device).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn when_most_clients_of_a_call_are_killed_at_once_the_probe_stays_away_and_the_rest_follows()
-> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    // The SFU gives them up one after the other, within two seconds.
    scene.hurry().with_breaker().setup.set("janitor.sweep_interval", "15s");
    let bot = scene.start().await?;
    let (killed, living) = (scene.members("killed", 5).await?, scene.members("living", 3).await?);
    let _living = scene.all_stay(&living).await?;
    let mut clients = Vec::new();
    for device in &killed {
        clients.push(scene.client(device).await?);
    }
    scene.all_are_seen(&bot, &killed).await?;
    scene.all_are_seen(&bot, &living).await?;

    for client in clients {
        client.kill()?;
    }
    scene.is_said(CLOSED, 1, &bot).await?;
    scene.all_are_cleared(&killed).await?;
    bot.sweeps_again().await?;
    scene.were_left_alone(&living, &bot).await?;
    let changes = scene.setup.changes_by_the_bot(&scene.room).await?;
    assert_eq!(changes.len(), killed.len(), "{}", bot.log());
    // Said up to some seconds after it opened, on a machine that does much else.
    let opened = scene.setup.hear(OPENED).await?.sent.timestamp_millis();
    let at = |change: &Value| change["origin_server_ts"].as_i64().context("a time");
    let (probe, second) = (at(&changes[0])?, at(&changes[1])?);
    assert!(probe - opened >= 3_000, "for 8 s nothing is believed: {}", bot.log());
    assert!(second - probe >= 15_000, "the probe is alone for 15 s: {}", bot.log());
    for (words, times) in [(OPENED, 1), (CLOSED, 1), (STAYS_OPEN, 0)] {
        assert_eq!(scene.setup.times_said(words).await?, times, "{words}");
    }
    assert!(bot.stop().await?.success());
    Ok(())
}
