//! `explain`: verdicts on files without a server, and on a room that is read with somebody's token.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;
use rtc_janitor_test_support::{CALL_MEMBER, Membership, RoomOptions, Synapse};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::{run_alone, sentence, text};

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

fn event(event_type: &str, key: &str, sender: &str, sent: i64, content: &Value) -> Value {
    json!({
        "type": event_type, "state_key": key, "sender": sender, "origin_server_ts": sent, "content": content,
        "event_id": format!("${event_type}-{key}"), "room_id": "!room:example.org",
    })
}

fn member(user: &str, membership: &str) -> Value {
    event("m.room.member", user, user, NOW - 48 * HOUR, &json!({"membership": membership}))
}

fn call(user: &str, device: &str, sent: i64) -> Value {
    let content = json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": device, "expires": 4 * HOUR,
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"}, "foci_preferred": [],
    });
    event(CALL_MEMBER, &format!("_{user}_{device}_m.call"), user, sent, &content)
}

/// One room with a membership of every verdict.
fn state() -> Value {
    let (alice, bob, carol) = ("@alice:example.org", "@bob:example.org", "@carol:example.org");
    let levels = json!({"users": {"@admin:example.org": 100}, "events": {CALL_MEMBER: 0}});
    json!([
        event("m.room.create", "", "@admin:example.org", NOW - 72 * HOUR, &json!({"room_version": "11"})),
        event("m.room.power_levels", "", "@admin:example.org", NOW - 72 * HOUR, &levels),
        member("@rtc-janitor:example.org", "join"),
        member(alice, "join"),
        member(bob, "join"),
        member(carol, "leave"),
        call(alice, "LAPTOP", NOW - 10 * MINUTE),
        call(alice, "OLD", NOW - 5 * HOUR),
        call(bob, "TABLET", NOW - 10 * MINUTE),
        call(carol, "PHONE", NOW - 10 * MINUTE),
        event(CALL_MEMBER, "_@alice:example.org_ODD", alice, NOW, &json!({"device_id": 7})),
        event(CALL_MEMBER, "_@bob:example.org_GONE_m.call", bob, NOW, &json!({})),
    ])
}

fn keys_query() -> Value {
    let devices = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    let of = |names: &[&str]| Value::Object(devices(names));
    json!({"failures": {}, "device_keys": {
        "@alice:example.org": of(&["LAPTOP", "OLD"]),
        "@bob:example.org": of(&["LAPTOP"]),
        "@carol:example.org": of(&["PHONE"]),
    }})
}

/// A folder with the state and the device lists in it.
fn folder() -> Result<TempDir> {
    let folder = tempdir()?;
    fs::write(folder.path().join("state.json"), state().to_string())?;
    fs::write(folder.path().join("keys.json"), keys_query().to_string())?;
    Ok(folder)
}

fn explained(folder: &Path, more: &[&str]) -> String {
    let all = [&["explain", "--state", "state.json", "--now", "1800000000000"], more].concat();
    let output = run_alone(folder, &all);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
}

#[test]
fn an_exported_state_is_explained_to_a_person() -> Result<()> {
    let folder = folder()?;
    let told = explained(folder.path(), &["--keys-query", "keys.json", "--as", "@rtc-janitor:example.org"]);
    insta::assert_snapshot!("explained", told);
    Ok(())
}

#[test]
fn an_exported_state_is_explained_to_a_program() -> Result<()> {
    let folder = folder()?;
    let told = explained(folder.path(), &["--keys-query", "keys.json", "--json"]);
    let rows: Vec<Value> = serde_json::from_str(&told)?;
    let verdicts: Vec<_> =
        rows.iter().map(|row| (row["device_id"].as_str(), row["verdict"].as_str())).collect();
    assert_eq!(
        verdicts,
        [
            (Some("LAPTOP"), Some("active")),
            (Some("OLD"), Some("stale")),
            (Some("TABLET"), Some("stale")),
            (Some("PHONE"), Some("stale")),
            (None, Some("malformed")),
            (None, Some("left")),
        ]
    );
    assert_eq!(
        rows[1],
        json!({
            "state_key": "_@alice:example.org_OLD_m.call", "user_id": "@alice:example.org", "device_id": "OLD",
            "verdict": "stale", "reason": "expired", "reasons": ["expired", "silent"], "anomalies": [],
            "since_ms": NOW - HOUR, "expires_ms": NOW - HOUR, "route": null, "why": "it expired 1 h ago",
        })
    );

    let told = explained(folder.path(), &["--json", "--as", "@carol:example.org"]);
    let rows: Vec<Value> = serde_json::from_str(&told)?;
    assert_eq!(rows[2]["verdict"], "active", "without device lists nobody is gone by them");
    assert_eq!(rows[2]["route"], "none", "whoever has left cannot write");
    Ok(())
}

#[test]
fn the_other_lists_are_believed_as_given() -> Result<()> {
    let folder = folder()?;
    let devices =
        json!({"@bob:example.org": {"devices": [{"device_id": "TABLET", "last_seen_ts": NOW}], "total": 1}});
    fs::write(folder.path().join("devices.json"), devices.to_string())?;
    fs::write(folder.path().join("sfu.json"), "{}")?;
    let told =
        explained(folder.path(), &["--synapse-devices", "devices.json", "--sfu", "sfu.json", "--json"]);
    let rows: Vec<Value> = serde_json::from_str(&told)?;
    assert_eq!(rows[2]["device_id"], "TABLET");
    assert_ne!(rows[2]["reason"], "device_gone");
    Ok(())
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_told_by_its_name() -> Result<()> {
    let folder = folder()?;
    for (name, content) in [("broken.json", "[{"), ("list.json", "[]"), ("map.json", "{}")] {
        fs::write(folder.path().join(name), content)?;
    }
    let told = |arguments: &[&str]| {
        sentence(&run_alone(folder.path(), &[&["explain", "--state"], arguments].concat()))
    };
    let missing = "cannot read nothing.json: No such file or directory (os error 2)";
    assert_eq!(told(&["nothing.json"])?, missing);
    assert_eq!(told(&["state.json", "--keys-query", "nothing.json"])?, missing);
    assert_eq!(told(&["."])?, "cannot read .: Is a directory (os error 21)");
    assert_eq!(
        told(&["broken.json"])?,
        "broken.json is not JSON: EOF while parsing an object at line 1 column 2"
    );
    assert_eq!(
        told(&["map.json"])?,
        "map.json: the state is not the array of events that GET /_matrix/client/v3/rooms/{room}/state returns"
    );
    assert_eq!(
        told(&["state.json", "--keys-query", "map.json"])?,
        "map.json: the keys query is not the answer of POST /_matrix/client/v3/keys/query: “device_keys” is missing"
    );
    assert_eq!(
        told(&["state.json", "--synapse-devices", "list.json"])?,
        "list.json: the device lists are not a map from user id to the answer of GET \
         /_synapse/admin/v2/users/{user}/devices"
    );
    assert_eq!(
        told(&["state.json", "--sfu", "list.json"])?,
        "list.json: the call server's answers are not a map from its names of rooms to the answer of ListParticipants"
    );
    Ok(())
}

#[test]
fn events_that_are_none_are_passed_over() -> Result<()> {
    let nobody = "0 active, 0 stale, 0 unknown, 0 malformed, 0 left\n";
    let folder = folder()?;
    let state = folder.path().join("state.json");
    let create = json!({"type": "m.room.create", "state_key": "", "sender": "@a:hs", "event_id": "$c",
        "origin_server_ts": 1, "content": {"room_version": "11"}});
    fs::write(&state, json!([create, 1, null, {}, {"type": 5}, {"type": CALL_MEMBER}]).to_string())?;
    assert_eq!(explained(folder.path(), &[]), nobody);

    // A file of which nothing is left says nothing of any call.
    fs::write(&state, json!([1, null, {}, {"type": 5}, {"type": CALL_MEMBER}]).to_string())?;
    let output = run_alone(folder.path(), &["explain", "--state", "state.json", "--now", "1800000000"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), nobody));
    let warned = text(&output.stderr);
    assert!(warned.contains("state.json holds neither a call membership nor an m.room.create"), "{warned}");
    assert!(warned.contains("--now is in milliseconds"), "{warned}");
    Ok(())
}

#[test]
fn a_file_is_read_however_its_text_is_marked_and_also_from_standard_input() -> Result<()> {
    let folder = folder()?;
    let expected = explained(folder.path(), &[]);
    let text = state().to_string();
    let marked = format!("\u{feff}{text}");
    let wide = |bytes: fn(u16) -> [u8; 2]| marked.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    for bytes in [marked.clone().into_bytes(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
        fs::write(folder.path().join("state.json"), bytes)?;
        assert_eq!(explained(folder.path(), &[]), expected);
    }

    let arguments = ["explain", "--state", "-", "--now", "1800000000000"];
    assert_eq!(text_of_piped(folder.path(), &arguments, &marked)?, (Some(0), expected, String::new()));
    let (code, _, said) = text_of_piped(folder.path(), &arguments, "[{")?;
    assert_eq!(code, Some(2));
    assert!(said.starts_with("error: standard input is not JSON: EOF"), "{said}");
    let both = [&arguments[..], &["--keys-query", "-"]].concat();
    let (_, _, said) = text_of_piped(folder.path(), &both, "[]")?;
    assert_eq!(said, "error: only one file can be read from standard input (-)\n");
    Ok(())
}

/// Exit code, stdout and stderr of the program with something on its standard input.
fn text_of_piped(folder: &Path, arguments: &[&str], input: &str) -> Result<(Option<i32>, String, String)> {
    let mut child = Command::new(crate::PROGRAM)
        .args(arguments)
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Who has seen a mistake in the arguments does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn what_was_not_looked_at_is_said() -> Result<()> {
    let folder = folder()?;
    fs::write(folder.path().join("sfu.json"), "{}")?;
    let last = |more: &[&str]| explained(folder.path(), more).lines().last().map(str::to_owned).unwrap();
    assert_eq!(last(&[]), "Not checked: device lists (--keys-query FILE), call server (--sfu FILE)");
    assert_eq!(last(&["--keys-query", "keys.json"]), "Not checked: call server (--sfu FILE)");
    assert_eq!(last(&["--sfu", "sfu.json"]), "Not checked: device lists (--keys-query FILE)");
    assert!(!last(&["--keys-query", "keys.json", "--sfu", "sfu.json"]).contains("Not checked"));
    Ok(())
}

#[test]
fn an_export_that_was_cut_down_says_what_it_cannot_tell() -> Result<()> {
    let folder = folder()?;
    let all = state();
    let calls: Vec<_> = all.as_array().unwrap().iter().filter(|event| event["type"] == CALL_MEMBER).collect();
    fs::write(folder.path().join("calls.json"), json!(calls).to_string())?;
    let arguments = ["explain", "--state", "calls.json", "--as", "@alice:example.org"];
    let output = run_alone(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stderr),
        "warning: calls.json has neither m.room.create nor m.room.member: who has left the room cannot be told from \
         it\nwarning: calls.json has no m.room.create: whether @alice:example.org could clear a membership cannot be \
         told from it\n"
    );
    Ok(())
}

#[test]
fn options_that_are_no_user_and_no_time_are_refused() -> Result<()> {
    let folder = folder()?;
    for (option, value) in [("--as", "alice"), ("--now", "yesterday")] {
        let output = run_alone(folder.path(), &["explain", "--state", "state.json", option, value]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with(&format!("error: invalid value '{value}' for '{option}")), "{stderr}");
    }
    Ok(())
}

#[tokio::test]
async fn a_room_is_read_with_a_token_and_device_lists_are_looked_at() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let host = synapse.sign_in_new("host").await?;
    synapse.upload_keys(&host).await?;
    let room = synapse.create_room(&host, RoomOptions::new()).await?;
    synapse.join_call(&host, &room).await?;
    // Signed out, as a look at the device lists shows.
    let gone = Membership::session(&host.user_id, "GONE");
    synapse.put_state(&host, &room, CALL_MEMBER, &gone.state_key(), gone.content(&room)).await?;
    let folder = tempdir()?;
    fs::write(folder.path().join("token"), format!("{}\n", host.access_token))?;
    let explain = |room: &str, token: &str| {
        run_alone(folder.path(), &["explain", "--url", synapse.url(), "--room", room, "--token-file", token])
    };
    let output = explain(&room, "token");
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("token can be read by every user"), "{}", text(&output.stderr));
    assert!(told.contains(&format!("active    {} on {}", host.user_id, host.device_id)), "{told}");
    assert!(told.contains(&format!("stale     {} on GONE  [device_gone]", host.user_id)), "{told}");
    assert!(told.contains("they can clear it (own_power)"), "{told}");
    assert!(told.contains("Not checked: call server (--sfu FILE)"), "{told}");

    let stranger = synapse.sign_in_new("stranger").await?;
    fs::write(folder.path().join("strange"), &stranger.access_token)?;
    fs::write(folder.path().join("wrong"), "nobodys-token")?;
    for (room, token, why) in [
        (room.as_str(), "strange", "cannot read"),
        ("#nowhere:hs.test", "token", "cannot read #nowhere:hs.test"),
        (&room, "wrong", "does not accept the token of --token-file"),
        (&room, "missing", "--token-file: the file missing does not exist"),
    ] {
        let sentence = sentence(&explain(room, token))?;
        assert!(sentence.contains(why) && !sentence.contains("nobodys-token"), "{sentence}");
    }
    Ok(())
}
