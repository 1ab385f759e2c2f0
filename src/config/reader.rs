//! Takes settings out one by one, and keeps two lists on the way: what was wrong, and what came out.
//!
//! A problem is noted and the reading goes on, so that one look at the sentences mends the file.

use std::path::PathBuf;

use ::config::ValueKind;

use super::{
    Config, ConfigError, Grace, Origin, Row, Secret,
    keys::{self, Key, Kind},
    parse,
    secret::{self, HIDDEN},
    source::{Settings, default_of},
};

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

    /// A key with where it was set, as sentences begin.
    pub(super) fn place(&self, name: &str) -> String {
        match self.settings.found.get(name) {
            Some(setting) => format!("{name} ({})", setting.origin),
            None => name.to_owned(),
        }
    }

    /// The key or its `_file` twin, whichever was set.
    pub(super) fn place_of_secret(&self, name: &str) -> String {
        if self.settings.found.contains_key(name) {
            self.place(name)
        } else {
            self.place(&format!("{name}_file"))
        }
    }

    /// The value of a key, its default, or `None`.
    pub(super) fn get<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&ValueKind) -> Result<T, String>,
    ) -> Result<Option<T>, Noted> {
        let key = known(name);
        let Some(setting) = self.settings.found.get(key.name).cloned().or_else(|| default_of(key)) else {
            self.rows.push(Row { key: key.name, value: None, origin: Origin::Default });
            return Ok(None);
        };
        let value = match key.kind {
            Kind::Secret => format!("\"{HIDDEN}\""),
            _ => parse::shown(&setting.value),
        };
        self.rows.push(Row { key: key.name, value: Some(value), origin: setting.origin.clone() });
        parse(&setting.value)
            .map(Some)
            .map_err(|why| self.note(format!("{} ({}): {why}", key.name, setting.origin)))
    }

    /// The value of a key that has a default or must be set; `hint` says what to set.
    pub(super) fn need<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&ValueKind) -> Result<T, String>,
        hint: &str,
    ) -> Result<T, Noted> {
        self.get(name, parse)?.ok_or_else(|| self.note(format!("{name} is not set; {hint}")))
    }

    /// The value of a key that has a default.
    pub(super) fn value<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&ValueKind) -> Result<T, String>,
    ) -> Result<T, Noted> {
        self.need(name, parse, "config.example.toml shows how")
    }

    /// A grace, by default that of `grace.default`.
    pub(super) fn grace(&mut self, name: &str) -> Result<Grace, Noted> {
        if let Some(grace) = self.get(name, parse::grace)? {
            return Ok(grace);
        }
        let followed = "grace.default";
        let value = self.rows.iter().find(|row| row.key == followed).and_then(|row| row.value.clone());
        if let Some(row) = self.rows.last_mut() {
            (row.value, row.origin) = (value, Origin::Follows(followed));
        }
        let setting = self.settings.found.get(followed).cloned().or_else(|| default_of(known(followed)));
        // A bad default has been noted where it is read itself.
        setting.and_then(|setting| parse::grace(&setting.value).ok()).ok_or(Noted)
    }

    /// A path, resolved.
    pub(super) fn path(&mut self, name: &str) -> Result<Option<PathBuf>, Noted> {
        let Some(path) = self.get(name, parse::path)? else { return Ok(None) };
        let path = self.folder.join(path);
        if let Some(row) = self.rows.last_mut() {
            row.value = Some(parse::shown(&path.display().to_string().into()));
        }
        Ok(Some(path))
    }

    /// A secret, from its key or from the file that its `_file` twin names.
    pub(super) fn secret(&mut self, name: &str) -> Result<Option<Secret>, Noted> {
        let twin = format!("{name}_file");
        let (inline, file) = (self.get(name, parse::secret), self.path(&twin));
        match (inline?, file?) {
            (Some(_), Some(_)) => Err(self.note(format!(
                "{} and {} are both set; keep one of them",
                self.place(name),
                self.place(&twin)
            ))),
            (Some(secret), None) => {
                if matches!(self.settings.found.get(name).map(|found| &found.origin), Some(Origin::File(_))) {
                    self.inline_secrets.push(known(name).name);
                }
                Ok(Some(secret))
            }
            (None, Some(path)) => {
                let secret =
                    secret::read(&path).map_err(|why| self.note(format!("{}: {why}", self.place(&twin))))?;
                self.secret_files.push((known(&twin).name, path));
                Ok(Some(secret))
            }
            (None, None) => Ok(None),
        }
    }

    /// The `Config`, or everything that is wrong.
    pub(super) fn finish(mut self, config: Result<Config, Noted>) -> Result<Config, ConfigError> {
        let order = |row: &Row| keys::KEYS.iter().position(|key| key.name == row.key);
        self.rows.sort_by_key(order);
        match config {
            Ok(config) if self.settings.problems.is_empty() => {
                Ok(Config { rows: self.rows, warnings: self.warnings, ..config })
            }
            _ => Err(ConfigError::Settings { without_file: None, problems: self.settings.problems }),
        }
    }
}

#[expect(clippy::expect_used, reason = "names are literals of this module, and a test reads every one")]
fn known(name: &str) -> &'static Key {
    keys::find(name).expect("a key of the table")
}
