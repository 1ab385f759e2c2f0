//! The small values that settings are made of.

use std::fmt;

use regex::Regex;
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

/// Users of the janitor's own server as whom its appservice may write.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Fits at the beginning of the whole id, as Synapse has it.
    regex: Regex,
    expression: String,
    server: String,
}

impl Namespace {
    /// Those of a server whom the regular expression of a registration fits.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression.
    pub fn new(expression: &str, server: &str) -> Result<Self, regex::Error> {
        // By itself first: a parenthesis of its own must not end the group.
        Regex::new(expression)?;
        let regex = Regex::new(&format!("^(?:{expression})"))?;
        Ok(Self { regex, expression: expression.to_owned(), server: server.to_owned() })
    }

    /// The expression that fits all users of a server.
    pub fn of_server(server: &str) -> String {
        format!("@.*:{}$", regex::escape(server))
    }

    /// The expression as it stands in the registration.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether it is that of all users of its server.
    pub fn is_whole_server(&self) -> bool {
        self.expression == Self::of_server(&self.server)
    }

    /// Whether it may write as this user.
    pub fn has(&self, user: &UserId) -> bool {
        user.server_name() == Some(self.server.as_str()) && self.regex.is_match(user.as_str())
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
    fn a_namespace_has_users_of_its_own_server_from_the_beginning_of_their_ids() {
        let namespace = |expression: &str| Namespace::new(expression, "a-b.org").unwrap();
        let all = namespace(&Namespace::of_server("a-b.org"));
        assert!(all.has(&UserId::from("@alice:a-b.org")));
        for other in
            ["@alice:axb.org", "@alice:a-b.org.evil.net", "@alice:a-b.org:8448", "x@alice:a-b.org", "@"]
        {
            assert!(!all.has(&UserId::from(other)), "{other}");
        }
        let some = namespace("@bridge_|@call");
        assert!(some.has(&UserId::from("@bridge_x:a-b.org")) && some.has(&UserId::from("@caller:a-b.org")));
        assert!(!some.has(&UserId::from("@x@call:a-b.org")) && !some.has(&UserId::from("@call:b.org")));
        assert!(Namespace::new("a)|(.*", "a-b.org").is_err());
    }

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
