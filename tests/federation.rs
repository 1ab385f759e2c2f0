//! Owners on another server: the real program beside two real Synapses that speak with each other.

use std::{net::TcpListener, time::Duration};

use anyhow::{Result, ensure};
use rtc_janitor_test_support::{
    Bot, BotSetup, Database, Device, Membership, RoomOptions, Synapse, SynapseOptions, call_key, now,
    wait_until,
};

#[path = "federation/survey.rs"]
mod survey;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

const LIMIT: Duration = Duration::from_secs(30);

async fn federating(database: Database) -> Result<Synapse> {
    Synapse::start(SynapseOptions { federation: true, database, ..SynapseOptions::default() }).await
}

/// The bot and a public room on one server, and another server.
struct Scene<'a> {
    near: &'a Synapse,
    far: &'a Synapse,
    setup: &'a BotSetup<'a>,
    host: &'a Device,
    room: &'a str,
}

impl Scene<'_> {
    /// Somebody of the other server in the room, with keys and in a call, whose list the bot has seen.
    async fn remote_caller(&self, bot: &Bot, stem: &str) -> Result<Device> {
        let device = self.far.sign_in_new(stem).await?;
        self.join(&device, self.room).await?;
        bot.knows(&device).await?;
        Ok(device)
    }

    /// The device's user comes to a room of this server, and into its call.
    async fn join(&self, device: &Device, room: &str) -> Result<()> {
        self.far.join_via(device, room, self.near.server_name()).await?;
        self.far.join_call(device, room).await?;
        wait_until("it to arrive", LIMIT, async || self.near.is_open(room, &call_key(device)).await).await
    }

    /// The device's membership is one that has expired.
    async fn expires(&self, device: &Device) -> Result<()> {
        let hour = Duration::from_hours(1);
        let over = Membership::of(device).aged(hour).expires(hour / 2);
        let event = self.far.write_membership(self.room, over).await?;
        wait_until("it to arrive", LIMIT, async || {
            let member = self.near.call_member(self.room, &call_key(device)).await?;
            anyhow::Ok(member.is_some_and(|member| member["event_id"] == *event))
        })
        .await
    }

    /// The device signs out, and this server has heard of it.
    async fn signs_out(&self, device: &Device) -> Result<()> {
        self.far.logout(device).await?;
        wait_until("the news", LIMIT, async || {
            let listed = self.near.keys_query(&device.user_id).await?;
            anyhow::Ok(!listed.contains(&device.device_id))
        })
        .await
    }

    async fn is_cleared(&self, device: &Device) -> Result<()> {
        self.setup.wait_until_cleared(self.room, &call_key(device)).await
    }

    async fn is_in_call(&self, device: &Device, room: &str) -> Result<()> {
        ensure!(self.near.is_open(room, &call_key(device)).await?, "{}", device.user_id);
        Ok(())
    }

    /// The bot says this of the device's list.
    async fn is_explained(&self, device: &Device, room: &str, list: &str) -> Result<()> {
        let explained = self.setup.ask(&format!("explain {room} {}", device.user_id), LIMIT).await?;
        ensure!(explained.contains(list), "{explained}");
        Ok(())
    }
}

const UNKNOWN: &str = "device list: could not be read";
const LISTED: &str = "device list: listed";

#[tokio::test]
async fn a_remote_owner_is_judged_by_what_is_known_of_it_and_its_server_holds_nothing_up() -> Result<()> {
    let (near, far) = (federating(Database::Postgres).await?, federating(Database::Sqlite).await?);
    let setup = BotSetup::new(&near, PROGRAM).await?;
    // The near server's own lists are there as well: they say nothing of others.
    setup.set("synapse_admin.access_token", near.admin_token()).set("grace.device_gone_unseen", "2s");
    let bot = setup.start().await?;
    let host = near.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new().public()).await?;
    let scene = Scene { near: &near, far: &far, setup: &setup, host: &host, room: &room };
    let signed_out = scene.remote_caller(&bot, "signedout").await?;

    // Its server is up: that it has signed out is known, and reported, and acted on only where that is allowed.
    far.logout(&signed_out).await?;
    let report = setup.hear("remote_device_lists").await?;
    ensure!(report.body.contains(&signed_out.device_id), "{}", report.body);
    scene.is_in_call(&signed_out, &room).await?;
    bot.stop().await?;
    setup.set_raw("janitor.remote_device_lists", "true");
    let bot = setup.start().await?;
    scene.is_cleared(&signed_out).await?;
    while_its_server_is_down(&scene, bot).await
}

/// What was known of the owner's devices before is known no more, and nobody waits for the server.
async fn while_its_server_is_down(scene: &Scene<'_>, bot: Bot) -> Result<()> {
    let &Scene { near, far, setup, host, room } = scene;
    let stays = scene.remote_caller(&bot, "stays").await?;
    let vanishes = scene.remote_caller(&bot, "vanishes").await?;
    let mut over = Vec::new();
    for stem in ["overfirst", "overnext", "overlast"] {
        over.push(scene.remote_caller(&bot, stem).await?);
    }
    for device in &over[1..] {
        setup.ask(&format!("exclude {}", device.user_id), LIMIT).await?;
    }

    // One signs out, and before the bot hears of it the server is down: this one has the lists of all in its cache. It has
    // never asked for that of somebody in a room that the bot is not in yet.
    bot.stop().await?;
    scene.signs_out(&vanishes).await?;
    for device in &over {
        scene.expires(device).await?;
    }
    let other_room = near.create_room(host, RoomOptions::new().public()).await?;
    let uncached = far.sign_in_new("uncached").await?;
    scene.join(&uncached, &other_room).await?;
    far.stop().await?;
    let bot = setup.start().await?;
    let begun = now();
    scene.is_cleared(&over[0]).await?;
    println!("cleared within {} while the other server is down", now() - begun);
    bot.looks(Bot::LOOKS).await?;
    scene.is_explained(&vanishes, room, UNKNOWN).await?;
    scene.is_explained(&stays, room, LISTED).await?;
    near.invite(host, &other_room, &setup.account.user_id).await?;
    setup.wait_for_the_bot_in(&other_room).await?;
    bot.logs(&["device list not known", &uncached.user_id]).await?;
    scene.is_explained(&uncached, &other_room, UNKNOWN).await?;

    // It hangs, which is worse.
    let hanging = TcpListener::bind(far.server_name().replace("localhost", "127.0.0.1"))?;
    let local = near.sign_in_new("local").await?;
    near.bring_in(host, room, &local).await?;
    near.join_call(&local, room).await?;
    bot.knows(&local).await?;
    near.logout(&local).await?;
    let begun = now();
    setup.ask(&format!("include {}", over[1].user_id), LIMIT).await?;
    scene.is_cleared(&over[1]).await?;
    scene.is_cleared(&local).await?;
    println!("cleared within {} while the other server hangs", now() - begun);
    bot.looks(Bot::LOOKS).await?;
    for (device, room) in [(&vanishes, room), (&stays, room), (&uncached, other_room.as_str())] {
        scene.is_in_call(device, room).await?;
    }

    // It is back: what was unknown is known. Then it is gone for good.
    drop(hanging);
    far.start_again().await?;
    scene.is_cleared(&vanishes).await?;
    bot.knows(&uncached).await?;
    far.kill().await?;
    setup.ask(&format!("include {}", over[2].user_id), LIMIT).await?;
    scene.is_cleared(&over[2]).await?;
    bot.looks(Bot::LOOKS).await?;
    let calls = setup.ask("calls", LIMIT).await?;
    for (device, room) in [(&stays, room), (&uncached, other_room.as_str())] {
        scene.is_in_call(device, room).await?;
        ensure!(calls.contains(&device.user_id[1..9]), "{calls}");
    }
    Ok(())
}
