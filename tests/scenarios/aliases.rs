//! Aliases in `rooms.include` and `rooms.exclude` that are gone, or whose server does not answer.

use super::*;

const ALIAS: &str = "#team:fake.test";

/// One ghost, and one in a second room.
fn two_rooms() -> Result<(Stage, Place, Place)> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(2).ghosts(2))?;
    let (first, second) = (stage.place(0)?, stage.place(1)?);
    Ok((stage, first, second))
}

#[tokio::test]
async fn the_room_that_an_included_alias_once_named_is_kept_when_the_alias_is_gone() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(2).open(2))?;
    stage.name(ALIAS, &stage.room(0));
    stage.program.set_raw("rooms.include", &format!("[\"{ALIAS}\"]"));
    assert!(stage.start().await?.stop().await?.success());

    stage.unname(ALIAS);
    let bot = stage.start().await?;

    let (inside, outside) = (stage.expire(0, Duration::ZERO)?, stage.expire(1, Duration::ZERO)?);
    stage.wait_until_cleared(&inside).await?;
    assert!(stage.is_open(&outside), "a room that is not included");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn the_room_that_an_excluded_alias_once_named_is_kept_when_its_server_does_not_answer() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(2).open(2))?;
    stage.name(ALIAS, &stage.room(0));
    stage.program.set_raw("rooms.exclude", &format!("[\"{ALIAS}\"]"));
    assert!(stage.start().await?.stop().await?.success());

    let _down = stage.refuse(502, "M_UNKNOWN", "Failed to fetch alias", matching("GET", "/directory/room/"));
    let bot = stage.start().await?;

    let (excluded, other) = (stage.expire(0, Duration::ZERO)?, stage.expire(1, Duration::ZERO)?);
    stage.wait_until_cleared(&other).await?;
    assert!(stage.is_open(&excluded), "an excluded room");
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_included_alias_that_names_nothing_is_a_problem_and_the_rest_is_looked_after() -> Result<()> {
    let (stage, inside, outside) = two_rooms()?;
    stage.program.set_raw("rooms.include", &format!("[\"#gone:fake.test\", \"{}\"]", inside.room));

    let bot = stage.start().await?;

    stage.wait_until_cleared(&inside).await?;
    let problems = stage.ask("!janitor rooms problems", LIMIT).await?;
    assert!(problems.body.contains("#gone:fake.test"), "{}", problems.body);
    assert!(bot.log().lines().any(|line| line.contains("#gone:fake.test") && line.contains("rooms.include")));
    assert!(stage.is_open(&outside));
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_while_an_excluded_alias_names_nothing_and_it_says_why() -> Result<()> {
    for (status, errcode) in [(404, "M_NOT_FOUND"), (502, "M_UNKNOWN")] {
        let (stage, one, other) = two_rooms()?;
        let _unknown =
            stage.refuse(status, errcode, "Failed to fetch alias", matching("GET", "/directory/room/"));
        stage.program.set_raw("rooms.exclude", "[\"#gone:fake.test\"]");

        let bot = stage.spawn()?;

        stage.hear("#gone:fake.test", LIMIT).await?;
        watch_for(Duration::from_secs(6)).await?;
        assert!(stage.is_open(&one) && stage.is_open(&other), "written though an exclusion is not known");
        assert!(
            bot.log().lines().any(|line| line.contains("#gone:fake.test") && line.contains("rooms.exclude"))
        );
        assert!(bot.stop().await?.success());
    }
    Ok(())
}
