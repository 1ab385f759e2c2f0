//! The survey on a real Synapse: the subcommand, and the command with its plan, in rooms of every kind.
#![recursion_limit = "256"]

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use rtc_janitor_test_support::{
    Bot, BotSetup, Device, FaultProxy, Membership, Method, PATIENCE, Population, ProxiedRequest, RoomOptions,
    Stage, Synapse, unique, wait_until,
};
use serde_json::{Value, json};

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
    assert!(told.contains("add --yes"), "{told}");
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

/// Gives a command and waits for the last form of its answer.
async fn ask(setup: &BotSetup<'_>, bot: &Bot, command: &str, words: &str) -> Result<String> {
    let said =
        setup.synapse.send_text(&setup.admin, &setup.admin_room, &format!("!janitor {command}")).await?;
    let (synapse, admin) = (setup.synapse, &setup.admin);
    let what = format!("{words:?} in the answer to {command}");
    let answer = wait_until(&what, PATIENCE, async || {
        let path = ["rooms", &setup.admin_room, "messages"];
        let page = synapse.as_device(admin, Method::GET, &path).query("dir", "b").query("limit", "100");
        let page = page.send().await?;
        let events = page["chunk"].as_array().cloned().unwrap_or_default();
        let first = events
            .iter()
            .find(|event| event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == said.as_str());
        let Some(first) = first else { return anyhow::Ok(None) };
        let edit = events.iter().find(|event| {
            let relation = &event["content"]["m.relates_to"];
            relation["rel_type"] == "m.replace" && relation["event_id"] == first["event_id"]
        });
        let content = edit.map_or(&first["content"], |edit| &edit["content"]["m.new_content"]);
        let body = content["body"].as_str().unwrap_or_default();
        Ok(body.contains(words).then(|| body.to_owned()))
    });
    answer.await.with_context(|| bot.log())
}

#[tokio::test]
async fn in_the_admin_room_it_proposes_a_plan_and_does_it_once_that_is_approved() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let rooms = Rooms::new(with_admin(&setup)).await?;
    let account = setup.synapse.login(&setup.account).await?;
    let bot = setup.set("janitor.mode", "report").start().await?;

    let none = ask(&setup, &bot, "rooms problems", "`!janitor survey` looks through all rooms").await?;
    assert!(none.contains("There was none since my start"), "{none}");
    let told = ask(&setup, &bot, &format!("survey {}", rooms.word), "I looked at 9 rooms").await?;
    assert!(told.contains("7 have open memberships"), "{told}");
    assert!(told.contains("proposes what I could do about 5 of them"), "{told}");
    let problems = ask(&setup, &bot, "rooms problems", "The last survey (").await?;
    assert!(problems.contains(&format!("{} banned", rooms.word)), "{problems}");

    let plan = ask(&setup, &bot, &format!("survey join {}", rooms.word), "get into 5 rooms").await?;
    assert!(
        !setup.synapse.joined_rooms(&account).await?.contains(&rooms.ids["private"]),
        "nobody approved it"
    );
    let id = plan.split('`').nth(1).context("its name")?;
    let done = ask(&setup, &bot, &format!("apply {id}"), "I got into 5 of 5 rooms").await?;
    for words in
        ["joined; I may clear there", "upgraded: I am in its successor", "I was in it and have the power"]
    {
        assert!(done.contains(words), "{done}");
    }
    let joined = setup.synapse.joined_rooms(&account).await?;
    assert!(joined.contains(&rooms.ids["private"]) && !joined.contains(&rooms.ids["banned"]), "{joined:?}");
    let again = ask(&setup, &bot, &format!("apply {id}"), "was approved by").await?;
    assert!(again.contains("carried out once"), "{again}");
    assert!(bot.stop().await?.success());
    Ok(())
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

#[tokio::test]
async fn while_it_looks_other_commands_are_answered_and_a_second_survey_says_how_far_it_is() -> Result<()> {
    let stage = stage(&Population::new().rooms(40).unseen(20).open(40))?;
    let bot = stage.start().await?;
    let held = stage.hold_answers(reads_a_room);
    let first = stage.say("!janitor survey");
    held.first(PATIENCE).await?;

    let status = stage.ask("!janitor status", PATIENCE).await?;
    assert!(status.body.contains("memberships"), "{}", status.body);
    let second = stage.ask("!janitor survey", PATIENCE).await?;
    assert!(second.body.contains("A survey has been under way for"), "{}", second.body);
    assert!(
        second.body.contains("reading rooms: 0 of 41") || second.body.contains("41 so far"),
        "{}",
        second.body
    );
    let so_far = stage.reply_to(&first, PATIENCE).await?;
    assert!(so_far.body.starts_with("⏳ Survey: "), "{}", so_far.body);

    held.lift();
    let found = stage.hear("I looked at 41 rooms", PATIENCE).await?;
    assert!(found.body.contains("40 have open memberships"), "{}", found.body);
    let held = stage.hold_answers(reads_a_room);
    stage.say("!janitor survey");
    held.first(PATIENCE).await?;
    assert!(bot.stop().await?.success(), "a survey holds up no stop");
    Ok(())
}

#[tokio::test]
async fn a_plan_to_get_into_rooms_is_carried_out_by_a_tick_and_goes_on_after_a_kill() -> Result<()> {
    let stage = stage(&Population::new().rooms(4).unseen(3).ghosts(4))?;
    stage.program.set("janitor.mode", "report");
    let bot = stage.start().await?;
    stage.say("!janitor survey join");
    let plan = stage.hear("get into 3 rooms", PATIENCE).await?;
    let makes_admin = |request: &ProxiedRequest| request.path.ends_with("/make_room_admin");
    assert_eq!(stage.count(|arrival| makes_admin(&arrival.request)), 0, "nobody approved it");

    let held = stage.hold_answers(makes_admin);
    stage.react(&plan, "✅");
    held.first(PATIENCE).await?;
    bot.kill()?;
    held.lift();
    let bot = stage.start().await?;
    let done = stage.hear("I got into 3 of 3 rooms", PATIENCE).await?;
    assert_eq!(done.body.matches("joined; I may clear there").count(), 3, "{}", done.body);
    assert_eq!(stage.count(|arrival| makes_admin(&arrival.request)), 3, "the first had come to pass");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_plan_to_get_into_rooms_waits_for_no_pause_to_end() -> Result<()> {
    let stage = stage(&Population::new().rooms(4).unseen(3).ghosts(4))?;
    let bot = stage.start().await?;
    stage.say("!janitor survey join");
    let plan = stage.hear("get into 3 rooms", PATIENCE).await?;
    let id = plan.body.split('`').nth(1).context("its name")?.to_owned();
    stage.ask("!janitor pause", PATIENCE).await?;
    let refused = stage.ask(&format!("!janitor apply {id}"), PATIENCE).await?;
    assert!(refused.body.contains("is not carried out: I am paused"), "{}", refused.body);
    stage.ask("!janitor resume", PATIENCE).await?;

    // And where it is under way, a pause leaves the rest.
    let held = stage.hold_answers(|request| request.path.ends_with("/make_room_admin"));
    stage.say(&format!("!janitor apply {id}"));
    held.first(PATIENCE).await?;
    stage.ask("!janitor pause", PATIENCE).await?;
    held.lift();
    let done = stage.hear("I got into 1 of 3 rooms", PATIENCE).await?;
    let last = wait_until("the last word", PATIENCE, async || {
        stage.posts().into_iter().find(|post| post.body.matches("I am paused").count() == 2)
    });
    last.await.with_context(|| done.body.clone())?;
    assert!(bot.stop().await?.success());
    Ok(())
}
