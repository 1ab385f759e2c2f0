//! Why a survey did not come to all rooms that it is about.

use std::time::Duration;

/// Why a survey ended early. What it found is of the rooms that it came to, and says nothing of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Somebody stopped it.
    Stopped,
    /// It had taken as long as a survey may take.
    TookTooLong(Duration),
    /// The spaces name more rooms than are looked at: these are the most.
    TooManyRooms(usize),
    /// The server's list changed while it was read, again and again, and so many of its rooms were never on it.
    NotListed(usize),
}
