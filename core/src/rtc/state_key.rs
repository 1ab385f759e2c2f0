//! What a membership's state key says. Who may write it, [`super::power`] tells.

pub use super::power::{Blocked, RoomPower};
use crate::ids::StateKey;

/// The user that a key names: one leading `_` is stripped, the user id ends at the first `_` after
/// its colon (ruma's `CallMemberStateKey`; localparts and device ids may hold underscores, server
/// names may not). `None` where the key names no user.
pub fn user(key: &StateKey) -> Option<&str> {
    let key = key.as_str();
    let bare = key.strip_prefix('_').unwrap_or(key);
    if !bare.starts_with('@') {
        return None;
    }
    let colon = bare.find(':')?;
    let end = bare[colon..].find('_').map_or(bare.len(), |at| colon + at);
    Some(&bare[..end])
}

#[cfg(test)]
mod tests;
