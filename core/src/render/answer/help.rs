//! `help`.

use super::page::{Page, words};
use crate::{
    command::{Group, Mistake, Usage, all, usage},
    render::Message,
};

/// The list of commands.
pub fn commands(prefix: &str) -> Message {
    let mut page = Page::default();
    page.say("I clear Matrix calls that nobody is in any more. You can ask me:");
    for group in Group::ALL {
        let lines: Vec<_> = all(prefix)
            .iter()
            .filter(|usage| usage.group == group)
            .map(|usage| words(&format!("`{}`: {}", usage.line, usage.about)))
            .collect();
        let heading = match group {
            Group::Look => "Look",
            Group::Act => "Act",
            Group::SetUp => "Set up",
        };
        page.list(&words(heading), &lines, "");
    }
    page.say(&format!(
        "A room is its name, an alias, a link or an id. `{prefix} help sweep` tells more about one command."
    ));
    page.done()
}

/// One command; the list when there is none of that name.
pub fn one_command(name: &str, prefix: &str) -> Message {
    let Some(Usage { line, about, more, arguments, .. }) = usage(&name.to_lowercase(), prefix) else {
        return Mistake::unknown(&name.to_lowercase()).message(prefix);
    };
    let arguments: Vec<_> =
        arguments.iter().map(|(name, help)| words(&format!("`{name}`: {help}"))).collect();
    let mut page = Page::default();
    page.say(&format!("`{line}`")).say(&format!("{about}."));
    if let Some(more) = more {
        page.say(&more);
    }
    page.list(&Message::default(), &arguments, "");
    page.done()
}
