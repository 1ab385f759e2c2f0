//! The watch connection: `/sync` by plain requests, reduced to memberships and what bears on them.
//!
//! The SDK's own sync is never used here: it would upload encryption keys and keep every room.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use matrix_sdk::ruma::{TransactionId, serde::Raw};
use rtc_janitor_core::{
    ids::{EventId, RoomId, UserId},
    rtc::state_event::{CALL_MEMBER, StateEvent},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Homeserver, event, request::JsonRequest};
use crate::world::{Invite, LeftRoom, NeighbourError, RoomUpdate, Rooms as _, SyncBatch, Watch};

/// What is watched. The state types must stand in the timeline filter too: Synapse leaves a room
/// out of the answer altogether when no event passes that one. Without `m.room.member` there, a
/// kick is not shown; a redaction is no state change and comes as an event of its own only.
/// Power levels are only a hint that what was blocked may no longer be; name, alias and create say what
/// a room is called and who may do what there, for answers that cost no request.
const WATCHED: [&str; 8] = [
    CALL_MEMBER,
    "m.room.member",
    "m.room.power_levels",
    "m.room.tombstone",
    "m.room.redaction",
    "m.room.create",
    "m.room.name",
    "m.room.canonical_alias",
];

/// How long an answer may be on its way once the long poll is over.
const GRACE_FOR_AN_ANSWER: Duration = Duration::from_secs(15);

/// How long the server may take to put a full view together: Synapse needs about 6 s for 1000 rooms.
const PATIENCE_FOR_A_FULL_VIEW: Duration = Duration::from_mins(5);

/// The watch connection.
#[derive(Debug)]
pub struct HomeserverWatch {
    homeserver: Homeserver,
}

impl Homeserver {
    /// The stream of changes that this connection sees.
    pub fn watch(&self) -> HomeserverWatch {
        HomeserverWatch { homeserver: self.clone() }
    }
}

impl HomeserverWatch {
    /// Every membership event of one room: a full view of that room alone.
    pub(super) async fn memberships(&self, room: &RoomId) -> Result<Vec<StateEvent>, NeighbourError> {
        let mut filter = filter(Some(TransactionId::new().as_ref()));
        filter["room"]["rooms"] = json!([room]);
        for part in ["state", "timeline"] {
            filter["room"][part]["types"] = json!([CALL_MEMBER]);
        }
        let request = JsonRequest::get(&["_matrix", "client", "v3", "sync"])
            .query("set_presence", "offline")
            .query("filter", &filter.to_string())
            .query("timeout", "0");
        let answer: Answer = request.send(self.homeserver.client()).await?.json("the answer to sync")?;
        let batch = answer.reduce(true, self.homeserver.user_id());
        if let Some(update) = batch.joined.into_iter().find(|update| update.room_id == *room) {
            // Members who sent something come along unasked.
            let memberships = update.events.into_iter().filter(|event| event.event_type == CALL_MEMBER);
            // What the state block has may have been replaced in the timeline.
            let newest: BTreeMap<_, _> = memberships.map(|event| (event.state_key.clone(), event)).collect();
            return Ok(newest.into_values().collect());
        }
        // Synapse leaves out a room of which nothing passes the filter, and one the bot is not in.
        let create = self.homeserver.state_event(room, "m.room.create", "").await?;
        create.map(|_| Vec::new()).ok_or_else(|| NeighbourError::Refused {
            status: 404,
            errcode: "M_NOT_FOUND".to_owned(),
            message: format!("there is no room {room}"),
        })
    }
}

#[async_trait]
impl Watch for HomeserverWatch {
    async fn sync(&mut self, since: Option<&str>, timeout: Duration) -> Result<SyncBatch, NeighbourError> {
        let request = JsonRequest::get(&["_matrix", "client", "v3", "sync"])
            // A bot that looks online all day tells nobody anything.
            .query("set_presence", "offline");
        let request = match since {
            Some(since) => request
                .query("filter", &filter(None).to_string())
                .query("since", since)
                .query("timeout", &timeout.as_millis().to_string())
                .patience(timeout + GRACE_FOR_AN_ANSWER),
            None => request
                // Synapse answers a request it has seen in the last 2 min from a cache, with the
                // state of then. A room that does not exist makes each one new.
                .query("filter", &filter(Some(TransactionId::new().as_ref())).to_string())
                .query("timeout", "0")
                .patience(PATIENCE_FOR_A_FULL_VIEW),
        };
        let answer: Answer = request.send(self.homeserver.client()).await?.json("the answer to sync")?;
        Ok(answer.reduce(since.is_none(), self.homeserver.user_id()))
    }
}

/// The filter; `nonce` makes it differ from any other.
fn filter(nonce: Option<&str>) -> Value {
    // An empty list of types means all of them, so nothing is asked for by `not_types`.
    let nothing = json!({"not_types": ["*"]});
    let mut filter = json!({
        "room": {
            "state": {"types": WATCHED, "lazy_load_members": true},
            "timeline": {"types": WATCHED, "lazy_load_members": true, "limit": 50},
            "ephemeral": nothing,
            "account_data": nothing,
        },
        "account_data": nothing,
        "presence": nothing,
    });
    if let Some(nonce) = nonce {
        filter["room"]["not_rooms"] = json!([format!("!{nonce}:invalid")]);
    }
    filter
}

// What of the answer is read. Events stay raw until each is read on its own, so that one that is
// no good spoils nothing but itself.

#[derive(Deserialize)]
struct Answer {
    next_batch: String,
    #[serde(default)]
    rooms: Rooms,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rooms {
    join: BTreeMap<String, Room>,
    invite: BTreeMap<String, InvitedRoom>,
    leave: BTreeMap<String, Room>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Room {
    state: Events,
    timeline: Events,
    #[serde(alias = "org.matrix.msc4222.state_after")]
    state_after: Events,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InvitedRoom {
    invite_state: Events,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Events {
    events: Vec<Raw<Value>>,
}

impl Answer {
    fn reduce(self, full: bool, me: &UserId) -> SyncBatch {
        let Rooms { join, invite, leave } = self.rooms;
        SyncBatch {
            full,
            joined: join.into_iter().map(|(id, room)| room.into_update(id.into())).collect(),
            invited: invite.into_iter().map(|(id, room)| room.into_invite(id.into(), me)).collect(),
            left: leave.into_iter().map(|(id, room)| room.into_left(id.into(), me)).collect(),
            next_batch: self.next_batch,
        }
    }
}

impl Room {
    /// Everything that came, oldest first. `state` is from before the timeline, `state_after`
    /// (MSC4222) from its end; a server sends one or the other.
    fn into_events(self, room: &RoomId) -> impl Iterator<Item = Value> {
        let blocks = [self.state, self.timeline, self.state_after];
        blocks.into_iter().flat_map(|block| block.events).filter_map(move |event| read(&event, room))
    }

    fn into_update(self, room_id: RoomId) -> RoomUpdate {
        let (mut events, mut redacted) = (Vec::new(), Vec::new());
        for event in self.into_events(&room_id) {
            if event["type"] == "m.room.redaction" {
                redacted.extend(redacted_by(&event));
                continue;
            }
            match StateEvent::from_json(event) {
                Ok(event) => events.push(event),
                Err(error) => tracing::debug!(%room_id, %error, "an event is skipped"),
            }
        }
        RoomUpdate { room_id, events, redacted }
    }

    fn into_left(self, room_id: RoomId, me: &UserId) -> LeftRoom {
        let own = self.into_events(&room_id).filter(|event| is_membership_of(event, me)).last();
        let own = own.unwrap_or_default();
        LeftRoom {
            by: own["sender"].as_str().map(UserId::from),
            reason: own["content"]["reason"].as_str().map(str::to_owned),
            banned: own["content"]["membership"] == "ban",
            room_id,
        }
    }
}

impl InvitedRoom {
    fn into_invite(self, room_id: RoomId, me: &UserId) -> Invite {
        let events = self.invite_state.events.iter();
        let own = events.filter_map(|event| read(event, &room_id)).find(|event| is_membership_of(event, me));
        Invite { inviter: own.and_then(|event| event["sender"].as_str().map(UserId::from)), room_id }
    }
}

fn is_membership_of(event: &Value, user: &UserId) -> bool {
    event["type"] == "m.room.member" && event["state_key"] == user.as_str()
}

/// What a redaction redacts: in the content from room version 11 on, beside it before. Servers may
/// send both; a redaction is only a hint to look again, so whatever is named counts.
fn redacted_by(redaction: &Value) -> impl Iterator<Item = EventId> + use<> {
    let content = redaction["content"]["redacts"].as_str().map(EventId::from);
    let top = redaction["redacts"].as_str().map(EventId::from);
    let second = if top == content { None } else { top };
    content.into_iter().chain(second)
}

fn read(event: &Raw<Value>, room: &RoomId) -> Option<Value> {
    event::read(event.json().get())
        .inspect_err(|error| tracing::debug!(%room, %error, "an event is skipped"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduce(answer: &str) -> SyncBatch {
        serde_json::from_str::<Answer>(answer).unwrap().reduce(false, &"@bot:hs".into())
    }

    fn member(event_id: &str, more: &str) -> String {
        format!(
            r#"{{"type":"{CALL_MEMBER}","state_key":"k","sender":"@a:hs","origin_server_ts":1,"event_id":"{event_id}",{more}}}"#
        )
    }

    fn ids(batch: &SyncBatch) -> Vec<&str> {
        batch.joined[0].events.iter().map(|event| event.event_id.as_str()).collect()
    }

    #[test]
    fn an_event_that_cannot_be_read_spoils_nothing_but_itself() {
        let good = member("$good", r#""content":[]"#);
        // A number that no double holds, nesting that overflows a parser's stack, no event at all.
        let infinite = member("$bad", r#""content":{"expires":1e999}"#);
        let deep = member("$deep", &format!(r#""content":{}{}"#, "[".repeat(5000), "]".repeat(5000)));
        let batch = reduce(&format!(
            r#"{{"next_batch":"s","rooms":{{"join":{{"!odd id":{{"timeline":{{"events":[{infinite},{deep},7,{{}},{good}]}}}}}},
                "invite":{{"!b":{{}}}},"leave":{{"!c":{{}}}}}},"device_lists":{{"changed":["nonsense"]}}}}"#
        ));
        // They stand where something else stood, so they are told of; what cannot be read of them is null.
        assert_eq!(ids(&batch), ["$bad", "$deep", "$good"]);
        assert_eq!(batch.joined[0].events[1].content, Value::Null);
        assert_eq!(batch.invited, [Invite { room_id: "!b".into(), inviter: None }]);
        assert_eq!((batch.left.len(), &batch.left[0].by), (1, &None));
    }

    #[test]
    fn the_state_comes_before_the_timeline_and_the_state_after_it_last() {
        let event = |id| member(id, r#""content":{}"#);
        let blocks = |after: &str| {
            format!(
                r#"{{"next_batch":"s","rooms":{{"join":{{"!a":{{"{after}":{{"events":[{}]}},
                    "timeline":{{"events":[{}]}},"state":{{"events":[{}]}}}}}}}}}}"#,
                event("$3"),
                event("$2"),
                event("$1")
            )
        };
        assert_eq!(ids(&reduce(&blocks("state_after"))), ["$1", "$2", "$3"]);
        assert_eq!(ids(&reduce(&blocks("org.matrix.msc4222.state_after"))), ["$1", "$2", "$3"]);
    }

    #[test]
    fn an_empty_answer_is_no_news() {
        assert_eq!(
            reduce(r#"{"next_batch":"s"}"#),
            SyncBatch { next_batch: "s".to_owned(), ..SyncBatch::default() }
        );
    }
}
