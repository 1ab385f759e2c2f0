//! rtc-janitor: hangs up the Matrix calls nobody is in.
#![recursion_limit = "256"]
