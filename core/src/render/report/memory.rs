//! What is said of a memory that is new, damaged, or not the only one.

use crate::{
    ids::DeviceId,
    render::{
        Message,
        message::{harmless, sentences},
        words,
    },
    time::Timestamp,
};

/// The journal is new, and the account is not.
pub fn journal_is_new(prefix: &str) -> Message {
    sentences(&[
        "🆕 My journal is new, though I have spoken here before: pauses, exclusions, grace periods and the mode set \
         by command are forgotten.",
        &format!(
            "I stay in report mode until somebody says `{prefix} mode clean`. First set again what still holds."
        ),
    ])
}

/// Another device does the same work with the same account.
pub fn another_watch(device: &DeviceId, last_seen: Timestamp, now: Timestamp) -> Message {
    sentences(&[&format!(
        "👥 Another rtc-janitor is signed in to my account: its watch device {} was last seen {}. It knows nothing \
         of what is set by command here, nor I of what is set there. Stop one of us. If it is not yours, change \
         my account's password.",
        harmless(device.as_str()),
        words::ago(last_seen, now)
    )])
}

/// Something in the journal cannot be read.
pub fn unreadable(what: &str) -> Message {
    sentences(&[&format!(
        "🧩 My journal is damaged: I cannot read {}. I treat that as unknown and clear nothing on its word. My log \
         has the details.",
        harmless(what)
    )])
}

/// An approved plan cannot be read.
pub fn unreadable_plan(plan: &str, prefix: &str) -> Message {
    sentences(&[&format!(
        "🧩 My journal is damaged: I cannot read how far the approved plan `{}` got, so I do not go on with \
         it. `{prefix} sweep` proposes a new one.",
        harmless(plan)
    )])
}
