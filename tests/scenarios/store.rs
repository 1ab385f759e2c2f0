//! A store that is lost takes pauses, exclusions and modes with it: that must not make the bot bolder.

use std::fs;

use super::*;

#[tokio::test]
async fn a_lost_store_is_said_and_nothing_is_written_until_somebody_says_go() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(2))?;
    let bot = stage.start().await?;
    stage.ask("!janitor mode report", LIMIT).await?;
    assert!(bot.stop().await?.success());

    fs::remove_dir_all(stage.program.directory().join("data"))?;
    let said = stage.posts().len();
    let bot = stage.start().await?;
    let ghost = stage.expire(0, Duration::from_secs(1))?;
    watch_for(Duration::from_secs(8)).await?;

    assert!(stage.is_open(&ghost), "written with a journal that knows of no pause");
    let news = &stage.posts()[said..];
    assert!(news.iter().any(|post| post.body.contains("journal")), "it says so: {news:#?}");
    stage.ask("!janitor mode clean", LIMIT).await?;
    stage.wait_until_cleared(&ghost).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}
