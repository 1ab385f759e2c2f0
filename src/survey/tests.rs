//! Surveys of a server that is as tests want it, with time that passes when nobody works.

mod cut;
mod join;
mod look;
mod server;
