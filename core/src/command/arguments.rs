//! What commands take: rooms, users, durations, and the names of things.

use std::{fmt, num::NonZeroUsize, str::FromStr, time::Duration};

use super::HistoryFilter;
use crate::{
    ids::{RoomId, UserId},
    judge::policy::{Grace, Neighbour, Reason},
    time::parse_duration,
};

/// A room as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomName {
    /// By its id.
    Id(RoomId),
    /// By an alias, `#name:server`.
    Alias(String),
    /// By the name it goes by, which must be the name of one room only.
    Name(String),
}

impl FromStr for RoomName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.chars().next() {
            None => Err("names no room".to_owned()),
            Some('!') => Ok(Self::Id(text.into())),
            Some('#') if text.contains(':') => Ok(Self::Alias(text.to_owned())),
            Some('@') => Err("is a user, not a room".to_owned()),
            Some(_) => Ok(Self::Name(text.to_owned())),
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Alias(text) | Self::Name(text) => f.write_str(text),
        }
    }
}

/// A user as a person names one.
///
/// # Errors
///
/// When it is no full user id.
pub fn user(text: &str) -> Result<UserId, String> {
    let is_full = text.strip_prefix('@').is_some_and(|rest| rest.contains(':'));
    if text.contains(['*', '?']) {
        Err("is a pattern, and a command takes one user; patterns go into owners.exclude in the settings"
            .into())
    } else if is_full {
        Ok(text.into())
    } else {
        Err("is no user; name one in full, such as @name:example.org".into())
    }
}

/// A room or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A room.
    Room(RoomName),
    /// A user.
    User(UserId),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('@') { user(text).map(Self::User) } else { text.parse().map(Self::Room) }
    }
}

impl FromStr for HistoryFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<NonZeroUsize>() {
            Ok(lines) => Ok(Self::Lines(lines)),
            Err(_) => text.parse().map(Self::About),
        }
    }
}

/// How long to pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseLength(pub Duration);

impl FromStr for PauseLength {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text).map(Self)
    }
}

/// What has a grace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraceKey {
    /// A reason.
    Reason(Reason),
    /// `device_gone` of a device that was never seen in a list.
    DeviceGoneUnseen,
}

impl GraceKey {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Reason::ALL.into_iter().map(Self::Reason).chain([Self::DeviceGoneUnseen])
    }

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.as_str(),
            Self::DeviceGoneUnseen => "device_gone_unseen",
        }
    }
}

impl FromStr for GraceKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_lowercase();
        Self::all().find(|key| key.as_str() == name).ok_or_else(|| {
            let nearest = Self::all().max_by(|one, other| {
                strsim::jaro_winkler(one.as_str(), &name)
                    .total_cmp(&strsim::jaro_winkler(other.as_str(), &name))
            });
            let nearest = nearest.filter(|key| strsim::jaro_winkler(key.as_str(), &name) > 0.7);
            let names: Vec<_> = Self::all().map(Self::as_str).collect();
            nearest.map_or_else(
                || format!("is no reason; they are {}", names.join(", ")),
                |key| format!("is no reason; did you mean {}?", key.as_str()),
            )
        })
    }
}

/// What becomes of a grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraceChange {
    /// This it is.
    To(Grace),
    /// As the configuration has it.
    Reset,
}

impl FromStr for GraceChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(Self::To(Grace::Never)),
            "reset" => Ok(Self::Reset),
            _ => parse_duration(text).map(|span| Self::To(Grace::After(span))),
        }
    }
}

impl FromStr for Neighbour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_lowercase();
        Self::ALL
            .into_iter()
            .find(|neighbour| neighbour.as_str() == name)
            .ok_or_else(|| "is no neighbour; they are homeserver, device_lists and sfu".to_owned())
    }
}
