//! A room's history forks where several write at once, and then `/sync` tells one branch of it: keys that are empty by
//! now are shown open, and living ones are missing. Only a read of the current state can be believed.

use anyhow::Context;

use super::*;

/// A room with a living membership, one real ghost, and 25 keys that are empty, but that `/sync` goes on showing open
/// and expired. Limits are tight, so that phantoms can use them up.
fn haunted_by_phantoms(population: &Population) -> Result<(Stage, Vec<Place>, Place)> {
    let stage = Stage::new(PROGRAM, &population.clone().open(1).ghosts(26))?;
    let mut ghosts: Vec<Place> = (1..=26).filter_map(|number| stage.place(number).ok()).collect();
    // The last in any order that goes by key.
    let real = ghosts.pop().context("the last ghost")?;
    stage.keep_showing(&ghosts);
    for phantom in &ghosts {
        stage.hang_up(phantom);
    }
    stage.program.set_raw("limits.per_sweep", "10").set_raw("limits.per_room", "10");
    Ok((stage, ghosts, real))
}

#[tokio::test]
async fn phantoms_of_a_forked_room_do_not_starve_a_real_ghost() -> Result<()> {
    let (stage, _, real) = haunted_by_phantoms(&Population::new().without_sliding_sync())?;

    let output = stage.program.run(&["sweep", "--clean", "--wait"]).await?;

    assert!(!stage.is_open(&real), "{output:?}");
    let written = stage.clears();
    assert!(written.iter().all(|write| write.request.path.ends_with(&real.key)), "{written:#?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn phantoms_of_a_forked_room_are_shown_to_nobody() -> Result<()> {
    for population in [Population::new().without_sliding_sync(), Population::new()] {
        let (stage, phantoms, real) = haunted_by_phantoms(&population)?;
        // As long as nothing is due, no read before a write finds out.
        stage.program.set("grace.default", "1h");

        let bot = stage.start().await?;
        let calls = stage.ask("!janitor calls", LIMIT).await?;

        assert!(calls.body.contains(device_of(&real)), "the real one is shown: {}", calls.body);
        for phantom in &phantoms {
            let shown = stage.posts().into_iter().find(|post| post.body.contains(device_of(phantom)));
            assert!(shown.is_none(), "{shown:?}");
        }
        assert!(bot.stop().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn a_ghost_that_the_full_sync_of_a_forked_room_hides_is_cleared() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(1).ghosts(1).without_sliding_sync())?;
    let ghost = stage.place(1)?;
    stage.hide(std::slice::from_ref(&ghost));

    let bot = stage.start().await?;

    stage.wait_until_cleared(&ghost).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_ghost_that_is_hidden_in_a_room_that_looks_empty_is_cleared() -> Result<()> {
    let population = Population::new().rooms(3).call_rooms(1).ghosts(1).empty(2).without_sliding_sync();
    let stage = Stage::new(PROGRAM, &population)?;
    let ghost = stage.place(0)?;
    stage.hide(std::slice::from_ref(&ghost));

    let bot = stage.start().await?;

    stage.wait_until_cleared(&ghost).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_living_membership_that_a_fork_hides_is_shown_among_the_calls() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(2).without_sliding_sync())?;
    let hidden = stage.place(1)?;
    stage.hide(std::slice::from_ref(&hidden));

    let bot = stage.start().await?;
    let calls = stage.ask("!janitor calls", LIMIT).await?;

    assert!(calls.body.contains(device_of(&hidden)), "{}", calls.body);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_a_limited_sync_of_a_forked_room_tells_is_not_believed() -> Result<()> {
    let stage = Stage::new(PROGRAM, &Population::new().open(2).ghosts(0).without_sliding_sync())?;
    let (stays, leaves) = (stage.place(0)?, stage.place(1)?);
    let bot = stage.start().await?;

    stage.keep_showing(std::slice::from_ref(&leaves));
    stage.hang_up(&leaves);
    stage.leave_out_next(&leaves.room);
    stage.refresh(0);
    // Whatever came with the refresh is taken in when this one is cleared.
    let control = stage.expire(0, Duration::ZERO)?;
    stage.wait_until_cleared(&control).await?;
    let calls = stage.ask("!janitor calls", LIMIT).await?;

    assert!(!calls.body.contains(device_of(&leaves)), "{}", calls.body);
    assert_eq!(control, stays);
    assert!(bot.stop().await?.success());
    Ok(())
}
