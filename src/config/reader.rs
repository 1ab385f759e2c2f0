//! Takes settings out one by one, and keeps two lists on the way: what was wrong, and what came out.
//!
//! A problem is noted and the reading goes on, so that one look at the sentences mends the file.

use std::path::PathBuf;

use ::config::ValueKind;

use super::{
    Config, ConfigError, Origin, Row, names,
    parse::{self, How},
    secret_file,
    source::{Setting, Settings, default_of},
    table::{Key, Kind, Presence},
};

/// What is shown in a secret's place.
const HIDDEN: &str = "\"(hidden)\"";

/// Something is wrong, and the sentence about it has been noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted;

/// Settings on their way to a [`Config`].
#[derive(Debug)]
pub(super) struct Reader {
    settings: Settings,
    folder: PathBuf,
    rows: Vec<Row>,
    warnings: Vec<String>,
    /// Secrets that stand in the config file itself.
    pub(super) inline_secrets: Vec<&'static str>,
    /// Keys that name a secret's file, with the file.
    pub(super) secret_files: Vec<(&'static str, PathBuf)>,
}

impl Reader {
    /// Relative paths are resolved against `folder`.
    pub(super) fn new(settings: Settings, folder: PathBuf) -> Self {
        Self {
            settings,
            folder,
            rows: Vec::new(),
            warnings: Vec::new(),
            inline_secrets: Vec::new(),
            secret_files: Vec::new(),
        }
    }

    /// Notes a problem.
    pub(super) fn note(&mut self, sentence: impl Into<String>) -> Noted {
        self.settings.problems.push(sentence.into());
        Noted
    }

    /// Notes something that is allowed but probably not meant.
    pub(super) fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }

    /// Whether a key was set.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.settings.found.contains_key(name)
    }

    /// A key with where it was set, as sentences begin.
    pub(super) fn place(&self, name: &str) -> String {
        match self.settings.found.get(name) {
            Some(setting) => format!("{name} ({})", setting.origin),
            None => name.to_owned(),
        }
    }

    /// The key or its `_file` twin, whichever was set.
    pub(super) fn place_of_secret(&self, name: &str) -> String {
        if self.is_set(name) { self.place(name) } else { self.place(&format!("{name}_file")) }
    }

    /// A key that has a default.
    pub(super) fn or_default<T>(&mut self, key: &'static Key, how: &How<T>) -> Result<T, Noted> {
        self.needed(key, how)
    }

    /// A key that must be set, or has a default.
    pub(super) fn needed<T>(&mut self, key: &'static Key, how: &How<T>) -> Result<T, Noted> {
        let hint = || parse::shown(&super::source::loosely(key.kind, key.example()));
        self.optional(key, how)?
            .ok_or_else(|| self.note(format!("{} is not set; write one such as {}", key.name, hint())))
    }

    /// A key that may be left out, though few do.
    pub(super) fn usual<T>(&mut self, key: &'static Key, how: &How<T>) -> Result<Option<T>, Noted> {
        self.optional(key, how)
    }

    /// A key that takes another one's value where it is not set.
    pub(super) fn follows<T>(&mut self, key: &'static Key, how: &How<T>) -> Result<T, Noted> {
        if let Some(value) = self.optional(key, how)? {
            return Ok(value);
        }
        let Presence::Follows(followed) = key.presence else { return Err(Noted) };
        let value = self.rows.iter().find(|row| row.key == followed).and_then(|row| row.value.clone());
        if let Some(row) = self.rows.last_mut() {
            (row.value, row.origin) = (value, Origin::Follows(followed));
        }
        let default = || names::keys().find(|key| key.name == followed).and_then(default_of);
        let setting = self.settings.found.get(followed).cloned().or_else(default);
        // A bad value there has been noted where it is read itself.
        setting.and_then(|setting| (how.read)(&setting.value).ok()).ok_or(Noted)
    }

    /// A key that may be left out. A secret is taken from itself or from the file that its twin names.
    pub(super) fn optional<T>(&mut self, key: &'static Key, how: &How<T>) -> Result<Option<T>, Noted> {
        let own = self.look_up(key.name, key.kind, default_of(key));
        let file = match key.kind {
            Kind::Secret => self.look_up(key.twin, Kind::Path, None),
            _ => None,
        };
        let (name, setting) = match (own, file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let places = (self.place(key.name), self.place(key.twin));
                return Err(
                    self.note(format!("{} and {} are both set; keep one of them", places.0, places.1))
                );
            }
            (Some(own), None) => {
                if key.kind == Kind::Secret && matches!(own.origin, Origin::File(_)) {
                    self.inline_secrets.push(key.name);
                }
                (key.name, own)
            }
            (None, Some(file)) => (key.twin, self.read_secret(key.twin, file)?),
        };
        let read = (how.read)(&setting.value).map(Some);
        read.map_err(|why| self.note(format!("{name} ({}): {why}", setting.origin)))
    }

    /// What was set or holds by default, with a row about it.
    fn look_up(&mut self, name: &'static str, kind: Kind, default: Option<Setting>) -> Option<Setting> {
        let mut found = self.settings.found.get(name).cloned().or(default);
        if let (Kind::Path, Some(Setting { value: ValueKind::String(path), .. })) = (kind, &mut found)
            && !path.trim().is_empty()
        {
            *path = self.folder.join(&*path).display().to_string();
        }
        let value = found.as_ref().map(|setting| match kind {
            Kind::Secret => HIDDEN.to_owned(),
            _ => parse::shown(&setting.value),
        });
        let origin = found.as_ref().map_or(Origin::Default, |setting| setting.origin.clone());
        self.rows.push(Row { key: name, value, origin });
        found
    }

    /// The secret in the file that is named by `file`.
    fn read_secret(&mut self, twin: &'static str, file: Setting) -> Result<Setting, Noted> {
        let Setting { value, origin } = file;
        let read = (parse::PATH.read)(&value).and_then(|path| Ok((secret_file::read(&path)?, path)));
        let (text, path) = read.map_err(|why| self.note(format!("{twin} ({origin}): {why}")))?;
        if let Some(oddity) = secret_file::oddity(&text) {
            self.warn(format!("{twin}: the secret in {} {oddity}", path.display()));
        }
        self.secret_files.push((twin, path));
        Ok(Setting { value: ValueKind::String(text), origin })
    }

    /// The `Config`, or everything that is wrong.
    pub(super) fn finish(self, config: Result<Config, Noted>) -> Result<Config, ConfigError> {
        let Self { settings: Settings { problems, unread, .. }, mut rows, warnings, .. } = self;
        rows.sort_by_key(|row| names::names().position(|(name, _)| name == row.key));
        match config {
            Ok(config) if problems.is_empty() => {
                Ok(Config { rows, warnings: [unread, warnings].concat(), ..config })
            }
            // What was not read may be just what is missing.
            _ => Err(ConfigError::Settings { without_file: None, problems: [problems, unread].concat() }),
        }
    }
}
