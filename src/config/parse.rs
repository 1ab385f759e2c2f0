//! From one value to one type. Each function's error is the second half of a sentence that begins
//! with the key, and shows the value where it is not a secret.
//!
//! Here are text, choices and lists; below, `amounts` (spans of time, numbers) and `matrix` (ids).

use ::config::ValueKind;

use super::{LogFormat, Mode, Secret};

mod amounts;
mod matrix;

pub(super) use amounts::{count, duration, grace, power_level, share, time_of_day};
pub(super) use matrix::{device_id, room, rooms, server_name, url, user_globs, user_id, users};
pub(crate) use matrix::{room_text, user_id_text};

type Parsed<T> = Result<T, String>;

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

/// What commands begin with: one word.
pub(super) fn command_prefix(value: &ValueKind) -> Parsed<String> {
    let text = text(value)?.trim();
    if text.contains(char::is_whitespace) {
        return Err(format!("{} has a space in it; write one word, such as \"!janitor\"", shown(value)));
    }
    Ok(text.to_owned())
}

/// Text that may hold anything, and is not shown.
pub(super) fn secret(value: &ValueKind) -> Parsed<Secret> {
    match value {
        ValueKind::String(text) if text.is_empty() => Err("must not be empty".to_owned()),
        ValueKind::String(text) => Ok(Secret::new(text)),
        _ => Err("must be text: put it in quotes".to_owned()),
    }
}

/// A path, not yet resolved.
pub(super) fn path(value: &ValueKind) -> Parsed<String> {
    text(value).map(str::to_owned)
}

/// `true` or `false`.
pub(super) fn flag(value: &ValueKind) -> Parsed<bool> {
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
pub(super) fn mode(value: &ValueKind) -> Parsed<Mode> {
    choice(value, [("report", Mode::Report), ("clean", Mode::Clean)])
}

/// `log.format`
pub(super) fn log_format(value: &ValueKind) -> Parsed<LogFormat> {
    choice(value, [("text", LogFormat::Text), ("json", LogFormat::Json)])
}

/// `log.filter`
pub(super) fn log_filter(value: &ValueKind) -> Parsed<String> {
    let text = text(value)?;
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "{} is not a log filter; write a level (error, warn, info, debug, trace), or \
             \"info,rtc_janitor=debug\"",
            shown(value)
        )),
    }
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
