//! What is known of a room beside its calls, in as few bytes as will do: there may be 100,000 rooms.

use std::{collections::BTreeSet, time::Duration};

use rtc_janitor_core::{
    ids::{RoomId, StateKey, UserId},
    rtc::{
        power::{Blocked, Creation, RoomPower},
        state_event::StateEvent,
        sticky::{Beside, SLOT, StickyEvent, StickyEvents, is_closed_slot},
    },
    time::Timestamp,
};
use serde_json::Value;

use crate::config::Namespace;

/// How long power levels that let a key be written are believed without another look. The server's own
/// refusal stays the guard.
const POWER_AGE: Duration = Duration::from_hours(1);

/// A room's name, power levels and successor.
#[derive(Clone, Debug, Default)]
pub(in crate::janitor) struct RoomInfo {
    alias: Option<Box<str>>,
    name: Option<Box<str>>,
    creation: Option<Box<Creation>>,
    /// As far as it is about the bot, and those as whom it may write.
    power: Option<Box<RoomPower>>,
    /// When the power levels were last read from the current state, and not by sync.
    power_read: Option<Timestamp>,
    successor: Option<RoomId>,
    /// What stands beside the memberships; almost nowhere is there anything.
    beside: Option<Box<Neighbours>>,
}

/// Those whose power is remembered: the bot, and where it has an appservice, those as whom it may write.
#[derive(Clone, Debug)]
pub(in crate::janitor) struct Writers<'a> {
    pub(in crate::janitor) me: &'a UserId,
    pub(in crate::janitor) appservice: Option<&'a Namespace>,
}

impl Writers<'_> {
    fn keep(&self, power: RoomPower) -> RoomPower {
        match self.appservice {
            None => power.for_user(self.me),
            Some(namespace) => power.for_writers(self.me, Some(&|user| namespace.has(user))),
        }
    }
}

/// What stands beside the membership events of a room: it is shown, and never written.
#[derive(Clone, Debug, Default)]
struct Neighbours {
    closed_slots: BTreeSet<Box<str>>,
    sticky: StickyEvents,
}

/// What a state event said about a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::janitor) enum Told {
    /// Its name.
    Name,
    /// Who may write what.
    Power,
    /// Where it goes on.
    Successor,
    /// Nothing about the room as a whole.
    Nothing,
}

impl RoomInfo {
    /// The name that people know it by.
    pub(in crate::janitor) fn shown(&self) -> Option<&str> {
        self.name.as_deref().or(self.alias.as_deref())
    }

    pub(in crate::janitor) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(in crate::janitor) fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    pub(in crate::janitor) fn successor(&self) -> Option<&RoomId> {
        self.successor.as_ref()
    }

    /// Whether the room's creation is known, on which power rests.
    pub(in crate::janitor) fn knows_creation(&self) -> bool {
        self.creation.is_some()
    }

    /// Takes in what a state event says of the room. `is_current` when it was read from the current state.
    pub(in crate::janitor) fn take_in(
        &mut self,
        event: &StateEvent,
        who: &Writers<'_>,
        is_current: bool,
        now: Timestamp,
    ) -> Told {
        let text = |field: &str| {
            let text = event.content.get(field)?.as_str()?.trim();
            (!text.is_empty()).then(|| Box::from(text))
        };
        if SLOT.contains(&event.event_type.as_str()) {
            self.take_in_slot(event);
        }
        if !event.state_key.as_str().is_empty() {
            return Told::Nothing;
        }
        match event.event_type.as_str() {
            "m.room.canonical_alias" => self.alias = text("alias"),
            "m.room.name" => self.name = text("name"),
            "m.room.create" => {
                self.creation = Some(Box::new(Creation::new(&event.content, &event.sender)));
                return Told::Nothing;
            }
            "m.room.power_levels" => {
                self.take_in_power(Some(&event.content), who, is_current, now);
                return Told::Power;
            }
            "m.room.tombstone" => {
                self.successor = text("replacement_room").map(|room| RoomId::from(&*room));
                return Told::Successor;
            }
            _ => return Told::Nothing,
        }
        Told::Name
    }

    fn take_in_slot(&mut self, event: &StateEvent) {
        let slot = event.state_key.as_str();
        if is_closed_slot(event) {
            self.beside.get_or_insert_default().closed_slots.insert(slot.into());
        } else if let Some(beside) = &mut self.beside {
            beside.closed_slots.remove(slot);
        }
    }

    /// Takes in a sticky event that came now.
    pub(in crate::janitor) fn take_in_sticky(&mut self, event: &StickyEvent, now: Timestamp) {
        self.beside.get_or_insert_default().sticky.take_in(event, now);
    }

    /// What stands beside the memberships.
    pub(in crate::janitor) fn beside(&self, now: Timestamp) -> Beside {
        let mut told = Beside::default();
        if let Some(beside) = &self.beside {
            told.closed_slots.clone_from(&beside.closed_slots);
            told.add_sticky(&beside.sticky, now);
        }
        told
    }

    /// Takes in power levels; `None` where the room has none. `is_current` when they were read from the
    /// current state.
    pub(in crate::janitor) fn take_in_power(
        &mut self,
        levels: Option<&Value>,
        who: &Writers<'_>,
        is_current: bool,
        now: Timestamp,
    ) {
        let Some(creation) = &self.creation else { return };
        self.power = Some(Box::new(who.keep(creation.power(levels, now))));
        self.power_read = is_current.then_some(now);
    }

    /// The power levels are to be read anew before anything is written.
    pub(in crate::janitor) fn doubt_power(&mut self) {
        self.power_read = None;
    }

    /// Who may write what, as far as that was read from the current state and is not too old. A refusal
    /// holds until power levels change: asking again and again would not change them.
    pub(in crate::janitor) fn power(&self, user: &UserId, now: Timestamp) -> Option<&RoomPower> {
        let read = self.power_read?;
        let power = self.power.as_deref()?;
        let is_fresh = now.since(read) < POWER_AGE;
        (is_fresh || power.may_write(user, &any_key()).is_err()).then_some(power)
    }

    /// Whether `user` has the power to clear what others may write, by what is known now; `None`
    /// where the room's creation is not known.
    pub(in crate::janitor) fn may_clear(&self, user: &UserId) -> Option<Result<(), Blocked>> {
        Some(self.power.as_deref()?.may_write(user, &any_key()))
    }
}

/// A key that is not bound to its owner.
fn any_key() -> StateKey {
    StateKey::from("_")
}
