//! `help`.

use super::page::{Page, words};
use crate::{
    command::{Mistake, Usage, all, usage},
    render::Message,
};

/// The list of commands.
pub fn commands(prefix: &str) -> Message {
    let lines: Vec<_> =
        all(prefix).iter().map(|usage| words(&format!("`{}`: {}", usage.line, usage.about))).collect();
    let mut page = Page::default();
    page.say("I hang up Matrix calls that nobody is in any more. This is what you can ask me:");
    page.list(&Message::default(), &lines, "");
    page.say(&format!(
        "A room is an id, an alias, a link, or its name (in quotes if there are spaces). \
         `{prefix} help sweep` tells more about one command."
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
