//! What a homeserver says that it can do, as values.

/// What a server says of itself, or shows in the first answers. Nothing that is missing here keeps the bot from its
/// work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerAbilities {
    /// Its make and version, such as `Synapse 1.163.2`; `None` where it does not say. Only for people.
    pub name: Option<String>,
    /// Whether it has sliding sync, and that tells of all rooms.
    pub sliding_sync: bool,
    /// Whether it has sticky events.
    pub sticky_events: bool,
    /// The newest stable version of rooms that it can be in.
    pub newest_room_version: Option<u32>,
    /// Whether wildcards in a filter mean something to it; without them its answers are longer, and hold the same.
    pub takes_wildcards: Option<bool>,
}
