//! Reading the whole state of one room, event by event: a large room has tens of thousands of members,
//! and all but a few play no part.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use rtc_janitor_core::{
    export::room_member,
    ids::{RoomId, UserId},
    judge::evidence::RoomMember,
    rtc::{
        state_event::{CALL_MEMBER, StateEvent},
        state_key,
    },
};
use serde::{
    Deserializer as _,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::watch::reading::{Head, state_event};
use crate::world::{NeighbourError, RoomView};

/// What is kept beside the memberships.
const ABOUT_THE_ROOM: [&str; 7] = [
    "m.room.create",
    "m.room.power_levels",
    "m.room.name",
    "m.room.canonical_alias",
    "m.room.tombstone",
    "org.matrix.msc4143.rtc.slot",
    "m.rtc.slot",
];

/// Reads the answer of `GET /rooms/{id}/state`.
pub(super) fn read(body: &[u8], room: &RoomId, me: &UserId) -> Result<RoomView, NeighbourError> {
    let mut state = State { room, me, events: Vec::new(), members: BTreeMap::new() };
    let mut json = serde_json::Deserializer::from_slice(body);
    json.deserialize_seq(&mut state).and_then(|()| json.end()).map_err(|error| {
        NeighbourError::Unreachable(format!("the state of a room could not be read: {error}"))
    })?;
    if !state.events.iter().any(|event| event.event_type == "m.room.create") {
        // Every room has one, so this is not all there is.
        return Err(NeighbourError::Unreachable("the state of a room has no m.room.create".to_owned()));
    }
    // A server may go on answering with the state of when the bot was there.
    if !matches!(state.member(me), RoomMember::Joined | RoomMember::Unknown) {
        return Err(NeighbourError::NotInRoom(format!("{me} is not in {room} by its state")));
    }
    let owners = state.events.iter().filter(|event| event.event_type == CALL_MEMBER).flat_map(owners);
    let owners: BTreeSet<_> = owners.collect();
    let members = owners.into_iter().map(|user| {
        let member = state.member(&user);
        (user, member)
    });
    let members = members.collect();
    Ok(RoomView { events: state.events, members })
}

fn owners(event: &StateEvent) -> impl Iterator<Item = UserId> + use<> {
    state_key::user(&event.state_key).map(UserId::from).into_iter().chain([event.sender.clone()])
}

/// The events that matter, and the text of each member's, which only owners are read of.
struct State<'a, 'r> {
    room: &'r RoomId,
    me: &'r UserId,
    events: Vec<StateEvent>,
    members: BTreeMap<String, &'a RawValue>,
}

impl State<'_, '_> {
    fn member(&self, user: &UserId) -> RoomMember {
        match self.members.get(user.as_str()) {
            // Where not even the bot's own event is named, not all members are.
            None if !self.members.contains_key(self.me.as_str()) => RoomMember::Unknown,
            None => room_member(None),
            Some(text) => {
                state_event(text, self.room).map_or(RoomMember::Unknown, |event| room_member(Some(&event)))
            }
        }
    }
}

impl<'de: 'a, 'a> Visitor<'de> for &mut State<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of state events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(event) = seq.next_element::<&'de RawValue>()? {
            let Some(head) = Head::of(event) else { continue };
            if head.kind == "m.room.member" {
                self.members.extend(head.state_key.map(|user| (user.into_owned(), event)));
            } else if (head.kind == CALL_MEMBER && !head.is_emptied_by_others(self.me))
                || ABOUT_THE_ROOM.contains(&&*head.kind)
            {
                self.events.extend(state_event(event, self.room));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, key: &str, sender: &str, content: impl Into<Value>) -> Value {
        let content = content.into();
        json!({"type": kind, "state_key": key, "sender": sender, "origin_server_ts": 5, "event_id": "$e",
            "content": content})
    }

    fn view(more: &[Value]) -> Result<RoomView, NeighbourError> {
        let mut state = vec![
            event("m.room.create", "", "@a:hs", json!({"room_version": "12"})),
            event("m.room.member", "@bot:hs", "@bot:hs", json!({"membership": "join"})),
        ];
        state.extend_from_slice(more);
        read(Value::from(state).to_string().as_bytes(), &"!r".into(), &"@bot:hs".into())
    }

    #[test]
    fn where_the_bot_is_not_named_whoever_is_not_named_either_is_unknown() {
        let ghost = event(CALL_MEMBER, "_@gone:hs_D_m.call", "@gone:hs", json!({"a": 1}));
        let left = event("m.room.member", "@left:hs", "@left:hs", json!({"membership": "leave"}));
        let other = event(CALL_MEMBER, "_@left:hs_D_m.call", "@left:hs", json!({"a": 1}));
        let create = event("m.room.create", "", "@a:hs", json!({"room_version": "12"}));
        let state = Value::from(vec![create, ghost, left, other]).to_string();
        let members = read(state.as_bytes(), &"!r".into(), &"@bot:hs".into()).unwrap().members;
        assert!(matches!(members[&"@gone:hs".into()], RoomMember::Unknown));
        assert!(matches!(members[&"@left:hs".into()], RoomMember::NotJoined { .. }));
    }

    #[test]
    fn of_all_members_only_those_of_memberships_are_told() {
        let call = json!({"application": "m.call"});
        let member = |user: &str, is: &str| event("m.room.member", user, user, json!({"membership": is}));
        let view = view(&[
            member("@a:hs", "join"),
            member("@b:hs", "leave"),
            member("@c:hs", "join"),
            event(CALL_MEMBER, "_@a:hs_D", "@b:hs", call.clone()),
            event(CALL_MEMBER, "_@gone:hs_D", "@a:hs", call),
            event(CALL_MEMBER, "_@c:hs_D", "@c:hs", json!({})),
            event(CALL_MEMBER, "_@c:hs_E", "@bot:hs", json!({})),
            event("m.room.topic", "", "@a:hs", json!({})),
            event("m.rtc.slot", "m.call#ROOM", "@a:hs", json!({"status": "closed"})),
        ])
        .unwrap();

        let keys: Vec<_> = view.events.iter().map(|event| event.state_key.as_str()).collect();
        assert_eq!(keys, ["", "_@a:hs_D", "_@gone:hs_D", "_@c:hs_E", "m.call#ROOM"]);
        let of = |user: &str| view.members.get(&user.into()).copied();
        assert_eq!(of("@a:hs"), Some(RoomMember::Joined));
        assert!(matches!(of("@b:hs"), Some(RoomMember::NotJoined { since: Some(_) })));
        assert_eq!(of("@gone:hs"), Some(RoomMember::NotJoined { since: None }));
        assert_eq!(of("@c:hs"), Some(RoomMember::Joined), "of the key that the bot emptied");
        assert_eq!(view.members.len(), 5, "with the bot, who wrote one");
    }

    #[test]
    fn a_member_that_cannot_be_read_is_unknown_and_no_event_spoils_another() {
        let mut unreadable = event("m.room.member", "@a:hs", "@a:hs", json!({"membership": "leave"}));
        unreadable["origin_server_ts"] = json!("never");
        let view = view(&[
            json!(7),
            json!({"type": 7}),
            unreadable,
            event(CALL_MEMBER, "_@a:hs_D", "@a:hs", json!({"application": "m.call"})),
        ])
        .unwrap();
        assert_eq!(view.members[&"@a:hs".into()], RoomMember::Unknown);
        assert_eq!(view.events.len(), 2);
    }

    #[test]
    fn the_state_of_a_room_that_the_bot_is_not_in_is_no_view_of_it() {
        let kicked = event("m.room.member", "@bot:hs", "@a:hs", json!({"membership": "leave"}));
        assert!(matches!(view(&[kicked]), Err(NeighbourError::NotInRoom(_))));
        let read = |text: &str| read(text.as_bytes(), &"!r".into(), &"@bot:hs".into());
        assert!(matches!(read("[]"), Err(NeighbourError::Unreachable(_))));
        assert!(matches!(read("{}"), Err(NeighbourError::Unreachable(_))));
        assert!(matches!(read("[] more"), Err(NeighbourError::Unreachable(_))));
    }
}
