//! The survey: the subcommand, and the command with its plan, in rooms of every kind on a real Synapse, and beside a
//! homeserver that hangs.
#![recursion_limit = "256"]

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use rtc_janitor_test_support::{
    BotSetup, Device, Membership, Population, ProxiedRequest, RoomOptions, Stage, Synapse, unique,
};
use serde_json::{Value, json};

#[path = "survey/admin_room.rs"]
mod admin_room;
#[path = "survey/command_line.rs"]
mod command_line;
#[path = "survey/joins.rs"]
mod joins;
#[path = "survey/stopped.rs"]
mod stopped;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// Rooms of every kind with a ghost in each, and a word in their names that no other room has.
struct Rooms {
    host: Device,
    word: String,
    /// By what they are.
    ids: BTreeMap<&'static str, String>,
}

impl Rooms {
    async fn new(setup: &BotSetup<'_>) -> Result<Self> {
        let synapse = setup.synapse;
        let (host, word) = (synapse.sign_in_new("host").await?, unique("word"));
        let me = &setup.account.user_id;
        let mut rooms = Self { host, word, ids: BTreeMap::new() };
        // Of version 11: whoever makes one of version 12 is above all levels.
        let options = || RoomOptions::new().version("11");
        let strict = || options().call_member_level(50);
        rooms.add(synapse, "private", strict()).await?;
        rooms.add(synapse, "public", options().public()).await?;
        rooms.add(synapse, "creators", RoomOptions::new().version("12").call_member_level(50)).await?;
        let banned = rooms.add(synapse, "banned", strict()).await?;
        synapse.ban(&rooms.host, &banned, me).await?;
        // Its successor has its name, and no call.
        let upgraded = rooms.add(synapse, "upgraded", strict()).await?;
        synapse.upgrade(&rooms.host, &upgraded, "11").await?;
        let powerless = rooms.add(synapse, "powerless", strict()).await?;
        synapse.bring_in(&rooms.host, &powerless, &synapse.login(&setup.account).await?).await?;
        // Nobody of this server has any power there.
        let afar = strict().power_levels(json!({"users": {&rooms.host.user_id: 100, "@far:away": 100}}));
        let remote = rooms.add(synapse, "remote", afar).await?;
        let levels = json!({
            "users": {"@far:away": 100}, "state_default": 50, "invite": 50,
        });
        synapse.put_power_levels(&rooms.host, &remote, levels).await?;
        let quiet = options().name(&format!("{} quiet", rooms.word));
        synapse.create_room(&rooms.host, quiet).await?;
        Ok(rooms)
    }

    async fn add(&mut self, synapse: &Synapse, kind: &'static str, options: RoomOptions) -> Result<String> {
        let name = format!("{} {kind}", self.word);
        let room = synapse.create_room(&self.host, options.name(&name)).await?;
        let ghost = Membership::session(&self.host.user_id, "DEAD").aged(Duration::from_hours(5));
        synapse.write_membership(&room, ghost).await?;
        self.ids.insert(kind, room.clone());
        Ok(room)
    }

    fn kind(&self, room: &Value) -> &'static str {
        let found = self.ids.iter().find(|(_, id)| room["room_id"] == id.as_str());
        found.map_or("another", |(kind, _)| kind)
    }

    /// What a survey prints of them, by what they are.
    fn by_kind(&self, printed: &str) -> Result<BTreeMap<&'static str, Value>> {
        let rooms: Vec<Value> = serde_json::from_str(printed)?;
        Ok(rooms.into_iter().map(|room| (self.kind(&room), room)).collect())
    }
}

fn with_admin<'a>(setup: &'a BotSetup<'a>) -> &'a BotSetup<'a> {
    setup.set("synapse_admin.access_token", setup.synapse.admin_token())
}

/// Its stdout and stderr, when it ended with this code.
async fn survey(setup: &BotSetup<'_>, arguments: &[&str], code: i32) -> Result<(String, String)> {
    let output = setup.run(&[&["survey"], arguments].concat()).await?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.code() == Some(code), "{}: {out}\n{err}", output.status);
    Ok((out, err))
}

fn reads_a_room(request: &ProxiedRequest) -> bool {
    request.path.starts_with("/_synapse/admin/v1/rooms/") && request.path.ends_with("/state")
}

/// The program beside a fake homeserver, with a server admin's token.
fn stage(population: &Population) -> Result<Stage> {
    let stage = Stage::new(PROGRAM, population)?;
    stage.program.set("synapse_admin.access_token", stage.admin_token());
    Ok(stage)
}

fn makes_admin(request: &ProxiedRequest) -> bool {
    request.path.ends_with("/make_room_admin")
}
