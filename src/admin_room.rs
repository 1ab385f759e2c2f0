//! The admin room from the bot's side.
//!
//! | file | what it does |
//! | --- | --- |
//! | `dispatcher` | takes in the room's events, decides which are commands and whether they are allowed |
//! | `request` | a command being carried out: who gave it, what it works with, its reply |
//! | `commands` | which command is carried out where |
//! | `authority` | who may give commands |
//! | `rooms_by_name` | resolves an id, alias, link or name to a room |
//! | `posting` | posts the janitor's messages, one at a time; watches whether the room can be reached |
//! | `surveys` | the survey under way and the last one; gets into rooms of approved plans |
//! | `past` | finds out whether the bot has spoken before, where its journal does not know |
//! | all others | one command each |
//!
//! A command looks and acts through the [`JanitorHandle`](crate::janitor::handle::JanitorHandle), between two steps of the
//! janitor's loop; what takes long on the network is done here.

mod apply;
mod authority;
mod breaker;
mod calls;
mod clear;
mod commands;
mod config;
mod dispatcher;
mod exclude;
mod explain;
mod grace;
mod help;
mod history;
mod include;
mod join;
mod leave;
mod mode;
mod past;
mod pause;
mod posting;
#[cfg(test)]
pub(crate) use posting::tests as posting_tests;
mod request;
mod resume;
mod rooms;
mod rooms_by_name;
mod status;
mod survey;
mod surveys;
mod sweep;
mod version;

pub use dispatcher::CommandDispatcher;
pub use past::settle_past;
pub use posting::{Posting, watch_reachability};
pub use request::{CommandContext, Paths};
pub use surveys::{Joins, Surveys};
