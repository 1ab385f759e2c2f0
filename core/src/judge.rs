//! What is concluded about a membership, and from what.
//!
//! [`evidence`] is the snapshot, [`policy`] the thresholds, [`verdict`] the conclusion: open that one
//! first to see why something counts as stale. [`room`] gathers the evidence that the memberships of
//! one room give about each other.

pub mod evidence;
pub mod policy;
pub mod room;
pub mod verdict;
