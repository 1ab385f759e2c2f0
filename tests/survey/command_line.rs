//! The subcommand on a real Synapse.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rtc_janitor_test_support::{BotSetup, FaultProxy, Method, ProxiedRequest, RoomOptions, Synapse, unique};
use serde_json::{Value, json};

use crate::{PROGRAM, Rooms, survey, with_admin};

#[tokio::test]
async fn it_finds_open_rooms_of_every_kind_and_says_what_each_takes() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let rooms = Rooms::new(with_admin(&setup)).await?;

    let (printed, _) = survey(&setup, &["--json", &rooms.word], 3).await?;
    let found = rooms.by_kind(&printed)?;
    let kinds: Vec<_> = found.keys().copied().collect();
    assert_eq!(kinds, ["banned", "creators", "powerless", "private", "public", "remote", "upgraded"]);
    for (kind, bot, steps) in [
        ("private", "outside", vec!["make_room_admin", "join"]),
        ("creators", "outside", vec!["make_room_admin", "join"]),
        ("public", "outside", vec!["join"]),
        ("banned", "banned", vec!["unban", "make_room_admin", "join"]),
        ("upgraded", "outside", vec!["go_to_successor"]),
        ("powerless", "joined", vec!["make_room_admin"]),
        ("remote", "outside", vec!["invite", "join", "raise_power"]),
    ] {
        let room = &found[kind];
        let names: Vec<_> =
            room["steps"].as_array().into_iter().flatten().map(|step| &step["step"]).collect();
        assert_eq!(
            (&room["bot"], names),
            (&json!(bot), steps.iter().map(|s| json!(s)).collect::<Vec<_>>().iter().collect()),
            "{kind}"
        );
        assert_eq!(
            (&room["open"], &room["stale"], &room["reasons"]["expired"]),
            (&json!(1), &json!(1), &json!(1))
        );
        assert_eq!(room["can_clear"], false, "{kind}");
        assert_eq!(room["survey_is_complete"], true, "{kind}");
    }
    let keys: Vec<_> = found["private"].as_object().context("an object")?.keys().cloned().collect();
    let expected = [
        "room_id",
        "name",
        "alias",
        "bot",
        "join_rule",
        "is_upgraded",
        "successor",
        "is_excluded",
        "can_see",
        "can_clear",
        "open",
        "active",
        "stale",
        "unknown",
        "reasons",
        "obstacles",
        "steps",
        "outcome",
        "outcome_why",
        "survey_is_complete",
        "memberships",
    ];
    let (mut keys, mut expected) = (keys, expected.map(str::to_owned).to_vec());
    keys.sort();
    expected.sort();
    assert_eq!(keys, expected);

    let (text, _) = survey(&setup, &[&rooms.word], 3).await?;
    assert!(text.starts_with("🔭 I looked at 9 rooms in "), "{text}");
    assert!(text.contains("7 have open memberships (7 in all)"), "{text}");
    assert!(text.contains("curl -X POST"), "{text}");
    assert_eq!(setup.said().await?, [], "it is said on the terminal and nowhere else");
    Ok(())
}

#[tokio::test]
async fn with_join_it_gets_into_those_it_can_and_says_of_the_others_why_not() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let rooms = Rooms::new(with_admin(&setup)).await?;
    setup.set_raw("rooms.exclude", &format!("[{:?}]", rooms.ids["public"]));
    let bot = setup.synapse.login(&setup.account).await?;
    let before = setup.synapse.joined_rooms(&bot).await?;

    let (_, told) = survey(&setup, &["--json", "--join", &rooms.word], 2).await?;
    assert!(told.contains("add --yes to do what is shown"), "{told}");
    assert!(told.contains("I would get into 4 rooms:"), "it is shown all the same: {told}");
    assert_eq!(setup.synapse.joined_rooms(&bot).await?, before, "nobody said yes");

    let (printed, told) = survey(&setup, &["--json", "--join", "--yes", &rooms.word], 3).await?;
    assert!(told.contains("I would get into 4 rooms:"), "{told}");
    assert!(told.contains("I am banned from it: unban me there first"), "{told}");
    assert!(told.contains("nobody of this server there has the power"), "{told}");
    let found = rooms.by_kind(&printed)?;
    for (kind, outcome) in [
        ("private", json!("joined")),
        ("creators", json!("joined")),
        ("powerless", json!("raised")),
        ("upgraded", json!("in_successor")),
        ("banned", Value::Null),
        ("remote", Value::Null),
        ("public", Value::Null),
    ] {
        assert_eq!(found[kind]["outcome"], outcome, "{kind}: {}", found[kind]);
    }
    let joined = setup.synapse.joined_rooms(&bot).await?;
    let successor = found["upgraded"]["successor"].as_str().context("it has one")?;
    for room in [&rooms.ids["private"], &rooms.ids["creators"], successor] {
        assert!(joined.iter().any(|id| id == room), "{room}");
    }
    for room in ["public", "banned", "remote", "upgraded"] {
        assert!(!joined.contains(&rooms.ids[room]), "{room}");
    }

    let (printed, _) = survey(&setup, &["--json", &rooms.word], 3).await?;
    let found = rooms.by_kind(&printed)?;
    let can_clear = |kind: &str| found[kind]["can_clear"] == true;
    assert!(can_clear("private") && can_clear("creators") && can_clear("powerless"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn a_space_an_alias_and_a_pattern_narrow_it() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let (synapse, host) = (setup.synapse, setup.synapse.sign_in_new("host").await?);
    with_admin(&setup);
    let mut rooms = Rooms { host: host.clone(), word: unique("word"), ids: BTreeMap::new() };
    let alias = unique("inside");
    let inside = rooms.add(synapse, "inside", RoomOptions::new().alias(&alias)).await?;
    rooms.add(synapse, "outside", RoomOptions::new()).await?;
    let (server, space) = (host.user_id.split_once(':').context("a server")?.1, unique("space"));
    let body = json!({"creation_content": {"type": "m.space"}, "room_alias_name": space});
    let made = synapse.as_device(&host, Method::POST, &["createRoom"]).body(body).send().await?;
    let id = made["room_id"].as_str().context("a room id")?;
    synapse.put_state(&host, id, "m.space.child", &inside, json!({"via": [server]})).await?;

    for (what, kinds) in [
        (format!("#{space}:{server}"), vec!["inside"]),
        (id.to_owned(), vec!["inside"]),
        (format!("#{alias}:{server}"), vec!["inside"]),
        (format!("#{alias}:{server},{}", rooms.ids["outside"]), vec!["inside", "outside"]),
        (format!("{} out*", rooms.word), vec!["outside"]),
        (rooms.word.to_uppercase(), vec!["inside", "outside"]),
    ] {
        let (printed, _) = survey(&setup, &["--json", &what], 3).await?;
        let found = rooms.by_kind(&printed)?;
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), kinds, "{what}");
    }
    let (printed, _) = survey(&setup, &["--json", &unique("nothing")], 0).await?;
    assert_eq!(printed, "[]\n");
    let (_, told) = survey(&setup, &[&format!("#nowhere:{server}")], 2).await?;
    assert_eq!(told.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{told}");
    assert!(told.contains(&format!("the homeserver knows no room #nowhere:{server}")), "{told}");
    Ok(())
}

#[tokio::test]
async fn without_a_server_admin_it_says_what_to_set() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let (_, told) = survey(&setup, &[], 2).await?;
    assert!(
        told.contains(
            "error: a survey asks the homeserver's admin API (Synapse): set synapse_admin.access_token_file"
        ),
        "{told}"
    );

    let nobody = setup.synapse.sign_in_new("nobody").await?;
    setup.set("synapse_admin.access_token", &nobody.access_token);
    let (_, told) = survey(&setup, &[], 2).await?;
    assert!(told.contains("error: the admin API refuses: ") && told.contains("not a server admin"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_withdrawn_in_the_middle_ends_it_with_a_sentence() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let proxy = FaultProxy::start(setup.synapse.url())?;
    let rooms = Rooms::new(with_admin(&setup)).await?;
    setup.set("synapse_admin.url", proxy.url());
    let states = |request: &ProxiedRequest| request.path.starts_with("/_synapse/admin/v1/rooms/");
    for (status, body) in [
        (403, json!({"errcode": "M_FORBIDDEN", "error": "You are not a server admin"})),
        (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed."})),
    ] {
        proxy.reset();
        let refused = proxy.answer(status, body, states);
        let (printed, told) = survey(&setup, &["--json", &rooms.word], 2).await?;
        assert_eq!(printed, "");
        assert!(told.contains("error: the admin API refuses: "), "{told}");
        assert!(proxy.count(states) <= 4, "it asks no further");
        refused.lift();
    }
    Ok(())
}
