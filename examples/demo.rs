//! A stuck call is cleared, to watch: `cargo run --example demo`.
//!
//! Starts a real homeserver on this machine, stages a call with one active and two stale devices, and runs the janitor
//! on it: first in report mode, then in clean mode. Ends with 0 when the stale memberships are gone and the active
//! device is still in the call.
#![recursion_limit = "256"]

use std::{
    cell::Cell,
    env,
    ffi::OsString,
    fs, future,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};

#[path = "demo/bot.rs"]
mod bot;
#[path = "demo/page.rs"]
mod page;
#[path = "demo/screen.rs"]
mod screen;
#[path = "demo/stage.rs"]
mod stage;

use bot::Bot;
use rtc_janitor_test_support::Synapse;
use screen::Screen;
use stage::Stage;

const USAGE: &str = "\
Usage: cargo run --example demo [-- [--stay] [--page FILE.html]]

  --stay            keep the homeserver and the janitor up afterwards, to look at with any Matrix client
  --page FILE.html  write what was said in the admin room as a page, as a Matrix client shows it";

/// What it is asked to do besides.
#[derive(Default)]
struct Wishes {
    stay: bool,
    page: Option<PathBuf>,
}

impl Wishes {
    /// `None` where it is not clear what is wanted.
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut wishes = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.to_str()? {
                "--stay" => wishes.stay = true,
                "--page" => wishes.page = Some(arguments.next()?.into()),
                _ => return None,
            }
        }
        Some(wishes)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    if env::args_os().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let Some(wishes) = Wishes::read(env::args_os().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
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
        ended = Box::pin(demo(&wishes, &stays)) => match ended {
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
async fn demo(wishes: &Wishes, stays: &Cell<bool>) -> Result<()> {
    let screen = Screen::new();
    screen.say(if Synapse::is_installed() {
        "This takes less than a minute. Nothing leaves this machine, and nothing stays behind."
    } else {
        "This takes two minutes: a Synapse is installed below target/ (once, 350 MB), and then it takes less than one. Nothing leaves \
         this machine, and nothing else stays behind."
    });
    screen.heading("A homeserver with a call in it");
    screen.say("Starting Synapse on this machine ...");
    let stage = Stage::set(&screen).await?;
    let bot = Bot::new(&stage, &screen)?;

    screen.heading("The janitor in report mode: it changes nothing");
    screen.say(
        "Real grace periods are minutes, so a brief hiccup drops nobody. Here they are seconds, so you need not wait.",
    );
    let watched = async {
        bot.hear(&[&stage.carol.device.device_id]).await?;
        screen.say("Bob signs out in the middle of the call. His client had no time to say so to the room.");
        stage.synapse.logout(&stage.bob.device).await?;
        screen.table(&stage.table().await?);
        bot.hear(&[&stage.bob.device.device_id]).await?;
        screen.say("The admin wants to know more.");
        bot.ask("!janitor calls").await
    };
    bot.run("report", watched).await?;
    ensure!(stage.open().await? == [true; 3], "report mode has changed something");
    screen.say("All of it was only said: the room is as before.");

    screen.heading("The janitor in clean mode");
    let cleaned = async {
        bot.hear(&["Cleared", &stage.carol.device.device_id]).await?;
        bot.hear(&["Cleared", &stage.bob.device.device_id]).await?;
        screen.table(&stage.table().await?);
        ensure!(stage.open().await? == [true, false, false], "the wrong ones are in the call");
        screen.say(
            "The stale memberships are gone, and Alice was not disturbed. When she leaves, the call is over, and the next \
             one rings.",
        );
        if let Some(file) = &wishes.page {
            write_page(file, &bot.page().await?)?;
            screen.say(&format!("What was said in the admin room is in {}.", file.display()));
        }
        if wishes.stay {
            stays.set(true);
            invite_to_look(&screen, &stage);
            bot.listen_until_interrupted().await?;
            // The terminal has written ^C.
            screen.gap();
        }
        Ok(())
    };
    bot.run("clean", cleaned).await?;
    drop(bot);
    drop(stage);
    screen.say("Done; the homeserver and its data are gone again.");
    Ok(())
}

fn write_page(file: &Path, page: &str) -> Result<()> {
    fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))
}

fn invite_to_look(screen: &Screen, stage: &Stage) {
    screen.heading("Everything stays up until Ctrl-C");
    screen.say(
        "Sign in with any Matrix client. The admin is in the room “Janitor” and can type commands there; all are in \
         “Stand-up”. There is no media server, so no audio or video.",
    );
    let url = stage.synapse.url();
    let mut rows = vec![["homeserver".to_owned(), url.to_owned(), String::new()]];
    for person in stage.people() {
        rows.push([
            person.name.to_lowercase(),
            person.user.user_id.clone(),
            format!("password {}", person.user.password),
        ]);
    }
    screen.rows(&rows);
    let port = url.rsplit_once(':').map_or(url, |(_, port)| port);
    screen.say("It listens on this machine alone. To look from another one, bring the port there:");
    screen.rows(&[[format!("ssh -L {port}:127.0.0.1:{port} THIS-MACHINE")]]);
    screen.say("and use the same address there.");
}
