//! `server_name` is set, and what `.well-known` answers is an error for a while, or odd beside a good homeserver.

use rtc_janitor_test_support::TlsFront;

use super::*;

/// A stage whose homeserver is found by its name.
fn by_name(well_known: &serde_json::Value) -> Result<(Stage, TlsFront)> {
    let stage = Stage::new(PROGRAM, &Population::new().ghosts(1))?;
    let front = TlsFront::start(stage.url())?;
    let mut document = well_known.clone();
    document["m.homeserver"] = json!({"base_url": stage.url()});
    stage.publish_well_known(document);
    let account = format!("@rtc-janitor:{}", front.server_name());
    stage.rename_bot(&account);
    stage.program.set("homeserver.user_id", &account);
    let certificate = TlsFront::certificate();
    stage.program.unset("homeserver.url").set("homeserver.server_name", &front.server_name());
    stage.program.env("SSL_CERT_FILE", &certificate.display().to_string());
    Ok((stage, front))
}

#[tokio::test]
async fn a_homeserver_is_found_by_its_name() -> Result<()> {
    let (stage, _front) = by_name(&json!({}))?;

    let bot = stage.start().await?;

    stage.wait_until_cleared(&stage.place(0)?).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_well_known_that_fails_for_a_while_is_asked_again() -> Result<()> {
    for status in [502, 503, 429] {
        let (stage, _front) = by_name(&json!({}))?;
        let failing = stage.refuse(status, "M_UNKNOWN", "not now", matching("GET", "/.well-known/"));

        let mut bot = stage.spawn()?;
        failing.first(LIMIT).await?;
        // Long enough for a program that gives up to have done so.
        let gave_up = bot.ended_within(Duration::from_secs(3)).await?;
        assert_eq!(gave_up, None, "{status}: {}", bot.log());
        failing.lift();

        stage.wait_until_cleared(&stage.place(0)?).await?;
        assert!(bot.stop().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn a_well_known_that_fails_keeps_nobody_out_who_has_signed_in_before() -> Result<()> {
    let (stage, _front) = by_name(&json!({}))?;
    assert!(stage.start().await?.stop().await?.success());
    let said = stage.posts().len();
    let failing = stage.refuse(503, "M_UNKNOWN", "not now", matching("GET", "/.well-known/"));

    let mut bot = stage.spawn()?;
    let gave_up = bot.ended_within(Duration::from_secs(3)).await?;
    assert_eq!(gave_up, None, "{}", bot.log());
    failing.lift();

    wait_until("the bot to be back", LIMIT, async || stage.posts().len() > said).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_is_odd_in_a_well_known_beside_the_homeserver_is_nobodys_business() -> Result<()> {
    for odd in [
        json!({"org.matrix.msc4143.rtc_foci": {}}),
        json!({"org.matrix.msc4143.rtc_foci": null}),
        json!({"org.matrix.msc4143.rtc_foci": [{"livekit_service_url": "https://livekit.fake.test"}]}),
        json!({"org.matrix.msc4143.rtc_foci": [{"type": "livekit"}]}),
        json!({"m.identity_server": {}}),
        json!({"m.tile_server": []}),
    ] {
        let (stage, _front) = by_name(&odd)?;

        let mut bot = stage.spawn()?;
        let ghost = stage.place(0)?;
        wait_until("it to clear or to end", LIMIT, async || {
            !stage.is_open(&ghost)
                || bot.ended_within(Duration::ZERO).await.is_ok_and(|ended| ended.is_some())
        })
        .await?;

        assert!(!stage.is_open(&ghost), "{odd}: {}", bot.log());
        assert!(bot.stop().await?.success());
    }
    Ok(())
}
