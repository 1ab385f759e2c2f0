//! Verdicts for an exported room state, with whatever answers were saved beside it.
//!
//! An export that has the room's create event or any member event is a complete view: whoever has no
//! `m.room.member` in it is not in the room. Of one that was cut down to the memberships nobody can
//! be told to have left. The lists are believed, and the SFU of the memberships is taken as ours.
//! There is no history.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    ids::{RoomId, StateKey, UserId},
    judge::{
        evidence::{Device, DeviceHistory, Evidence, RoomMember},
        policy::Policy,
        room::{Observations, Participants, Placed, SfuRoom, gather},
        verdict::judge,
    },
    plan::{self, Means, Route},
    render::{message, words},
    rtc::{
        membership::{self, Content, FirstSeen, Focus, Membership, Owner, read},
        state_event::{CALL_MEMBER, StateEvent},
        state_key::{Blocked, RoomPower},
        sticky::Beside,
    },
    time::Timestamp,
};

mod answers;
mod explained;

use answers::Lists;
pub use answers::{json, participants, room_member};
pub use explained::Explained;

/// A file does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExport {
    /// The room state.
    #[error("the state is not the array of events that GET /_matrix/client/v3/rooms/{{room}}/state returns")]
    State,
    /// An error of the homeserver in place of what was asked for.
    #[error("this is no answer but an error of the homeserver: {0}")]
    Refused(String),
    /// The `/keys/query` answer.
    #[error(
        "the keys query is not the answer of POST /_matrix/client/v3/keys/query: “device_keys” is missing"
    )]
    KeysQuery,
    /// The device lists of the admin API.
    #[error(
        "the device lists are not a map from user id to the answer of GET /_synapse/admin/v2/users/{{user}}/devices"
    )]
    SynapseDevices,
    /// The `ListParticipants` answers.
    #[error(
        "the call server's answers are not a map from its names of rooms to the answer of ListParticipants"
    )]
    Sfu,
}

/// An exported state with the answers that go with it.
#[derive(Debug)]
pub struct Export {
    room: RoomId,
    events: Vec<StateEvent>,
    members: HashMap<UserId, RoomMember>,
    create: Option<(Value, UserId)>,
    power_levels: Option<Value>,
    beside: Beside,
    lists: Lists,
}

impl Export {
    /// Reads a room state as `GET /rooms/{id}/state` returns it. Events that are no state events are
    /// passed over.
    ///
    /// # Errors
    ///
    /// When it is not an array, or an error of the homeserver.
    pub fn from_state(state: Value) -> Result<Self, BadExport> {
        refused(&state)?;
        let Value::Array(events) = state else { return Err(BadExport::State) };
        let mut export = Self {
            room: events.iter().find_map(|e| e.get("room_id")?.as_str()).unwrap_or_default().into(),
            events: Vec::new(),
            members: HashMap::new(),
            create: None,
            power_levels: None,
            beside: Beside::default(),
            lists: Lists::default(),
        };
        for mut event in events {
            // Files are cut down to what matters, and here no id does.
            if let Some(fields) =
                event.as_object_mut().filter(|fields| !fields.get("event_id").is_some_and(Value::is_string))
            {
                fields.insert("event_id".into(), "".into());
            }
            // Somebody of whom there is something unreadable may be in the room.
            if event["type"] == "m.room.member"
                && let Some(user) = event["state_key"].as_str()
            {
                export.members.insert(user.into(), RoomMember::Unknown);
            }
            let Ok(event) = StateEvent::from_json(event) else { continue };
            match event.event_type.as_str() {
                CALL_MEMBER => export.events.push(event),
                "m.room.member" => {
                    export.members.insert(event.state_key.as_str().into(), room_member(Some(&event)));
                }
                "m.room.create" => export.create = Some((event.content, event.sender)),
                "m.room.power_levels" => export.power_levels = Some(event.content),
                _ => export.beside.add_state(&event),
            }
        }
        Ok(export)
    }

    /// Whether it has neither a call membership nor what every room begins with: then it is hardly the
    /// state of a room, and that nobody is in a call there says nothing.
    pub fn is_no_room(&self) -> bool {
        self.events.is_empty() && self.create.is_none()
    }

    /// What stands in the room beside its memberships. A state holds no sticky events.
    pub fn beside(&self) -> &Beside {
        &self.beside
    }

    /// Whether it is the whole state, so that who has no member event in it never joined.
    pub fn is_complete(&self) -> bool {
        self.create.is_some() || !self.members.is_empty()
    }

    /// Adds the body of a `/keys/query` answer.
    ///
    /// # Errors
    ///
    /// When it has no `device_keys`, or is an error of the homeserver.
    pub fn with_keys_query(mut self, answer: Value) -> Result<Self, BadExport> {
        refused(&answer)?;
        if !answer.get("device_keys").is_some_and(Value::is_object) {
            return Err(BadExport::KeysQuery);
        }
        self.lists.keys_query = Some(answer);
        Ok(self)
    }

    /// Adds the server's own device lists: a map from user id to the body of the admin API's answer.
    ///
    /// # Errors
    ///
    /// When it is not such a map, or an error of the homeserver.
    pub fn with_synapse_devices(mut self, lists: Value) -> Result<Self, BadExport> {
        refused(&lists)?;
        let Value::Object(lists) = lists else { return Err(BadExport::SynapseDevices) };
        // One user's answer by itself: of whom, it does not say.
        if lists.get("devices").is_some_and(Value::is_array) {
            return Err(BadExport::SynapseDevices);
        }
        self.lists.own = lists.into_iter().collect();
        Ok(self)
    }

    /// Adds what the SFU said: a map from SFU room name to the body of `ListParticipants`.
    ///
    /// # Errors
    ///
    /// When it is not such a map.
    pub fn with_sfu(mut self, rooms: Value) -> Result<Self, BadExport> {
        let Value::Object(rooms) = rooms else { return Err(BadExport::Sfu) };
        // One room's answer by itself: of which, it does not say.
        if rooms.get("participants").is_some_and(Value::is_array) {
            return Err(BadExport::Sfu);
        }
        self.lists.sfu =
            Some(rooms.into_iter().map(|(name, answer)| (name, participants(&answer))).collect());
        Ok(self)
    }

    /// Judges every membership at `now`; `writer` is who would clear them.
    pub fn explain(&self, policy: &Policy, writer: Option<&UserId>, now: Timestamp) -> Vec<Explained> {
        let seen = FirstSeen { at: now, live: false };
        let contents: Vec<_> = self.events.iter().map(|event| (event, read(event, seen))).collect();
        let open: Vec<Placed<'_>> = contents
            .iter()
            .flat_map(|(event, content)| {
                entries(content).map(|m| Placed { key: &event.state_key, membership: m })
            })
            .collect();
        let mut judged = gather(&self.room, &open, self, now)
            .into_iter()
            .zip(&open)
            .map(|(evidence, placed)| (judge(placed.membership, &evidence, policy, now), evidence));
        let power = self.power(now);
        let route_of = |writer: &UserId, key: &StateKey| match &power {
            _ if !self.may_be_in_room(writer) => Err(Some(Blocked::NotInTheRoom)),
            Some(power) => plan::route(power, key, Means::own_power(writer)).map_err(Some),
            None => Err(None),
        };
        let route = |key: &StateKey| writer.map(|writer| route_of(writer, key).map_or("none", Route::as_str));
        let odd = |event: &StateEvent| membership::anomalies(event, seen);
        let mut rows = Vec::new();
        for (event, content) in &contents {
            match content {
                Content::Left => rows.push(Explained::left(event)),
                Content::Malformed(why) => {
                    rows.push(Explained::malformed(event, &odd(event), "it", why, route(&event.state_key)));
                }
                Content::Entries(entries) => rows.extend(entries.iter().map(|entry| match entry {
                    Err(why) => {
                        Explained::malformed(event, &odd(event), "this entry", why, route(&event.state_key))
                    }
                    Ok(membership) => {
                        let (judgement, evidence) = judged.next().unwrap_or_else(|| {
                            (judge(membership, &Evidence::NONE, policy, now), Evidence::NONE)
                        });
                        let mut row = Explained::open(
                            &event.state_key,
                            membership,
                            (&judgement, &evidence),
                            now,
                            route(&event.state_key),
                        );
                        if !self.is_complete() {
                            row.why.push_str("; who is in the room is not in the export");
                        }
                        row
                    }
                })),
            }
        }
        if let Some(writer) = writer {
            for row in rows.iter_mut().filter(|row| row.route.is_some()) {
                row.obstacle = route_of(writer, &row.state_key).err().map(words::obstacle);
            }
        }
        rows
    }

    pub(crate) fn power(&self, now: Timestamp) -> Option<RoomPower> {
        let (create, creator) = self.create.as_ref()?;
        Some(RoomPower::new(create, creator, self.power_levels.as_ref(), now))
    }

    /// Exports are often cut down to the memberships, so a writer without a member event may write.
    fn may_be_in_room(&self, writer: &UserId) -> bool {
        !matches!(self.members.get(writer), Some(RoomMember::NotJoined { .. }))
    }
}

/// Fails where a homeserver said no: what it says then is JSON, too.
fn refused(answer: &Value) -> Result<(), BadExport> {
    match answer.get("errcode").and_then(Value::as_str) {
        None => Ok(()),
        Some(errcode) => {
            let said = answer.get("error").and_then(Value::as_str).unwrap_or_default();
            Err(BadExport::Refused(message::harmless(&format!("{errcode} {said}"))))
        }
    }
}

fn entries(content: &Content) -> impl Iterator<Item = &Membership> {
    match content {
        Content::Entries(entries) => &entries[..],
        _ => &[],
    }
    .iter()
    .filter_map(|entry| entry.as_ref().ok())
}

impl Observations for Export {
    fn room_member(&self, user: &UserId) -> RoomMember {
        let missing =
            if self.is_complete() { RoomMember::NotJoined { since: None } } else { RoomMember::Unknown };
        self.members.get(user).copied().unwrap_or(missing)
    }

    fn device(&self, owner: &Owner) -> Device {
        Device::from_lists(self.lists.own_list(owner), self.lists.keys_query(owner), DeviceHistory::default())
    }

    fn has_sfu(&self) -> bool {
        self.lists.sfu.is_some()
    }

    fn is_our_sfu(&self, _: &Focus) -> bool {
        true
    }

    fn sfu_room(&self, _: &Focus, name: &str) -> SfuRoom {
        let answers = self.lists.sfu.as_ref();
        answers
            .and_then(|answers| answers.get(name).cloned())
            .unwrap_or_else(|| SfuRoom::Participants(Participants::default()))
    }

    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom> {
        self.lists.sfu.iter().filter_map(|answers| answers.get(name).cloned()).collect()
    }

    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }
}
