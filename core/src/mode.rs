//! What the janitor does with what it finds, and whether it does anything at all.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What the janitor does with what it finds. The order is from the stricter to the freer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Writes nothing and says what it would do.
    Report,
    /// Clears.
    Clean,
}

impl Mode {
    /// The name in the configuration and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Clean => "clean",
        }
    }
}

/// Nothing is written, by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Until then.
    Until(Timestamp),
    /// Until told to go on.
    UntilResume,
}

impl Pause {
    /// When it ends by itself.
    pub const fn ends(self) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(at),
            Self::UntilResume => None,
        }
    }

    /// Whether it has not ended by itself.
    pub fn holds(self, now: Timestamp) -> bool {
        self.ends().is_none_or(|at| now < at)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Report, Self::Clean]
            .into_iter()
            .find(|mode| mode.as_str() == name)
            .ok_or_else(|| "is no mode; there are report and clean".to_owned())
    }
}
