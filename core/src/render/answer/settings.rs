//! `config`: what holds, and where it comes from.

use super::page::{Page, count, words};
use crate::render::{Message, message::harmless};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key, as in the file.
    pub key: String,
    /// Its value, as it would stand there.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
    /// How to undo it, where a command set it.
    pub undo: Option<String>,
}

/// What `config` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What was set by command.
    pub by_command: Vec<Setting>,
    /// What the file and the environment say.
    pub set: Vec<Setting>,
    /// What has its default.
    pub defaults: Vec<Setting>,
    /// Whether the last are shown too.
    pub all: bool,
}

impl Settings {
    /// The answer; commands begin with `prefix`.
    pub fn message(&self, prefix: &str) -> Message {
        let mut page = Page::default();
        let lines = |settings: &[Setting]| settings.iter().map(line).collect::<Vec<_>>();
        if self.by_command.is_empty() {
            page.say("Nothing has been changed by command.");
        }
        page.list(&words("Changed by command, and how to undo it"), &lines(&self.by_command), "");
        page.list(&words("From the config file and the environment"), &lines(&self.set), "");
        if self.all {
            page.list(
                &words("Defaults"),
                &lines(&self.defaults),
                "`rtc-janitor config show` prints all of them.",
            );
        } else if !self.defaults.is_empty() {
            let others =
                count(self.defaults.len(), "other key has its default", "other keys have their default");
            page.say(&format!("{others}; `{prefix} config all` shows them."));
        }
        page.done()
    }
}

fn line(setting: &Setting) -> Message {
    let undo = setting.undo.as_ref().map_or_else(String::new, |undo| format!("; undo: `{undo}`"));
    let (value, origin) = (harmless(&setting.value).replace('`', "'"), harmless(&setting.origin));
    words(&format!("`{} = {value}` ({origin}{undo})", setting.key))
}
