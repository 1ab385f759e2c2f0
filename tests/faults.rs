//! The world does not hold still and does not always answer: races, outages, limits, wrong clocks. The real program
//! beside a real Synapse, with a proxy in between.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::DateTime;
use rtc_janitor_test_support::{
    Bot, BotSetup, CALL_MEMBER, Device, Membership, PATIENCE, ProxiedRequest, RateLimits, RoomOptions, Scene,
    Synapse, SynapseOptions, call_key, matching, unique, wait_until,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// Requests of this method for one membership: a fresh read, or a write.
fn of_key(method: &'static str, key: &str) -> impl Fn(&ProxiedRequest) -> bool + use<> {
    let path = format!("/state/{CALL_MEMBER}/{key}");
    move |request| request.method == method && request.path.ends_with(&path)
}

/// Writes of memberships.
fn writes() -> impl Fn(&ProxiedRequest) -> bool {
    matching("PUT", CALL_MEMBER)
}

/// A person whose account is known, in the call of `host`'s room on a device that the bot has seen in a list.
async fn known_caller(
    setup: &BotSetup<'_>,
    bot: &Bot,
    host: &Device,
    room: &str,
) -> Result<(rtc_janitor_test_support::User, Device)> {
    let user = setup.synapse.register("caller").await?;
    let device = setup.synapse.login(&user).await?;
    setup.synapse.upload_keys(&device).await?;
    setup.synapse.bring_in(host, room, &device).await?;
    setup.synapse.join_call(&device, room).await?;
    bot.knows(&device).await?;
    Ok((user, device))
}

/// A membership that is over as soon as it is written, and of which nothing else can be said.
fn expired(owner: &Device) -> Membership {
    Membership::session(&owner.user_id, &unique("OLD")).expires(Duration::from_secs(1))
}

/// How many messages of the bot have both in them.
async fn times_said_of(setup: &BotSetup<'_>, words: &str, device: &str) -> Result<usize> {
    let said = setup.said().await?;
    let lines = said.iter().flat_map(|message| message.body.lines());
    Ok(lines.filter(|line| line.contains(words) && line.contains(device)).count())
}

#[tokio::test]
async fn a_membership_that_is_joined_anew_between_judgement_and_write_survives() -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let (user, back) = known_caller(&setup, &bot, &host, &room).await?;
    let control = setup.caller(&bot, &host, &room).await?;
    let later_control = setup.caller(&bot, &host, &room).await?;

    let read = proxy.hold(of_key("GET", &call_key(&back)));
    synapse.logout(&back).await?;
    synapse.logout(&control).await?;
    read.first(PATIENCE).await?;
    let alive = synapse.login_as(&user, &back.device_id).await?;
    synapse.upload_keys(&alive).await?;
    synapse.refresh_call(&alive, &room).await?;
    read.lift();

    setup.wait_until_cleared(&room, &call_key(&control)).await?;
    synapse.logout(&later_control).await?;
    setup.wait_until_cleared(&room, &call_key(&later_control)).await?;
    assert!(synapse.is_open(&room, &call_key(&back)).await?);
    assert_eq!(setup.times_emptied(&room, &back).await?, 0);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_owner_who_is_back_in_the_room_right_before_the_write_is_spared() -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let back = setup.caller(&bot, &host, &room).await?;
    let control = setup.caller(&bot, &host, &room).await?;
    let later_control = setup.caller(&bot, &host, &room).await?;

    let read = proxy.hold(of_key("GET", &call_key(&back)));
    synapse.leave(&back, &room).await?;
    synapse.leave(&control, &room).await?;
    read.first(PATIENCE).await?;
    synapse.bring_in(&host, &room, &back).await?;
    read.lift();

    setup.wait_until_cleared(&room, &call_key(&control)).await?;
    synapse.leave(&later_control, &room).await?;
    setup.wait_until_cleared(&room, &call_key(&later_control)).await?;
    assert!(synapse.is_open(&room, &call_key(&back)).await?);
    assert_eq!(setup.times_emptied(&room, &back).await?, 0);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_membership_that_is_joined_anew_in_the_last_instant_is_noticed_said_once_and_left_alone()
-> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let owner = synapse.sign_in_new("owner").await?;
    synapse.bring_in(&host, &room, &owner).await?;
    // By an expired membership, so that nothing but the quarantine speaks for it once it is back.
    let (back, control) = (expired(&owner), expired(&owner));
    let key = back.state_key();
    let write = proxy.hold(of_key("PUT", &key));
    synapse.write_membership(&room, back.clone()).await?;
    synapse.write_membership(&room, control.clone()).await?;
    write.first(PATIENCE).await?;
    let overwritten = synapse.write_membership(&room, back.clone().field("scope", "again")).await?;
    write.lift();

    setup.hear("had rejoined in the instant between my last read and my write").await?;
    setup.wait_until_cleared(&room, &control.state_key()).await?;
    let emptied = synapse.call_member(&room, &key).await?.unwrap_or_default();
    assert_eq!(emptied["unsigned"]["replaces_state"], overwritten);
    // The client finds itself out of the call and joins again; what is written after it is cleared before it.
    synapse.write_membership(&room, back).await?;
    let later_control = expired(&owner);
    synapse.write_membership(&room, later_control.clone()).await?;
    setup.wait_until_cleared(&room, &later_control.state_key()).await?;
    bot.sweeps_again().await?;
    assert!(synapse.is_open(&room, &key).await?);
    assert_eq!(setup.emptied(&room).await?.iter().filter(|emptied| **emptied == key).count(), 1);
    assert_eq!(setup.times_said("had rejoined in the instant").await?, 1);
    assert_eq!(setup.times_said("rejoined the call").await?, 0);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_cleared_membership_that_comes_back_is_left_alone_and_reported_once_also_after_a_restart()
-> Result<()> {
    let Scene { synapse, setup, bot, host, room } = Scene::new(PROGRAM).await?;
    let gone = setup.caller(&bot, &host, &room).await?;
    // One for whom a device list was wrong, and one of whom nothing but the quarantine can say that it lives.
    synapse.logout(&gone).await?;
    let returning = [Membership::of(&gone), expired(&host)];
    synapse.write_membership(&room, returning[1].clone()).await?;
    for membership in &returning {
        setup.wait_until_cleared(&room, &membership.state_key()).await?;
        synapse.write_membership(&room, membership.clone()).await?;
    }
    setup.hear(&format!("on {} rejoined", gone.device_id)).await?;

    let control = setup.caller(&bot, &host, &room).await?;
    let old_control = expired(&host);
    synapse.logout(&control).await?;
    synapse.write_membership(&room, old_control.clone()).await?;
    setup.wait_until_cleared(&room, &call_key(&control)).await?;
    setup.wait_until_cleared(&room, &old_control.state_key()).await?;
    assert!(bot.stop().await?.success());

    let bot = setup.start().await?;
    let control = setup.caller(&bot, &host, &room).await?;
    let old_control = expired(&host);
    synapse.logout(&control).await?;
    synapse.write_membership(&room, old_control.clone()).await?;
    setup.wait_until_cleared(&room, &call_key(&control)).await?;
    setup.wait_until_cleared(&room, &old_control.state_key()).await?;

    let emptied = setup.emptied(&room).await?;
    for key in returning.map(|membership| membership.state_key()) {
        assert!(synapse.is_open(&room, &key).await?, "{key}");
        assert_eq!(emptied.iter().filter(|emptied| **emptied == key).count(), 1, "{key}");
    }
    assert_eq!(setup.times_said("rejoined the call").await?, 2);
    assert_eq!(times_said_of(&setup, "rejoined the call", &gone.device_id).await?, 1);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_outage_of_the_server_is_survived_and_counts_towards_no_grace() -> Result<()> {
    const GRACE: Duration = Duration::from_secs(8);
    let synapse = Synapse::start(SynapseOptions::default()).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    setup.set("grace.default", "8s");
    let bot = setup.start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    let before = setup.caller(&bot, &host, &room).await?;
    let after = setup.caller(&bot, &host, &room).await?;

    synapse.logout(&before).await?;
    let gone = Instant::now();
    wait_until("a part of the grace to pass", GRACE, async || gone.elapsed() >= GRACE / 3).await?;
    synapse.stop().await?;
    let passed = gone.elapsed();
    bot.logs(&["the homeserver does not answer"]).await?;
    wait_until("the whole grace to pass", PATIENCE, async || {
        gone.elapsed() >= GRACE + Duration::from_secs(2)
    })
    .await?;
    synapse.start_again().await?;
    let back = Instant::now();
    synapse.logout(&after).await?;

    setup.wait_until_cleared(&room, &call_key(&before)).await?;
    let rest = back.elapsed();
    // The bot may have seen the server a moment before we did.
    let tolerance = Duration::from_millis(300);
    assert!(
        rest + passed + tolerance >= GRACE,
        "cleared {rest:?} after the server was back, when {passed:?} at the most of {GRACE:?} had passed"
    );
    setup.wait_until_cleared(&room, &call_key(&after)).await?;
    for device in [&before, &after] {
        setup.hear(&device.device_id).await?;
        assert_eq!(setup.times_emptied(&room, device).await?, 1);
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn under_the_servers_default_rate_limits_every_ghost_is_cleared_without_a_flood() -> Result<()> {
    const GHOSTS: usize = 15;
    let options = SynapseOptions { rate_limits: RateLimits::Default, ..SynapseOptions::default() };
    let synapse = Synapse::start(options).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let bot = setup.start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    let ghosts: Vec<_> = (0..GHOSTS).map(|_| expired(&host)).collect();
    for ghost in &ghosts {
        synapse.write_membership(&room, ghost.clone()).await?;
    }
    for ghost in &ghosts {
        setup.wait_until_cleared(&room, &ghost.state_key()).await.with_context(|| bot.log())?;
    }
    assert_eq!(setup.emptied(&room).await?.len(), GHOSTS, "each is emptied once");
    let refused = proxy.count(writes()) - GHOSTS;
    assert!(refused > 0, "the server has limited nothing");
    assert!(refused <= 2 * GHOSTS, "{refused} writes were refused");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn while_no_device_list_is_answered_nobody_is_gone() -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied(PROGRAM).await?;
    let failures = json!({"device_keys": {}, "failures": {"hs.test": {"message": "no route"}}});
    for (status, answer) in [(500, json!({"errcode": "M_UNKNOWN", "error": "broken"})), (200, failures)] {
        let ghost = setup.caller(&bot, &host, &room).await?;
        let rule = proxy.answer(status, answer.clone(), matching("POST", "/keys/query"));
        synapse.logout(&ghost).await?;
        // What needs no device list goes on.
        let control = expired(&host);
        synapse.write_membership(&room, control.clone()).await?;
        setup.wait_until_cleared(&room, &control.state_key()).await?;
        // It is asked every 2 s, and that is the grace.
        wait_until("the lists to be asked for", PATIENCE, async || rule.caught().len() >= 4).await?;
        bot.sweeps_again().await?;
        assert!(synapse.is_open(&room, &call_key(&ghost)).await?, "{answer}");
        rule.lift();
        setup.wait_until_cleared(&room, &call_key(&ghost)).await?;
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_user_whom_the_answer_does_not_name_is_not_gone() -> Result<()> {
    spared_while_the_list_is(true, |answer, user| {
        answer["device_keys"].as_object_mut().and_then(|users| users.remove(user));
    })
    .await
}

#[tokio::test]
async fn a_device_that_was_never_listed_is_not_gone_by_an_empty_list() -> Result<()> {
    spared_while_the_list_is(false, |answer, user| answer["device_keys"][user] = json!({})).await
}

/// Two people lose a device; for one of them the list is `changed`, and only the other is cleared until that is over.
async fn spared_while_the_list_is(listed_before: bool, changed: fn(&mut Value, &str)) -> Result<()> {
    let (Scene { synapse, setup, bot, host, room }, proxy) = Scene::proxied_with(PROGRAM, |setup| {
        setup.set("grace.device_gone_unseen", "2s");
    })
    .await?;
    let user = synapse.register("ghost").await?;
    let (ghost, live) = (synapse.login(&user).await?, synapse.login(&user).await?);
    let lay_down =
        |user: String| proxy.rewrite(matching("POST", "/keys/query"), move |answer| changed(answer, &user));
    let mut rule = None;
    if listed_before {
        synapse.upload_keys(&ghost).await?;
    } else {
        rule = Some(lay_down(user.user_id.clone()));
    }
    synapse.upload_keys(&live).await?;
    synapse.bring_in(&host, &room, &live).await?;
    for device in [&ghost, &live] {
        synapse.join_call(device, &room).await?;
    }
    let control = setup.caller(&bot, &host, &room).await?;
    let rule = if let Some(rule) = rule {
        rule
    } else {
        bot.knows(&ghost).await?;
        lay_down(user.user_id.clone())
    };
    let caught = rule.caught().len();
    synapse.logout(&ghost).await?;
    synapse.logout(&control).await?;
    setup.wait_until_cleared(&room, &call_key(&control)).await?;
    wait_until("the list to be asked for", PATIENCE, async || rule.caught().len() >= caught + 3).await?;
    bot.sweeps_again().await?;
    assert!(synapse.is_open(&room, &call_key(&ghost)).await?);
    rule.lift();
    setup.wait_until_cleared(&room, &call_key(&ghost)).await?;
    assert!(synapse.is_open(&room, &call_key(&live)).await?);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn while_the_clocks_differ_nothing_is_written_and_it_is_said_once() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let wrong = proxy.rewrite_headers(matching("GET", "/_matrix/client/versions"), |headers| {
        let date =
            headers.get("date").and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        let ahead = date.map(|date| (date + Duration::from_mins(2)).to_rfc2822());
        if let Some(ahead) = ahead.and_then(|ahead| ahead.parse().ok()) {
            headers.insert("date", ahead);
        }
    });
    let bot = setup.start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;
    synapse.logout(&ghost).await?;
    setup.hear("the homeserver's. I clear nothing until they agree").await?;
    // Each sweep that has something to write looks at the clock first.
    let caught = wrong.caught().len();
    wait_until("more sweeps", PATIENCE, async || wrong.caught().len() >= caught + 3).await?;
    assert!(synapse.is_open(&room, &call_key(&ghost)).await?);
    assert_eq!(proxy.count(writes()), 0);
    wrong.lift();
    setup.wait_until_cleared(&room, &call_key(&ghost)).await?;
    setup.hear("agree again").await?;
    assert_eq!(setup.times_said("I clear nothing until they agree").await?, 1);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn access_tokens_that_run_out_are_renewed_and_the_bot_goes_on() -> Result<()> {
    let options = SynapseOptions {
        extra: json!({"refreshable_access_token_lifetime": "3s"}),
        ..SynapseOptions::default()
    };
    let synapse = Synapse::start(options).await?;
    let setup = BotSetup::new(&synapse, PROGRAM).await?;
    let proxy = setup.proxied()?;
    let host = synapse.sign_in_new("host").await?;
    let room = synapse.create_room(&host, RoomOptions::new().invite(&setup.account.user_id)).await?;
    for _ in 0..2 {
        let bot = setup.start().await?;
        setup.wait_for_the_bot_in(&room).await?;
        // While somebody is in a call there is something to ask for every other second.
        let ghost = setup.caller(&bot, &host, &room).await?;
        let before = proxy.count(matching("POST", "/refresh"));
        wait_until("tokens to be renewed again and again", PATIENCE, async || {
            proxy.count(matching("POST", "/refresh")) >= before + 3
        })
        .await?;
        synapse.logout(&ghost).await?;
        setup.wait_until_cleared(&room, &call_key(&ghost)).await?;
        setup.hear(&ghost.device_id).await?;
        assert!(bot.stop().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn without_its_admin_room_the_bot_writes_nothing_until_it_is_back() -> Result<()> {
    let Scene { synapse, setup, bot, host, room } = Scene::new(PROGRAM).await?;
    let control = setup.caller(&bot, &host, &room).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;
    synapse.logout(&control).await?;
    setup.wait_until_cleared(&room, &call_key(&control)).await?;

    synapse.kick(&setup.admin, &setup.admin_room, &setup.account.user_id).await?;
    bot.logs(&["nothing is written until I can speak in the admin room"]).await?;
    synapse.logout(&ghost).await?;
    bot.logs(&["would clear", &call_key(&ghost)]).await?;
    bot.sweeps_again().await?;
    assert!(synapse.is_open(&room, &call_key(&ghost)).await?);
    assert_eq!(setup.times_emptied(&room, &ghost).await?, 0);

    synapse.invite(&setup.admin, &setup.admin_room, &setup.account.user_id).await?;
    setup.hear("I could not speak here for").await?;
    setup.wait_until_cleared(&room, &call_key(&ghost)).await?;
    setup.hear(&ghost.device_id).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn while_it_may_not_speak_in_its_admin_room_the_bot_writes_nothing() -> Result<()> {
    let Scene { synapse, setup, bot, host, room } = Scene::new(PROGRAM).await?;
    let ghost = setup.caller(&bot, &host, &room).await?;

    let before = synapse.power_levels(&setup.admin_room).await?;
    let mut silenced = before.clone();
    silenced["events_default"] = json!(50);
    synapse.put_power_levels(&setup.admin, &setup.admin_room, silenced).await?;
    bot.logs(&["nothing is written until I can speak in the admin room"]).await?;
    synapse.logout(&ghost).await?;
    bot.logs(&["would clear", &call_key(&ghost)]).await?;
    bot.sweeps_again().await?;
    assert_eq!(setup.times_emptied(&room, &ghost).await?, 0);

    synapse.put_power_levels(&setup.admin, &setup.admin_room, before).await?;
    setup.hear("I could not speak here for").await?;
    setup.wait_until_cleared(&room, &call_key(&ghost)).await?;
    setup.hear(&ghost.device_id).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
