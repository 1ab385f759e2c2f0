//! What the chat connection asks of `/sync`: the admin room, and nothing else.

use matrix_sdk::ruma::{
    RoomId,
    api::client::filter::{Filter, FilterDefinition, LazyLoadOptions, RoomEventFilter, RoomFilter},
};

/// The state that speaking needs. Members are followed, or people who join later would never get
/// the keys.
const STATE: [&str; 9] = [
    "m.room.create",
    "m.room.power_levels",
    "m.room.encryption",
    "m.room.tombstone",
    "m.room.name",
    "m.room.canonical_alias",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.member",
];

/// What commands will come as.
const MESSAGES: [&str; 4] = ["m.room.message", "m.room.encrypted", "m.reaction", "m.room.redaction"];

/// How much one answer brings of what was said while the bot was away; Synapse takes 10 where nothing is
/// asked for, and what is left out is never heard.
const MOST_EVENTS: u32 = 200;

/// The filter for this admin room. Messages between devices are not subject to filters.
pub(super) fn of(room: &RoomId) -> FilterDefinition {
    let types = |types: &[&str]| Some(types.iter().map(ToString::to_string).collect());
    let lazily = LazyLoadOptions::Enabled { include_redundant_members: false };

    let mut of_room = RoomFilter::default();
    of_room.rooms = Some(vec![room.to_owned()]);
    of_room.ephemeral = RoomEventFilter::ignore_all();
    of_room.account_data = RoomEventFilter::ignore_all();
    of_room.state.types = types(&STATE);
    of_room.state.lazy_load_options = lazily;
    // A room of which nothing passes the timeline filter is left out of the answer, state and all.
    of_room.timeline.types = types(&[&STATE[..], &MESSAGES[..]].concat());
    of_room.timeline.lazy_load_options = lazily;
    of_room.timeline.limit = Some(MOST_EVENTS.into());

    let mut filter = FilterDefinition::default();
    filter.room = of_room;
    filter.presence = Filter::ignore_all();
    // Where the SDK learns of changes to the recovery of the account.
    filter.account_data.types = types(&["m.secret_storage.*", "m.cross_signing.*", "m.megolm_backup.*"]);
    filter
}
