//! May this be written now, and if not, why? Limits, breaker and quarantine, each by itself.

pub mod breaker;
pub mod limits;
pub mod quarantine;
