//! From one value to one type. Each function's error is the second half of a sentence that begins
//! with the key, and shows the value where it is not a secret.
//!
//! Here are text, choices and lists; below, `amounts` (spans of time, numbers) and `matrix` (ids).

use std::{net::SocketAddr, path::PathBuf};

use ::config::ValueKind;
use regex::Regex;
use secrecy::SecretString;

use super::{LogFormat, Mode, table::Kind};

mod amounts;
mod log_filter;
mod matrix;
mod stray;

pub(super) use amounts::{COUNT, DURATION, GRACE, POWER_LEVEL, SHARE, TIME_OF_DAY};
pub(super) use log_filter::{LOG_FILTER, is_level};
pub(super) use matrix::{
    DEVICE_ID, ROOM, ROOMS, SERVER_NAME, SERVICE_URLS, SFU_URL, URL, USER_GLOBS, USER_ID, USERS,
};
pub(crate) use matrix::{room_text, url_text, user_id_text};

type Parsed<T> = Result<T, String>;

/// How a value of a key is read.
#[derive(Debug)]
pub(super) struct How<T> {
    /// What it is in the file, and so what text from the environment is taken for.
    pub(super) kind: Kind,
    pub(super) read: fn(&ValueKind) -> Parsed<T>,
}

impl<T> How<T> {
    const fn new(kind: Kind, read: fn(&ValueKind) -> Parsed<T>) -> Self {
        Self { kind, read }
    }
}

pub(super) const COMMAND_PREFIX: How<String> = How::new(Kind::Text, command_prefix);
pub(super) const FLAG: How<bool> = How::new(Kind::Flag, flag);
pub(super) const LISTEN: How<Option<SocketAddr>> = How::new(Kind::Text, listen);
pub(super) const LOG_FORMAT: How<LogFormat> = How::new(Kind::Text, log_format);
pub(super) const MODE: How<Mode> = How::new(Kind::Text, mode);
pub(super) const PATH: How<PathBuf> = How::new(Kind::Path, path);
pub(super) const REGEX: How<Regex> = How::new(Kind::Text, regex);
pub(super) const SECRET: How<SecretString> = How::new(Kind::Secret, secret);

/// A value as it would stand in the file.
pub(super) fn shown(value: &ValueKind) -> String {
    match value {
        ValueKind::Nil => "nothing".to_owned(),
        ValueKind::Boolean(flag) => flag.to_string(),
        ValueKind::I64(number) => number.to_string(),
        ValueKind::I128(number) => number.to_string(),
        ValueKind::U64(number) => number.to_string(),
        ValueKind::U128(number) => number.to_string(),
        ValueKind::Float(number) => format!("{number:?}"),
        // Every JSON string is a TOML string.
        ValueKind::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        ValueKind::Array(entries) => {
            let entries: Vec<_> = entries.iter().map(|entry| shown(&entry.kind)).collect();
            format!("[{}]", entries.join(", "))
        }
        ValueKind::Table(_) => "a section".to_owned(),
    }
}

fn text(value: &ValueKind) -> Parsed<&str> {
    match value {
        ValueKind::String(text) if text.trim().is_empty() => Err("must not be empty".to_owned()),
        ValueKind::String(text) => Ok(text),
        ValueKind::Table(_) | ValueKind::Array(_) => {
            Err(format!("must be one text in quotes, not {}", shown(value)))
        }
        _ => Err(format!("must be text: write \"{}\" in quotes", shown(value))),
    }
}

/// Where to listen; `None` for nowhere.
fn listen(value: &ValueKind) -> Parsed<Option<SocketAddr>> {
    let ValueKind::String(text) = value else {
        return Err(format!(
            "{} is not an address in quotes; write one such as \"127.0.0.1:9170\"",
            shown(value)
        ));
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        format!(
            "{text:?} is not an address with a port; write one such as \"127.0.0.1:9170\" or \"[::1]:9170\", or \
             \"\" for none"
        )
    })
}

/// What commands begin with: one word.
fn command_prefix(value: &ValueKind) -> Parsed<String> {
    let text = text(value)?.trim();
    if text.contains(char::is_whitespace) {
        return Err(format!("{} has a space in it; write one word, such as \"!janitor\"", shown(value)));
    }
    Ok(text.to_owned())
}

/// A regular expression.
fn regex(value: &ValueKind) -> Parsed<Regex> {
    let text = text(value)?;
    Regex::new(text).map_err(|error| {
        // The last line of it says what is wrong; those before show where.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("{} is not a regular expression: {why}", shown(value))
    })
}

/// Text that may hold anything, and is not shown.
fn secret(value: &ValueKind) -> Parsed<SecretString> {
    match value {
        ValueKind::String(text) if text.is_empty() => Err("must not be empty".to_owned()),
        ValueKind::String(text) => Ok(text.as_str().into()),
        _ => Err("must be text: put it in quotes".to_owned()),
    }
}

/// A path, which has been resolved before.
fn path(value: &ValueKind) -> Parsed<PathBuf> {
    text(value).map(PathBuf::from)
}

/// `true` or `false`.
fn flag(value: &ValueKind) -> Parsed<bool> {
    match value {
        ValueKind::Boolean(flag) => Ok(*flag),
        _ => Err(format!("{} is neither true nor false (without quotes)", shown(value))),
    }
}

fn choice<T: Copy>(value: &ValueKind, choices: [(&str, T); 2]) -> Parsed<T> {
    let found = match value {
        ValueKind::String(text) => choices.iter().find(|(name, _)| *name == text.as_str()),
        _ => None,
    };
    let [(first, _), (second, _)] = choices;
    found
        .map(|(_, choice)| *choice)
        .ok_or_else(|| format!("{} is neither \"{first}\" nor \"{second}\"", shown(value)))
}

/// `janitor.mode`
fn mode(value: &ValueKind) -> Parsed<Mode> {
    choice(value, [("report", Mode::Report), ("clean", Mode::Clean)])
}

/// `log.format`
fn log_format(value: &ValueKind) -> Parsed<LogFormat> {
    choice(value, [("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn list<T>(value: &ValueKind, entry: impl Fn(&ValueKind) -> Parsed<T>) -> Parsed<Vec<T>> {
    let ValueKind::Array(entries) = value else {
        return Err(format!(
            "{} is not a list; write it in brackets, such as [\"one\", \"two\"]",
            shown(value)
        ));
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for value in entries {
        match entry(&value.kind) {
            Ok(value) => good.push(value),
            Err(why) => bad.push(why),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad.join("; ")) }
}

#[cfg(test)]
mod tests;
