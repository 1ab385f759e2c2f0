//! The first thing it says.

use crate::{
    mode::{Mode, Pause},
    render::{Message, blind::Blind, message::sentences, words},
    time::Timestamp,
};

/// What the start message says of the set-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// This program's version.
    pub version: &'a str,
    /// What holds.
    pub mode: Mode,
    /// What the settings of the machine say.
    pub mode_of_file: Mode,
    /// What a command said.
    pub mode_by_command: Option<Mode>,
    /// Whether what was set by command is forgotten, and nobody has said anything since.
    pub journal_is_new: bool,
    /// Whether it is paused.
    pub paused: Option<Pause>,
    /// How many rooms it watches.
    pub rooms: usize,
    /// How many memberships are open in them.
    pub open: usize,
    /// What it cannot see.
    pub blind: Blind,
    /// What commands begin with.
    pub prefix: &'a str,
    /// Now.
    pub now: Timestamp,
}

impl Start<'_> {
    /// The message.
    pub fn message(&self) -> Message {
        let mode = self.mode;
        let rooms = if self.rooms == 1 { "1 room".to_owned() } else { format!("{} rooms", self.rooms) };
        let open =
            if self.open == 1 { "1 membership".to_owned() } else { format!("{} memberships", self.open) };
        let first = format!(
            "👋 rtc-janitor {} is watching {rooms} with {open} in calls, in mode “{mode}”.",
            self.version
        );
        let blind = self.blind.sentence();
        let prefix = self.prefix;
        let next = match (self.mode, self.mode_of_file) {
            (Mode::Clean, _) => {
                format!(
                    "I hang up what is dead and say so here. To only be told, say `{prefix} mode report`."
                )
            }
            (Mode::Report, Mode::Report) => format!(
                "I change nothing and say here what I would hang up. When you have seen enough to trust it, set \
                 janitor.mode = \"clean\" in my settings and restart me; `{prefix} sweep` proposes single plans meanwhile."
            ),
            (Mode::Report, Mode::Clean) if self.journal_is_new => format!(
                "My settings say “clean”, but my journal is new, so I change nothing until somebody says \
                 `{prefix} mode clean`: what was set by command is forgotten."
            ),
            (Mode::Report, Mode::Clean) => format!(
                "My settings say “clean”, but a command said “report”, and the stricter holds: I change nothing. \
                 `{prefix} mode clean` undoes that."
            ),
        };
        let next = match self.mode_by_command {
            Some(Mode::Clean) if self.mode_of_file == Mode::Report => {
                format!("{next} (A command said “clean”; of it and the settings the stricter holds.)")
            }
            _ => next,
        };
        let mut all = vec![first, blind, next];
        match self.paused {
            Some(Pause::UntilResume) => {
                all.push(format!("⏸️ I am paused and write nothing until you say `{prefix} resume`."));
            }
            Some(Pause::Until(until)) if until > self.now => {
                all.push(format!(
                    "⏸️ I am paused and write nothing until {} ({}).",
                    words::instant(until),
                    words::ago(until, self.now)
                ));
            }
            _ => {}
        }
        all.push(format!("`{prefix} help` tells what you can ask me."));
        sentences(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }
}
