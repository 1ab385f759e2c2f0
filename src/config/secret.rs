//! Text that must not be seen, and the files it is kept in.

use std::{fmt, io, path::Path};

use serde::{Serialize, Serializer};

/// What is shown in a secret's place.
pub(super) const HIDDEN: &str = "(hidden)";

/// A password, a token or a key: no way of printing it shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// Reads a secret's file, without the line ends that editors and `echo` leave behind.
///
/// # Errors
/// A sentence about the file, without its content.
pub(super) fn read(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("the file {shown} does not exist"),
        io::ErrorKind::PermissionDenied => format!("this user may not read the file {shown}"),
        io::ErrorKind::InvalidData => format!("the file {shown} is not UTF-8 text"),
        _ => format!("the file {shown} cannot be read ({error})"),
    })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("the file {shown} is empty")),
        secret => Ok(Secret::new(secret)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_printing_a_secret_shows_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "(hidden) (hidden) Some((hidden))");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"(hidden)\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn only_line_ends_are_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, " two words \r\n\n").unwrap();
        assert_eq!(read(&path).unwrap().expose(), " two words ");
    }
}
