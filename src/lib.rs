//! rtc-janitor: hangs up the Matrix calls nobody is in.
#![recursion_limit = "256"]

pub mod admin_room;
pub mod cli;
pub mod config;
pub mod janitor;
pub mod world;
