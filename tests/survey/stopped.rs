//! Ctrl-C on the command line: what was found is told, and nothing is half done.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use rtc_janitor_test_support::{PATIENCE, Population, ProxiedRequest};
use serde_json::Value;

use crate::{makes_admin, reads_a_room, stage};

#[tokio::test]
async fn what_was_found_before_it_was_stopped_is_told_as_incomplete() -> Result<()> {
    let stage = stage(&Population::new().rooms(300).unseen(300).ghosts(300))?;
    for (arguments, answered) in
        [(&["survey"][..], 250), (&["survey", "--json"], 450), (&["survey", "--json"], 0)]
    {
        // The calls of 200 rooms are read, then their whole state.
        let count = AtomicUsize::new(0);
        let held = stage.hang(move |request: &ProxiedRequest| {
            reads_a_room(request) && count.fetch_add(1, Ordering::SeqCst) >= answered
        });
        let begun = stage.program.begin(&[], arguments)?;
        held.first(PATIENCE).await?;
        begun.signal("INT")?;
        let (code, out, err) = begun.ended().await?;
        assert_eq!(code, Some(3), "{out}\n{err}");
        match (arguments.len(), answered) {
            (1, _) => {
                assert!(out.contains("⚠️ Incomplete: the survey was stopped after "), "{out}");
                assert!(out.contains(" of 301 rooms"), "{out}");
            }
            (_, 0) => {
                assert_eq!(out, "", "an empty array would say that there is nothing");
                assert!(err.contains("warning: Incomplete: the survey was stopped after 0 of 301"), "{err}");
            }
            _ => {
                let rows: Vec<Value> = serde_json::from_str(&out)?;
                assert!(rows.len() > 100 && rows.len() <= 200, "{}", rows.len());
                assert!(rows.iter().all(|row| row["survey_is_complete"] == false), "{out}");
                assert!(err.contains("warning: Incomplete: the survey was stopped after "), "{err}");
            }
        }
        held.lift();
    }
    Ok(())
}

#[tokio::test]
async fn a_room_that_is_under_way_is_finished_and_no_other_is_begun() -> Result<()> {
    let stage = stage(&Population::new().rooms(4).unseen(3).ghosts(4))?;
    stage.program.set("janitor.mode", "report");
    for arguments in [&["survey", "--join", "--yes"][..], &["survey", "--join", "--yes", "--json"]] {
        let before = stage.count(|arrival| makes_admin(&arrival.request));
        let held = stage.hold_answers(makes_admin);
        let begun = stage.program.begin(&[], arguments)?;
        held.first(PATIENCE).await?;
        begun.signal("INT")?;
        begun.says("stopping").await?;
        held.lift();
        let (code, out, err) = begun.ended().await?;
        assert_eq!(code, Some(3), "{out}\n{err}");
        let told = if arguments.contains(&"--json") { &err } else { &out };
        assert_eq!(told.matches("joined; I may clear there").count(), 1, "{out}\n{err}");
        assert!(err.contains(" not tried"), "{err}");
        assert_eq!(stage.count(|arrival| makes_admin(&arrival.request)), before + 1);
        let joins = |request: &ProxiedRequest| request.path.contains("/join/");
        assert_eq!(stage.count(|arrival| joins(&arrival.request)), before + 1, "it is not half done");
    }
    Ok(())
}

#[tokio::test]
async fn it_is_stopped_also_before_it_has_begun() -> Result<()> {
    let stage = stage(&Population::new().rooms(4).unseen(3).ghosts(4))?;
    // It asks first whether its own account is a server admin.
    stage.program.unset("synapse_admin.access_token");
    stage.set_bot_admin(true);
    let asks = |request: &ProxiedRequest| request.path.starts_with("/_synapse/admin/v2/users/");
    let held = stage.hang(asks);
    let begun = stage.program.begin(&[], &["survey", "--json"])?;
    held.first(PATIENCE).await?;
    begun.signal("INT")?;
    let (code, out, err) = begun.ended().await?;
    assert_eq!((code, out.as_str()), (Some(3), ""), "{err}");
    assert_eq!(stage.count(|arrival| asks(&arrival.request)), 1, "it is not asked again: {err}");
    Ok(())
}
