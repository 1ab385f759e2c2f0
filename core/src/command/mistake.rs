//! What is wrong with a command, in one sentence, with the usage of the command that was meant.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{LONGEST, all, usage};
use crate::render::{Message, message};

/// Why a text is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nobody types that much.
    TooLong,
    /// A quote that is never closed.
    OpenQuote,
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
        why: String,
    },
}

impl Mistake {
    /// A name that no command has.
    pub fn unknown(name: &str) -> Self {
        Self::Unknown { name: name.to_owned(), nearest: nearest(name) }
    }

    /// The answer to whoever made it.
    pub fn message(&self, prefix: &str) -> Message {
        let help = format!("`{prefix} help` lists what I understand.");
        match self {
            Self::TooLong => {
                message::sentences(&[&format!("That is longer than any command ({LONGEST} bytes). {help}")])
            }
            Self::OpenQuote => message::sentences(&[
                "A quote in your command is never closed; write names with quotes in them as \\' or \\\".",
            ]),
            Self::Unknown { name, nearest } => {
                let name = message::harmless(name);
                let nearest = nearest.as_ref().map_or_else(String::new, |nearest| {
                    format!(" Did you mean `{prefix} {}`?", message::harmless(nearest))
                });
                message::sentences(&[&format!("I know no command “{name}”.{nearest} {help}")])
            }
            Self::Arguments { command, why } => {
                let usage = usage(command, prefix).map_or_else(String::new, |usage| usage.line);
                let why = message::harmless_sentence(why);
                let end = if why.ends_with('?') { "" } else { "." };
                message::sentences(&[&format!("{why}{end}"), &format!("`{usage}`")])
            }
        }
    }
}

/// Puts clap's error into words for people; `words` is what it was given.
pub(super) fn of(error: &clap::Error, words: &[String]) -> Mistake {
    let command = words.first().cloned().unwrap_or_default();
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let given = || message::harmless(&text(ContextKind::InvalidValue).unwrap_or_default());
    let Some(known) = usage(&command, "") else { return Mistake::unknown(&command) };
    let why = match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let missing = text(ContextKind::InvalidArg).unwrap_or_default();
            format!("`{command}` needs one thing more: {}", missing.trim_matches(['<', '>']).to_lowercase())
        }
        ErrorKind::InvalidValue => {
            let choices = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(choices)) => choices.join(", "),
                _ => "something else".to_owned(),
            };
            format!("“{}” does not fit there; what does is: {choices}", given())
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
            format!("“{}” {why}", given())
        }
        ErrorKind::UnknownArgument if known.arguments.is_empty() => {
            format!("`{command}` stands alone, without “{}”", extra(&text))
        }
        ErrorKind::UnknownArgument => {
            format!("`{command}` does not take “{}” as well; a name with spaces needs quotes", extra(&text))
        }
        _ => format!("`{command}` takes less than that"),
    };
    Mistake::Arguments { command, why }
}

fn extra(text: &impl Fn(ContextKind) -> Option<String>) -> String {
    message::harmless(&text(ContextKind::InvalidArg).unwrap_or_default())
}

/// The command that somebody meant, if a slip or two lead to it.
fn nearest(name: &str) -> Option<String> {
    let distance = |other: &String| strsim::damerau_levenshtein(other, name);
    let nearest = all("").into_iter().map(|usage| usage.name).min_by_key(distance)?;
    (distance(&nearest) <= 2).then_some(nearest)
}
