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
        let place = if self.has_sfu { " in a call on a call server that is not yours" } else { "" };
        format!(
            "What I cannot see: a closed tab on a device that stays signed in{place} (I notice after {}, or when \
             the membership expires), and rooms that I am not in, direct messages above all.",
            words::span(self.silent_after)
        )
    }
}
