//! What is on the wire: reading membership events by the rules of the clients, never by ruma's
//! typed content, which reads every shape it does not know as "left".

pub mod focus;
pub mod membership;
pub mod power;
pub mod sfu_names;
pub mod state_event;
pub mod state_key;
pub mod sticky;
