//! What rtc-janitor concludes, and nothing of how it finds out.
//!
//! This crate is pure: no async, no I/O, no clock, no SDK. Every instant is handed in, so the same
//! input gives the same answer, and a test of an hour takes a millisecond.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`rtc`] | what is on the wire: membership content, state keys, SFU names |
//! | [`judge`] | what is concluded from a membership and the evidence about it |
//! | [`ledger`] | what is stale since when, what is due, when to look again |
//! | [`leave_lag`] | how long memberships stand after their device has gone from the SFU |
//! | [`guard`] | limits, breaker, quarantine: may this be written now |
//! | [`plan`] | what one sweep would write, and what it holds back and why |
//! | [`finding`] | what a sweep found about a key, for the journal and the reports |
//! | [`survey`] | what a room of the server is to the bot: seen, cleared, and what it takes where not |
//! | [`command`] | the grammar of the admin room |
//! | [`render`] | all of it in words, as plain text and HTML |

pub mod command;
pub mod export;
pub mod finding;
pub mod guard;
pub mod ids;
pub mod judge;
pub mod leave_lag;
pub mod ledger;
pub mod mode;
pub mod plan;
pub mod render;
pub mod rtc;
pub mod survey;
pub mod time;
