//! The janitor against fake neighbours and a clock that is set by hand: faults and time, which a real
//! homeserver does not do on demand.

mod age;
mod conditions;
pub(crate) mod fakes;
mod faults;
mod forgotten;
mod metrics;
mod other_servers;
mod own_lists;
mod plans;
mod restarts;
mod routes;
mod settling;
mod sfu;
mod talk;
