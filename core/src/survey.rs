//! One room of a server as a survey sees it: who is in a call by its state, what of that is stale, whether the bot
//! can see and clear it, and what it takes where not.
//!
//! The judge is that of [`crate::export`]: a room's state is believed as it stands, and there is no history. What is
//! said of the server's own device lists comes with the state.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use crate::{
    export::{BadExport, Explained, Export},
    ids::{DeviceId, RoomId, StateKey, UserId},
    judge::policy::{Policy, Reason},
    plan::{Means, route},
    rtc::{
        membership::{Content, FirstSeen, Membership, read},
        power::Blocked,
        state_event::{CALL_MEMBER, NotAStateEvent, StateEvent},
    },
    time::Timestamp,
};

mod cut;
mod facts;
mod join;
mod row;
mod scope;
mod way;

pub use cut::Cut;
pub use facts::{Presence, Upgrade, children, is_joined, is_space};
pub use join::{How, JoinOutcome, JoinProposal};
pub use row::{StepRow, SurveyRow};
pub use scope::Scope;
pub use way::{NoWay, Step, Way};

use facts::Facts;

/// A room as the server lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub room: RoomId,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its main alias, where it has one.
    pub alias: Option<String>,
}

impl Listed {
    /// What people call it.
    pub fn shown_name(&self) -> Option<String> {
        self.name.clone().or_else(|| self.alias.clone())
    }
}

/// Why what was answered is not the state of a room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoState {
    /// Something in it has no type.
    #[error("its state holds something that is no event")]
    NoEvent,
    /// A call membership lacks what every state event has.
    #[error("its state holds a call membership that cannot be read: it is {0}")]
    Membership(#[from] NotAStateEvent),
    /// It lacks what every room begins with.
    #[error("its state has no m.room.create")]
    NoRoom,
    /// It is no array of events.
    #[error(transparent)]
    Export(#[from] BadExport),
}

/// Who surveys.
#[derive(Clone, Copy)]
pub struct Surveyor<'a> {
    /// The bot.
    pub me: &'a UserId,
    /// As whom an appservice may write.
    pub acts_for: &'a dyn Fn(&UserId) -> bool,
    /// Whether keys that are their owners' alone may be redacted.
    pub allow_redaction: bool,
    /// Thresholds.
    pub policy: &'a Policy,
    /// Now.
    pub now: Timestamp,
}

/// What keeps the bot from clearing something in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// It is excluded, by command or by the config file.
    Excluded,
    /// The bot is not in the room.
    Outside(Presence),
    /// By its power, or by the key.
    Blocked(Blocked),
    /// The state does not tell who may write.
    PowerUnknown,
}

/// A room with open memberships, and what there is to say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedRoom {
    /// The room.
    pub listed: Listed,
    /// How the bot stands in it.
    pub presence: Presence,
    /// `m.room.join_rules`, where the room has them.
    pub join_rule: Option<String>,
    /// Whether the room was upgraded, and to which.
    pub upgrade: Upgrade,
    /// Whether the bot leaves it alone.
    pub is_excluded: bool,
    /// Every open membership and what is concluded of it.
    pub memberships: Vec<Explained>,
    /// What is in the way, with how many keys it concerns.
    pub obstacles: BTreeMap<Obstacle, usize>,
    /// What would have the bot see and clear it, in this order.
    pub steps: Vec<Step>,
    /// How the bot could get in by itself.
    pub way: Way,
}

/// What a survey found.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Which rooms it was about.
    pub scope: Scope,
    /// How many rooms were looked at.
    pub looked_at: usize,
    /// How many it was to look at; `None` where it did not come to know them all.
    pub of: Option<usize>,
    /// Why it did not look at all of them, where it did not.
    pub cut: Option<Cut>,
    /// Those with open memberships.
    pub rooms: Vec<SurveyedRoom>,
    /// Those that could not be read, with why.
    pub unread: Vec<(Listed, String)>,
    /// Why the server's own device lists were not read, where they were not.
    pub without_lists: Option<String>,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// How far a survey is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The list of rooms is being read.
    Listing {
        /// How many are listed so far.
        rooms: usize,
    },
    /// The rooms are being read and judged.
    Rooms {
        /// How many are read.
        done: usize,
        /// Of how many.
        of: usize,
        /// How many of these have open memberships.
        open: usize,
    },
}

/// The open memberships among some events, with whose they are: whom to ask for device lists.
///
/// # Errors
///
/// When one of them is no event, or no state event where it should be: then nobody knows what is open.
pub fn owners(state: &[Value], now: Timestamp) -> Result<BTreeMap<UserId, BTreeSet<DeviceId>>, NoState> {
    let mut owners: BTreeMap<UserId, BTreeSet<DeviceId>> = BTreeMap::new();
    for event in state {
        if !event["type"].is_string() {
            return Err(NoState::NoEvent);
        }
        if event["type"] == CALL_MEMBER {
            for membership in open_in(event, now)? {
                owners.entry(membership.owner.user).or_default().insert(membership.owner.device);
            }
        }
    }
    Ok(owners)
}

fn open_in(event: &Value, now: Timestamp) -> Result<Vec<Membership>, NoState> {
    let event = StateEvent::from_json(event.clone())?;
    Ok(match read(&event, FirstSeen { at: now, live: false }) {
        Content::Entries(entries) => entries.into_iter().flatten().collect(),
        _ => Vec::new(),
    })
}

impl Survey {
    /// Whether every room that it is about was read: only then no news of a room is good news.
    pub const fn is_complete(&self) -> bool {
        self.cut.is_none() && self.unread.is_empty()
    }
}

impl SurveyedRoom {
    /// Judges the whole state of a room with what the server's own device lists say, a map from user id to the body
    /// of the admin API's answer.
    ///
    /// # Errors
    ///
    /// When these are not what they should be.
    pub fn read(
        listed: Listed,
        state: Vec<Value>,
        own_lists: Value,
        is_excluded: bool,
        surveyor: Surveyor<'_>,
    ) -> Result<Self, NoState> {
        let Surveyor { me, acts_for, allow_redaction, policy, now } = surveyor;
        let facts = Facts::read(&state, me);
        let export = Export::from_state(Value::Array(state))?.with_synapse_devices(own_lists)?;
        // That nobody is in a call in what is no room says nothing.
        if export.is_no_room() {
            return Err(NoState::NoRoom);
        }
        let is_open = |row: &Explained| matches!(row.verdict, "active" | "stale" | "unknown");
        let memberships: Vec<_> = export.explain(policy, None, now).into_iter().filter(is_open).collect();
        // The first entry of each key says as whom it may be written.
        let mut keys: BTreeMap<&StateKey, &Explained> = BTreeMap::new();
        for row in &memberships {
            keys.entry(&row.state_key).or_insert(row);
        }
        let power = export.power(now);
        let mut obstacles = BTreeMap::new();
        let mut add = |obstacle, keys: usize| *obstacles.entry(obstacle).or_insert(0) += keys;
        if is_excluded {
            add(Obstacle::Excluded, keys.len());
        }
        if facts.presence != Presence::Joined {
            add(Obstacle::Outside(facts.presence), keys.len());
        }
        for (key, row) in &keys {
            // Nobody writes into a room they have left.
            let has_left = row.reasons.contains(&Reason::NotJoined.as_str());
            let appservice = (acts_for(&row.user_id) && !has_left).then_some(&row.user_id);
            let means = Means { writer: me, appservice, appservice_is_away: false, allow_redaction };
            match power.as_ref().map(|power| route(power, key, means)) {
                Some(Ok(_)) => {}
                Some(Err(blocked)) => add(Obstacle::Blocked(blocked), 1),
                None => add(Obstacle::PowerUnknown, 1),
            }
        }
        let lacks_power =
            obstacles.keys().any(|why| matches!(why, Obstacle::Blocked(Blocked::NotEnoughPower { .. })));
        let levels = power.as_ref().map(|power| way::Levels {
            has: power.level_of(me),
            // Where all is within reach by another route, any level will do.
            needs: if lacks_power { power.membership_level() } else { i64::MIN },
            given: facts.given_by_make_room_admin(power),
        });
        let (steps, way) = way::find(&facts, levels, is_excluded);
        Ok(Self {
            listed: Listed {
                name: facts.name.or(listed.name),
                alias: facts.alias.or(listed.alias),
                room: listed.room,
            },
            presence: facts.presence,
            join_rule: facts.join_rule,
            upgrade: facts.upgrade,
            is_excluded,
            memberships,
            obstacles,
            steps,
            way,
        })
    }

    /// Notes that the bot is in the room that this one was upgraded to: nothing is to be done about that any more.
    pub fn has_come_to_successor(&mut self) {
        self.way = Way::None(NoWay::InTheSuccessor);
        self.steps.clear();
    }

    /// Whether the bot sees what happens there.
    pub fn can_see(&self) -> bool {
        self.presence == Presence::Joined && !self.is_excluded
    }

    /// Whether it may clear all that is open there.
    pub fn can_clear(&self) -> bool {
        self.obstacles.is_empty()
    }

    /// How many of its memberships have that verdict.
    pub fn count(&self, verdict: &str) -> usize {
        self.memberships.iter().filter(|row| row.verdict == verdict).count()
    }

    /// What the bot would do about it, once somebody approves.
    pub fn proposal(&self) -> Result<JoinProposal, NoWay> {
        let how = match &self.way {
            Way::Join => How::Join,
            Way::MakeRoomAdmin => How::MakeRoomAdmin { is_in: self.presence == Presence::Joined },
            Way::Successor(successor) => How::Successor(successor.clone()),
            Way::None(why) => return Err(*why),
        };
        Ok(JoinProposal { room: self.listed.room.clone(), name: self.listed.shown_name(), how })
    }

    /// How many are stale, by the reason that names the verdict.
    pub fn reasons(&self) -> BTreeMap<&'static str, usize> {
        let mut reasons = BTreeMap::new();
        for reason in
            self.memberships.iter().filter(|row| row.verdict == "stale").filter_map(|row| row.reason)
        {
            *reasons.entry(reason).or_default() += 1;
        }
        reasons
    }
}

#[cfg(test)]
pub(crate) mod tests;
