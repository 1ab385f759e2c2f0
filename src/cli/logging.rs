//! Log lines, to stderr: stdout belongs to the result of a subcommand.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use super::CliError;
use crate::config::{Log, LogFormat};

/// The SDK reports what the janitor expects and handles itself, its HTTP client logs every request, and its
/// `encryption` every one that fails while keys are set up, of which our own warning says the same in one sentence.
/// `matrix_sdk` stands for every target that begins so.
const QUIET: &str = "matrix_sdk=warn,matrix_sdk_crypto=error,matrix_sdk_base::room=error,\
                     matrix_sdk::http_client=off,matrix_sdk::encryption=off";

/// Starts logging as `[log]` says. To be called once, by `run` and `sweep`.
///
/// # Errors
/// When something else in this process logs already.
pub fn start(log: &Log) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(directives(&log.filter))
        .map_err(|error| CliError::unexpected("cannot use log.filter", &error))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let started = match log.format {
        LogFormat::Text => lines.with_ansi(colours).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| CliError::unexpected("cannot start logging", &*error))
}

/// The user's filter, with the SDK quiet unless the filter speaks of it.
fn directives(filter: &str) -> String {
    if filter.contains("matrix_sdk") { filter.to_owned() } else { format!("{filter},{QUIET}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_quiet_unless_the_filter_speaks_of_it() {
        assert_eq!(directives("debug"), format!("debug,{QUIET}"));
        assert_eq!(directives("info,matrix_sdk=debug"), "info,matrix_sdk=debug");
        assert!(EnvFilter::try_new(directives("info")).is_ok());
    }
}
