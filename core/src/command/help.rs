//! The help, from the definitions that parse.

use std::fmt::Write;

use clap::CommandFactory;

use super::Line;

/// What commands are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// To see how things stand; changes nothing.
    Look,
    /// To have something done, or stopped.
    Act,
    /// To change how the janitor behaves.
    SetUp,
}

impl Group {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 3] = [Self::Look, Self::Act, Self::SetUp];

    fn of(command: &str) -> Self {
        match command {
            "sweep" | "apply" | "clear" | "pause" | "resume" => Self::Act,
            "mode" | "exclude" | "include" | "grace" | "join" | "leave" | "breaker" => Self::SetUp,
            _ => Self::Look,
        }
    }
}

/// How one command is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub name: String,
    /// Other words for it.
    pub aliases: Vec<String>,
    /// What it is for.
    pub group: Group,
    /// As it is typed: `!janitor calls [room]`.
    pub line: String,
    /// What it does, in a few words.
    pub about: String,
    /// What there is to know beyond that.
    pub more: Option<String>,
    /// Each argument, and what it is.
    pub arguments: Vec<(String, String)>,
}

/// All commands, in the order in which they are defined.
pub fn all(prefix: &str) -> Vec<Usage> {
    Line::command().get_subcommands().map(|command| of(command, prefix)).collect()
}

/// One command.
pub fn usage(name: &str, prefix: &str) -> Option<Usage> {
    Line::command().find_subcommand(name).map(|command| of(command, prefix))
}

fn of(command: &clap::Command, prefix: &str) -> Usage {
    let mut line = format!("{prefix} {}", command.get_name());
    let mut arguments = Vec::new();
    for argument in command.get_positionals().filter(|argument| !argument.is_hide_set()) {
        let choices: Vec<_> =
            argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let named = argument.get_value_names().and_then(<[_]>::first).map(|name| name.to_lowercase());
        let shown = if choices.is_empty() { named.unwrap_or_default() } else { choices.join("|") };
        let is_word = choices.len() == 1;
        let ends_optional = shown.contains("> [");
        let (before, after) = match (argument.is_required_set(), is_word) {
            (true, true) => ("", ""),
            (true, false) if ends_optional => ("<", "]"),
            (true, false) => ("<", ">"),
            (false, _) => ("[", "]"),
        };
        let _ = write!(line, " {before}{shown}{after}");
        let help = argument.get_help().map_or_else(String::new, ToString::to_string);
        arguments.push((shown.replace("] [", ", ").replace("> [", ", "), help));
    }
    let about = command.get_about().map_or_else(String::new, ToString::to_string);
    let more = command.get_long_about().map(ToString::to_string);
    // Its first paragraph is the short one again.
    let more = more.and_then(|more| more.split_once("\n\n").map(|(_, rest)| rest.to_owned()));
    let name = command.get_name().to_owned();
    let aliases = command.get_all_aliases().map(str::to_owned).collect();
    Usage { group: Group::of(&name), name, aliases, line, about, more, arguments }
}
