//! The command, and its plan, on a real Synapse and beside a fake.

use anyhow::{Context, Result};
use rtc_janitor_test_support::{
    Bot, BotSetup, Method, PATIENCE, Population, ProxiedRequest, Synapse, wait_until,
};

use crate::{PROGRAM, Rooms, makes_admin, reads_a_room, stage, with_admin};

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
    assert!(second.body.contains("or end it: `!janitor survey stop`"), "{}", second.body);
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
    let held = stage.hold_answers(makes_admin);
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

#[tokio::test]
async fn it_is_stopped_while_nothing_is_answered_and_says_how_far_it_came() -> Result<()> {
    let stage = stage(&Population::new().rooms(40).unseen(20).open(40))?;
    let bot = stage.start().await?;
    let none = stage.ask("!janitor survey stop", PATIENCE).await?;
    assert!(none.body.contains("No survey is under way"), "{}", none.body);

    for (command, holds) in [
        ("survey", reads_a_room as fn(&ProxiedRequest) -> bool),
        ("survey join", reads_a_room),
        ("survey", lists_rooms),
    ] {
        let held = stage.hold_answers(holds);
        let posts = stage.posts().len();
        stage.say(&format!("!janitor {command}"));
        held.first(PATIENCE).await?;
        let stopped = stage.ask("!janitor survey stop", PATIENCE).await?;
        assert!(stopped.body.starts_with("🛑 I stopped the survey"), "{}", stopped.body);
        // It is answered though what it had asked for never is.
        let words = "⚠️ Incomplete: the survey was stopped ";
        let told = wait_until("what it found", PATIENCE, async || {
            stage.posts().into_iter().skip(posts).find(|post| post.body.contains(words))
        });
        let told = told.await.with_context(|| format!("{:#?}", stage.posts()))?;
        assert!(told.body.contains("I looked at 0 "), "{command}: {}", told.body);
        assert!(!told.body.contains("Plan `"), "nothing is proposed: {}", told.body);
        let again = stage.ask("!janitor survey stop", PATIENCE).await?;
        assert!(again.body.contains("No survey is under way"), "{}", again.body);
        held.lift();
    }
    let problems = stage.ask("!janitor rooms problems", PATIENCE).await?;
    assert!(problems.body.contains("⚠️ Incomplete: the survey was stopped"), "{}", problems.body);

    // A complete one takes its place, and one that is stopped does not take that one's.
    stage.say("!janitor survey");
    stage.hear("I looked at 41 rooms", PATIENCE).await?;
    let held = stage.hold_answers(reads_a_room);
    stage.say("!janitor survey");
    held.first(PATIENCE).await?;
    // Nor can it be read any more who may give commands; what only makes the bot do less is done all the same.
    let nobody =
        stage.hang(|request| request.path.starts_with("/_matrix/") && request.path.contains("/state"));
    let stopped = stage.ask("!janitor survey stop", PATIENCE).await?;
    assert!(stopped.body.starts_with("🛑 I stopped the survey"), "{}", stopped.body);
    nobody.lift();
    let problems = stage.ask("!janitor rooms problems", PATIENCE).await?;
    assert!(
        problems.body.contains("The last survey (") && !problems.body.contains("Incomplete"),
        "{problems:?}"
    );
    assert!(bot.stop().await?.success());
    Ok(())
}

fn lists_rooms(request: &ProxiedRequest) -> bool {
    request.path == "/_synapse/admin/v1/rooms"
}
