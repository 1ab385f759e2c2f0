//! An SFU whose answers are wrong or of no use: whom it might list is not cleared, people hear of it once, and it heals
//! by itself.

use chrono::TimeDelta;

use super::*;

/// [`Scene::hurry`]'s.
const GRACE: Duration = Duration::from_secs(5);

const AWAY: &str = "I cannot ask the call server";
const BACK: &str = "The call server answers again";

/// Whoever was seen on the SFU, and one of whom it can say nothing. All but the ghost are signed out when it fails.
struct People {
    alive: Device,
    /// Still signed in: only the SFU tells.
    ghost: Device,
    /// Neither connected nor signed in.
    gone: Device,
    /// The control: gone like that one, on an SFU that is not ours.
    foreign: Device,
    _stays: Participant,
    there: Vec<Participant>,
}

impl Scene<'_> {
    async fn people(&self, bot: &Bot) -> Result<People> {
        let (alive, ghost, gone) =
            (self.member("alive").await?, self.member("ghost").await?, self.member("gone").await?);
        let foreign = self.foreigner("foreign", "https://elsewhere.test").await?;
        let stays = self.stays(&alive).await?;
        let there = vec![self.stays(&ghost).await?, self.stays(&gone).await?];
        for device in [&alive, &ghost, &gone] {
            self.is_seen(bot, device).await?;
        }
        for device in [&alive, &gone, &foreign] {
            self.synapse.upload_keys(device).await?;
            bot.knows(device).await?;
        }
        Ok(People { alive, ghost, gone, foreign, _stays: stays, there })
    }
}

impl People {
    /// While the SFU fails two leave without a word; nobody is cleared whom it might list.
    async fn are_left_alone(&mut self, scene: &Scene<'_>, bot: &Bot) -> Result<()> {
        self.there.clear();
        for device in [&self.alive, &self.gone, &self.foreign] {
            scene.synapse.logout(device).await?;
        }
        scene.cleared(&self.foreign, Instant::now()).await?;
        pass(3 * GRACE).await?;
        bot.sweeps_again().await?;
        for device in [&self.alive, &self.ghost, &self.gone] {
            assert!(scene.is_open(device).await?, "{}\n{}", device.user_id, bot.log());
        }
        Ok(())
    }

    /// Who is not there is cleared, and the living never was.
    async fn are_told_apart(&self, scene: &Scene<'_>, bot: &Bot) -> Result<()> {
        for device in [&self.ghost, &self.gone] {
            scene.cleared(device, Instant::now()).await?;
        }
        bot.sweeps_again().await?;
        scene.was_left_alone(&self.alive, bot).await
    }
}

/// What people heard of it: once that it cannot be asked, and why, and once that it can.
async fn assert_said_once(scene: &Scene<'_>, why: &str) -> Result<()> {
    scene.setup.hear(BACK).await?;
    for words in [AWAY, why, BACK] {
        assert_eq!(scene.setup.times_said(words).await?, 1, "{words}");
    }
    Ok(())
}

#[tokio::test]
async fn an_sfu_that_lists_nobody_for_longer_than_the_grace_is_taken_for_restarted() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let proxy = scene.hurry().proxied("")?;
    let bot = scene.start().await?;
    let mut people = scene.people(&bot).await?;
    let empty = proxy.answer(200, json!({"rooms": []}), matching("POST", "/ListRooms"));
    empty.first(LIMIT).await?;
    people.are_left_alone(&scene, &bot).await?;
    empty.lift();
    people.are_told_apart(&scene, &bot).await?;
    assert_eq!(scene.setup.times_said(AWAY).await?, 0, "it answered");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_forgets_the_prefix_is_named_once_and_clears_nobody() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let proxy = scene.hurry().proxied("/livekit/sfu")?;
    let strips = proxy.strip("/livekit/sfu");
    let bot = scene.start().await?;
    let mut people = scene.people(&bot).await?;
    // The SFU itself says 404 then.
    strips.lift();
    scene.setup.hear(AWAY).await.with_context(|| bot.log())?;
    people.are_left_alone(&scene, &bot).await?;
    let _strips = proxy.strip("/livekit/sfu");
    people.are_told_apart(&scene, &bot).await?;
    assert_said_once(&scene, "livekit.url leads to no LiveKit API (HTTP 404)").await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_clock_that_differs_from_the_sfus_is_named_once_and_clears_nobody() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let proxy = scene.hurry().proxied("")?;
    let bot = scene.start().await?;
    let mut people = scene.people(&bot).await?;
    // The SFU refuses what the bot would have signed by such a clock, and quotes all of it.
    let sign_by_a_clock_ahead_by =
        |ahead| proxy.replace_tokens(move |token| LiveKit::by_another_clock(token, ahead).ok());
    let ahead = sign_by_a_clock_ahead_by(TimeDelta::minutes(2));
    let said = scene.setup.hear(AWAY).await.with_context(|| bot.log())?;
    ahead.lift();
    // Its tokens hold for two minutes, and the SFU grants one more.
    let behind = sign_by_a_clock_ahead_by(TimeDelta::minutes(-4));
    behind.first(LIMIT).await?;
    people.are_left_alone(&scene, &bot).await?;
    behind.lift();
    people.are_told_apart(&scene, &bot).await?;
    assert_said_once(&scene, "its clock and ours differ").await?;
    assert!(said.body.contains("clock"), "{}", said.body);
    let everything =
        json!([scene.setup.said().await?.iter().map(|it| &it.content).collect::<Vec<_>>(), bot.log()]);
    assert!(!everything.to_string().contains("eyJ"), "a token was shown: {everything}");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_sfu_whose_answers_come_too_late_clears_nobody_and_a_slow_one_is_believed() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    let proxy = scene.hurry().proxied("")?;
    let bot = scene.start().await?;
    let mut people = scene.people(&bot).await?;
    let late = proxy.delay_answers(Duration::from_secs(30), |_| true);
    bot.logs(&["WARN", "the call server: it does not answer"]).await?;
    people.are_left_alone(&scene, &bot).await?;
    late.lift();
    let _slow = proxy.delay_answers(Duration::from_secs(2), |_| true);
    people.are_told_apart(&scene, &bot).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_sfu_that_is_gone_for_long_is_told_of_once_and_clears_nobody() -> Result<()> {
    if !has_sfu() {
        return Ok(());
    }
    let scene = Scene::set(Synapse::shared().await?).await?;
    scene.hurry();
    let bot = scene.start().await?;
    let mut people = scene.people(&bot).await?;
    scene.livekit.kill().await?;
    people.are_left_alone(&scene, &bot).await?;
    // Two minutes later.
    scene.is_said(AWAY, 1, &bot).await?;
    scene.livekit.restart().await?;
    scene.is_said(BACK, 1, &bot).await?;
    // After that long it is heard out for five minutes, unless the janitor begins anew.
    pass(3 * GRACE).await?;
    bot.sweeps_again().await?;
    for device in [&people.alive, &people.ghost, &people.gone] {
        scene.was_left_alone(device, &bot).await?;
    }
    assert!(bot.stop().await?.success());
    let bot = scene.start().await?;
    people.are_told_apart(&scene, &bot).await?;
    assert_said_once(&scene, "it does not answer").await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
