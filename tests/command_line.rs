//! The real program on the command line: what it prints, how it ends, and what it says of mistakes.
//!
//! Mistakes in the config file itself are in `config.rs`; here are those that only show against a server or a store.
#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "in a test, panicking is how to fail")]

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use rtc_janitor_test_support::BotSetup;

#[path = "command_line/explain.rs"]
mod explain;
#[path = "command_line/help.rs"]
mod help;
#[path = "command_line/mistakes.rs"]
mod mistakes;
#[path = "command_line/printed.rs"]
mod printed;
#[path = "command_line/sweep.rs"]
mod sweep;
#[path = "command_line/waiting.rs"]
mod waiting;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// Runs the program without a server, a config file or anything of the environment.
fn run_alone(folder: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_clear().current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The one sentence of a mistake: exit 2, nothing on stdout, and nothing on stderr that a person could not use.
fn sentence(output: &Output) -> Result<String> {
    let stderr = text(&output.stderr);
    ensure!(output.status.code() == Some(2), "{}: {stderr}", output.status);
    ensure!(output.stdout.is_empty(), "on stdout: {}", text(&output.stdout));
    for word in ["panicked", "backtrace", "RUST_BACKTRACE"] {
        ensure!(!stderr.contains(word), "{stderr}");
    }
    // What was logged on the way to it is not part of it.
    let errors: Vec<_> = stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let [sentence] = errors[..] else { anyhow::bail!("not one sentence: {stderr}") };
    ensure!(stderr.trim_end().ends_with(sentence), "not at the end: {stderr}");
    Ok(sentence.to_owned())
}

/// Runs `run` on these settings, which must be a mistake.
async fn mistake(setup: &BotSetup<'_>) -> Result<String> {
    sentence(&setup.run(&["run"]).await?)
}
