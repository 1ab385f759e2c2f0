//! The small values that settings are made of.

use std::fmt;

use rtc_janitor_core::ids::{RoomId, UserId};
use wildmatch::WildMatch;

/// A room as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomRef {
    /// By its id.
    Id(RoomId),
    /// By an alias, `#name:server`, still to be resolved.
    Alias(String),
}

impl fmt::Display for RoomRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Alias(alias) => f.write_str(alias),
        }
    }
}

/// User ids with `*` for any text and `?` for any one character.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserGlobs(Vec<WildMatch>);

impl UserGlobs {
    pub(super) fn new<'a>(globs: impl IntoIterator<Item = &'a str>) -> Self {
        Self(globs.into_iter().map(WildMatch::new).collect())
    }

    /// Whether one of them fits the whole id.
    pub fn matches(&self, user: &UserId) -> bool {
        self.0.iter().any(|glob| glob.matches(user.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none, so that nobody is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_fits_whole_ids_only() {
        let globs = UserGlobs::new(["*:example.org", "@bridge_?:*"]);
        assert!(globs.matches(&UserId::from("@alice:example.org")));
        assert!(globs.matches(&UserId::from("@bridge_1:elsewhere.net")));
        assert!(!globs.matches(&UserId::from("@alice:example.org.evil.net")));
        assert!(!globs.matches(&UserId::from("@bridge_12:elsewhere.net")));
        assert!(!UserGlobs::default().matches(&UserId::from("@alice:example.org")));
    }
}
