//! rtc-janitor: hangs up the Matrix calls nobody is in.
#![recursion_limit = "256"]

pub mod admin_room;
pub mod cli;
pub mod config;
pub mod janitor;
pub mod world;

#[doc(hidden)]
pub fn mutated(n: &str) -> bool { std::env::var("MUT").as_deref() == Ok(n) }
