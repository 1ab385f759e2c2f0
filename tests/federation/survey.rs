//! Surveys of rooms of another server: somebody of this one is in a call there, and who may do what is the other's to say.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rtc_janitor_test_support::{
    BotSetup, CALL_MEMBER, Database, Device, RoomOptions, Synapse, call_key, wait_until,
};
use serde_json::{Value, json};

use crate::{LIMIT, PROGRAM, federating};

/// Rooms that somebody of the far server has made, with somebody of the near one in a call.
struct Rooms<'a> {
    near: &'a Synapse,
    far: &'a Synapse,
    host: Device,
    caller: Device,
    /// By what they are.
    ids: BTreeMap<&'static str, String>,
}

impl<'a> Rooms<'a> {
    async fn new(near: &'a Synapse, far: &'a Synapse) -> Result<Self> {
        let host = far.sign_in_new("host").await?;
        let caller = near.sign_in_new("caller").await?;
        let mut rooms = Self { near, far, host, caller, ids: BTreeMap::new() };
        // Anybody may come in; nobody but its host may clear there.
        rooms.add("public", RoomOptions::new().public()).await?;
        rooms.become_strict("public").await?;
        // One has to be invited, and nobody of the near server may change anything.
        rooms.add("closed", RoomOptions::new()).await?;
        rooms.become_strict("closed").await?;
        // The same, with somebody of the near server as its second admin.
        rooms.add("shared", RoomOptions::new()).await?;
        rooms.far.set_power_level(&rooms.host, &rooms.ids["shared"], &rooms.caller.user_id, 100).await?;
        rooms
            .reached("shared", "m.room.power_levels", |levels| {
                levels["users"].as_object().is_some_and(|users| users.len() == 2)
            })
            .await?;
        rooms.become_strict("shared").await?;
        // Upgraded to a room of a version whose ids name no server, and nobody of the near server has followed.
        for kind in ["moved", "moved later"] {
            rooms.add(kind, RoomOptions::new().public()).await?;
            rooms.far.upgrade(&rooms.host, &rooms.ids[kind], "12").await?;
            rooms.reached(kind, "m.room.tombstone", |grave| grave["replacement_room"].is_string()).await?;
        }
        Ok(rooms)
    }

    async fn add(&mut self, kind: &'static str, options: RoomOptions) -> Result<()> {
        let options = options.version("11").name(kind).invite(&self.caller.user_id);
        let room = self.far.create_room(&self.host, options).await?;
        self.near.join_via(&self.caller, &room, self.far.server_name()).await?;
        self.near.join_call(&self.caller, &room).await?;
        // What the far server does next is to come after that, and not beside it.
        let key = call_key(&self.caller);
        wait_until("the call to be known afar", LIMIT, async || self.far.is_open(&room, &key).await).await?;
        self.ids.insert(kind, room);
        Ok(())
    }

    /// From now on it takes power to clear, as in rooms whose levels say nothing of calls.
    async fn become_strict(&self, kind: &str) -> Result<()> {
        let room = &self.ids[kind];
        let mut levels = self.far.power_levels(room).await?;
        levels["events"][CALL_MEMBER] = json!(50);
        self.far.put_power_levels(&self.host, room, levels).await?;
        self.reached(kind, "m.room.power_levels", |levels| levels["events"][CALL_MEMBER] == 50).await
    }

    /// Waits until something of the far server has come to the near one.
    async fn reached(&self, kind: &str, event_type: &str, is_it: impl Fn(&Value) -> bool) -> Result<()> {
        let room = &self.ids[kind];
        wait_until(&format!("{event_type} of the room {kind}"), LIMIT, async || {
            let event = self.near.state_event(room, event_type, "").await?;
            anyhow::Ok(event.is_some_and(|event| is_it(&event["content"])))
        })
        .await
    }

    /// What a survey prints of them, by what they are, and what it tells beside.
    async fn survey(
        &self,
        setup: &BotSetup<'_>,
        flags: &[&str],
    ) -> Result<(BTreeMap<&'static str, Value>, String)> {
        let all = self.ids.values().cloned().collect::<Vec<_>>().join(",");
        let arguments = [&["survey", "--json"], flags, &[&all]].concat();
        let output = setup.run(&arguments).await?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        ensure!(output.status.code() == Some(3), "{}: {out}\n{err}", output.status);
        let rows: Vec<Value> = serde_json::from_str(&out).with_context(|| err.clone())?;
        let kind = |row: &Value| {
            let found = self.ids.iter().find(|(_, id)| row["room_id"] == id.as_str());
            found.map_or("another", |(kind, _)| kind)
        };
        Ok((rows.into_iter().map(|row| (kind(&row), row)).collect(), err))
    }
}

fn steps(row: &Value) -> Vec<&str> {
    row["steps"].as_array().into_iter().flatten().filter_map(|step| step["step"].as_str()).collect()
}

#[tokio::test]
async fn rooms_of_another_server_are_got_into_as_far_as_somebody_here_can_help_and_it_may_be_down()
-> Result<()> {
    let (near, far) = (federating(Database::Sqlite).await?, federating(Database::Sqlite).await?);
    let setup = BotSetup::new(&near, PROGRAM).await?;
    setup.set("synapse_admin.access_token", near.admin_token());
    let rooms = Rooms::new(&near, &far).await?;

    let (found, _) = rooms.survey(&setup, &[]).await?;
    for (kind, expected) in [
        ("public", vec!["join", "raise_power"]),
        ("closed", vec!["invite", "join", "raise_power"]),
        ("shared", vec!["make_room_admin", "join"]),
        ("moved", vec!["go_to_successor"]),
        ("moved later", vec!["go_to_successor"]),
    ] {
        let row = found.get(kind).with_context(|| format!("{kind} is not among {:?}", found.keys()))?;
        assert_eq!((row["bot"].as_str(), steps(row)), (Some("outside"), expected), "{kind}");
        assert_eq!((&row["open"], &row["can_clear"]), (&json!(1), &json!(false)), "{kind}");
    }

    // With the far server there, its rooms are joined by way of it.
    let setup_word = rooms.ids["moved"].clone();
    let output = setup.run(&["survey", "--json", "--join", "--yes", &setup_word]).await?;
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    assert_eq!(rows[0]["outcome"], "in_successor", "{}", String::from_utf8_lossy(&output.stderr));

    // It goes down. What somebody here can do is done all the same, and what cannot be done is told.
    far.stop().await?;
    let (came, told) = rooms.survey(&setup, &["--join", "--yes"]).await?;
    for (kind, outcome) in [
        ("public", json!("joined_without_power")),
        ("closed", Value::Null),
        ("shared", json!("joined")),
        // It is there already.
        ("moved", Value::Null),
    ] {
        assert_eq!(came[kind]["outcome"], outcome, "{kind}: {told}");
    }
    let closed = "one has to be invited, and nobody of this server there has the power";
    assert!(told.contains(closed), "{told}");
    let later = &came["moved later"];
    assert!(matches!(later["outcome"].as_str(), Some("failed" | "refused")), "{later}\n{told}");
    let why = later["outcome_why"].as_str().context("a sentence")?;
    ensure!(why.contains("via any server") && why.contains("survey it again"), "{why}");

    // And once it is back, the same command does what was left, and that alone.
    far.start_again().await?;
    wait_until("the far server's room to be joined", 2 * LIMIT, async || {
        let (came, told) = rooms.survey(&setup, &["--join", "--yes"]).await?;
        ensure!(told.contains("I would get into 1 room:"), "{told}");
        Ok(came["moved later"]["outcome"] == "in_successor")
    })
    .await?;
    let (found, _) = rooms.survey(&setup, &[]).await?;
    assert!(found["shared"]["can_clear"] == true && found["public"]["can_clear"] == false, "{found:#?}");
    assert_eq!(found["closed"]["bot"], "outside");
    Ok(())
}
