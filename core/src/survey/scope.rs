//! Which rooms a survey is about.

use std::{fmt, str::FromStr};

use crate::command::RoomName;

/// Which rooms of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// These, by ids and aliases; of a space, the rooms in it.
    Named(Vec<RoomName>),
    /// Those whose name, alias or id fits: `*` stands for any text, `?` for any one character; without either, a part
    /// is enough.
    Pattern(String),
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::All);
        }
        if text.contains(['*', '?']) || !text.starts_with(['#', '!']) {
            return Ok(Self::Pattern(text.to_owned()));
        }
        let rooms = text.split([',', ' ']).filter(|room| !room.is_empty()).map(|room| match room.parse() {
            Ok(name @ (RoomName::Id(_) | RoomName::Alias(_))) => Ok(name),
            _ => Err(format!(
                "is no list of rooms: {room} is neither an id (!…) nor a full alias (#name:example.org)"
            )),
        });
        rooms.collect::<Result<_, _>>().map(Self::Named)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Named(rooms) => {
                let rooms: Vec<_> = rooms.iter().map(ToString::to_string).collect();
                f.write_str(&rooms.join(","))
            }
            Self::Pattern(pattern) => f.write_str(pattern),
        }
    }
}
