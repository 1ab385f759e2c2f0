//! Who may do what in one room.
//!
//! Read once from the room's create and power level events and kept small, for the janitor remembers it
//! for every room with open memberships.

use serde_json::Value;

use super::{
    state_event::{CALL_MEMBER, saturating_integer},
    state_key,
};
use crate::{
    ids::{StateKey, UserId},
    time::Timestamp,
};

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
    /// The appservice could write it as its owner, and the homeserver takes nothing from it at present.
    AppserviceAway,
}

/// A user's power: room creators are above every number from room version 12 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Power {
    Level(i64),
    Creator,
}

/// Who may put an event under a key that starts with `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnedKeys {
    /// Whom it names.
    Owner,
    /// Also whoever has more power than the owner (MSC3757).
    OwnerAndAbove,
}

/// What bears on power of how a room was made. It never changes, so it is kept where power levels are read
/// anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    owned_keys: OwnedKeys,
    creator: UserId,
    /// Those above every level: none before room version 12.
    creators: Box<[UserId]>,
}

impl Creation {
    /// From the content and sender of `m.room.create`.
    pub fn new(create: &Value, creator: &UserId) -> Self {
        // Rooms of version 1 may lack the field.
        let version = create.get("room_version").and_then(Value::as_str).unwrap_or("1");
        let mut creators = Vec::new();
        if creators_are_privileged(version) {
            creators.push(creator.clone());
            let more = create.get("additional_creators").and_then(Value::as_array);
            creators.extend(more.into_iter().flatten().filter_map(Value::as_str).map(UserId::from));
        }
        let owned_keys = if version.starts_with("org.matrix.msc3757.") {
            OwnedKeys::OwnerAndAbove
        } else {
            OwnedKeys::Owner
        };
        Self { owned_keys, creator: creator.clone(), creators: creators.into() }
    }

    /// Who may do what, by the content of `m.room.power_levels` (`None` when the room has none).
    pub fn power(&self, power_levels: Option<&Value>, read_at: Timestamp) -> RoomPower {
        let levels = power_levels.filter(|levels| !levels.is_null());
        let own = |field: &str| levels.and_then(|levels| levels.get(field)).and_then(level);
        let of = |field: &str| levels.and_then(|levels| levels.get(field)?.as_object()).into_iter().flatten();
        let users: Vec<(UserId, i64)> = match levels {
            Some(_) => of("users").filter_map(|(user, l)| Some((user.as_str().into(), level(l)?))).collect(),
            // Without a power level event the creator has 100 and nobody else anything.
            None => vec![(self.creator.clone(), 100)],
        };
        let events: Vec<(Box<str>, i64)> =
            of("events").filter_map(|(kind, l)| Some((kind.as_str().into(), level(l)?))).collect();
        let of_event = |kind: &str| events.iter().find(|(own, _)| **own == *kind).map(|(_, level)| *level);
        let events_default = own("events_default").unwrap_or(0);
        RoomPower {
            owned_keys: self.owned_keys,
            creators: self.creators.clone(),
            others: Some(own("users_default").unwrap_or(0)),
            membership: of_event(CALL_MEMBER).or_else(|| own("state_default")).unwrap_or(STATE_DEFAULT),
            redact: own("redact").unwrap_or(REDACT_DEFAULT),
            redaction: of_event(REDACTION).unwrap_or(events_default),
            events_default,
            users: users.into(),
            events: events.into(),
            read_at,
        }
    }
}

/// Who may do what in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPower {
    owned_keys: OwnedKeys,
    /// Those above every level: none before room version 12.
    creators: Box<[UserId]>,
    users: Box<[(UserId, i64)]>,
    /// `None` of whom nothing is known, after [`Self::for_user`].
    others: Option<i64>,
    membership: i64,
    redact: i64,
    redaction: i64,
    events_default: i64,
    /// Event types with a level of their own.
    events: Box<[(Box<str>, i64)]>,
    /// When the power levels were read.
    pub read_at: Timestamp,
}

/// Synapse takes this even where there is no power level event at all.
const STATE_DEFAULT: i64 = 50;
const REDACT_DEFAULT: i64 = 50;
const REDACTION: &str = "m.room.redaction";

impl RoomPower {
    /// From the content and sender of `m.room.create` and the content of `m.room.power_levels`
    /// (`None` when the room has none).
    pub fn new(create: &Value, creator: &UserId, power_levels: Option<&Value>, read_at: Timestamp) -> Self {
        Creation::new(create, creator).power(power_levels, read_at)
    }

    /// No more than it takes to tell what this one user may write: for the bot, in a room that may have
    /// thousands of moderators. Of everybody else it says that they may do nothing, and of
    /// message events it knows no more than the common level.
    #[must_use]
    pub fn for_user(self, user: &UserId) -> Self {
        self.for_writers(user, None)
    }

    /// The same for this one user and, where it may write as others, for all whom that fits.
    #[must_use]
    pub fn for_writers(self, user: &UserId, acts_for: Option<&dyn Fn(&UserId) -> bool>) -> Self {
        let events = Box::default();
        if self.owned_keys == OwnedKeys::OwnerAndAbove {
            // There a key's owner matters, whoever that is.
            return Self { events, ..self };
        }
        let known = |name: &UserId| name == user || acts_for.is_some_and(|acts_for| acts_for(name));
        let level = match self.power_of(user) {
            Power::Level(level) => Some((user.clone(), level)),
            Power::Creator => None,
        };
        let others = self.users.iter().filter(|(name, _)| name != user && known(name)).cloned();
        Self {
            creators: self.creators.iter().filter(|name| known(name)).cloned().collect(),
            users: level.into_iter().chain(others).collect(),
            // What those may do who have no level of their own is asked only of those whom it fits.
            others: self.others.filter(|_| acts_for.is_some()),
            events,
            ..self
        }
    }

    /// Whether `writer`, who is in the room, may put a new membership event under `key`.
    ///
    /// Synapse 1.163 checks the power first and the key afterwards (`event_auth.py`).
    pub fn may_write(&self, writer: &UserId, key: &StateKey) -> Result<(), Blocked> {
        let needs = self.membership;
        let has = self.power_of(writer);
        if has < Power::Level(needs) {
            return Err(Blocked::NotEnoughPower { has: self.level_of(writer), needs });
        }
        let text = key.as_str();
        if !text.starts_with('@') || text == writer.as_str() {
            return Ok(());
        }
        if self.owned_keys == OwnedKeys::Owner {
            return Err(Blocked::OnlyItsOwner);
        }
        let owner = state_key::user(key).ok_or(Blocked::NotAUserKey)?;
        if owner == writer.as_str() || has > self.power_of(&owner.into()) {
            Ok(())
        } else {
            Err(Blocked::OwnerHasAsMuchPower)
        }
    }

    /// Whether somebody who is in the room may redact other people's events: it takes the level for it
    /// and the one for sending the redaction.
    pub fn may_redact(&self, user: &UserId) -> bool {
        self.power_of(user) >= Power::Level(self.redact.max(self.redaction))
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
        let own = self.events.iter().find(|(kind, _)| **kind == *event_type);
        self.power_of(user) >= Power::Level(own.map_or(self.events_default, |(_, level)| *level))
    }

    /// The level that it takes to write memberships.
    pub fn membership_level(&self) -> i64 {
        self.membership
    }

    fn power_of(&self, user: &UserId) -> Power {
        if self.creators.contains(user) {
            return Power::Creator;
        }
        let own = self.users.iter().find(|(name, _)| name == user).map(|(_, level)| *level);
        Power::Level(own.or(self.others).unwrap_or(i64::MIN))
    }
}

/// A power level: rooms before version 10 may hold it as text.
pub(crate) fn level(value: &Value) -> Option<i64> {
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
