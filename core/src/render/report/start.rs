//! The first thing it says.

use crate::{
    mode::{Mode, Pause},
    render::{Message, message::sentences, sight::Sight, words},
    time::Timestamp,
};

/// What the start message says of the set-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// This program's version.
    pub version: &'a str,
    /// What holds.
    pub mode: Mode,
    /// What the config file says.
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
    /// How many of those are stale.
    pub stale: usize,
    /// What it sees, and what would let it see more.
    pub sight: Sight,
    /// Whether it has never said this in the room before: only then it explains itself.
    pub is_first: bool,
    /// Whether `admin_room.alert` names anybody.
    pub has_alert: bool,
    /// What commands begin with.
    pub prefix: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// The same, said in place of the first word after an earlier start, since which there were so many.
pub fn restarted(hello: &Message, times: i64, since: Timestamp, now: Timestamp) -> Message {
    let times = if times == 1 { "Restarted".to_owned() } else { format!("Restarted {times} times") };
    let line =
        sentences(&[&format!("{times} since {}, last at {}.", words::instant(since), words::instant(now))]);
    let mut message = hello.clone();
    message.plain.push('\n');
    message.push(&line);
    message
}

impl Start<'_> {
    /// The message.
    pub fn message(&self) -> Message {
        let counted = |number, one, several| {
            if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
        };
        let rooms = match self.rooms {
            0 => "no room yet: invite me into those whose calls I am to look after".to_owned(),
            rooms => format!(
                "{} with {}{}",
                counted(rooms, "room", "rooms"),
                counted(self.open, "open call membership", "open call memberships"),
                match (self.stale, self.open) {
                    (0, _) => String::new(),
                    (1, 1) => ", which is stale".to_owned(),
                    (stale, _) => format!(", {stale} of them stale"),
                }
            ),
        };
        let mode = self.mode;
        let first = format!("👋 rtc-janitor {} is watching {rooms}. I am in {mode} mode.", self.version);
        let prefix = self.prefix;
        let next = match (self.mode, self.mode_of_file) {
            (Mode::Clean, _) => {
                format!("I clear what is stale and say so here. `{prefix} mode report` stops the clearing.")
            }
            (Mode::Report, Mode::Report) => format!(
                "I change nothing and say here what I would clear. When you have seen enough to trust it, set \
                 janitor.mode = \"clean\" in the config file and restart me. Until then `{prefix} sweep` proposes \
                 single plans."
            ),
            (Mode::Report, Mode::Clean) if self.journal_is_new => format!(
                "The config file says “clean”, but my journal is new: what was set by command is forgotten, and I \
                 change nothing until somebody says `{prefix} mode clean`."
            ),
            (Mode::Report, Mode::Clean) => format!(
                "The config file says “clean”, a command said “report”, and the stricter of the two applies: I change \
                 nothing. `{prefix} mode reset` undoes the command."
            ),
        };
        let next = match self.mode_by_command {
            Some(Mode::Clean) if self.mode_of_file == Mode::Report => {
                format!("{next} (A command said “clean”; the stricter of it and the config file applies.)")
            }
            _ => next,
        };
        let mut all = vec![first];
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
        // Whoever knows the janitor has read the rest, and what is not as usual is said every time.
        if self.is_first || self.mode != self.mode_of_file {
            all.push(next);
        }
        if self.is_first {
            all.extend(self.sight.given());
            all.push(self.sight.blind(self.prefix));
            all.extend(self.would_see());
            all.push(if self.has_alert {
                format!("`{prefix} help` lists what you can ask me.")
            } else {
                format!(
                    "`{prefix} help` lists what you can ask me. To be notified of what needs you, name yourself in \
                     admin_room.alert in the config file."
                )
            });
        }
        sentences(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The greatest gain; `status` has all of them.
    fn would_see(&self) -> Option<String> {
        let gains = self.sight.gains();
        let (key, gain) = gains.first()?;
        let more = match gains.len() - 1 {
            0 => String::new(),
            more => format!(" `{} status` names {more} more.", self.prefix),
        };
        Some(format!("I would see or reach more with {key} in my config file: {gain}.{more}"))
    }
}
