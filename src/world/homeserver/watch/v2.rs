//! `/sync` v2: what changed since a token, and a view of everything for servers that have nothing better.

use std::{sync::Arc, time::Duration};

use matrix_sdk::{bytes::Bytes, ruma::TransactionId};
use rtc_janitor_core::{
    ids::{RoomId, UserId},
    rtc::state_event::CALL_MEMBER,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};

use super::{
    GRACE_FOR_AN_ANSWER, PATIENCE_FOR_A_FULL_VIEW,
    reading::{self, Entries, Head},
};
use crate::world::{
    JoinedRooms, NeighbourError, RoomUpdate, SyncBatch,
    homeserver::{Homeserver, request::JsonRequest},
};

/// What is watched. The state types must stand in the timeline filter too: Synapse leaves a room
/// out of the answer altogether when no event passes that one. Without `m.room.member` there, a
/// kick is not shown; a redaction is no state change and comes as an event of its own only.
/// Power levels are only a hint that what was blocked may no longer be; name, alias and create say what
/// a room is called and who may do what there, for answers that cost no request.
const WATCHED: [&str; 10] = [
    CALL_MEMBER,
    "m.room.member",
    "m.room.power_levels",
    "m.room.tombstone",
    "m.room.redaction",
    "m.room.create",
    "m.room.name",
    "m.room.canonical_alias",
    "org.matrix.msc4143.rtc.slot",
    "m.rtc.slot",
];

/// How many changes of one room come one by one; beyond that the answer is `limited`.
const TIMELINE_OF_CHANGES: u32 = 50;

/// In a view of everything, what came before the state is of no use; none at all is not to be had.
const TIMELINE_OF_A_FULL_VIEW: u32 = 1;

/// What changed since a token.
pub(super) async fn changes(
    homeserver: &Homeserver,
    since: &str,
    timeout: Duration,
) -> Result<SyncBatch, NeighbourError> {
    let request = request(&filter(TIMELINE_OF_CHANGES))
        .query("since", since)
        .query("timeout", &timeout.as_millis().to_string())
        .patience(timeout + GRACE_FOR_AN_ANSWER);
    let answer = request.send(homeserver.transport()).await?;
    read(answer.body(), false, homeserver.user_id())
}

/// Everything, as far as `/sync` v2 knows it; and whether wildcards mean something to the server.
pub(super) async fn everything(homeserver: &Homeserver) -> Result<(SyncBatch, bool), NeighbourError> {
    let request = request(&never_cached(filter(TIMELINE_OF_A_FULL_VIEW)))
        .query("timeout", "0")
        .patience(PATIENCE_FOR_A_FULL_VIEW);
    let answer = request.send(homeserver.transport()).await?;
    let view = read(answer.body(), true, homeserver.user_id())?;
    let takes_wildcards =
        answer.json("the answer to sync").map_or(true, |position: Position| position.takes_wildcards());
    Ok((view, takes_wildcards))
}

/// Where the stream of changes stands now, and nothing of what came before.
pub(super) async fn position(homeserver: &Homeserver) -> Result<Position, NeighbourError> {
    let mut filter = filter(TIMELINE_OF_A_FULL_VIEW);
    filter["room"]["rooms"] = json!([]);
    let request = request(&never_cached(filter)).query("timeout", "0").patience(PATIENCE_FOR_A_FULL_VIEW);
    let answer = request.send(homeserver.transport()).await?;
    answer.json("the answer to sync")
}

fn request(filter: &Value) -> JsonRequest {
    JsonRequest::get(&["_matrix", "client", "v3", "sync"])
        // A bot that looks online all day tells nobody anything.
        .query("set_presence", "offline")
        .query("filter", &filter.to_string())
}

fn filter(timeline_limit: u32) -> Value {
    // An empty list of types means all of them, so nothing is asked for by `not_types`. That spares what a server
    // without wildcards (Dendrite) sends all the same, and nobody reads: the types that matter are named one by one.
    let nothing = json!({"not_types": ["*"]});
    json!({
        "room": {
            "state": {"types": WATCHED, "lazy_load_members": true},
            "timeline": {"types": WATCHED, "lazy_load_members": true, "limit": timeline_limit},
            "ephemeral": nothing,
            "account_data": nothing,
        },
        "account_data": nothing,
        "presence": nothing,
    })
}

/// Synapse answers a request it has seen in the last 2 min from a cache, with the state of then. A room
/// that does not exist makes each one new.
fn never_cached(mut filter: Value) -> Value {
    filter["room"]["not_rooms"] = json!([format!("!{}:invalid", TransactionId::new())]);
    filter
}

/// Where the stream of changes stands, and what shows whether the filter was understood.
#[derive(Deserialize)]
pub(super) struct Position {
    pub(super) next_batch: String,
    #[serde(default)]
    account_data: Unasked,
}

/// What the filter asks not to be sent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Unasked {
    events: Vec<IgnoredAny>,
}

impl Position {
    /// Whether wildcards mean something to the server. Every account has push rules in its account data, and a first
    /// answer brings them unless `not_types: ["*"]` is understood.
    pub(super) fn takes_wildcards(&self) -> bool {
        self.account_data.events.is_empty()
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    next_batch: String,
    #[serde(borrow, default)]
    rooms: Rooms<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rooms<'a> {
    #[serde(borrow)]
    join: Entries<'a>,
    #[serde(borrow)]
    invite: Entries<'a>,
    #[serde(borrow)]
    leave: Entries<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Room<'a> {
    #[serde(borrow)]
    state: Events<'a>,
    #[serde(borrow)]
    timeline: Events<'a>,
    #[serde(borrow, alias = "org.matrix.msc4222.state_after")]
    state_after: Events<'a>,
    /// Sticky events (MSC4354) that are not in the timeline: with our filter, all of them.
    #[serde(borrow, rename = "msc4354_sticky", alias = "sticky")]
    sticky: Events<'a>,
    summary: Summary,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Summary {
    #[serde(rename = "m.joined_member_count")]
    joined_members: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InvitedRoom<'a> {
    #[serde(borrow)]
    invite_state: Events<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Events<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    limited: bool,
}

fn read(body: &Bytes, full: bool, me: &UserId) -> Result<SyncBatch, NeighbourError> {
    let unreadable =
        |error| NeighbourError::Unreachable(format!("the answer to sync could not be read: {error}"));
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    let Rooms { join, invite, leave } = answer.rooms;
    let invited = invite.0.into_iter().map(|(room, text)| {
        let room: RoomId = room.into();
        let events = serde_json::from_str::<InvitedRoom<'_>>(text.get()).unwrap_or_default().invite_state;
        reading::invite(room.clone(), own_membership(events.events, &room, me).as_ref())
    });
    let left = leave.0.into_iter().map(|(room, text)| {
        let room: RoomId = room.into();
        let events = serde_json::from_str::<Room<'_>>(text.get()).unwrap_or_default().into_events();
        reading::left(room.clone(), own_membership(events, &room, me).as_ref())
    });
    let (invited, left) = (invited.collect(), left.collect());
    let me = me.clone();
    let reader = Arc::new(move |room, text: &[u8]| read_room(room, text, full, &me));
    Ok(SyncBatch {
        full,
        is_current: false,
        joined: JoinedRooms::unread(join.in_body(body), reader),
        invited,
        left,
        next_batch: answer.next_batch,
        abilities: None,
    })
}

fn own_membership<'a>(
    events: impl IntoIterator<Item = &'a RawValue>,
    room: &RoomId,
    me: &UserId,
) -> Option<Value> {
    let events = events.into_iter().filter_map(|event| reading::value(event, room));
    events.filter(|event| reading::is_membership_of(event, me)).last()
}

impl<'a> Room<'a> {
    /// Everything that came, oldest first. `state` is from before the timeline, `state_after`
    /// (MSC4222) from its end; a server sends one or the other.
    fn into_events(self) -> impl Iterator<Item = &'a RawValue> {
        [self.state, self.timeline, self.state_after].into_iter().flat_map(|block| block.events)
    }
}

fn read_room(room_id: RoomId, text: &[u8], full: bool, me: &UserId) -> RoomUpdate {
    let mut update = RoomUpdate::new(room_id, Vec::new());
    let room: Room<'_> = match serde_json::from_slice(text) {
        Ok(room) => room,
        Err(error) => {
            tracing::warn!(room = %update.room_id, "what sync says of a room could not be read: {error}");
            // Something is missing, as after a gap.
            return RoomUpdate { limited: true, ..update };
        }
    };
    update.limited = room.timeline.limited && !full;
    update.joined_members = room.summary.joined_members;
    update.sticky = reading::sticky(&room.sticky.events, &update.room_id);
    for event in room.into_events() {
        if full && Head::of(event).is_some_and(|head| head.is_emptied_by_others(me)) {
            update.had_memberships = true;
            continue;
        }
        let Some(event) = reading::value(event, &update.room_id) else { continue };
        if event["type"] == "m.room.redaction" {
            update.redacted.extend(reading::redacted_by(&event));
        } else {
            update.events.extend(reading::from_value(event, &update.room_id));
        }
    }
    update
}

#[cfg(test)]
mod tests {
    use crate::world::Invite;

    use super::*;

    fn reduce(answer: &str) -> SyncBatch {
        read(&Bytes::from(answer.to_owned()), false, &"@bot:hs".into()).unwrap()
    }

    fn first(batch: &SyncBatch) -> RoomUpdate {
        batch.joined.iter().next().unwrap()
    }

    fn member(event_id: &str, more: &str) -> String {
        format!(
            r#"{{"type":"{CALL_MEMBER}","state_key":"k","sender":"@a:hs","origin_server_ts":1,"event_id":"{event_id}",{more}}}"#
        )
    }

    fn ids(batch: &SyncBatch) -> Vec<String> {
        first(batch).events.iter().map(|event| event.event_id.to_string()).collect()
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
        assert_eq!(first(&batch).events[1].content, Value::Null);
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
    fn a_gap_is_told_and_so_is_a_room_that_cannot_be_read() {
        let batch = reduce(
            r#"{"next_batch":"s","rooms":{"join":{"!a":{"timeline":{"limited":true},"summary":{"m.joined_member_count":3}},
                "!b":{"timeline":7},"!c":{}}}}"#,
        );
        let limited: Vec<_> = batch.joined.iter().map(|update| update.limited).collect();
        assert_eq!(limited, [true, true, false]);
        assert_eq!(first(&batch).joined_members, Some(3));
        assert_eq!(batch.joined.ids().map(RoomId::as_str).collect::<Vec<_>>(), ["!a", "!b", "!c"]);
    }

    #[test]
    fn sticky_events_come_in_a_section_of_their_own() {
        let sticky = r#"{"type":"m.rtc.member","sender":"@a:hs","origin_server_ts":1,"event_id":"$s","content":{"application":{}}}"#;
        for section in ["msc4354_sticky", "sticky"] {
            let batch = reduce(&format!(
                r#"{{"next_batch":"s","rooms":{{"join":{{"!a":{{"{section}":{{"events":[7,{sticky}]}}}}}}}}}}"#
            ));
            assert_eq!(first(&batch).sticky.len(), 1, "{section}");
        }
    }

    #[test]
    fn what_comes_unasked_tells_that_wildcards_mean_nothing_and_is_not_read() {
        let unasked =
            r#""account_data":{"events":[{"type":"m.push_rules","content":{}}]},"presence":{"events":[{}]}"#;
        let body = format!(r#"{{"next_batch":"s",{unasked},"rooms":{{"join":{{"!a":{{{unasked}}}}}}}}}"#);
        let position: Position = serde_json::from_str(&body).unwrap();
        assert!(!position.takes_wildcards());
        assert_eq!(first(&reduce(&body)), RoomUpdate::new("!a".into(), Vec::new()));

        let position: Position = serde_json::from_str(r#"{"next_batch":"s"}"#).unwrap();
        assert!(position.takes_wildcards());
    }

    #[test]
    fn the_types_that_matter_are_asked_for_without_wildcards() {
        let filter = filter(1);
        for section in ["state", "timeline"] {
            let types = filter["room"][section]["types"].as_array().unwrap();
            assert!(
                types.iter().all(|kind| kind.as_str().is_some_and(|kind| !kind.contains('*'))),
                "{section}"
            );
            assert!(types.contains(&CALL_MEMBER.into()), "{section}");
        }
    }

    #[test]
    fn an_empty_answer_is_no_news() {
        assert_eq!(
            reduce(r#"{"next_batch":"s"}"#),
            SyncBatch { next_batch: "s".to_owned(), ..SyncBatch::default() }
        );
    }
}
