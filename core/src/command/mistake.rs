//! What is wrong with a command, in one sentence, with the usage of the command that was meant.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{all, usage};

/// Why a text is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nobody types that much.
    TooLong,
    /// No command has that name.
    Unknown {
        /// What was said.
        name: String,
        /// The nearest that there is.
        nearest: Option<String>,
    },
    /// The command is known, and its arguments are not right.
    Arguments {
        /// The command.
        command: String,
        /// What is wrong.
        wrong: Wrong,
    },
}

/// What is wrong with the arguments of a command. What was said stands here as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// One is missing, and this is its name.
    Missing(String),
    /// It is none of those that fit.
    NoChoice {
        /// What was said.
        given: String,
        /// What fits.
        choices: Vec<String>,
    },
    /// It cannot be read.
    Unreadable {
        /// What was said.
        given: String,
        /// The second half of a sentence that begins with it; it may hold some of it.
        why: String,
    },
    /// The command takes nothing.
    TakesNothing {
        /// What was said all the same.
        extra: String,
    },
    /// The command takes no more than there was before it.
    Extra {
        /// What was said all the same.
        extra: String,
    },
    /// There is more than the command takes.
    TooMuch,
}

impl Mistake {
    /// A name that no command has.
    pub fn unknown(name: &str) -> Self {
        Self::Unknown { name: name.to_owned(), nearest: nearest(name) }
    }
}

/// What clap's error says; `words` is what it was given.
pub(super) fn of(error: &clap::Error, words: &[String]) -> Mistake {
    let command = words.first().cloned().unwrap_or_default();
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let given = || text(ContextKind::InvalidValue);
    let Some(known) = usage(&command, "") else { return Mistake::unknown(&command) };
    let wrong = match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let name = text(ContextKind::InvalidArg).to_lowercase();
            let first = name.trim_start_matches('<').split('>').next().unwrap_or_default();
            Wrong::Missing(first.to_owned())
        }
        ErrorKind::InvalidValue => {
            let choices = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(choices)) => choices.clone(),
                _ => Vec::new(),
            };
            Wrong::NoChoice { given: given(), choices }
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
            Wrong::Unreadable { given: given(), why }
        }
        ErrorKind::UnknownArgument if known.arguments.is_empty() => {
            Wrong::TakesNothing { extra: text(ContextKind::InvalidArg) }
        }
        ErrorKind::UnknownArgument => Wrong::Extra { extra: text(ContextKind::InvalidArg) },
        _ => Wrong::TooMuch,
    };
    Mistake::Arguments { command, wrong }
}

/// The command that somebody meant, if a slip or two lead to it.
fn nearest(name: &str) -> Option<String> {
    let names = all("").into_iter().flat_map(|usage| {
        let other = usage.aliases.into_iter().map(|alias| (alias, usage.name.clone())).collect::<Vec<_>>();
        [(usage.name.clone(), usage.name)].into_iter().chain(other)
    });
    let distance = |said: &str| strsim::damerau_levenshtein(said, name);
    let (distance, nearest) = names.map(|(said, meant)| (distance(&said), meant)).min()?;
    (distance <= 2).then_some(nearest)
}
