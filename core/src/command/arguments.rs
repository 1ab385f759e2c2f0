//! What commands take: rooms, users, durations, and the names of things.

use std::{collections::BTreeSet, convert::Infallible, fmt, num::NonZeroUsize, str::FromStr, time::Duration};

use chrono::NaiveDate;

use super::HistoryFilter;
use crate::{
    ids::{RoomId, UserId},
    judge::policy::{Grace, Neighbour, Reason},
    mode::Mode,
    survey::Scope,
    time::spoken_duration,
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
            Some('!' | '#') if text.contains(' ') => Err("is more than one room".to_owned()),
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
        Err("is a pattern, and a command takes one user; patterns go into owners.exclude in the config file"
            .into())
    } else if text.contains(' ') {
        Err("is more than one user".into())
    } else if is_full {
        Ok(text.into())
    } else {
        Err("is no full user id, such as @name:example.org".into())
    }
}

/// A user as a person names one where nothing is changed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserName {
    /// By the whole id.
    Id(UserId),
    /// By the part of it before the server, or by a piece of that.
    Local(String),
}

impl UserName {
    /// Those whom it means: who goes by the whole name; where nobody does, by a part of it.
    pub fn among<'u>(&self, users: impl IntoIterator<Item = &'u UserId>) -> BTreeSet<UserId> {
        let wanted = match self {
            Self::Id(id) => {
                // A phone begins with a capital; ids differ in case on old servers alone.
                let (mut same, mut alike) = (BTreeSet::new(), BTreeSet::new());
                for user in users {
                    if user == id {
                        same.insert(user.clone());
                    } else if user.as_str().eq_ignore_ascii_case(id.as_str()) {
                        alike.insert(user.clone());
                    }
                }
                return if same.is_empty() { alike } else { same };
            }
            Self::Local(name) => name.to_lowercase(),
        };
        let (mut whole, mut part) = (BTreeSet::new(), BTreeSet::new());
        for user in users {
            let name = user.localpart().to_lowercase();
            if name == wanted {
                whole.insert(user.clone());
            } else if name.contains(&wanted) {
                part.insert(user.clone());
            }
        }
        if whole.is_empty() { part } else { whole }
    }
}

impl FromStr for UserName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('@').unwrap_or(text);
        if name.is_empty() || text.contains(' ') {
            Err("is no user".to_owned())
        } else if name.contains(':') || name.contains(['*', '?']) {
            user(text).map(Self::Id)
        } else {
            Ok(Self::Local(name.to_owned()))
        }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Local(name) => write!(f, "@{name}"),
        }
    }
}

/// A room or a user that something is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A room; where no room is called so, perhaps a user.
    Room(RoomName),
    /// A user.
    User(UserName),
}

impl FromStr for Whom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('@') { text.parse().map(Self::User) } else { text.parse().map(Self::Room) }
    }
}

/// A room, and perhaps a user in it: `Team Meeting @bob`, `Team Meeting bob`, or the room `Team Meeting bob`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it can mean. The first whose room is there is meant.
    pub readings: Vec<(RoomName, Option<UserName>)>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split =
            text.rsplit_once(' ').map(|(room, user)| (room.parse::<RoomName>(), user.parse::<UserName>()));
        let whole = text.parse::<RoomName>();
        let readings = match (whole, split) {
            // What begins with @ is no end of a room's name.
            (_, Some((Ok(room), Ok(user)))) if text.contains(" @") => vec![(room, Some(user))],
            (Ok(whole), Some((Ok(room), Ok(user)))) => vec![(whole, None), (room, Some(user))],
            (Err(_), Some((Ok(room), Ok(user)))) => vec![(room, Some(user))],
            (_, Some((Ok(_), Err(why)))) if text.contains(" @") => return Err(why),
            (whole, _) => vec![(whole?, None)],
        };
        Ok(Self { readings })
    }
}

/// What is to be done about surveys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurveyOrder {
    /// Make one.
    Make {
        /// Whether it is to propose which rooms to get into.
        join: bool,
        /// Which rooms it is about.
        scope: Scope,
    },
    /// End the one that is under way.
    Stop,
}

impl Default for SurveyOrder {
    fn default() -> Self {
        Self::Make { join: false, scope: Scope::All }
    }
}

impl FromStr for SurveyOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Whoever is in a hurry ends it with a mark.
        let bare = text.trim_end_matches(['!', '.']);
        if ["stop", "halt"].iter().any(|stop| bare.eq_ignore_ascii_case(stop)) {
            return Ok(Self::Stop);
        }
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let join = first.eq_ignore_ascii_case("join");
        Ok(Self::Make { join, scope: if join { rest } else { text }.parse()? })
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
        match (as_lines(text), as_day(text)) {
            (Some(lines), _) => Ok(Self::Lines(lines)),
            (None, Some(day)) => Ok(Self::Day(day)),
            (None, None) => text.parse().map(Self::About),
        }
    }
}

/// A number of lines.
pub(super) fn as_lines(text: &str) -> Option<NonZeroUsize> {
    text.parse().ok()
}

/// A day, as ISO 8601 has it.
pub(super) fn as_day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

/// How long to pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseLength {
    /// That long.
    For(Duration),
    /// What was said is no length. Whoever says "stop now" wants it to stop all the same.
    NotUnderstood(String),
}

impl FromStr for PauseLength {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(spoken_duration(text).map_or_else(|_| Self::NotUnderstood(text.to_owned()), Self::For))
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
        match text.to_lowercase().as_str() {
            "never" => Ok(Self::To(Grace::Never)),
            "reset" => Ok(Self::Reset),
            _ => spoken_duration(text).map(|span| Self::To(Grace::After(span))),
        }
    }
}

/// What becomes of the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeChange {
    /// This it is.
    To(Mode),
    /// As the configuration has it.
    Reset,
}

impl FromStr for ModeChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_lowercase().as_str() {
            "reset" => Ok(Self::Reset),
            name => name
                .parse()
                .map(Self::To)
                .map_err(|_: String| "is no mode; they are report, clean and reset".into()),
        }
    }
}

impl FromStr for Neighbour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_lowercase().replace([' ', '-'], "_");
        // As messages call them.
        let name = match name.as_str() {
            "call_server" => "sfu",
            "room_state" => "homeserver",
            name => name,
        };
        Self::ALL
            .into_iter()
            .find(|neighbour| neighbour.as_str() == name)
            .ok_or_else(|| "is no source; they are room state, device lists and call server".to_owned())
    }
}
