//! The command line: what can be asked for, and what comes of a mistake. One file per subcommand.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{Config, ConfigError};

pub mod appservice_registration;
pub mod completions;
pub mod config;
pub mod explain;
pub mod healthcheck;
pub mod history;
pub mod logging;
pub mod man;
pub mod run;
mod set_up;
mod status_line;
pub mod survey;
pub mod sweep;

/// Clears the Matrix calls nobody is in
///
/// A bot that lives beside a Matrix homeserver. It finds call memberships whose device is gone, and
/// empties them after a grace period, so that the next call in that room rings again.
#[derive(Debug, Parser)]
#[command(name = "rtc-janitor", version, after_help = EXIT_CODES, max_term_width = 100)]
struct CommandLine {
    /// The config file; by default RTC_JANITOR_CONFIG, else ./config.toml
    #[arg(long, short, global = true, value_name = "FILE")]
    #[expect(clippy::doc_markdown, reason = "shown in the terminal as it stands here")]
    config: Option<PathBuf>,

    /// What to do; `run` when nothing is named
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for sweep: nothing stale remains
  1  something unexpected went wrong; for healthcheck: the bot does not answer
  2  a mistake in the command line, the config file or another file; stderr says which
  3  for sweep: something stale remains, within its grace or because only --clean is missing;
     for survey: a room with open memberships remains that the bot cannot see or clear, or a room was not read
  4  for sweep: something is due and stays, because it cannot be cleared or was held back

Every setting can also come from the environment: RTC_JANITOR__JANITOR__MODE=clean";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Sweep(sweep::Args),
    Survey(survey::Args),
    Explain(explain::Args),
    History(history::Args),
    Config(config::Args),
    Healthcheck(healthcheck::Args),
    AppserviceRegistration(appservice_registration::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Why a subcommand did not do what was asked. Each is told in one sentence on stderr.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings are wrong: exit 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The user can mend it; the sentence says what is wrong and what to do: exit 2.
    #[error("{0}")]
    Mistake(String),
    /// Nobody expected it; the sentence says what was being done: exit 1.
    #[error("{0}")]
    Unexpected(String),
}

impl CliError {
    /// Something the user can mend, in one sentence.
    pub fn mistake(sentence: impl Into<String>) -> Self {
        Self::Mistake(sentence.into())
    }

    /// Something nobody expected, with all its causes in one line.
    pub fn unexpected(doing: &str, error: &dyn std::error::Error) -> Self {
        let mut sentence = format!("{doing}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors repeat their source's words.
            if !sentence.contains(&text) {
                sentence = format!("{sentence}: {text}");
            }
            cause = error.source();
        }
        Self::Unexpected(sentence)
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Mistake(_) => ExitCode::from(2),
            Self::Unexpected(_) => ExitCode::FAILURE,
        }
    }
}

/// The whole program: reads the command line, does it, and says what went wrong.
pub fn main() -> ExitCode {
    match dispatch(CommandLine::parse()) {
        Ok(code) => code,
        Err(error) => {
            let mut stderr = io::stderr().lock();
            for line in error.to_string().lines() {
                // Nobody is left to tell when stderr is closed.
                let _ = writeln!(stderr, "error: {line}");
            }
            error.exit_code()
        }
    }
}

fn dispatch(line: CommandLine) -> Result<ExitCode, CliError> {
    // An empty variable is what `${RTC_JANITOR_CONFIG:-}` in a compose file gives, so it is none; clap
    // would refuse it.
    let by_environment = || std::env::var_os("RTC_JANITOR_CONFIG").filter(|name| !name.is_empty());
    let file = line.config.or_else(|| by_environment().map(PathBuf::from));
    let load = || Config::load(file.as_deref());
    match line.command.unwrap_or(Command::Run(run::Args {})) {
        Command::Run(args) => {
            let config = load()?;
            runtime()?.block_on(run::main(args, config))
        }
        Command::Sweep(args) => {
            let config = load()?;
            runtime()?.block_on(sweep::main(args, config))
        }
        Command::Survey(args) => {
            let config = load()?;
            runtime()?.block_on(survey::main(args, config))
        }
        Command::Explain(args) => explain::main(&args),
        Command::History(args) => history::main(&args, &load()?),
        Command::Config(args) => config::main(&args, load),
        Command::Healthcheck(args) => {
            let config = load()?;
            runtime()?.block_on(healthcheck::main(args, config))
        }
        Command::AppserviceRegistration(args) => appservice_registration::main(&args, file.as_deref()),
        Command::Completions(args) => completions::main(args, CommandLine::command()),
        Command::Man(args) => man::main(args, CommandLine::command()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::unexpected("cannot start the runtime", &error))
}

/// Prints the result of a subcommand. A reader that went away (`| head`) is no error.
fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::unexpected("cannot write to stdout", &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn run_is_meant_when_nothing_is_named() {
        assert!(CommandLine::parse_from(["rtc-janitor"]).command.is_none());
        let line = CommandLine::parse_from(["rtc-janitor", "sweep", "--config", "x.toml"]);
        assert_eq!(line.config, Some("x.toml".into()));
    }

    #[test]
    fn causes_are_told_once_and_in_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer, {0}")]
        struct Outer(#[source] io::Error);
        let error = CliError::unexpected("cannot sweep", &Outer(io::Error::other("inner")));
        assert_eq!(error.to_string(), "cannot sweep: outer, inner");
    }
}
