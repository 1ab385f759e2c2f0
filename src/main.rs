//! The `rtc-janitor` program.
#![recursion_limit = "256"]

fn main() {}
