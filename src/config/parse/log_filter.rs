//! What is logged: levels, also by module.

use ::config::ValueKind;
use tracing::metadata::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::{How, Parsed, shown, text};
use crate::config::table::Kind;

pub(in crate::config) const LOG_FILTER: How<String> = How::new(Kind::Text, log_filter);

/// Modules that log something here, by how their names begin.
const MODULES: [&str; 10] =
    ["config", "eyeball", "h2", "hyper", "matrix_sdk", "reqwest", "rtc_janitor", "ruma", "rustls", "sqlite"];

/// `log.filter`
fn log_filter(value: &ValueKind) -> Parsed<String> {
    const RIGHT: &str =
        "write a level (error, warn, info, debug, trace, off), or one by module: \"info,rtc_janitor=debug\"";
    let text = text(value)?.trim();
    if EnvFilter::try_new(text).is_err() {
        return Err(format!("{} is not a log filter; {RIGHT}", shown(value)));
    }
    match text.split(',').map(str::trim).find(|directive| is_misspelt_level(directive)) {
        // It would be taken for a module, and with it every other one be silent, errors too.
        Some(word) => Err(format!("{} is neither a level nor a module; {RIGHT}", shown(&word.into()))),
        None => Ok(text.to_owned()),
    }
}

/// A word by itself that is no level, and begins like no module that logs.
fn is_misspelt_level(directive: &str) -> bool {
    let is_word = !directive.is_empty() && directive.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
    is_word && !is_level(directive) && !MODULES.iter().any(|module| directive.starts_with(module))
}

/// A level by itself, so that what is not named is logged at all.
pub(in crate::config) fn is_level(directive: &str) -> bool {
    directive.parse::<LevelFilter>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused() {
        for fine in [
            "warn",
            "INFO",
            "off",
            "3",
            "info,rtc_janitor=debug",
            "rtc_janitor=debug",
            "rtc_janitor",
            "info,matrix_sdk::client=trace",
            "a::b",
            "[sweep]=debug",
        ] {
            assert_eq!(log_filter(&fine.into()), Ok(fine.to_owned()));
        }
        for (wrong, word) in [("verbose", "verbose"), ("info,warning", "warning"), ("quiet,info", "quiet")] {
            let told = log_filter(&wrong.into()).unwrap_err();
            assert!(
                told.starts_with(&format!("\"{word}\" is neither a level nor a module; write")),
                "{told}"
            );
        }
    }
}
