//! The admin room from the bot's side.
//!
//! | file | what it does |
//! | --- | --- |
//! | `front_desk` | hears what people do, decides whether it is a command and whether it may be one |
//! | `asked` | a command on its way: who gave it, what it works with, what comes of it |
//! | `commands` | which command is carried out where |
//! | `authority` | who has a say |
//! | `rooms_by_name` | which room somebody means |
//! | `posting` | says what the janitor has to say, one message at a time |
//! | all others | one command each |
//!
//! A command looks and acts through the [`Desk`](crate::janitor::desk::Desk), between two steps of the
//! janitor's loop; what takes long on the network is done here.

mod apply;
mod asked;
mod authority;
mod breaker;
mod calls;
mod clear;
mod commands;
mod config;
mod exclude;
mod explain;
mod front_desk;
mod grace;
mod help;
mod history;
mod include;
mod join;
mod leave;
mod mode;
mod pause;
mod posting;
mod resume;
mod rooms;
mod rooms_by_name;
mod status;
mod sweep;
mod version;

pub use asked::House;
pub use front_desk::FrontDesk;
pub use posting::{post_messages, watch_reachability};
