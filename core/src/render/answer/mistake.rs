//! The answer to whoever made a mistake in a command.

use crate::{
    command::{LONGEST, Mistake, Wrong, usage},
    render::{
        Message,
        message::{harmless, harmless_sentence, sentences},
    },
};

impl Mistake {
    /// One sentence on what is wrong, with the usage of the command that was meant.
    pub fn message(&self, prefix: &str) -> Message {
        let help = format!("`{prefix} help` lists what I understand.");
        match self {
            Self::TooLong => {
                sentences(&[&format!("That is longer than any command ({LONGEST} bytes). {help}")])
            }
            Self::Unknown { name, nearest } => {
                let name = harmless(name);
                let nearest = nearest.as_ref().map_or_else(String::new, |nearest| {
                    format!(" Did you mean `{prefix} {}`?", harmless(nearest))
                });
                sentences(&[&format!("I know no command “{name}”.{nearest} {help}")])
            }
            Self::Arguments { command, wrong } => {
                let usage = usage(command, prefix).map_or_else(String::new, |usage| usage.line);
                let why = harmless_sentence(&in_words(command, wrong));
                let end = if why.ends_with('?') { "" } else { "." };
                sentences(&[&format!("{why}{end}"), &format!("`{usage}`")])
            }
        }
    }
}

fn in_words(command: &str, wrong: &Wrong) -> String {
    match wrong {
        Wrong::Missing(name) if name.contains('|') => {
            format!("`{command}` needs {}", name.replace('|', " or "))
        }
        Wrong::Missing(name) => {
            let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            format!("`{command}` needs {article} {name}")
        }
        Wrong::NoChoice { given, choices } => {
            let choices = if choices.is_empty() { "something else".to_owned() } else { choices.join(", ") };
            format!("“{}” is not understood there. Expected: {choices}", harmless(given))
        }
        Wrong::Unreadable { given, why } => format!("“{}” {why}", harmless(given)),
        Wrong::TakesNothing { extra } => {
            format!("`{command}` takes nothing after it, such as “{}”", harmless(extra))
        }
        Wrong::Extra { extra } => format!("`{command}` does not take “{}” as well", harmless(extra)),
        Wrong::TooMuch => format!("That is more than `{command}` takes"),
    }
}
