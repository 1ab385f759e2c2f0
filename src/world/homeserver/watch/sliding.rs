//! Simplified sliding sync (MSC4186): all rooms in one answer, each with its current state.
//!
//! Only ever asked for everything, see [`super`].

mod sticky;

use std::{collections::BTreeMap, sync::Arc};

use matrix_sdk::bytes::Bytes;
use rtc_janitor_core::{
    ids::{RoomId, UserId},
    rtc::state_event::CALL_MEMBER,
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use sticky::Sticky;

use super::{
    PATIENCE_FOR_A_FULL_VIEW,
    reading::{self, Entries, Head},
};
use crate::world::{
    JoinedRooms, NeighbourError, RoomUpdate, SyncBatch,
    homeserver::{Homeserver, abilities::SLIDING_SYNC, request::JsonRequest},
};

/// The server forgets what it knew of a connection when one of the same name begins anew.
const CONNECTION: &str = "rtc-janitor";

/// More rooms than anybody is in.
const LAST_ROOM: u32 = 9_999_999;

/// Everything, with no token to go on from; `None` where the answer is not of everything after all.
pub(super) async fn everything(
    homeserver: &Homeserver,
    sticky_events: bool,
) -> Result<Option<SyncBatch>, NeighbourError> {
    let required_state = json!([
        [CALL_MEMBER, "*"],
        ["m.room.member", "$ME"],
        ["m.room.create", ""],
        ["m.room.power_levels", ""],
        ["m.room.name", ""],
        ["m.room.canonical_alias", ""],
        ["m.room.tombstone", ""],
        ["org.matrix.msc4143.rtc.slot", "*"],
        ["m.rtc.slot", "*"],
    ]);
    let extensions = if sticky_events { sticky::extension(None) } else { json!({}) };
    let answer = request(&required_state, &extensions).send(homeserver.transport()).await?;
    let sticky = sticky::all(homeserver, answer.body()).await;
    read(answer.body(), homeserver.user_id(), sticky)
}

/// Asks for all rooms.
fn request(required_state: &Value, extensions: &Value) -> JsonRequest {
    let list = json!({
        "ranges": [[0, LAST_ROOM]],
        "timeline_limit": 0,
        "required_state": required_state,
    });
    let body = json!({"conn_id": CONNECTION, "lists": {"all": list}, "extensions": extensions});
    JsonRequest::post(&["_matrix", "client", "unstable", SLIDING_SYNC, "sync"], &body)
        .query("timeout", "0")
        .query("set_presence", "offline")
        .patience(PATIENCE_FOR_A_FULL_VIEW)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    lists: BTreeMap<String, List>,
    #[serde(borrow, default)]
    rooms: Entries<'a>,
}

#[derive(Deserialize)]
struct List {
    count: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Room<'a> {
    #[serde(borrow)]
    required_state: Vec<&'a RawValue>,
    #[serde(borrow, alias = "stripped_state")]
    invite_state: Vec<&'a RawValue>,
    joined_count: Option<u64>,
}

fn read(body: &Bytes, me: &UserId, sticky: Sticky) -> Result<Option<SyncBatch>, NeighbourError> {
    let unreadable =
        |error| NeighbourError::Unreachable(format!("the answer to sliding sync could not be read: {error}"));
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    if answer.lists.get("all").is_none_or(|list| list.count > answer.rooms.0.len()) {
        return Ok(None);
    }
    let mut batch = SyncBatch { full: true, is_current: true, ..SyncBatch::default() };
    let mut joined = Entries::default();
    for (id, text) in answer.rooms.0 {
        let room_id = RoomId::from(id.as_str());
        let Ok(room) = serde_json::from_str::<Room<'_>>(text.get()) else { return Ok(None) };
        let own = room.own_membership(&room_id, me);
        let membership = own.as_ref().and_then(|own| own["content"]["membership"].as_str());
        match membership {
            Some("invite") => batch.invited.push(reading::invite(room_id, own.as_ref())),
            Some("leave" | "ban") => batch.left.push(reading::left(room_id, own.as_ref())),
            Some("join") if room.has_create() => joined.0.push((id, text)),
            // Where even that is not told, nothing can be concluded from what else is not.
            Some("join") | None => return Ok(None),
            // A knock is not for us to answer.
            Some(_) => {}
        }
    }
    let me = me.clone();
    let reader = Arc::new(move |room, text: &[u8]| {
        let sticky = sticky.get(&room).cloned().unwrap_or_default();
        RoomUpdate { sticky, ..read_room(room, text, &me) }
    });
    batch.joined = JoinedRooms::unread(joined.in_body(body), reader);
    Ok(Some(batch))
}

impl Room<'_> {
    fn own_membership(&self, room: &RoomId, me: &UserId) -> Option<Value> {
        let is_own = |event: &&&RawValue| {
            Head::of(event).is_some_and(|head| {
                head.kind == "m.room.member" && head.state_key.as_deref() == Some(me.as_str())
            })
        };
        let own = self.invite_state.iter().chain(&self.required_state).find(is_own)?;
        reading::value(own, room)
    }

    fn has_create(&self) -> bool {
        self.required_state
            .iter()
            .any(|event| Head::of(event).is_some_and(|head| head.kind == "m.room.create"))
    }
}

fn read_room(room_id: RoomId, text: &[u8], me: &UserId) -> RoomUpdate {
    // It could be read before.
    let room: Room<'_> = serde_json::from_slice(text).unwrap_or_default();
    let matters = |event: &&RawValue| {
        Head::of(event).is_none_or(|head| head.kind != "m.room.member" && !head.is_emptied_by_others(me))
    };
    let events = room.required_state.into_iter().filter(matters);
    let events = events.filter_map(|event| reading::state_event(event, &room_id)).collect();
    RoomUpdate { joined_members: room.joined_count, ..RoomUpdate::new(room_id, events) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "@bot:hs";

    fn event(kind: &str, key: &str, sender: &str, content: &str) -> String {
        format!(
            r#"{{"type":"{kind}","state_key":"{key}","sender":"{sender}","origin_server_ts":1,"event_id":"${key}","content":{content}}}"#
        )
    }

    fn room(membership: &str, events: &[String]) -> String {
        let own =
            event("m.room.member", ME, "@a:hs", &format!(r#"{{"membership":"{membership}","reason":"r"}}"#));
        let create = event("m.room.create", "", "@a:hs", "{}");
        let events = [&[own, create][..], events].concat().join(",");
        format!(r#"{{"required_state":[{events}],"joined_count":7}}"#)
    }

    fn read_all(count: usize, rooms: &str) -> Option<SyncBatch> {
        let body = format!(r#"{{"pos":"1","lists":{{"all":{{"count":{count}}}}},"rooms":{{{rooms}}}}}"#);
        read(&Bytes::from(body), &ME.into(), Sticky::new()).unwrap()
    }

    #[test]
    fn each_room_is_joined_left_or_invited_by_the_bots_own_membership() {
        let key = event(CALL_MEMBER, "open", "@a:hs", r#"{"application":"m.call"}"#);
        let joined = room("join", &[key]);
        let invited = event("m.room.member", ME, "@b:hs", r#"{"membership":"invite"}"#);
        let rooms = format!(
            r#""!j":{joined},"!l":{},"!b":{},"!i":{{"invite_state":[{invited}],"required_state":[]}},"!k":{}"#,
            room("leave", &[]),
            room("ban", &[]),
            room("knock", &[]),
        );
        let batch = read_all(5, &rooms).unwrap();

        assert!(batch.full && batch.is_current);
        let updates: Vec<_> = batch.joined.into_iter().collect();
        let [update] = &updates[..] else { panic!("{updates:?}") };
        let kinds: Vec<_> = update.events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!((update.room_id.as_str(), update.joined_members), ("!j", Some(7)));
        assert_eq!(kinds, ["m.room.create", CALL_MEMBER]);
        let left: Vec<_> = batch.left.iter().map(|left| (left.room_id.as_str(), left.banned)).collect();
        assert_eq!(left, [("!l", false), ("!b", true)]);
        assert_eq!(batch.left[0].reason.as_deref(), Some("r"));
        assert_eq!(batch.invited[0].inviter, Some("@b:hs".into()));
    }

    #[test]
    fn what_others_emptied_is_left_out_and_what_the_bot_emptied_is_not() {
        let keys = [
            event(CALL_MEMBER, "others", "@a:hs", "{ }"),
            event(CALL_MEMBER, "own", ME, "{}"),
            event(CALL_MEMBER, "left", "@a:hs", r#"{"leave_reason":"x"}"#),
        ];
        let batch = read_all(1, &format!(r#""!j":{}"#, room("join", &keys))).unwrap();
        let update = batch.joined.into_iter().next().unwrap();
        let keys: Vec<_> = update.events.iter().map(|event| event.state_key.as_str()).collect();
        assert_eq!(keys, ["", "own", "left"]);
    }

    #[test]
    fn an_answer_that_may_hide_something_is_no_view_of_everything() {
        let joined = room("join", &[]);
        assert!(read_all(1, &format!(r#""!j":{joined}"#)).is_some());
        assert_eq!(read_all(2, &format!(r#""!j":{joined}"#)), None, "a room is missing");
        assert_eq!(read_all(1, r#""!j":{"required_state":[]}"#), None, "no own membership");
        let own = event("m.room.member", ME, ME, r#"{"membership":"join"}"#);
        assert_eq!(read_all(1, &format!(r#""!j":{{"required_state":[{own}]}}"#)), None, "no create event");
        assert_eq!(read_all(1, r#""!j":{"required_state":7}"#), None, "it cannot be read");
        assert_eq!(
            read(&Bytes::from(r#"{"rooms":{}}"#), &ME.into(), Sticky::new()).unwrap(),
            None,
            "no list"
        );
    }
}
