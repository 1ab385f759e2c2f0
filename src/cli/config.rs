//! `rtc-janitor config check` and `config show`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, print};
use crate::config::{Config, ConfigError, DEFAULT_FILE, Login, Row};

/// Check the settings, or show them as they come out
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// Check the file and the environment, without a network
    ///
    /// Prints every mistake, one on a line, and exits with 2 when there is any.
    Check,
    /// Show every setting with where it comes from, secrets hidden
    Show,
}

/// Checks or shows what `load` gives.
///
/// # Errors
/// Whatever is wrong with the settings.
pub fn main(args: &Args, load: impl FnOnce() -> Result<Config, ConfigError>) -> Result<ExitCode, CliError> {
    let config = load()?;
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    match args.action {
        Action::Check => print(&summary(&config))?,
        Action::Show => print(&table(config.effective()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a person wants to know before starting the bot.
fn summary(config: &Config) -> String {
    let source = match config.file() {
        Some(file) => format!("{} is fine", file.display()),
        None => format!("The environment is fine ({DEFAULT_FILE} does not exist here)"),
    };
    let rooms = match config.rooms.include.len() {
        0 => "every joined room".to_owned(),
        1 => "1 room".to_owned(),
        several => format!("{several} rooms"),
    };
    let invitations = if config.rooms.accept_invites_from.is_empty() {
        "nobody's but to the admin room"
    } else {
        "from those in rooms.accept_invites_from"
    };
    format!(
        "{source}: mode {mode}, {user} on {homeserver} by {way}\n  \
         admin room   {room}, as {chat_user} by {chat_way}\n  \
         watches      {rooms}\n  \
         invitations  {invitations}\n  \
         store        {store}\n",
        mode = config.janitor.mode,
        user = config.homeserver.user_id,
        homeserver = config.homeserver.address,
        way = way(&config.login),
        room = config.admin_room.room,
        chat_user = config.chat.user_id,
        chat_way = way(&config.chat.login),
        store = config.store.path.display(),
    )
}

fn way(login: &Login) -> &'static str {
    match login {
        Login::Password(_) => "password",
        Login::AccessToken { .. } => "access token",
        Login::Appservice(_) => "appservice",
    }
}

/// The rows as TOML with dotted keys, and where each comes from as a comment.
fn table(rows: &[Row]) -> String {
    let left: Vec<_> = rows
        .iter()
        .map(|row| match &row.value {
            Some(value) => format!("{} = {value}", row.key),
            None => format!("# {} is not set", row.key),
        })
        .collect();
    // One long list must not push every comment out of sight.
    let width = left.iter().map(|text| text.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
    let lines = left.iter().zip(rows).map(|(left, row)| match &row.value {
        Some(_) => format!("{left:width$}  # {}\n", row.origin),
        None => format!("{left}\n"),
    });
    lines.collect()
}
