//! An admin room without encryption, where the server shows what was said.

use anyhow::Result;
use rtc_janitor_test_support::CALL_MEMBER;
use serde_json::json;

use super::*;

/// The one thing the bot has said that has these words in it.
async fn heard(setup: &BotSetup<'_>, words: &str) -> Result<Message> {
    setup.hear(words).await?;
    let all = setup.said().await?;
    let mut with_words = all.into_iter().filter(|message| message.body.contains(words));
    let message = with_words.next().unwrap();
    assert_eq!(with_words.next(), None, "said twice");
    Ok(message)
}

#[tokio::test]
async fn a_report_is_a_notice_in_text_and_html_that_pings_nobody() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let host = synapse.sign_in_new("host").await?;
    let name = "Stand-up <b>@room</b> & \"friends\"";
    let room = setup.watched_room(&host, RoomOptions::new().name(name)).await?;
    haunt(synapse, &room, &host, "<i>DEAD</i>").await?;

    let report = heard(&setup, "Cleared 1 stale membership").await?;
    let (user, escaped_room) = (&host.user_id, room.replace('!', "%21"));
    let heading = "🧹 Cleared 1 stale membership; clients no longer showed it.";
    let expected =
        format!("{heading}\n- Stand-up <b>@\u{2060}room</b> & \"friends\": {user} on <i>DEAD</i>: expired, ");
    assert!(report.body.starts_with(&expected), "{}", report.body);
    assert!(report.body.ends_with(" s ago"), "{}", report.body);
    let html = report.formatted_body.unwrap();
    let expected = format!(
        "<p>{heading}</p><ul><li><a href=\"https://matrix.to/#/{escaped_room}?via={}\">Stand-up \
         &lt;b&gt;@\u{2060}room&lt;/b&gt; &amp; &quot;friends&quot;</a>: <code>{user}</code> on \
         <code>&lt;i&gt;DEAD&lt;/i&gt;</code>: expired, ",
        synapse.server_name()
    );
    assert!(html.starts_with(&expected), "{html}");
    assert!(html.ends_with(" s ago</li></ul>"), "{html}");

    for message in setup.said().await? {
        assert_eq!(message.content["msgtype"], "m.notice", "{}", message.body);
        assert_eq!(message.content["format"], "org.matrix.custom.html", "{}", message.body);
        assert_eq!(message.content["m.mentions"], json!({}), "{}", message.body);
        assert!(!message.body.contains("@room"), "{}", message.body);
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn the_first_hello_says_what_is_not_seen_and_how_to_go_on_and_later_ones_are_short() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let version = env!("CARGO_PKG_VERSION");
    for mode in ["report", "clean"] {
        let bot = setup.set("janitor.mode", mode).start().await?;
        let said = setup.said().await?;
        let hello = said.iter().rfind(|message| message.body.contains("is watching")).unwrap();
        let lines: Vec<_> = hello.body.lines().map(|line| line.trim_start_matches("* ")).collect();
        let first = format!(
            "👋 rtc-janitor {version} is watching no room yet: invite me into those whose calls I am to look after. I am in {mode} mode."
        );
        assert_eq!(lines[0], first);
        if mode == "report" {
            // It explains itself once.
            assert!(lines[1].contains("set janitor.mode = \"clean\""), "{}", lines[1]);
            assert!(lines[2].starts_with("I cannot see: closed tabs"), "{}", lines[2]);
            assert!(lines[3].starts_with("I would see or reach more with [livekit]"), "{}", lines[3]);
            let last = lines[4];
            assert!(last.contains("`!janitor help`") && last.contains("admin_room.alert"), "{last}");
        } else {
            // One in another mode is a message of its own; the next takes its place.
            assert_eq!((lines.len(), setup.times_said("is watching").await?), (1, 2), "{lines:?}");
            assert!(bot.stop().await?.success());
            let bot = setup.start().await?;
            let said = setup.said().await?;
            let edit = said.iter().rfind(|message| message.body.contains("is watching")).unwrap();
            assert!(edit.body.contains("Restarted since "), "{}", edit.body);
            assert_eq!(setup.times_said("is watching").await?, 2);
            assert!(bot.stop().await?.success());
            continue;
        }
        assert!(bot.stop().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_ever_posted_in_another_room() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.set("janitor.mode", "report").start().await?;
    let host = synapse.sign_in_new("host").await?;
    let watched = setup.watched_room(&host, RoomOptions::new()).await?;
    let strict = setup.watched_room(&host, RoomOptions::new().call_member_level(50)).await?;
    let direct = setup.watched_room(&setup.admin, RoomOptions::new()).await?;
    let mut ghosts = Vec::new();
    for (room, user) in [(&watched, &host), (&direct, &setup.admin)] {
        ghosts.push(haunt(synapse, room, user, "DEAD").await?);
        synapse.send_text(user, room, "!janitor status").await?;
    }
    haunt(synapse, &strict, &host, "DEAD").await?;
    setup.hear("Cannot clear").await?;
    for room in [&watched, &direct] {
        setup.hear(room).await?;
    }
    assert!(bot.stop().await?.success());
    for room in [&watched, &direct, &strict] {
        assert_eq!(setup.emptied(room).await?, Vec::<String>::new());
    }

    let bot = setup.set("janitor.mode", "clean").start().await?;
    for (room, ghost) in [&watched, &direct].into_iter().zip(&ghosts) {
        setup.wait_until_cleared(room, ghost).await?;
    }
    setup.hear("Cleared").await?;
    assert!(bot.stop().await?.success());
    // Fails on anything that is not the emptying of a membership.
    for (room, ghost) in [&watched, &direct].into_iter().zip(&ghosts) {
        assert_eq!(setup.emptied(room).await?, [ghost.as_str()]);
    }
    assert_eq!(setup.emptied(&strict).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_account_of_its_own_speaks_and_the_janitors_has_no_keys_and_is_not_there() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let (janitor, speaker) = (setup.account.user_id.clone(), synapse.register("speaker").await?);
    // Takes back the janitor's own invitation.
    synapse.kick(&setup.admin, &setup.admin_room, &janitor).await?;
    synapse.invite(&setup.admin, &setup.admin_room, &speaker.user_id).await?;
    setup
        .set("admin_room.login.user_id", &speaker.user_id)
        .set("admin_room.login.password", &speaker.password);
    let _bot: Bot = setup.spawn()?;

    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    let ghost = haunt(synapse, &room, &host, "DEAD").await?;
    wait_until("the other account to report", LIMIT, async || {
        let said = said_by(&setup, &speaker.user_id).await?;
        anyhow::Ok(said.iter().any(|message| message.body.contains("Cleared 1 stale membership")))
    })
    .await?;

    assert_eq!(setup.emptied(&room).await?, [ghost]);
    assert_eq!(setup.said().await?, []);
    let member = synapse.state_event(&setup.admin_room, "m.room.member", &janitor).await?.unwrap();
    assert_eq!(member["content"]["membership"], "leave");
    assert_eq!(synapse.devices(&janitor).await?.len(), 1);
    assert_eq!(synapse.keys_query(&janitor).await?.len(), 0);
    assert_eq!(synapse.keys_query(&speaker.user_id).await?.len(), 1);
    // It follows no invitation but the one to the admin room.
    let lure = synapse.create_room(&host, RoomOptions::new().invite(&speaker.user_id)).await?;
    let watched = setup.watched_room(&host, RoomOptions::new()).await?;
    let ghost = haunt(synapse, &watched, &host, "DEAD").await?;
    setup.wait_until_cleared(&watched, &ghost).await?;
    let member = synapse.state_event(&lure, "m.room.member", &speaker.user_id).await?.unwrap();
    assert_eq!(member["content"]["membership"], "invite");
    Ok(())
}

#[tokio::test]
async fn after_a_restart_nothing_is_said_again_but_the_start_line() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    let strict = setup.watched_room(&host, RoomOptions::new().call_member_level(50)).await?;
    // Somebody is in a call all the time, so there is always something to look at.
    synapse.join_call(&host, &room).await?;
    haunt(synapse, &room, &host, "DEAD").await?;
    haunt(synapse, &strict, &host, "DEAD").await?;
    setup.hear("Cleared 1 stale membership").await?;
    setup.hear("Cannot clear 1 stale membership").await?;
    setup.hear("recovery key").await?;
    bot.sweeps_again().await?;
    assert!(bot.stop().await?.success());
    let before = setup.said().await?;

    let bot = setup.start().await?;
    bot.sweeps_again().await?;
    assert!(bot.stop().await?.success());
    let after = setup.said().await?;
    assert_eq!(after[..before.len()], before);
    let [hello] = &after[before.len()..] else { panic!("{:?}", &after[before.len()..]) };
    assert!(hello.body.contains("is watching"), "{}", hello.body);
    assert!(synapse.is_open(&room, &call_key(&host)).await?);
    Ok(())
}

#[tokio::test]
async fn an_alias_is_resolved_once_and_the_room_stays_the_same_when_it_is_moved() -> Result<()> {
    use rtc_janitor_test_support::{Method, unique};
    let synapse = Synapse::shared().await?;
    let name = unique("janitor-room");
    let setup = BotSetup::with_admin_room(synapse, PROGRAM, RoomOptions::new().alias(&name)).await?;
    let alias = format!("#{name}:hs.test");
    let bot = setup.set("admin_room.room", &alias).start().await?;
    assert!(bot.stop().await?.success());

    let lure = RoomOptions::new().invite(&setup.account.user_id);
    let lure = synapse.create_room(&setup.admin, lure).await?;
    let directory = ["directory", "room", &alias];
    synapse.as_device(&setup.admin, Method::DELETE, &directory).send().await?;
    let moved = synapse.as_device(&setup.admin, Method::PUT, &directory);
    moved.body(json!({"room_id": lure})).send().await?;

    // Waits for a greeting in the room of before.
    let bot = setup.start().await?;
    assert!(bot.stop().await?.success());
    assert_eq!(setup.times_said("is watching").await?, 1, "the second is an edit of the first");
    let messages = synapse.messages(&lure).await?;
    assert_eq!(messages, []);
    Ok(())
}

#[tokio::test]
async fn what_needs_a_person_is_a_text_that_mentions_and_an_answer_stays_in_its_thread() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let admin = &setup.admin.user_id;
    setup.set_raw("admin_room.alert", &json!([admin]).to_string());
    let bot = setup.start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new().name("Stand-up")).await?;
    synapse.join_call(&host, &room).await?;
    bot.sweeps_again().await?;
    let mut levels = synapse.power_levels(&room).await?;
    levels["events"][CALL_MEMBER] = json!(50);
    synapse.put_power_levels(&host, &room, levels).await?;
    let alarm = heard(&setup, "I can no longer clear memberships in Stand-up").await?;
    assert_eq!(alarm.content["msgtype"], "m.text");
    assert_eq!(alarm.content["m.mentions"], json!({"user_ids": [admin]}));

    let question = synapse.send_text(&setup.admin, &setup.admin_room, "What is that?").await?;
    let relation = json!({"rel_type": "m.thread", "event_id": question, "is_falling_back": true,
        "m.in_reply_to": {"event_id": question}});
    let command = json!({"msgtype": "m.text", "body": "!janitor rooms problems", "m.relates_to": relation});
    let asked = synapse.send_event(&setup.admin, &setup.admin_room, "m.room.message", command).await?;
    let answer = heard(&setup, "1 room needs you").await?;
    let relation = &answer.content["m.relates_to"];
    assert_eq!(
        (&relation["rel_type"], &relation["event_id"]),
        (&json!("m.thread"), &json!(question)),
        "{relation}"
    );
    assert_eq!(relation["m.in_reply_to"]["event_id"], json!(asked), "{relation}");
    assert_eq!(answer.content["msgtype"], "m.notice");
    assert!(bot.stop().await?.success());
    Ok(())
}
