//! Matrix identifiers, and where a homeserver answers.

use ::config::ValueKind;
use matrix_sdk::{
    reqwest::Url,
    ruma::{self, RoomAliasId, ServerName},
};
use rtc_janitor_core::ids::{DeviceId, RoomId, UserId};

use super::{Parsed, list, shown, text};
use crate::config::{RoomRef, UserGlobs};

/// The base of the client API. A URL is not shown when it is wrong: it may hold a password.
pub(in crate::config) fn url(value: &ValueKind) -> Parsed<Url> {
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
    if url.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "_matrix")) {
        return Err(format!("must end before /_matrix; {EXAMPLE}"));
    }
    Ok(url)
}

/// A server name as in user ids: no scheme, no path.
pub(in crate::config) fn server_name(value: &ValueKind) -> Parsed<String> {
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
pub(in crate::config) fn user_id(value: &ValueKind) -> Parsed<UserId> {
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
pub(in crate::config) fn device_id(value: &ValueKind) -> Parsed<DeviceId> {
    text(value).map(|text| DeviceId::from(text.trim()))
}

/// A room id or alias.
pub(in crate::config) fn room(value: &ValueKind) -> Parsed<RoomRef> {
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

/// Room ids and aliases.
pub(in crate::config) fn rooms(value: &ValueKind) -> Parsed<Vec<RoomRef>> {
    list(value, room)
}

/// User ids.
pub(in crate::config) fn users(value: &ValueKind) -> Parsed<Vec<UserId>> {
    list(value, user_id)
}

/// Globs on user ids. One that could never fit any is a slip.
pub(in crate::config) fn user_globs(value: &ValueKind) -> Parsed<UserGlobs> {
    let globs = list(value, |value| {
        let glob = text(value)?.trim();
        let fits = glob.starts_with(['@', '*', '?']) && glob.contains([':', '*']);
        fits.then(|| glob.to_owned()).ok_or_else(|| {
            format!("{} fits no user id; write \"@user:example.org\" or \"*:example.org\"", shown(value))
        })
    })?;
    Ok(UserGlobs::new(globs.iter().map(String::as_str)))
}
