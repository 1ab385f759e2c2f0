//! Verdicts for an exported room state, with whatever answers were saved beside it.
//!
//! An export is a complete view: whoever has no `m.room.member` in it is not in the room, the lists
//! are believed, and the SFU of the memberships is taken as ours. There is no history.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::Value;

use crate::{
    ids::{RoomId, StateKey, UserId},
    judge::{
        evidence::{Device, DeviceHistory, Evidence, Listing, RoomMember},
        policy::Policy,
        room::{Observations, Placed, SfuRoom, gather},
        verdict::{Judgement, Verdict, judge},
    },
    render::{message, words},
    rtc::{
        membership::{self, Anomaly, Content, FirstSeen, Focus, Malformed, Membership, Owner, read},
        state_event::{CALL_MEMBER, StateEvent, saturating_integer},
        state_key::{self, Blocked, RoomPower},
    },
    time::Timestamp,
};

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
    #[error("the SFU answers are not a map from SFU room name to the answer of ListParticipants")]
    Sfu,
}

/// One membership and what is concluded of it; the form of `explain --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The key it stands under.
    pub state_key: StateKey,
    /// Whom it speaks for.
    pub user_id: UserId,
    /// The device, where the content names one.
    pub device_id: Option<String>,
    /// `active`, `left`, `stale`, `unknown` or `malformed`.
    pub verdict: &'static str,
    /// The reason that names the verdict, when stale or unknown.
    pub reason: Option<&'static str>,
    /// All reasons that hold, the strongest first.
    pub reasons: Vec<&'static str>,
    /// What is odd about it.
    pub anomalies: Vec<&'static str>,
    /// Since when the naming reason holds, milliseconds since the Unix epoch; null where the
    /// evidence does not tell.
    pub since_ms: Option<i64>,
    /// When clients stop showing it, milliseconds since the Unix epoch.
    pub expires_ms: Option<i64>,
    /// `own_power` or `none`; null when nobody was named to write as, or there is nothing to clear.
    pub route: Option<&'static str>,
    /// What is in the way where the route is `none`; for people only.
    #[serde(skip)]
    pub obstacle: Option<String>,
    /// All of it in one sentence.
    pub why: String,
}

/// An exported state with the answers that go with it.
#[derive(Debug)]
pub struct Export {
    room: RoomId,
    events: Vec<StateEvent>,
    members: HashMap<UserId, RoomMember>,
    create: Option<(Value, UserId)>,
    power_levels: Option<Value>,
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
            lists: Lists::default(),
        };
        for mut event in events {
            // Files are cut down to what matters, and here no id does.
            if let Some(fields) = event.as_object_mut() {
                fields.entry("event_id").or_insert_with(|| "".into());
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
                _ => {}
            }
        }
        Ok(export)
    }

    /// Whether it has neither a call membership nor what every room begins with: then it is hardly the
    /// state of a room, and that nobody is in a call there says nothing.
    pub fn is_no_room(&self) -> bool {
        self.events.is_empty() && self.create.is_none()
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
        let may_write = |writer: &UserId, key: &StateKey| match &power {
            _ if !self.may_be_in_room(writer) => Err(Some(Blocked::NotInTheRoom)),
            Some(power) => power.may_write(writer, key).map_err(Some),
            None => Err(None),
        };
        let route = |key: &StateKey| {
            writer.map(|writer| if may_write(writer, key).is_ok() { "own_power" } else { "none" })
        };
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
                        Explained::open(
                            &event.state_key,
                            membership,
                            (&judgement, &evidence),
                            now,
                            route(&event.state_key),
                        )
                    }
                })),
            }
        }
        if let Some(writer) = writer {
            for row in rows.iter_mut().filter(|row| row.route.is_some()) {
                row.obstacle = may_write(writer, &row.state_key).err().map(words::obstacle);
            }
        }
        rows
    }

    fn power(&self, now: Timestamp) -> Option<RoomPower> {
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

/// What an `m.room.member` event says of its user; a missing one is a user who never joined.
pub fn room_member(event: Option<&StateEvent>) -> RoomMember {
    let Some(event) = event else { return RoomMember::NotJoined { since: None } };
    match event.content.get("membership").and_then(Value::as_str) {
        Some("join") => RoomMember::Joined,
        Some(_) => RoomMember::NotJoined { since: Some(event.origin_server_ts) },
        // No server sends that; the content could not be read.
        None => RoomMember::Unknown,
    }
}

/// The saved answers.
#[derive(Debug, Default)]
struct Lists {
    keys_query: Option<Value>,
    own: BTreeMap<String, Value>,
    sfu: Option<BTreeMap<String, SfuRoom>>,
}

impl Lists {
    fn own_list(&self, owner: &Owner) -> Listing {
        let Some(answer) = self.own.get(owner.user.as_str()) else { return Listing::NotAsked };
        // An error body has no list in it; a 404 is no empty list.
        let Some(devices) = answer.get("devices").and_then(Value::as_array) else { return Listing::Unknown };
        let device = devices
            .iter()
            .find(|device| device.get("device_id").and_then(Value::as_str) == Some(owner.device.as_str()));
        let last_seen = |device: &Value| {
            device.get("last_seen_ts").and_then(saturating_integer).map(Timestamp::from_millis)
        };
        Listing::Known { device: device.map(last_seen), empty: devices.is_empty() }
    }

    fn keys_query(&self, owner: &Owner) -> Listing {
        let Some(answer) = &self.keys_query else { return Listing::NotAsked };
        let failed = owner.user.server_name().is_some_and(|server| {
            answer.get("failures").is_some_and(|failures| failures.get(server).is_some())
        });
        match answer["device_keys"].get(owner.user.as_str()).and_then(Value::as_object) {
            Some(devices) if !failed => Listing::Known {
                device: devices.contains_key(owner.device.as_str()).then_some(None),
                empty: devices.is_empty(),
            },
            _ => Listing::Unknown,
        }
    }
}

/// The identities in a `ListParticipants` answer.
pub fn participants(answer: &Value) -> SfuRoom {
    // An answer without participants may leave the list out; anything else in it is no such answer.
    let list = match answer.as_object() {
        Some(fields) if fields.is_empty() => &[][..],
        Some(fields) => match fields.get("participants") {
            Some(Value::Array(list)) => list,
            _ => return SfuRoom::Unknown,
        },
        None => return SfuRoom::Unknown,
    };
    let connected: BTreeSet<String> = list
        .iter()
        .filter(|participant| participant.get("state").and_then(Value::as_str) != Some("DISCONNECTED"))
        .filter_map(|participant| participant.get("identity")?.as_str().map(str::to_owned))
        .collect();
    SfuRoom::Participants(connected)
}

impl Observations for Export {
    fn room_member(&self, user: &UserId) -> RoomMember {
        self.members.get(user).copied().unwrap_or(RoomMember::NotJoined { since: None })
    }

    fn device(&self, owner: &Owner) -> Device {
        Device::from_lists(self.lists.own_list(owner), self.lists.keys_query(owner), DeviceHistory::default())
    }

    fn is_our_sfu(&self, _: &Focus) -> bool {
        self.lists.sfu.is_some()
    }

    fn sfu_room(&self, _: &Focus, name: &str) -> SfuRoom {
        let answers = self.lists.sfu.as_ref();
        answers
            .and_then(|answers| answers.get(name).cloned())
            .unwrap_or_else(|| SfuRoom::Participants(BTreeSet::new()))
    }

    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom> {
        self.lists.sfu.iter().filter_map(|answers| answers.get(name).cloned()).collect()
    }

    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }
}

impl Explained {
    fn left(event: &StateEvent) -> Self {
        let user = state_key::user(&event.state_key).map(UserId::from);
        let device = event.content.get("device_id").and_then(Value::as_str);
        Self {
            // Whoever emptied a key was not in it.
            user_id: user.unwrap_or_else(|| event.sender.clone()),
            ..Self::closed(event, "left", device, "nobody is in it".into())
        }
    }

    fn malformed(
        event: &StateEvent,
        anomalies: &[Anomaly],
        what: &str,
        malformed: &Malformed,
        route: Option<&'static str>,
    ) -> Self {
        let why = format!("no client would show {what}: {malformed}");
        let anomalies = anomalies.iter().copied().map(Anomaly::as_str).collect();
        Self { anomalies, route, ..Self::closed(event, "malformed", malformed.device.as_deref(), why) }
    }

    fn closed(event: &StateEvent, verdict: &'static str, device: Option<&str>, why: String) -> Self {
        Self {
            state_key: event.state_key.clone(),
            user_id: event.sender.clone(),
            device_id: device.map(str::to_owned),
            verdict,
            reason: None,
            reasons: Vec::new(),
            anomalies: Vec::new(),
            since_ms: None,
            expires_ms: None,
            route: None,
            obstacle: None,
            why,
        }
    }

    /// What was concluded of an open membership under a key, and from what.
    pub fn open(
        key: &StateKey,
        membership: &Membership,
        (judgement, evidence): (&Judgement, &Evidence),
        now: Timestamp,
        route: Option<&'static str>,
    ) -> Self {
        let (verdict, reason) = match judgement.verdict {
            Verdict::Active => ("active", None),
            Verdict::Stale(reason) => ("stale", Some(reason.as_str())),
            Verdict::Unknown(why) => ("unknown", Some(why.as_str())),
        };
        Self {
            state_key: key.clone(),
            user_id: membership.owner.user.clone(),
            device_id: Some(membership.owner.device.to_string()),
            verdict,
            reason,
            reasons: judgement.reasons().map(|(reason, _)| reason.as_str()).collect(),
            anomalies: membership.anomalies.iter().copied().map(Anomaly::as_str).collect(),
            since_ms: judgement.reasons().next().and_then(|(_, since)| since).map(Timestamp::as_millis),
            expires_ms: Some(membership.expires.as_millis()),
            route,
            obstacle: None,
            why: words::why(membership, judgement, evidence, now),
        }
    }
}
