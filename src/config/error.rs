//! What can be wrong with the settings, in sentences, and where a value came from.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Why there is no [`super::Config`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file was named and is not there.
    NoSuchFile {
        /// The name as it was given.
        path: PathBuf,
    },
    /// There is no file, and the environment says nothing either.
    Nothing {
        /// Where a file would have been read.
        path: PathBuf,
    },
    /// The file is there but gives no settings: unreadable, or not TOML.
    BadFile {
        /// The name as it was given.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Settings are wrong or missing: one sentence each, at least one.
    Settings {
        /// Set when no file was read: where one would have been.
        without_file: Option<PathBuf>,
        /// The sentences.
        problems: Vec<String>,
    },
}

impl ConfigError {
    /// The same, said for somebody who has no file at `path`.
    pub(super) fn without_file(self, path: &Path) -> Self {
        match self {
            Self::Settings { problems, .. } => {
                Self::Settings { without_file: Some(path.to_owned()), problems }
            }
            other => other,
        }
    }

    /// The sentences, one for each thing to mend.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::NoSuchFile { path } => vec![format!(
                "the config file {} does not exist; check the name given by --config or RTC_JANITOR_CONFIG",
                path.display()
            )],
            Self::Nothing { path } => vec![format!(
                "there is no config file: {} does not exist here; make one from config.example.toml, or \
                 name one with --config FILE",
                path.display()
            )],
            Self::BadFile { path, why } => vec![format!("the config file {} {why}", path.display())],
            Self::Settings { without_file, problems } => {
                let no_file = without_file.as_ref().map(|path| {
                    format!(
                        "{} does not exist here, and the environment alone is not enough yet",
                        path.display()
                    )
                });
                no_file.into_iter().chain(problems.iter().cloned()).collect()
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems().join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Nobody set it, and it follows another key.
    Follows(&'static str),
    /// The config file, by the name it was given.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Follows(key) => write!(f, "default, follows {key}"),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => f.write_str(name),
        }
    }
}
