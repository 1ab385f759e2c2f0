//! The settings: file + environment + defaults, read once into a checked [`Config`].
//!
//! Whoever holds a `Config` need not check anything again: durations are durations, ids are ids,
//! and a secret's file has been read. Every mistake is found here and said in one sentence.
//! Nothing in here talks to the network.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

mod checked;
mod error;
mod example;
mod keys;
mod names;
mod parse;
mod reader;
pub(crate) mod secret_file;
mod sections;
mod sign_in;
mod source;
mod table;
mod types;
pub(crate) mod warnings;

pub(crate) use parse::{room_text, url_text, user_id_text};

pub use error::{ConfigError, Origin};
pub use example::example;
pub use keys::{AdminRoom, Breaker, Graces, Http, Janitor, Limits, Log, Owners, Rooms, Rules, Store};
pub use rtc_janitor_core::{judge::policy::Grace, mode::Mode};
pub use sections::{Appservice, Homeserver, HomeserverAddress, LiveKit, SynapseAdmin};
pub use sign_in::{Chat, Login};
pub use types::{LogFormat, Namespace, RoomRef, UserGlobs};

use reader::Reader;
use source::Settings;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "config.toml";

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[homeserver]`: the server, and who the janitor is there.
    pub homeserver: Homeserver,
    /// `[login]`: how the watch device signs in.
    pub login: Login,
    /// `[store]`: where things are kept.
    pub store: Store,
    /// `[janitor]`: what it does, and how often it looks.
    pub janitor: Janitor,
    /// `[grace]`: how long each reason must have been seen to hold.
    pub grace: Graces,
    /// `[rules]`: thresholds of the reasons that count time.
    pub rules: Rules,
    /// `[limits]`: how much may be cleared at once.
    pub limits: Limits,
    /// `[breaker]`: when evidence is no longer believed.
    pub breaker: Breaker,
    /// `[rooms]`: which rooms, and whose invitations.
    pub rooms: Rooms,
    /// `[owners]`: whose memberships are never touched.
    pub owners: Owners,
    /// `[admin_room]`: where the janitor reports.
    pub admin_room: AdminRoom,
    /// `[admin_room.login]`: as whom.
    pub chat: Chat,
    /// `[synapse_admin]`: a token of a server admin, where there is one.
    pub synapse_admin: Option<SynapseAdmin>,
    /// `[livekit]`: the call server, where one is set up.
    pub livekit: Option<LiveKit>,
    /// `[appservice]`: as whom it may write, where one is set up.
    pub appservice: Option<Appservice>,
    /// `[http]`: what other programs may ask.
    pub http: Http,
    /// `[log]`: what goes to stderr.
    pub log: Log,
    file: Option<PathBuf>,
    rows: Vec<Row>,
    warnings: Vec<String>,
}

/// What the registration of an appservice is written from.
#[derive(Debug)]
pub struct ForRegistration {
    /// The settings.
    pub config: Config,
    /// Where the token is, or belongs.
    pub token_file: TokenFile,
}

/// Where the token of an appservice is.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenFile {
    /// It is in the settings, or in the file that they name.
    IsThere,
    /// The settings name this file, which does not exist.
    Missing(PathBuf),
    /// The settings do not say.
    Unset,
}

/// One setting as it came out, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key with its section, such as `janitor.mode`.
    pub key: &'static str,
    /// The value as it would stand in the file, secrets as `"(hidden)"`; `None` when it is not set
    /// and has no default.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
}

impl Config {
    /// Reads `path` and the environment (`RTC_JANITOR__SECTION__KEY`), which wins over the file.
    ///
    /// A file that is named must be there. Without a name, [`DEFAULT_FILE`] of the working
    /// directory is read when there is one; otherwise the environment has to say everything.
    ///
    /// # Errors
    /// All problems at once, each a sentence that names the key and where it was set.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(path, std::env::vars_os())
    }

    /// [`Config::load`] with an environment of the caller's.
    pub fn load_with(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_FILE));
        match source::read_file(file)? {
            Some(text) => Self::read(Some((file, &text)), environment),
            None if path.is_some() => Err(ConfigError::NoSuchFile { path: file.to_owned() }),
            None => Self::read(None, environment).map_err(|error| error.without_file(file)),
        }
    }

    /// The settings of a janitor whose registration is to be written: its token may be missing, and is this
    /// one then.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn for_registration(path: Option<&Path>, fresh_token: &str) -> Result<ForRegistration, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_FILE));
        let text = source::read_file(file)?;
        if text.is_none() && path.is_some() {
            return Err(ConfigError::NoSuchFile { path: file.to_owned() });
        }
        let read_from = text.as_deref().map(|text| (file, text));
        let mut settings = Self::settings(read_from, std::env::vars_os())?;
        let folder = source::folder_of(read_from.map(|(path, _)| path))?;
        let token_file = settings.stand_in_for_token(&folder, fresh_token);
        let config = Self::from_settings(settings, read_from.map(|(path, _)| path))?;
        Ok(ForRegistration { config, token_file })
    }

    /// Reads TOML text as if it stood in `file`, without any environment. For tests.
    pub fn from_toml(file: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::read(Some((file, text)), [])
    }

    fn read(
        file: Option<(&Path, &str)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Self::from_settings(Self::settings(file, environment)?, file.map(|(path, _)| path))
    }

    fn settings(
        file: Option<(&Path, &str)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        if let Some((path, text)) = file {
            settings.add_file(path, text)?;
        }
        settings.add_environment(environment);
        if file.is_none() && settings.say_nothing() {
            return Err(ConfigError::Nothing { path: DEFAULT_FILE.into() });
        }
        Ok(settings)
    }

    fn from_settings(settings: Settings, file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(settings, source::folder_of(file)?);
        let config = checked::config(&mut reader, file);
        if let Ok(config) = &config {
            warnings::add(&mut reader, config);
        }
        reader.finish(config)
    }

    /// Every key there is, with its value and where it comes from, in the order of the example file.
    pub fn effective(&self) -> &[Row] {
        &self.rows
    }

    /// What is allowed but probably not meant, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The file that was read; `None` when all came from the environment.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

#[cfg(test)]
mod tests;
