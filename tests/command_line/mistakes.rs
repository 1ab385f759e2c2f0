//! What will not heal by itself: one sentence that says what is wrong and what to do, and exit code 2.

use std::fs;

use anyhow::Result;
use rtc_janitor_test_support::{BotSetup, Device, Synapse, unique};

use crate::{PROGRAM, mistake, run_alone, sentence, text};

/// Signs the watch device in by token, and the chat device by password as before.
fn sign_in_by_token(setup: &BotSetup<'_>, token: &str, device_id: &str) {
    setup.unset("login.password").set("login.access_token", token).set("login.device_id", device_id);
    setup.set("admin_room.login.password", &setup.account.password);
}

#[test]
fn a_value_that_is_not_understood_is_told_with_its_option_and_a_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let room = ["--room", "!r:hs", "--token-file", "token"];
    for (arguments, expected) in [
        (
            vec!["history", "--since", "yesterday"],
            "'yesterday' for '--since <YYYY-MM-DD>': is no day; write it as year, month and day, such as 2026-11-25",
        ),
        (
            vec!["history", "--until", "2026-13-01"],
            "'2026-13-01' for '--until <YYYY-MM-DD>': is no day; write it as year, month and day, such as 2026-11-25",
        ),
        (
            [&["explain", "--url", "matrix.example.org"], &room[..]].concat(),
            "'matrix.example.org' for '--url <URL>': is not a full URL; write one such as \
             \"https://matrix.example.org\"",
        ),
        (
            [&["explain", "--url", "ftp://example.org"], &room[..]].concat(),
            "'ftp://example.org' for '--url <URL>': must begin with https:// or http://; write one such as \
             \"https://matrix.example.org\"",
        ),
        (
            vec!["explain", "--url", "https://hs", "--room", "Team Meeting", "--token-file", "token"],
            "'Team Meeting' for '--room <ROOM>': \"Team Meeting\" is neither a room id (\"!id:example.org\") nor an \
             alias (\"#name:example.org\")",
        ),
        (
            vec!["explain", "--state", "state.json", "--now", "noon"],
            "'noon' for '--now <MS>': is no time in milliseconds since the Unix epoch; write one such as 1764183600000",
        ),
    ] {
        let output = run_alone(folder.path(), &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("error: invalid value {expected}\n")), "{said}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_account_it_is_for() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    setup.set("login.password", "not this one");
    let user = &setup.account.user_id;
    let expected = format!("the homeserver refuses the password of {user}: correct it");
    assert_eq!(mistake(&setup).await?, expected);
    assert_eq!(sentence(&setup.run(&["sweep"]).await?)?, expected);
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_another_users_or_another_devices_or_nobodys_is_told_apart() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let Device { user_id, device_id, access_token } = synapse.login(&setup.account).await?;
    let other = synapse.sign_in_new("other").await?;

    sign_in_by_token(&setup, &other.access_token, &other.device_id);
    assert_eq!(
        mistake(&setup).await?,
        format!(
            "the access token belongs to {}; this config says {user_id}: correct one of the two",
            other.user_id
        )
    );
    sign_in_by_token(&setup, &access_token, "ELSEWHERE");
    assert_eq!(
        mistake(&setup).await?,
        format!(
            "the access token belongs to device {device_id}; this config says ELSEWHERE: correct one of the two"
        )
    );
    sign_in_by_token(&setup, "syt_nobody", &device_id);
    assert_eq!(
        mistake(&setup).await?,
        format!("the homeserver does not accept the access token of {user_id}: Invalid access token passed.")
    );

    sign_in_by_token(&setup, &access_token, &device_id);
    assert_eq!(setup.run(&["sweep"]).await?.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_store_of_another_account_is_told_with_both_names() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    assert_eq!(setup.run(&["sweep"]).await?.status.code(), Some(0));

    let other = synapse.register("other").await?;
    setup.set("homeserver.user_id", &other.user_id).set("login.password", &other.password);
    assert_eq!(
        mistake(&setup).await?,
        format!(
            "the store belongs to {}, and the configuration says {}: put homeserver.user_id right, or use another \
             store.path",
            setup.account.user_id, other.user_id
        )
    );
    Ok(())
}

#[tokio::test]
async fn an_alias_of_the_admin_room_that_leads_nowhere_is_waited_for_and_told_with_its_key() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let alias = format!("#{}:hs.test", unique("nowhere"));
    let bot = setup.set("admin_room.room", &alias).spawn()?;
    let version = format!("rtc-janitor {}", env!("CARGO_PKG_VERSION"));
    bot.logs(&["INFO", &version, "config.toml", "mode clean: signing in to", synapse.url()]).await?;
    let told = format!("admin_room.room: the homeserver knows no room {alias}");
    bot.logs(&["WARN", &told, "trying again in"]).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_alias_of_a_room_that_leads_nowhere_stops_nothing_and_is_told_with_its_key() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let alias = format!("#{}:hs.test", unique("nowhere"));
    for (key, effect) in
        [("rooms.exclude", "nothing is written"), ("rooms.include", "that room is left alone")]
    {
        setup.unset("rooms.exclude").set_raw(key, &format!("[\"{alias}\"]"));
        let bot = setup.start().await?;
        bot.logs(&["WARN", &format!("{key}: {alias} does not resolve"), effect]).await?;
        assert!(bot.stop().await?.success());
        assert_eq!(setup.run(&["sweep"]).await?.status.code(), Some(0), "{key}");
    }
    // What was asked for on the command line is not done without.
    let expected =
        format!("--room: the homeserver knows no room {alias}. Create the alias, or name the room by its id");
    assert_eq!(sentence(&setup.run(&["sweep", "--room", &alias]).await?)?, expected);
    Ok(())
}

#[tokio::test]
async fn a_newer_journal_is_refused_and_left_as_it_is() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    assert_eq!(setup.run(&["sweep"]).await?.status.code(), Some(0));
    let path = setup.directory().join("data/journal.sqlite3");
    rusqlite::Connection::open(&path)?.pragma_update(None, "user_version", 99)?;

    let told = mistake(&setup).await?;
    assert!(told.starts_with(&format!("the journal {} has version 99, and this", path.display())), "{told}");
    assert!(told.ends_with("Run that one again, or give this one a store.path of its own"), "{told}");
    let version: i64 =
        rusqlite::Connection::open(&path)?.pragma_query_value(None, "user_version", |row| row.get(0))?;
    assert_eq!(version, 99);
    Ok(())
}

#[tokio::test]
async fn a_damaged_journal_is_told_with_the_way_out() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let store = setup.directory().join("data");
    fs::create_dir(&store)?;
    fs::write(
        store.join("journal.sqlite3"),
        "no database, but long enough to be taken for one. ".repeat(100),
    )?;

    let expected = format!(
        "the journal in {} cannot be used: file is not a database. Put a copy of journal.sqlite3 back, or move it away \
         to begin anew",
        store.display()
    );
    assert_eq!(mistake(&setup).await?, expected);
    assert_eq!(sentence(&setup.run(&["sweep"]).await?)?, expected);

    fs::remove_file(store.join("journal.sqlite3"))?;
    assert_eq!(setup.run(&["sweep"]).await?.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_damaged_session_is_told_with_the_way_out() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    assert_eq!(setup.run(&["sweep"]).await?.status.code(), Some(0));
    let path = setup.directory().join("data/session-watch.json");
    fs::write(&path, "{\"homeserver\": ")?;

    let told = mistake(&setup).await?;
    assert!(told.starts_with(&format!("{} is not a session of rtc-janitor", path.display())), "{told}");
    assert!(told.ends_with("remove it to sign in anew"), "{told}");

    fs::remove_file(path)?;
    assert_eq!(setup.run(&["sweep"]).await?.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_told_with_its_path() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    // Below a file there can be no folder, not even root's.
    setup.set("store.path", "config.toml/data");
    assert_eq!(
        mistake(&setup).await?,
        format!(
            "the store {} cannot be used: Not a directory (os error 20). Check store.path and who owns it",
            setup.directory().join("config.toml/data").display()
        )
    );
    Ok(())
}
