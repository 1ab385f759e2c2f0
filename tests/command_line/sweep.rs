//! `sweep`: one sweep and its report, as a person or cron runs it.

use std::{process::Output, time::Duration};

use anyhow::{Context, Result, ensure};
use rtc_janitor_test_support::{
    BotSetup, CALL_MEMBER, Device, Membership, PATIENCE, RoomOptions, Synapse, call_key, unique, wait_until,
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{PROGRAM, sentence, text};

/// A room with the bot invited, its maker live in the call, and a ghost that expired an hour ago.
struct Haunted {
    host: Device,
    room: String,
    ghost: String,
    user: String,
    /// The ghost's device. It is signed in, so nothing but the time speaks against it.
    device: String,
}

impl Haunted {
    async fn new(setup: &BotSetup<'_>, options: RoomOptions) -> Result<Self> {
        let synapse = setup.synapse;
        let host = synapse.sign_in_new("host").await?;
        let room = synapse.create_room(&host, options.invite(&setup.account.user_id)).await?;
        synapse.join_call(&host, &room).await?;
        let device = synapse.register("ghost").await?;
        let device = synapse.login(&device).await?;
        synapse.upload_keys(&device).await?;
        synapse.bring_in(&host, &room, &device).await?;
        let ghost = Membership::of(&device).aged(Duration::from_hours(5));
        synapse.write_membership(&room, ghost).await?;
        Ok(Self { host, room, ghost: call_key(&device), user: device.user_id, device: device.device_id })
    }

    async fn is_open(&self, synapse: &Synapse) -> Result<bool> {
        synapse.is_open(&self.room, &self.ghost).await
    }
}

/// Its stdout, when it ended with this code.
fn ended(output: &Output, code: i32) -> Result<String> {
    ensure!(output.status.code() == Some(code), "{}: {}", output.status, text(&output.stderr));
    ensure!(!text(&output.stderr).contains("error: "), "{}", text(&output.stderr));
    Ok(text(&output.stdout))
}

async fn sweep(setup: &BotSetup<'_>, arguments: &[&str], code: i32) -> Result<String> {
    ended(&setup.run(&[&["sweep"], arguments].concat()).await?, code)
}

#[tokio::test]
async fn where_nothing_is_stale_it_says_so_and_exits_with_0() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    assert_eq!(sweep(&setup, &[], 0).await?, "0 memberships open, 0 stale\n");
    assert_eq!(sweep(&setup, &["--json"], 0).await?, "[]\n");

    let host = synapse.sign_in_new("host").await?;
    let room = RoomOptions::new().invite(&setup.account.user_id);
    let room = synapse.create_room(&host, room).await?;
    synapse.join_call(&host, &room).await?;
    assert_eq!(sweep(&setup, &["--wait", "--clean"], 0).await?, "1 membership open, 0 stale\n");
    assert!(synapse.is_open(&room, &call_key(&host)).await?);
    assert_eq!(setup.said().await?, [], "it is said on the terminal and nowhere else");
    Ok(())
}

#[tokio::test]
async fn without_clean_it_tells_what_is_stale_and_changes_nothing_whatever_the_mode() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let haunted = Haunted::new(&setup, RoomOptions::new()).await?;
    let Haunted { room, user, device, .. } = &haunted;
    setup.set("grace.default", "1h").set("janitor.mode", "clean");
    let told = sweep(&setup, &[], 3).await?;
    assert!(
        told.starts_with(&format!("{room}: {user} on {device} is stale: it expired 1 h ago; due in 59 min")),
        "{told}"
    );
    assert!(told.ends_with("\n2 memberships open, 1 stale\n"), "{told}");

    setup.set("grace.default", "1s");
    let told = sweep(&setup, &["--wait"], 3).await?;
    assert!(told.starts_with("🔍 Would clear 1 stale membership (report mode, nothing changed);"), "{told}");
    assert!(told.contains(&format!("{user} on {device}: expired")), "{told}");
    assert!(told.ends_with("\n\n2 memberships open, 1 stale\n"), "{told}");

    // What was told before is still told to whoever asks again.
    let told = sweep(&setup, &[], 3).await?;
    assert!(told.starts_with(&format!("{room}: {user} on {device} is stale: it expired 1 h ago")), "{told}");
    assert!(haunted.is_open(synapse).await?);
    assert_eq!(setup.emptied(room).await?, Vec::<String>::new());
    assert_eq!(setup.said().await?, []);
    Ok(())
}

#[tokio::test]
async fn its_json_is_one_array_with_an_object_for_each_open_membership() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let Haunted { host, room, ghost, user, device } = Haunted::new(&setup, RoomOptions::new()).await?;
    let event = setup.synapse.call_member(&room, &ghost).await?.context("it was written")?;
    let expires = event["origin_server_ts"].as_i64().context("it has a time")? + 4 * 3_600_000;
    setup.set("grace.default", "1h");

    let rows: Vec<Value> = serde_json::from_str(&sweep(&setup, &["--json"], 3).await?)?;
    let row = |key: &str| rows.iter().find(|row| row["state_key"] == key).cloned().context("a row");
    let dead = row(&ghost)?;
    let due = dead["due_ms"].as_i64().context("it is due some time")?;
    assert_eq!(
        dead,
        json!({
            "room_id": room, "state_key": ghost, "user_id": user, "device_id": device,
            "verdict": "stale", "reason": "expired", "reasons": ["expired", "silent"],
            "anomalies": [], "since_ms": expires, "expires_ms": expires, "route": "own_power",
            "why": "it expired 1 h ago", "due_ms": due, "outcome": null,
        })
    );
    let live = row(&call_key(&host))?;
    assert_eq!(
        (&live["verdict"], &live["reason"], &live["reasons"]),
        (&json!("active"), &Value::Null, &json!([]))
    );
    assert_eq!((&live["due_ms"], &live["outcome"]), (&Value::Null, &Value::Null));
    assert_eq!(rows.len(), 2);

    setup.set("grace.default", "1s");
    let outcome = async |arguments: &[&str], code| {
        let rows: Vec<Value> = serde_json::from_str(&sweep(&setup, arguments, code).await?)?;
        let row = rows.into_iter().find(|row| row["state_key"] == ghost.as_str());
        anyhow::Ok(row.context("a row")?["outcome"].take())
    };
    assert_eq!(outcome(&["--json", "--wait"], 3).await?, "would_clear");
    assert_eq!(outcome(&["--json", "--wait", "--clean"], 0).await?, "cleared");
    Ok(())
}

#[tokio::test]
async fn with_clean_and_wait_it_stays_until_the_grace_is_over_and_clears_what_is_dead() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let haunted = Haunted::new(&setup, RoomOptions::new()).await?;
    setup.set("grace.default", "3s").set("janitor.mode", "report");
    let began = Instant::now();
    let told = sweep(&setup, &["--clean", "--wait"], 0).await?;
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert!(told.starts_with("🧹 Cleared 1 stale membership;"), "{told}");
    assert!(told.ends_with("\n\n1 membership open, 0 stale\n"), "{told}");
    assert_eq!(setup.emptied(&haunted.room).await?, [haunted.ghost.as_str()]);
    assert!(synapse.is_open(&haunted.room, &call_key(&haunted.host)).await?);
    Ok(())
}

#[tokio::test]
async fn it_does_not_wait_for_graces_of_what_is_cleared_or_told() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let Haunted { host, room, .. } = Haunted::new(&setup, RoomOptions::new()).await?;
    // Its device was never listed, which alone would make it wait for 75 min.
    let unseen = Membership::session(&host.user_id, "NEVER-LISTED").aged(Duration::from_hours(5));
    setup.synapse.write_membership(&room, unseen).await?;
    for (arguments, code) in [(&["sweep", "--wait"][..], 3), (&["sweep", "--wait", "--clean"], 0)] {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.arg("--config").arg(setup.write_config()?).args(arguments).kill_on_drop(true);
        let output = timeout(Duration::from_secs(30), command.output()).await;
        ended(&output.with_context(|| format!("{arguments:?} goes on waiting"))??, code)?;
    }
    Ok(())
}

#[tokio::test]
async fn runs_from_cron_add_up_to_the_grace_and_do_not_shorten_it() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let haunted = Haunted::new(&setup, RoomOptions::new()).await?;
    setup.set("grace.default", "5s");
    let began = Instant::now();
    let mut runs = 0;
    wait_until("a run to clear the ghost", PATIENCE, async || {
        runs += 1;
        let output = setup.run(&["sweep", "--clean"]).await?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(3) => Ok(false),
            _ => anyhow::bail!("{}", text(&output.stderr)),
        }
    })
    .await?;
    assert!(began.elapsed() >= Duration::from_secs(5), "cleared after {:?}", began.elapsed());
    assert!(runs > 2, "cleared by run {runs}");
    assert_eq!(setup.emptied(&haunted.room).await?, [haunted.ghost.as_str()]);
    // All of them were one device.
    assert_eq!(synapse.devices(&setup.account.user_id).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn of_several_rooms_only_the_named_ones_are_swept() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let alias = unique("lobby");
    let by_id = Haunted::new(&setup, RoomOptions::new()).await?;
    let by_alias = Haunted::new(&setup, RoomOptions::new().alias(&alias)).await?;
    let other = Haunted::new(&setup, RoomOptions::new()).await?;
    let alias = format!("#{alias}:hs.test");
    let told = sweep(&setup, &["--clean", "--wait", "--room", &by_id.room, "--room", &alias], 0).await?;
    assert!(told.starts_with("🧹 Cleared 2 stale memberships;"), "{told}");
    assert!(!told.contains(&other.room), "{told}");
    assert!(!by_id.is_open(synapse).await? && !by_alias.is_open(synapse).await?);
    assert!(other.is_open(synapse).await?);

    // An exclusion wins over whoever runs it.
    setup.set_raw("rooms.exclude", &json!([other.room]).to_string());
    let output = setup.run(&["sweep", "--clean", "--room", &other.room]).await?;
    assert_eq!(sentence(&output)?, format!("--room {}: the config file excludes this room", other.room));
    assert_eq!(sweep(&setup, &["--clean", "--wait"], 0).await?, "2 memberships open, 0 stale\n");
    assert!(other.is_open(synapse).await?);
    Ok(())
}

#[tokio::test]
async fn runs_for_one_room_each_take_nothing_from_the_graces_of_the_others() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let rooms =
        [Haunted::new(&setup, RoomOptions::new()).await?, Haunted::new(&setup, RoomOptions::new()).await?];
    setup.set("grace.default", "5s");
    wait_until("runs that take turns to clear both ghosts", PATIENCE, async || {
        let mut codes = Vec::new();
        for haunted in &rooms {
            codes.push(setup.run(&["sweep", "--clean", "--room", &haunted.room]).await?.status.code());
        }
        Ok::<_, anyhow::Error>(codes == [Some(0), Some(0)])
    })
    .await?;
    for haunted in &rooms {
        assert_eq!(setup.emptied(&haunted.room).await?, [haunted.ghost.as_str()]);
    }
    Ok(())
}

#[tokio::test]
async fn a_room_that_it_is_not_in_is_no_room_without_ghosts() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let output = setup.run(&["sweep", "--room", "!nowhere:hs.test"]).await?;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        sentence(&output)?,
        "I am not in the room !nowhere:hs.test: invite me there first, or correct --room"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_and_the_store_is_free_again() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    // Nothing listens there.
    let output = setup.set("homeserver.url", "http://127.0.0.1:1").run(&["sweep"]).await?;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let last = said.lines().last().context("it says why")?;
    assert!(last.contains("no connection") && last.contains("http://127.0.0.1:1); given up"), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_it_may_not_write_is_told_with_the_cure_and_remains() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let haunted = Haunted::new(&setup, RoomOptions::new()).await?;
    let mut levels = synapse.power_levels(&haunted.room).await?;
    levels["events"][CALL_MEMBER] = json!(50);
    synapse.put_power_levels(&haunted.host, &haunted.room, levels).await?;
    let told = sweep(&setup, &["--clean", "--wait"], 4).await?;
    assert!(told.contains("🚫 Cannot clear 1 stale membership"), "{told}");
    assert!(told.contains("My power level there is 0 and call memberships need 50"), "{told}");
    let rows: Vec<Value> = serde_json::from_str(&sweep(&setup, &["--json"], 4).await?)?;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["route"] == "none"), "{rows:?}");
    let told = sweep(&setup, &[], 4).await?;
    assert!(told.contains("; due, but my power level there is 0 and call memberships need 50"), "{told}");
    assert!(haunted.is_open(setup.synapse).await?);
    Ok(())
}

#[tokio::test]
async fn quiet_says_nothing_before_something_is_due_and_then_names_the_room() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let ended_quietly = async |arguments: &[&str], code| {
        let output = setup.run(&[&["sweep", "--quiet"], arguments].concat()).await?;
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        ended(&output, code)
    };
    assert_eq!(ended_quietly(&[], 0).await?, "");
    let haunted = Haunted::new(&setup, RoomOptions::new().name("Stand-up")).await?;
    setup.set("grace.default", "1h").set("janitor.mode", "report");
    assert_eq!(ended_quietly(&[], 3).await?, "", "within its grace");

    setup.set("grace.default", "1s");
    let told = ended_quietly(&["--clean", "--wait"], 0).await?;
    let Haunted { user, device, .. } = &haunted;
    let expected = format!(
        "🧹 Cleared 1 stale membership; clients no longer showed it.\n- Stand-up: {user} on {device}: expired"
    );
    assert!(told.starts_with(&expected), "{told}");
    assert!(!told.contains("memberships open"), "{told}");
    assert!(!haunted.is_open(synapse).await?);

    // What was done is in the journal, for a person and for a spreadsheet.
    let history = ended(&setup.run(&["history"]).await?, 0)?;
    assert!(
        history.contains(&format!("cleared     {user} on {device} in Stand-up ({}): expired", haunted.room)),
        "{history}"
    );
    let csv = ended(&setup.run(&["history", "--csv", "--user", user]).await?, 0)?;
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!(lines[0], "time,room,key,user,devices,reason,outcome,detail,approved_by");
    assert!(
        lines[1].contains(&format!(",{},{},{user},{device},expired,cleared,,", haunted.room, haunted.ghost)),
        "{csv}"
    );
    assert_eq!((lines.len(), lines[2]), (3, ""), "{csv}");
    assert_eq!(ended(&setup.run(&["history", "--since", "2999-01-01"]).await?, 0)?, "No entries.\n");
    let why = sentence(&setup.run(&["history", "--room", "Stand-up"]).await?)?;
    assert!(why.contains("takes the room's id"), "{why}");
    let why = sentence(&setup.run(&["history", "--since", "2026-02-02", "--until", "2026-02-01"]).await?)?;
    assert!(why.contains("is after"), "{why}");
    Ok(())
}

#[tokio::test]
async fn the_history_is_read_beside_a_running_bot_and_is_a_mistake_where_there_is_none() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let why = sentence(&setup.run(&["history"]).await?)?;
    assert!(why.contains("there is no journal"), "{why}");
    let bot = setup.start().await?;
    assert_eq!(ended(&setup.run(&["history"]).await?, 0)?, "No entries.\n");
    assert!(bot.stop().await?.success());
    Ok(())
}
