//! A dead call is hung up, to watch: `cargo run --example demo`.
//!
//! Starts a real homeserver on this machine, stages a call with one live and two dead devices, and runs the janitor on it:
//! first in mode `report`, then in mode `clean`. Ends with 0 when the ghosts are gone and the live device is still there.
#![recursion_limit = "256"]

use std::{cell::Cell, env, future, process::ExitCode};

use anyhow::{Result, ensure};

#[path = "demo/bot.rs"]
mod bot;
#[path = "demo/screen.rs"]
mod screen;
#[path = "demo/stage.rs"]
mod stage;

use bot::Bot;
use screen::Screen;
use stage::Stage;

const USAGE: &str = "\
Usage: cargo run --example demo [-- --stay]

  --stay  keep the homeserver and the janitor up afterwards, to look at with any Matrix client";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let stay = match &arguments[..] {
        [] => false,
        [argument] if argument == "--stay" => true,
        [argument] if argument == "--help" || argument == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Interrupted half-way, it still takes the homeserver and its data along.
    let stays = Cell::new(false);
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Cannot listen to Ctrl-C: {error}");
        } else if !stays.get() {
            return;
        }
        future::pending::<()>().await;
    };
    tokio::select! {
        ended = Box::pin(demo(stay, &stays)) => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("\nThe demo failed: {error:#}");
                ExitCode::FAILURE
            }
        },
        () = interrupted => ExitCode::from(130),
    }
}

/// The whole of it; `stays` tells when it only waits for Ctrl-C.
async fn demo(stay: bool, stays: &Cell<bool>) -> Result<()> {
    let screen = Screen::new();
    screen.heading("A homeserver with a call in it");
    screen.say("Starting Synapse on this machine ...");
    let stage = Stage::set(&screen).await?;
    let bot = Bot::new(&stage, &screen)?;

    screen.heading("The janitor in mode “report”: it changes nothing");
    screen.say(
        "Real graces are minutes, so that nobody is hung up for a short trouble. Here they are seconds, so that you need \
         not wait.",
    );
    let watched = async {
        bot.hear(&[&stage.carol.device.device_id]).await?;
        screen.say("Bob signs out in the middle of the call. His client had no time to say so to the room.");
        stage.synapse.logout(&stage.bob.device).await?;
        screen.table(&stage.table().await?);
        bot.hear(&[&stage.bob.device.device_id]).await
    };
    bot.run("report", watched).await?;
    ensure!(stage.open().await? == [true; 3], "mode “report” has changed something");
    screen.say("All of it was only said: the room is as before.");

    screen.heading("The janitor in mode “clean”");
    let cleaned = async {
        bot.hear(&["Hung up", &stage.carol.device.device_id]).await?;
        bot.hear(&["Hung up", &stage.bob.device.device_id]).await?;
        screen.table(&stage.table().await?);
        ensure!(stage.open().await? == [true, false, false], "the wrong ones are in the call");
        screen.say(
            "The ghosts are gone and Alice was not disturbed. When she leaves, the call is over, and the next one rings.",
        );
        if stay {
            stays.set(true);
            invite_to_look(&screen, &stage);
            bot.listen_until_interrupted().await?;
        }
        Ok(())
    };
    bot.run("clean", cleaned).await?;
    drop(bot);
    drop(stage);
    screen.say("Done; the homeserver and its data are gone again.");
    Ok(())
}

fn invite_to_look(screen: &Screen, stage: &Stage) {
    screen.heading("Everything stays up until Ctrl-C");
    screen
        .say("Sign in with any Matrix client. The rooms are there; a server for sound and pictures is not.");
    let mut rows = vec![["homeserver".to_owned(), stage.synapse.url().to_owned(), String::new()]];
    for person in stage.people() {
        rows.push([
            person.name.to_lowercase(),
            person.user.user_id.clone(),
            format!("password {}", person.user.password),
        ]);
    }
    rows.push([
        "admin room".to_owned(),
        stage.admin_room.clone(),
        "“Janitor”, the admin is in it".to_owned(),
    ]);
    rows.push(["call room".to_owned(), stage.room.clone(), "“Stand-up”, all are in it".to_owned()]);
    screen.rows(&rows);
}
