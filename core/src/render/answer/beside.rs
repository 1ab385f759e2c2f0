//! What `calls` and `explain` say of what stands beside the membership events of a room.

use super::page::{count, words};
use crate::{
    render::{Message, message::harmless},
    rtc::sticky::Beside,
};

/// The most closed slots that are named.
const MOST_SLOTS: usize = 5;

/// One sentence or more on each kind; none where there is nothing.
pub fn beside(beside: &Beside) -> Vec<Message> {
    let mut lines = Vec::new();
    if beside.members > 0 {
        lines.push(format!(
            "{} in a call by sticky events, which end by themselves within the hour and which nobody else can write.",
            count(beside.members, "device is", "devices are")
        ));
    }
    if beside.encrypted > 0 {
        lines.push(format!(
            "{} encrypted: people may be in a call by them, and I cannot tell.",
            count(beside.encrypted, "sticky event is", "sticky events are")
        ));
    }
    for slot in beside.closed_slots.iter().take(MOST_SLOTS) {
        lines.push(format!(
            "The slot “{}” is closed: clients hide who is in it by sticky events, and show memberships as usual.",
            harmless(slot)
        ));
    }
    if beside.closed_slots.len() > MOST_SLOTS {
        lines.push(format!("{} more slots are closed.", beside.closed_slots.len() - MOST_SLOTS));
    }
    lines.iter().map(|line| words(line)).collect()
}
