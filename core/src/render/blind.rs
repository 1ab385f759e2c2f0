//! What a set-up cannot see, said wherever somebody could take silence for "all is well".

use std::time::Duration;

use super::words;

/// What this set-up cannot see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blind {
    /// After how long a closed tab on a device that stays signed in is noticed by its silence.
    pub silent_after: Duration,
    /// Whether an SFU is asked, which notices it within minutes.
    pub has_sfu: bool,
}

impl Blind {
    /// One sentence.
    pub fn sentence(self) -> String {
        let place = if self.has_sfu { " in calls on other call servers" } else { "" };
        format!(
            "I cannot see: closed tabs{place} of devices that stay signed in (noticed after {}, or when they expire); \
             rooms I am not in, such as direct messages.",
            words::span(self.silent_after)
        )
    }
}
