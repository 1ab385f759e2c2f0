//! Matrix identifiers, and where a homeserver answers.

use ::config::ValueKind;
use matrix_sdk::{
    reqwest::Url,
    ruma::{self, RoomAliasId, ServerName},
};
use rtc_janitor_core::{
    ids::{DeviceId, RoomId, UserId},
    rtc::focus,
};

use super::{
    How, Parsed, list, shown,
    stray::{is_invisible, stray},
    text,
};
use crate::config::{RoomRef, UserGlobs, table::Kind};

pub(in crate::config) const DEVICE_ID: How<DeviceId> = How::new(Kind::Text, device_id);
pub(in crate::config) const ROOM: How<RoomRef> = How::new(Kind::Text, room);
pub(in crate::config) const ROOMS: How<Vec<RoomRef>> = How::new(Kind::List, rooms);
pub(in crate::config) const SERVER_NAME: How<String> = How::new(Kind::Text, server_name);
pub(in crate::config) const SERVICE_URLS: How<Vec<String>> = How::new(Kind::List, service_urls);
pub(in crate::config) const SFU_URL: How<Url> = How::new(Kind::Text, sfu_url);
pub(in crate::config) const URL: How<Url> = How::new(Kind::Text, url);
pub(in crate::config) const USERS: How<Vec<UserId>> = How::new(Kind::List, users);
pub(in crate::config) const USER_GLOBS: How<UserGlobs> = How::new(Kind::List, user_globs);
pub(in crate::config) const USER_ID: How<UserId> = How::new(Kind::Text, user_id);

/// The base of the client API.
pub(super) fn url(value: &ValueKind) -> Parsed<Url> {
    const EXAMPLE: &str = "write one such as \"https://matrix.example.org\"";
    let url = address(text(value)?, &["https", "http"], EXAMPLE)?;
    if url.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "_matrix")) {
        return Err(format!("must end before /_matrix; {EXAMPLE}"));
    }
    Ok(url)
}

/// The base of the client API, from the command line.
pub(crate) fn url_text(text: &str) -> Parsed<String> {
    url(&ValueKind::String(text.to_owned())).map(|_| text.trim().to_owned())
}

/// The base of an SFU's API.
fn sfu_url(value: &ValueKind) -> Parsed<Url> {
    const EXAMPLE: &str = "write one such as \"https://livekit.example.org\"";
    let url = address(text(value)?, &["https", "http", "wss", "ws"], EXAMPLE)?;
    if url.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "twirp")) {
        return Err(format!("must end before /twirp; {EXAMPLE}"));
    }
    Ok(url)
}

/// What memberships call an SFU.
fn service_urls(value: &ValueKind) -> Parsed<Vec<String>> {
    const EXAMPLE: &str = "write one such as \"https://livekit-jwt.example.org\"";
    list(value, |entry| {
        let url = address(text(entry)?, &["https", "http", "wss", "ws"], EXAMPLE)?;
        Ok(focus::normalised(url.as_str()))
    })
}

/// An address without anything secret in it. It is not shown when it is wrong: it may hold a password.
fn address(text: &str, schemes: &[&str], example: &str) -> Parsed<Url> {
    let text = text.trim();
    // The parser drops line breaks and takes a comma for a part of the host's name.
    if stray(text).is_some() {
        return Err(format!("must be one address without spaces and commas; {example}"));
    }
    let url = Url::parse(text).map_err(|_| format!("is not a full URL; {example}"))?;
    if !schemes.contains(&url.scheme()) {
        let schemes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
        return Err(format!("must begin with {}; {example}", schemes.join(" or ")));
    }
    let is_host = |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || "-._[]:".contains(c));
    if !url.host_str().is_some_and(is_host) {
        return Err(format!("has no host that could be asked; {example}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password; they belong to a key of their own".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("must end before any ? or #; {example}"));
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
    if let Some(why) = stray(text) {
        return Err(format!("{text:?} {why}"));
    }
    if is_user_id(text) {
        Ok(UserId::from(text))
    } else {
        Err(format!("{text:?} is not a user id; write it in full, such as \"@janitor:example.org\""))
    }
}

fn is_user_id(text: &str) -> bool {
    ruma::UserId::parse(text).is_ok()
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
    // A room's name may have spaces and commas in it, and is no list of ids.
    let begins_as_id = text.trim_start_matches(is_invisible).starts_with(['!', '#']);
    if let Some(why) = stray(text).filter(|_| begins_as_id) {
        return Err(format!("{text:?} {why}"));
    }
    match text.chars().next() {
        Some('!') if is_room_id(text) => Ok(RoomRef::Id(RoomId::from(text))),
        Some('#') if RoomAliasId::parse(text).is_ok() => Ok(RoomRef::Alias(text.to_owned())),
        _ => Err(format!(
            "{text:?} is neither a room id (\"!id:example.org\") nor an alias (\"#name:example.org\")"
        )),
    }
}

/// With a server, or as room version 12 makes it: a hash of 32 bytes in base64.
fn is_room_id(text: &str) -> bool {
    let is_whole = match text.split_once(':') {
        Some((id, server)) => id.len() > 1 && ServerName::parse(server).is_ok(),
        None => text.len() == 44 && text[1..].chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)),
    };
    is_whole && ruma::RoomId::parse(text).is_ok()
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
        if let Some(why) = stray(glob) {
            return Err(format!("{glob:?} {why}"));
        }
        can_fit(glob).then(|| glob.to_owned()).ok_or_else(|| {
            format!("{} fits no user id; write \"@user:example.org\" or \"*:example.org\"", shown(value))
        })
    })?;
    Ok(UserGlobs::new(globs.iter().map(String::as_str)))
}

/// Whether there can be a user id that fits.
fn can_fit(glob: &str) -> bool {
    if !glob.contains(['*', '?']) {
        return is_user_id(glob);
    }
    // Of a server's name, `*` may hide any part.
    let is_server = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]*?".contains(c))
    };
    let server_fits = match glob.split_once(':') {
        Some((_, server)) => is_server(server),
        None => glob.contains('*'),
    };
    glob.starts_with(['@', '*', '?']) && glob.is_ascii() && server_fits
}
