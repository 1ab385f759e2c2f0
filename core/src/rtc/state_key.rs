//! What a membership's state key says, and who may write it.

use crate::{
    ids::{StateKey, UserId},
    rtc::state_event::{CALL_MEMBER, saturating_integer},
    time::Timestamp,
};
use serde_json::Value;

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

/// Why a key cannot be cleared by a plain write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocked {
    /// A key that starts with `@` may be written by the user it names and nobody else, at any power.
    OnlyItsOwner,
    /// In rooms with MSC3757 a key that starts with `@` needs more power than its owner has.
    OwnerHasAsMuchPower,
    /// The power level is too low for the event type.
    NotEnoughPower {
        /// What the bot has.
        has: i64,
        /// What the room asks for.
        needs: i64,
    },
    /// Neither equal to a user id nor beginning with one and an underscore.
    NotAUserKey,
    /// The bot is not in the room.
    NotInTheRoom,
}

/// A user's power: room creators are above every number from room version 12 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Power {
    Level(i64),
    Creator,
}

/// Who may do what in one room, read from its create and power level events.
#[derive(Clone, Debug)]
pub struct RoomPower {
    version: Box<str>,
    creator: UserId,
    creators: Vec<UserId>,
    levels: Value,
    /// When the power levels were read.
    pub read_at: Timestamp,
}

impl RoomPower {
    /// From the content and sender of `m.room.create` and the content of `m.room.power_levels`
    /// (`None` when the room has none).
    pub fn new(create: &Value, creator: &UserId, power_levels: Option<&Value>, read_at: Timestamp) -> Self {
        // Rooms of version 1 may lack the field.
        let version = create.get("room_version").and_then(Value::as_str).unwrap_or("1");
        let mut creators = Vec::new();
        if creators_are_privileged(version) {
            creators.push(creator.clone());
            let more = create.get("additional_creators").and_then(Value::as_array);
            creators.extend(more.into_iter().flatten().filter_map(Value::as_str).map(UserId::from));
        }
        Self {
            version: version.into(),
            creator: creator.clone(),
            creators,
            levels: power_levels.cloned().unwrap_or(Value::Null),
            read_at,
        }
    }

    /// The room version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether `writer`, who is in the room, may put a new membership event under `key`.
    ///
    /// Synapse 1.163 checks the power first and the key afterwards (`event_auth.py`).
    pub fn may_write(&self, writer: &UserId, key: &StateKey) -> Result<(), Blocked> {
        let needs = self.level_for_membership();
        let has = self.power_of(writer);
        if has < Power::Level(needs) {
            return Err(Blocked::NotEnoughPower { has: self.level_of(writer), needs });
        }
        let text = key.as_str();
        if !text.starts_with('@') || text == writer.as_str() {
            return Ok(());
        }
        if !self.version.starts_with("org.matrix.msc3757.") {
            return Err(Blocked::OnlyItsOwner);
        }
        let owner = user(key).ok_or(Blocked::NotAUserKey)?;
        if owner == writer.as_str() || has > self.power_of(&owner.into()) {
            Ok(())
        } else {
            Err(Blocked::OwnerHasAsMuchPower)
        }
    }

    /// The power level of a user; the highest there is for a creator since room version 12.
    pub fn level_of(&self, user: &UserId) -> i64 {
        match self.power_of(user) {
            Power::Creator => i64::MAX,
            Power::Level(level) => level,
        }
    }

    /// Whether somebody who is in the room may send message events of this type, such as
    /// `m.room.message`.
    pub fn may_say(&self, user: &UserId, event_type: &str) -> bool {
        let needs = self.level_for(event_type, "events_default").unwrap_or(0);
        self.power_of(user) >= Power::Level(needs)
    }

    fn level_for_membership(&self) -> i64 {
        // Synapse takes 50 even where there is no power level event at all.
        self.level_for(CALL_MEMBER, "state_default").unwrap_or(50)
    }

    fn level_for(&self, event_type: &str, default: &str) -> Option<i64> {
        let own = self.levels.get("events").and_then(|events| events.get(event_type)).and_then(level);
        own.or_else(|| self.levels.get(default).and_then(level))
    }

    fn power_of(&self, user: &UserId) -> Power {
        if self.creators.contains(user) {
            return Power::Creator;
        }
        if self.levels.is_null() {
            // Without a power level event the creator has 100 and nobody else anything.
            return Power::Level(if *user == self.creator { 100 } else { 0 });
        }
        let level = self
            .levels
            .get("users")
            .and_then(|users| users.get(user.as_str()))
            .and_then(level)
            .or_else(|| self.levels.get("users_default").and_then(level));
        Power::Level(level.unwrap_or(0))
    }
}

/// A power level: rooms before version 10 may hold it as text.
fn level(value: &Value) -> Option<i64> {
    saturating_integer(value).or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

/// Room version 12 (MSC4289) and what leads up to it and follows it.
fn creators_are_privileged(version: &str) -> bool {
    match version.parse::<u32>() {
        Ok(number) => number >= 12,
        Err(_) => matches!(version, "org.matrix.hydra.11" | "org.matrix.msc4242.12"),
    }
}

#[cfg(test)]
mod tests;
