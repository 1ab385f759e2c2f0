//! Where settings come from: the TOML file and the environment, brought into one flat map.
//!
//! Names are checked here, values are not: every entry that comes out belongs to a name of `names`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use ::config::{ConfigError as ParseError, File, FileFormat, Source as _, Value, ValueKind};

use super::{
    ConfigError, Origin, TokenFile, names, secret_file,
    table::{Key, Kind, Presence},
};

/// A value as it was found.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) value: ValueKind,
    pub(super) origin: Origin,
}

/// All that was set, by key, and what was set that does not exist.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) found: BTreeMap<&'static str, Setting>,
    pub(super) problems: Vec<String>,
    /// What looks as if it were meant for the janitor, and is not read.
    pub(super) unread: Vec<String>,
}

/// The text of a file, `None` where there is no such file.
pub(super) fn read_file(path: &Path) -> Result<Option<String>, ConfigError> {
    let bad = |why: String| Err(ConfigError::BadFile { path: path.to_owned(), why });
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(None),
            io::ErrorKind::PermissionDenied => bad("may not be read by this user".to_owned()),
            io::ErrorKind::IsADirectory => bad("is a directory; name the file in it".to_owned()),
            io::ErrorKind::InvalidData => bad("is not UTF-8 text".to_owned()),
            _ => bad(format!("cannot be read: {error}")),
        },
    }
}

/// What relative paths are relative to: the file's folder, or the working directory without one.
pub(super) fn folder_of(file: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    // `absolute` refuses an empty path.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::path::absolute(folder).map_err(|error| ConfigError::BadFile {
        path: folder.to_owned(),
        why: format!("has no absolute path: {error}"),
    })
}

impl Settings {
    /// Adds what the file says.
    pub(super) fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table = File::from_str(text, FileFormat::Toml)
            .collect()
            .map_err(|error| ConfigError::BadFile { path: path.to_owned(), why: not_toml(&error) })?;
        self.add_table("", table, path);
        Ok(())
    }

    fn add_table(&mut self, section: &str, table: impl IntoIterator<Item = (String, Value)>, path: &Path) {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (name, value) in entries {
            let name = if section.is_empty() { name } else { format!("{section}.{name}") };
            let origin = Origin::File(path.to_owned());
            match (names::find(&name), value.kind) {
                (Some((name, _)), kind) => {
                    self.found.insert(name, Setting { value: kind, origin });
                }
                (None, ValueKind::Table(table)) if names::is_section(&name) => {
                    self.add_table(&name, table, path);
                }
                (None, kind) if names::is_section(&name) => {
                    let mend = match kind {
                        ValueKind::Array(_) => format!("write [{name}] with single brackets"),
                        _ => format!("write [{name}] on a line of its own and its keys below"),
                    };
                    self.problems.push(format!("{name} ({origin}) is a section; {mend}"));
                }
                (None, kind) => {
                    let is_section = matches!(kind, ValueKind::Table(_));
                    self.problems.push(unknown(&name, is_section, &origin));
                }
            }
        }
    }

    /// Adds what the environment says; it wins over the file. An empty variable is `""` in the file.
    pub(super) fn add_environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        let mut variables: Vec<_> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        variables.sort();
        for (variable, value) in variables {
            let Some(rest) = variable.strip_prefix(names::PREFIX) else {
                self.unread.extend(names::unread_variable(&variable));
                continue;
            };
            let name = rest.replace("__", ".").to_lowercase();
            match (names::find(&name), value.into_string()) {
                (Some((name, _)), _) if names::variable(name) != variable => {
                    self.problems.push(format!("{variable} is not read; write {}", names::variable(name)));
                }
                (Some((name, kind)), Ok(text)) => {
                    let value = loosely(kind, &text);
                    self.found.insert(name, Setting { value, origin: Origin::Environment(variable) });
                }
                (Some(_), Err(_)) => self.problems.push(format!("{variable} is not UTF-8 text")),
                (None, _) => self.problems.push(unknown(&name, false, &Origin::Environment(variable))),
            }
        }
    }

    /// Puts a token in the place of one that is not there; says where it belongs.
    pub(super) fn stand_in_for_token(&mut self, folder: &Path, token: &str) -> TokenFile {
        const FILE: &str = "appservice.as_token_file";
        const TOKEN: &str = "appservice.as_token";
        let set = self.found.get(FILE).map(|setting| setting.value.clone());
        let belongs = match set {
            Some(ValueKind::String(path)) if !path.trim().is_empty() => {
                let path = folder.join(path);
                if path.exists() { TokenFile::IsThere } else { TokenFile::Missing(path) }
            }
            Some(_) => TokenFile::IsThere,
            None if self.found.contains_key(TOKEN) => TokenFile::IsThere,
            None => TokenFile::Unset,
        };
        if belongs != TokenFile::IsThere {
            self.found.remove(FILE);
            let value = ValueKind::String(token.to_owned());
            self.found.insert(TOKEN, Setting { value, origin: Origin::Default });
        }
        belongs
    }

    /// Whether nobody has begun to configure anything: only what a container image brings along.
    pub(super) fn say_nothing(&self) -> bool {
        const NEEDED: [&str; 3] = ["homeserver.", "login.", "admin_room."];
        self.problems.is_empty()
            && self.unread.is_empty()
            && !self.found.keys().any(|key| NEEDED.iter().any(|section| key.starts_with(section)))
    }
}

/// The default of a key, as a value.
pub(super) fn default_of(key: &Key) -> Option<Setting> {
    let Presence::Default(text) = key.presence else { return None };
    Some(Setting { value: loosely(key.kind, text), origin: Origin::Default })
}

/// Text that stands for a value of the wanted kind. What does not fit stays text, so that the one who
/// wants the value can say what is wrong with it. Text kinds are never guessed at: `0123` stays `0123`.
pub(super) fn loosely(kind: Kind, text: &str) -> ValueKind {
    let trimmed = text.trim();
    let parsed = match kind {
        Kind::Secret => return ValueKind::String(secret_file::bare(text).to_owned()),
        Kind::Text | Kind::Path => None,
        Kind::Whole => trimmed.parse().ok().map(ValueKind::I64),
        Kind::Fraction => trimmed.parse().ok().map(ValueKind::Float),
        Kind::Flag => trimmed.to_lowercase().parse().ok().map(ValueKind::Boolean),
        Kind::List if trimmed.starts_with('[') => {
            let entries: Option<Vec<String>> = serde_json::from_str(trimmed).ok();
            entries.map(|entries| ValueKind::Array(entries.into_iter().map(Value::from).collect()))
        }
        Kind::List => Some(ValueKind::Array(
            // One a line is what a YAML block gives.
            trimmed
                .split([',', '\n', '\r'])
                .map(str::trim)
                .filter(|entry| !entry.is_empty())
                .map(Value::from)
                .collect(),
        )),
    };
    parsed.unwrap_or_else(|| ValueKind::String(trimmed.to_owned()))
}

/// The sentence about a name that does not exist.
fn unknown(name: &str, is_section: bool, origin: &Origin) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let shown = if is_plain { name.to_owned() } else { format!("{name:?}") };
    let what = if is_section { format!("section [{shown}]") } else { format!("key {shown}") };
    let hint = match (names::nearest(name), origin) {
        (Some(near), Origin::Environment(_)) if !names::is_section(&near) => {
            format!("did you mean {}?", names::variable(&near))
        }
        (Some(near), _) if names::is_section(&near) => format!("did you mean [{near}]?"),
        (Some(near), _) => format!("did you mean {near}?"),
        (None, _) => match name.rsplit_once('.') {
            Some((section, _)) if names::is_section(section) => {
                format!("[{section}] has {}", names::children(section).join(", "))
            }
            _ => format!("the sections are {}", names::children("").join(", ")),
        },
    };
    format!("unknown {what} ({origin}); {hint}")
}

/// Why the text is not TOML, in one line and without the line it stands in: that may be a password's.
fn not_toml(error: &ParseError) -> String {
    let ParseError::FileParse { cause, .. } = error else {
        return "is not valid TOML".to_owned();
    };
    let cause = cause.to_string();
    match cause.strip_prefix("TOML parse error at ") {
        // Header, gutter, the line itself, the carets; what follows is the message.
        Some(report) => {
            let place = report.lines().next().unwrap_or_default();
            let message: Vec<_> = report.lines().skip(4).map(str::trim).collect();
            let message = match message.join(", ") {
                // What becomes of a password or a device id without quotes.
                message if message.contains("leading zero") => {
                    "a number has no leading zero; if it is text, put it in quotes".to_owned()
                }
                message => message,
            };
            format!("is not valid TOML: {place}: {message}")
        }
        None => format!("is not valid TOML: {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_environment_is_read_as_what_the_key_wants() {
        assert_eq!(loosely(Kind::Secret, " 0123\t"), ValueKind::from(" 0123\t"));
        assert_eq!(loosely(Kind::Secret, "0123\r\n"), ValueKind::from("0123"), "as from a file");
        assert_eq!(loosely(Kind::Text, " 0123 "), ValueKind::from("0123"));
        assert_eq!(loosely(Kind::Whole, "20"), ValueKind::I64(20));
        assert_eq!(loosely(Kind::Whole, "many"), ValueKind::from("many"));
        assert_eq!(loosely(Kind::Fraction, "1"), ValueKind::Float(1.0));
        assert_eq!(loosely(Kind::Flag, "True"), ValueKind::Boolean(true));
        let list = ValueKind::Array(vec![Value::from("a"), Value::from("b")]);
        for text in ["a, b,", "a\nb\n", "a,\r\n\u{a0}b\r\n", "[\"a\", \"b\"]"] {
            assert_eq!(loosely(Kind::List, text), list, "{text:?}");
        }
        assert_eq!(loosely(Kind::List, ""), ValueKind::Array(vec![]));
    }

    #[test]
    fn a_syntax_error_does_not_show_the_line_it_stands_in() {
        let mut settings = Settings::default();
        let error = settings.add_file(Path::new("c.toml"), "[login]\npassword = \"hunter2\n").unwrap_err();
        let ConfigError::BadFile { why, .. } = error else { panic!("{error:?}") };
        assert!(why.starts_with("is not valid TOML: line 2, column "), "{why}");
        assert!(!why.contains("hunter2") && !why.contains('\n'), "{why}");
    }
}
