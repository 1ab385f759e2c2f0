//! The grammar of the admin room: from a message to a [`Command`], or to one sentence on what is wrong
//! with it. Nothing is carried out here.
//!
//! Each command is one variant of [`Command`]. What parses it also writes its help.

use std::num::NonZeroUsize;

use chrono::NaiveDate;
use clap::{Parser, Subcommand, ValueEnum};

pub mod arguments;
mod help;
mod mistake;
mod phrases;
mod words;

pub use arguments::{
    GraceChange, GraceKey, ModeChange, PauseLength, Place, RoomName, SurveyOrder, Target, UserName, Whom,
};
pub use help::{Group, Usage, all, usage};
pub use mistake::{Mistake, Wrong};
pub use words::{Heard, heard, is_slip, with_plain_blanks};

pub use crate::plan::PlanId;
use crate::{ids::UserId, judge::policy::Neighbour};

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
    /// Mode, rooms, memberships by verdict, the last sweep, the sources and whether they answer,
    /// breakers, limits used, version, and what this set-up cannot see.
    Status,
    /// Who is in which call: device, since when, verdict
    ///
    /// A part of a name is enough where it fits one room only. A user is a full id or `@name`.
    Calls {
        /// Only in this room, or of this user
        #[arg(value_name = "room|user")]
        only: Option<Whom>,
    },
    /// Why I keep or clear what is in a room
    ///
    /// Every membership with its verdict, when it falls due, the evidence for and against it, and how I
    /// could clear it. Read afresh from the server. A part of a name is enough where it fits one only.
    Explain {
        /// The room, and only this user's memberships in it
        #[arg(value_name = "room> [user")]
        place: Place,
    },
    /// What I did, the newest first
    History {
        /// Only in this room, of this user, or on this day (2026-11-25); and how many lines
        #[arg(value_name = "room|user] [day] [n", num_args = 0..=3)]
        filter: Vec<HistoryFilter>,
    },
    /// The rooms I am in, or those that need you
    Rooms {
        /// Only rooms that need a person, and what to do there
        #[arg(value_enum)]
        problems: Option<Problems>,
    },
    /// Look through all rooms of the server for calls, also where I am not
    ///
    /// Which rooms have open memberships, what of that is stale, whether I can see and clear it, and what it takes
    /// where not. By the homeserver's admin API (Synapse), and changes nothing. Takes minutes on a large server, and 1 h
    /// at most; asked again meanwhile, I say how far it is, and `stop` ends it. With `join` first, it proposes as a
    /// plan to get into the rooms where I can by myself.
    Survey {
        /// `stop` to end the one under way; or `join` for the plan, and only these rooms: a space, ids and aliases with
        /// commas between them, a part of a name, or a pattern with `*`
        #[arg(value_name = "stop|join] [space|alias|pattern")]
        order: Option<SurveyOrder>,
    },
    /// Look now and propose what to clear, as a plan
    ///
    /// Nothing is changed until somebody with authority reacts with ✅ or sends `apply`. What changes
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
    /// Propose to clear everybody in a room, active or not, as a plan
    ///
    /// Most active clients rejoin within a second; only leaving the call in the client ends it there.
    /// Shows who seems to be in the call first, and afterwards who came back.
    Clear {
        /// The room
        room: RoomName,
        /// Only this user's memberships, by the full id
        #[arg(value_parser = arguments::user)]
        user: Option<UserId>,
    },
    /// Write nothing until told to go on; so does `stop`
    ///
    /// Kept over restarts. Approved plans wait too.
    #[command(alias = "stop", alias = "halt")]
    Pause {
        /// For how long, such as 90s, 5 min or 2 hours; without it, until `resume`
        #[arg(value_name = "for 2h")]
        length: Option<PauseLength>,
    },
    /// Go on after `pause`
    #[command(alias = "unpause", alias = "continue")]
    Resume,
    /// Only report, or clear
    ///
    /// Kept over restarts. The stricter of this and janitor.mode in the config file applies; `reset` goes
    /// back to the config file.
    Mode {
        /// What I do with what I find
        #[arg(value_name = "report|clean|reset")]
        mode: ModeChange,
    },
    /// Exclude a room or a user: nothing there is judged or cleared
    ///
    /// Kept over restarts, until `include`.
    Exclude {
        /// Whom or what to exclude
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
    /// Kept over restarts. The reasons: `not_joined`, `expired`, `device_gone`, `superseded`, `not_on_sfu`,
    /// `device_idle`, `silent`; and `device_gone_unseen` for a device that was never seen in a list.
    Grace {
        /// One of those below
        reason: GraceKey,
        /// Such as 90s, 5 min or 4h15m; `never` switches the reason off, `reset` goes back to the config file
        #[arg(value_name = "duration")]
        change: GraceChange,
    },
    /// The settings as they are now, where each comes from, and how to undo it
    Config {
        /// Also the defaults
        #[arg(value_enum)]
        all: Option<All>,
    },
    /// Join a room, where I am invited or everybody may
    Join {
        /// The room, by id, alias or link
        room: RoomName,
    },
    /// Leave a room; I ask first
    Leave {
        /// The room
        room: RoomName,
        /// `yes`, in answer to my question
        #[arg(value_enum, hide = true)]
        sure: Option<Sure>,
    },
    /// Trust a source again now, though too many turned stale by it at once
    Breaker {
        /// What to do
        #[arg(value_enum)]
        action: BreakerAction,
        /// Which source: `room state`, `device lists` or `call server`; without it, all of them
        source: Option<Neighbour>,
    },
    /// Show the version, the config file and the store
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

/// `yes` of `leave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sure {
    /// Do it.
    Yes,
}

/// One word after `history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryFilter {
    /// How many lines.
    Lines(NonZeroUsize),
    /// On which day, by UTC.
    Day(NaiveDate),
    /// Whose, or where.
    About(Whom),
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
        let mut words = words::split(text);
        if words.is_empty() {
            return Ok(Self::Help { command: None });
        }
        // A phone begins every message with a capital, and whoever is in a hurry ends it with a mark.
        words[0] = words[0].to_lowercase();
        let bare = words[0].trim_end_matches(['!', '.', ',', ':']).len();
        words[0].truncate(bare);
        if words.iter().any(|word| word == "--help" || word == "-h") {
            let named = words.into_iter().find(|word| !word.starts_with('-'));
            return Ok(Self::Help { command: named });
        }
        let words = phrases::joined(words);
        Line::try_parse_from(&words).map(|line| line.command).map_err(|error| mistake::of(&error, &words))
    }
}

#[cfg(test)]
mod tests;
