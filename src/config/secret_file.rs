//! Files that hold a secret and nothing else.

use std::{io, path::Path};

/// What some editors put before the first character of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a secret's file, without the byte order mark and the line ends that editors and `echo` leave there.
///
/// # Errors
/// A sentence about the file, without its content.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("the file {shown} does not exist"),
        io::ErrorKind::PermissionDenied => format!("this user may not read the file {shown}"),
        io::ErrorKind::InvalidData => format!("the file {shown} is not UTF-8 text"),
        _ => format!("the file {shown} cannot be read ({error})"),
    })?;
    match bare(&text) {
        "" => Err(format!("the file {shown} is empty")),
        secret => Ok(secret.to_owned()),
    }
}

/// A secret without what is never part of one.
pub(super) fn bare(text: &str) -> &str {
    text.trim_start_matches(BYTE_ORDER_MARK).trim_end_matches(['\r', '\n'])
}

/// What is odd about a secret, as the end of a sentence: it is taken as it is, but was probably not meant so.
pub(super) fn oddity(secret: &str) -> Option<&'static str> {
    if secret.contains(['\r', '\n']) {
        Some("has more than one line, and all of them count")
    } else if secret.trim() != secret {
        Some("begins or ends with a blank, which is taken as part of it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret_in(bytes: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn only_what_editors_leave_behind_is_taken_off() {
        assert_eq!(secret_in(b" two words \r\n\n").unwrap(), " two words ");
        assert_eq!(secret_in("\u{feff}hunter2\r\n".as_bytes()).unwrap(), "hunter2");
        for nothing in ["", "\n", "\u{feff}", "\u{feff}\r\n"] {
            assert!(secret_in(nothing.as_bytes()).unwrap_err().ends_with("is empty"), "{nothing:?}");
        }
    }

    #[test]
    fn what_another_system_writes_as_text_is_no_secret() {
        // UTF-16, as a redirection in PowerShell gives it.
        let wide: Vec<u8> = "\u{feff}hunter2".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(secret_in(&wide).unwrap_err().ends_with("is not UTF-8 text"));
    }

    #[test]
    fn an_odd_secret_is_told() {
        assert_eq!(oddity("two words"), None);
        assert!(oddity("hunter2\u{a0}").is_some());
        assert!(oddity("hunter2\nhunter3").is_some());
    }
}
