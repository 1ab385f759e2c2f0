//! The grammar of the admin room: from a message to a [`Command`], or to one sentence on what is wrong
//! with it. Nothing is carried out here.
//!
//! Each command is one variant of [`Command`]. What parses it also writes its help.

use std::num::NonZeroUsize;

use clap::{Parser, Subcommand, ValueEnum};

pub mod arguments;
mod help;
mod mistake;
mod words;

pub use arguments::{GraceChange, GraceKey, PauseLength, RoomName, Target};
pub use help::{Usage, all, usage};
pub use mistake::{Mistake, Wrong};
pub use words::{Heard, heard, with_plain_blanks};

pub use crate::plan::PlanId;
use crate::{ids::UserId, judge::policy::Neighbour, mode::Mode};

/// How many lines `history` shows when no number is given.
pub const HISTORY: usize = 10;

/// The longest text that is read as a command, in bytes.
pub const LONGEST: usize = 2000;

/// Something that a person asks of the janitor.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// List the commands, or explain one
    Help {
        /// The command to explain
        command: Option<String>,
    },
    /// How things stand, and what I cannot see
    ///
    /// Mode, rooms, memberships by verdict, the last sweep, the neighbours and whether they answer,
    /// breakers, limits used, version, and what this set-up cannot see.
    Status,
    /// The calls that go on: who, on which device, since when, and my verdict
    Calls {
        /// Only in this room
        room: Option<RoomName>,
    },
    /// Why I keep or clear what is in a room
    ///
    /// Every membership with the evidence for and against it, the verdict, when it falls due, and by
    /// which route I could clear it. Read afresh from the server.
    Explain {
        /// The room
        room: RoomName,
        /// Only this user's memberships
        #[arg(value_parser = arguments::user)]
        user: Option<UserId>,
    },
    /// Look now and propose what to hang up, as a plan
    ///
    /// Nothing is changed until somebody with a say reacts with ✅ or sends `apply`. What changes
    /// meanwhile is left out and said. A plan is good for 15 min and is carried out once.
    Sweep {
        /// Only in this room
        room: Option<RoomName>,
    },
    /// Carry out a plan, as a ✅ on it does
    Apply {
        /// The plan, as its message names it
        plan: PlanId,
    },
    /// Propose to hang up everybody in a room, dead or alive, as a plan
    ///
    /// A client that is alive joins again within a second; only hanging up there ends the call for it.
    /// Shows who seems to be in the call first, and afterwards who came back.
    Clear {
        /// The room
        room: RoomName,
        /// Only this user's memberships
        #[arg(value_parser = arguments::user)]
        user: Option<UserId>,
    },
    /// Only report, or clean
    ///
    /// Kept over restarts. Of this and janitor.mode in the settings the stricter holds.
    Mode {
        /// What I do with what I find
        #[arg(value_name = "report|clean")]
        mode: Mode,
    },
    /// Write nothing until told to go on
    ///
    /// Kept over restarts. Approved plans wait too.
    Pause {
        /// For how long; without it, until `resume`
        #[arg(value_name = "for 2h")]
        length: Option<PauseLength>,
    },
    /// Go on after `pause`
    Resume,
    /// Leave a room or a user alone
    ///
    /// Kept over restarts, until `include`.
    Exclude {
        /// Whom or what to leave alone
        #[arg(value_name = "room|user")]
        target: Target,
    },
    /// Undo `exclude`
    Include {
        /// Whom or what to look after again
        #[arg(value_name = "room|user")]
        target: Target,
    },
    /// Change how long a reason must hold before I act on it
    ///
    /// Kept over restarts. `never` switches the reason off, `reset` goes back to the settings.
    Grace {
        /// The reason, as in the settings
        reason: GraceKey,
        /// Such as 90s, 5m or 4h15m; `never`; or `reset`
        #[arg(value_name = "duration")]
        change: GraceChange,
    },
    /// The settings as they are now, where each comes from, and how to undo it
    Config {
        /// Also those that are as they come
        #[arg(value_enum)]
        all: Option<All>,
    },
    /// The rooms I am in, or those that need you
    Rooms {
        /// Only rooms that need a person, and what to do there
        #[arg(value_enum)]
        problems: Option<Problems>,
    },
    /// Join a room, where I am invited or everybody may
    Join {
        /// The room, by id, alias or link
        room: RoomName,
    },
    /// Leave a room; its calls are no longer looked after
    Leave {
        /// The room
        room: RoomName,
    },
    /// What I did, the newest first
    History {
        /// Only in this room or of this user; and how many lines
        #[arg(value_name = "room|user] [n", num_args = 0..=2)]
        filter: Vec<HistoryFilter>,
    },
    /// Believe a neighbour again at once, though most of its devices looked dead
    Breaker {
        /// What to do
        #[arg(value_enum)]
        action: BreakerAction,
        /// Which neighbour; without it, all of them
        neighbour: Option<Neighbour>,
    },
    /// Which version I am
    Version,
}

/// `all` of `config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum All {
    /// Everything.
    All,
}

/// `problems` of `rooms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Problems {
    /// What needs a person.
    Problems,
}

/// `close` of `breaker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BreakerAction {
    /// Close it.
    Close,
}

/// One word after `history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryFilter {
    /// How many lines.
    Lines(NonZeroUsize),
    /// Whose, or where.
    About(Target),
}

/// The whole line, for clap.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

impl Command {
    /// Reads the text behind the prefix. No text at all asks for help.
    ///
    /// # Errors
    ///
    /// What is wrong, and the usage of the command that was meant.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        if text.len() > LONGEST {
            return Err(Mistake::TooLong);
        }
        let mut words = words::split(text)?;
        if words.is_empty() {
            return Ok(Self::Help { command: None });
        }
        // A phone begins every message with a capital.
        words[0] = words[0].to_lowercase();
        if words.iter().any(|word| word == "--help" || word == "-h") {
            let named = words.into_iter().find(|word| !word.starts_with('-'));
            return Ok(Self::Help { command: named });
        }
        if words[0] == "pause" && words.get(1).is_some_and(|word| word == "for") {
            words.remove(1);
        }
        Line::try_parse_from(&words).map(|line| line.command).map_err(|error| mistake::of(&error, &words))
    }
}

#[cfg(test)]
mod tests;
