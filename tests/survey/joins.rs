//! What `--join` asks for before it does anything, and that it does no more than it has shown.

use anyhow::Result;
use rtc_janitor_test_support::{Population, Stage};

use crate::{makes_admin, stage};

/// What runs a program on a terminal of its own: nothing else here has one.
const ON_A_TERMINAL: [&str; 3] = ["python3", "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"];

fn rooms(count: usize) -> Result<Stage> {
    let stage = stage(&Population::new().rooms(count + 1).unseen(count).ghosts(count + 1))?;
    stage.program.set("janitor.mode", "report");
    Ok(stage)
}

#[tokio::test]
async fn no_more_rooms_are_joined_than_are_shown() -> Result<()> {
    let stage = rooms(60)?;
    for (shown, rest) in [(50, Some(10)), (10, None)] {
        let before = stage.count(|arrival| makes_admin(&arrival.request));
        let (_, out, err) = stage.program.begin(&[], &["survey", "--join", "--yes"])?.ended().await?;
        assert!(err.contains(&format!("I would get into {shown} rooms:")), "{err}");
        assert_eq!(err.contains("more are not part of this plan"), rest.is_some(), "{err}");
        let done: Vec<_> = out.lines().filter(|line| line.ends_with(": joined; I may clear there")).collect();
        assert_eq!(done.len(), shown, "{out}");
        for line in done {
            let room = line.trim_end_matches(": joined; I may clear there");
            assert!(err.contains(&format!("- {room}: ")), "{room} was not shown: {err}");
        }
        assert_eq!(stage.count(|arrival| makes_admin(&arrival.request)), before + shown);
    }
    Ok(())
}

#[tokio::test]
async fn somebody_at_a_terminal_is_asked() -> Result<()> {
    let stage = rooms(2)?;
    let admins = || stage.count(|arrival| makes_admin(&arrival.request));
    // Ctrl-C at the question, as the terminal sends it.
    for (typed, words, made) in [
        ("no\n", "Nothing was changed.", 0),
        ("\n", "Nothing was changed.", 0),
        ("\u{3}", "Nothing was changed.", 0),
        ("yes\n", "joined; I may clear there", 2),
    ] {
        let mut begun = stage.program.begin(&ON_A_TERMINAL, &["survey", "--join"])?;
        begun.says("Type \"yes\" to do this: ").await?;
        assert_eq!(admins(), 0, "nobody said yes");
        begun.types(typed)?;
        let (_, out, err) = begun.ended().await?;
        assert!(out.contains("I would get into 2 rooms:"), "{out}\n{err}");
        assert!(out.contains(words), "{typed:?}: {out}\n{err}");
        assert_eq!(admins(), made, "{typed:?}: {out}");
    }
    Ok(())
}
