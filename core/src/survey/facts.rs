//! What a room's state says of itself and of the bot, beside its calls.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    ids::{RoomId, UserId},
    rtc::power::{RoomPower, level},
};

/// How the bot stands in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It is in the room.
    Joined,
    /// It was invited.
    Invited,
    /// It was banned.
    Banned,
    /// It is not there, or not any more.
    Outside,
}

impl Presence {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Invited => "invited",
            Self::Banned => "banned",
            Self::Outside => "outside",
        }
    }
}

/// Whether a room was upgraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// It was not.
    None,
    /// It was, and its state does not say to which room.
    Unnamed,
    /// To this room.
    To(RoomId),
}

impl Upgrade {
    /// The room that it was upgraded to.
    pub const fn successor(&self) -> Option<&RoomId> {
        match self {
            Self::To(successor) => Some(successor),
            Self::None | Self::Unnamed => None,
        }
    }
}

const TOMBSTONE: &str = "m.room.tombstone";

/// The level that `make_room_admin` gives where a creator of a room of version 12 is behind it, or where the room has
/// no power levels (Synapse 1.163).
const GIVEN_BY_A_CREATOR: i64 = 100;

/// The level that state needs where the room names none.
const STATE_DEFAULT: i64 = 50;

#[derive(Debug)]
pub(super) struct Facts {
    pub(super) presence: Presence,
    pub(super) join_rule: Option<String>,
    pub(super) name: Option<String>,
    pub(super) alias: Option<String>,
    pub(super) upgrade: Upgrade,
    /// Those of the bot's own server who are in the room and have a level of their own or have made the room.
    local: BTreeSet<UserId>,
    /// The level that it takes to change levels.
    to_change_levels: i64,
}

impl Facts {
    pub(super) fn read(state: &[Value], me: &UserId) -> Self {
        let find = |kind: &str, key: &str| {
            state.iter().find(|event| event["type"] == kind && event["state_key"] == key)
        };
        let content = |kind: &str| find(kind, "").map(|event| &event["content"]);
        let text = |kind: &str, field: &str| {
            content(kind).and_then(|content| content[field].as_str()).filter(|text| !text.is_empty())
        };
        let membership = |user: &str| find("m.room.member", user)?["content"]["membership"].as_str();
        let presence = match membership(me.as_str()) {
            Some("join") => Presence::Joined,
            Some("invite") => Presence::Invited,
            Some("ban") => Presence::Banned,
            _ => Presence::Outside,
        };
        let levels = content("m.room.power_levels");
        let create = find("m.room.create", "");
        let creators = create.into_iter().flat_map(|event| {
            let more = event["content"]["additional_creators"].as_array().into_iter().flatten();
            event["sender"].as_str().into_iter().chain(more.filter_map(Value::as_str))
        });
        let named = levels.and_then(|levels| levels["users"].as_object()).into_iter().flatten();
        let local = creators
            .chain(named.map(|(user, _)| user.as_str()))
            .map(UserId::from)
            .filter(|user| user != me && user.server_name() == me.server_name())
            .filter(|user| membership(user.as_str()) == Some("join"))
            .collect();
        let to_change_levels = levels.map_or(STATE_DEFAULT, |levels| {
            level(&levels["events"]["m.room.power_levels"])
                .or_else(|| level(&levels["state_default"]))
                .unwrap_or(STATE_DEFAULT)
        });
        Self {
            presence,
            join_rule: text("m.room.join_rules", "join_rule").map(str::to_owned),
            name: text("m.room.name", "name").map(str::to_owned),
            alias: text("m.room.canonical_alias", "alias").map(str::to_owned),
            upgrade: match (content(TOMBSTONE), text(TOMBSTONE, "replacement_room")) {
                (None, _) => Upgrade::None,
                (Some(_), None) => Upgrade::Unnamed,
                (Some(_), Some(successor)) => Upgrade::To(successor.into()),
            },
            local,
            to_change_levels,
        }
    }

    /// The level that `make_room_admin` would give the bot: that of whoever of this server has most. `None` where
    /// nobody of this server may change levels there.
    pub(super) fn given_by_make_room_admin(&self, power: &RoomPower) -> Option<i64> {
        let highest = self.local.iter().map(|user| power.level_of(user)).max()?;
        match highest {
            i64::MAX => Some(GIVEN_BY_A_CREATOR),
            level => (level >= self.to_change_levels).then_some(level),
        }
    }
}

/// Whether somebody is in a room, by its state.
pub fn is_joined(state: &[Value], user: &UserId) -> bool {
    state.iter().any(|event| {
        event["type"] == "m.room.member"
            && event["state_key"] == user.as_str()
            && event["content"]["membership"] == "join"
    })
}

/// Whether a room's state is that of a space.
pub fn is_space(state: &[Value]) -> bool {
    state.iter().any(|event| event["type"] == "m.room.create" && event["content"]["type"] == "m.space")
}

/// The rooms that a space names in its state.
pub fn children(state: &[Value]) -> impl Iterator<Item = RoomId> {
    // Without servers to join it by, a room is a child no more.
    let is_child = |event: &&Value| event["type"] == "m.space.child" && event["content"]["via"].is_array();
    state.iter().filter(is_child).filter_map(|event| event["state_key"].as_str()).map(RoomId::from)
}
