//! From one value to one type. Each function's error is the second half of a sentence that begins
//! with the key, and shows the value where it is not a secret.

use std::{num::NonZeroU32, time::Duration};

use ::config::ValueKind;
use matrix_sdk::{
    reqwest::Url,
    ruma::{self, RoomAliasId, ServerName},
};
use rtc_janitor_core::ids::{DeviceId, RoomId, UserId};

use super::{Grace, LogFormat, Mode, RoomRef, Secret, UserGlobs};

type Parsed<T> = Result<T, String>;

/// Ten years: longer spans only hide a slip, and calendar arithmetic stays safe.
const LONGEST: Duration = Duration::from_hours(24 * 3653);

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

/// `90s`, `5m`, `4h15m`.
pub(super) fn duration(value: &ValueKind) -> Parsed<Duration> {
    const EXAMPLES: &str = "write a duration such as \"90s\", \"5m\" or \"4h15m\"";
    let text = match value {
        ValueKind::String(text) => text.trim(),
        other => return Err(format!("{} is not a duration in quotes; {EXAMPLES}", shown(other))),
    };
    let wrong = || format!("{} is not a duration; {EXAMPLES}", shown(value));
    // humantime knows more units; its "M" is a month, which nobody means who writes 5M.
    if !text.chars().all(|c| c.is_ascii_digit() || "smhdw ".contains(c)) {
        return Err(wrong());
    }
    let duration = humantime::parse_duration(text).map_err(|error| match error {
        humantime::DurationError::NumberOverflow => format!("{} is longer than ten years", shown(value)),
        _ if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) => {
            format!("{} has no unit; {EXAMPLES}", shown(value))
        }
        _ => wrong(),
    })?;
    if duration < Duration::from_secs(1) {
        return Err(format!("{} is too short; the least is \"1s\"", shown(value)));
    }
    if duration > LONGEST {
        return Err(format!("{} is longer than ten years", shown(value)));
    }
    Ok(duration)
}

/// A duration, or `never`.
pub(super) fn grace(value: &ValueKind) -> Parsed<Grace> {
    match value {
        ValueKind::String(text) if text.trim() == "never" => Ok(Grace::Never),
        _ => duration(value).map(Grace::After).map_err(|why| format!("{why}, or \"never\"")),
    }
}

/// A whole number, at least 1.
pub(super) fn count(value: &ValueKind) -> Parsed<NonZeroU32> {
    let ValueKind::I64(number) = value else {
        return Err(format!("{} is not a whole number; write it without quotes, such as 20", shown(value)));
    };
    u32::try_from(*number)
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("{number} is out of range; it goes from 1 to {}", u32::MAX))
}

/// A power level: 0 to 100 in most rooms, but Matrix knows no end.
pub(super) fn power_level(value: &ValueKind) -> Parsed<i64> {
    /// The largest integer of Matrix' canonical JSON.
    const HIGHEST: i64 = (1 << 53) - 1;
    let ValueKind::I64(number) = value else {
        return Err(format!("{} is not a whole number; write it without quotes, such as 50", shown(value)));
    };
    if (0..=HIGHEST).contains(number) {
        Ok(*number)
    } else {
        Err(format!("{number} is out of range; it goes from 0 to {HIGHEST}"))
    }
}

/// A share of a whole, above 0 and at most 1.
pub(super) fn share(value: &ValueKind) -> Parsed<f64> {
    let share = match value {
        ValueKind::Float(number) => *number,
        ValueKind::I64(1) => 1.0,
        ValueKind::I64(_) => f64::NAN,
        _ => return Err(format!("{} is not a number; write it without quotes, such as 0.5", shown(value))),
    };
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(format!("{} is out of range; it must be above 0 and at most 1", shown(value)))
    }
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

/// The base of the client API. A URL is not shown when it is wrong: it may hold a password.
pub(super) fn url(value: &ValueKind) -> Parsed<Url> {
    const EXAMPLE: &str = "write one such as \"https://matrix.example.org\"";
    let url =
        Url::parse(text(value)?.trim()).map_err(|error| format!("is not a URL ({error}); {EXAMPLE}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("must begin with https:// or http://; {EXAMPLE}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password; they belong to [login]".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("must end before any ? or #; {EXAMPLE}"));
    }
    Ok(url)
}

/// A server name as in user ids: no scheme, no path.
pub(super) fn server_name(value: &ValueKind) -> Parsed<String> {
    let text = text(value)?.trim();
    match ServerName::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "{} is not a server name; write the part of user ids after the colon, such as \"example.org\"",
            shown(value)
        )),
    }
}

/// A full user id.
pub(super) fn user_id(value: &ValueKind) -> Parsed<UserId> {
    user_id_text(text(value)?)
}

/// A full user id, from the command line.
pub(crate) fn user_id_text(text: &str) -> Parsed<UserId> {
    let text = text.trim();
    match ruma::UserId::parse(text) {
        Ok(_) => Ok(UserId::from(text)),
        Err(_) => {
            Err(format!("{text:?} is not a user id; write it in full, such as \"@janitor:example.org\""))
        }
    }
}

/// A device id is any text.
pub(super) fn device_id(value: &ValueKind) -> Parsed<DeviceId> {
    text(value).map(|text| DeviceId::from(text.trim()))
}

/// A room id or alias.
pub(super) fn room(value: &ValueKind) -> Parsed<RoomRef> {
    room_text(text(value)?)
}

/// A room id or alias, from the command line.
pub(crate) fn room_text(text: &str) -> Parsed<RoomRef> {
    let text = text.trim();
    match text.chars().next() {
        Some('!') if ruma::RoomId::parse(text).is_ok() => Ok(RoomRef::Id(RoomId::from(text))),
        Some('#') if RoomAliasId::parse(text).is_ok() => Ok(RoomRef::Alias(text.to_owned())),
        _ => Err(format!(
            "{text:?} is neither a room id (\"!id:example.org\") nor an alias (\"#name:example.org\")"
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
    entries.iter().map(|value| entry(&value.kind)).collect()
}

/// Room ids and aliases.
pub(super) fn rooms(value: &ValueKind) -> Parsed<Vec<RoomRef>> {
    list(value, room)
}

/// User ids.
pub(super) fn users(value: &ValueKind) -> Parsed<Vec<UserId>> {
    list(value, user_id)
}

/// Globs on user ids. One that could never fit any is a slip.
pub(super) fn user_globs(value: &ValueKind) -> Parsed<UserGlobs> {
    let globs = list(value, |value| {
        let glob = text(value)?.trim();
        let fits = glob.starts_with(['@', '*', '?']) && glob.contains([':', '*']);
        fits.then(|| glob.to_owned()).ok_or_else(|| {
            format!("{} fits no user id; write \"@user:example.org\" or \"*:example.org\"", shown(value))
        })
    })?;
    Ok(UserGlobs::new(globs.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests;
