//! The homeserver no longer takes the sync tokens that it gave, as after going back to an older version of it.

use super::*;

/// Commands are answered and a ghost is cleared.
async fn is_well(stage: &Stage) -> Result<()> {
    let ghost = stage.expire(0, Duration::ZERO)?;
    stage.wait_until_cleared(&ghost).await?;
    wait_until("an answer", LIMIT, async || {
        stage.ask("!janitor status", Duration::from_secs(5)).await.is_ok()
    })
    .await
}

#[tokio::test]
async fn it_begins_anew_when_the_server_forgets_its_tokens() -> Result<()> {
    for population in [Population::new().open(3).without_sliding_sync(), Population::new().open(3)] {
        let stage = Stage::new(PROGRAM, &population)?;
        let bot = stage.start().await?;

        stage.forget_tokens();

        is_well(&stage).await?;
        assert!(bot.stop().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn it_begins_anew_after_a_restart_when_the_server_has_forgotten_its_tokens() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(3))?;
    let bot = stage.start().await?;
    assert!(bot.stop().await?.success());

    stage.forget_tokens();
    let bot = stage.start().await?;

    is_well(&stage).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
