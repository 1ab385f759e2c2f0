//! What an SFU's answers mean, beside the cases that a saved export can show.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{
    ids::{RoomId, StateKey, UserId},
    judge::{
        evidence::{Device, RoomMember, Sfu},
        room::{Observations, Placed, SfuRoom, gather, sfu_rooms_to_ask},
    },
    rtc::{
        membership::{Content, FirstSeen, Focus, Membership, Owner, read},
        sfu_names::Recipe,
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const OURS: &str = "https://ours";

fn room() -> RoomId {
    "!r:hs".into()
}

/// A membership of a user of that name, who publishes at `service`.
fn member(user: &str, service: &str) -> (StateKey, Membership) {
    let key = format!("_@{user}:hs_D_m.call");
    let event = json!({
        "type": CALL_MEMBER, "state_key": key, "sender": format!("@{user}:hs"), "event_id": format!("${user}"),
        "origin_server_ts": NOW.as_millis() - 500_000,
        "content": {
            "application": "m.call", "call_id": "", "device_id": "D", "expires": 14_400_000,
            "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
            "foci_preferred": [{"type": "livekit", "livekit_service_url": service}],
        },
    });
    let event = StateEvent::from_json(event).expect("an event");
    let seen = FirstSeen { at: NOW, live: false };
    let Content::Entries(entries) = read(&event, seen) else { unreachable!("a session") };
    let membership = entries.into_iter().next().expect("one").expect("well-formed");
    (key.as_str().into(), membership)
}

/// One SFU of ours.
#[derive(Default)]
struct World {
    /// By name; one that is not here was not asked for.
    rooms: BTreeMap<String, SfuRoom>,
    knows_sfu_room: bool,
}

impl World {
    /// Everything that can be asked was answered with nobody, but for these in the room itself.
    fn with(people: &[&str], in_room: fn(crate::judge::room::Participants) -> SfuRoom) -> Self {
        let (key, membership) = member("anybody", OURS);
        let asked = sfu_rooms_to_ask(
            &room(),
            &[Placed { key: &key, membership: &membership }],
            &Self::default(),
            NOW,
        );
        let mut rooms: BTreeMap<_, _> = asked
            .into_iter()
            .map(|name| (name, SfuRoom::Participants(std::iter::empty().collect())))
            .collect();
        rooms.insert(
            Recipe::Json.name(&room()),
            in_room(people.iter().map(|user| format!("@{user}:hs:D")).collect()),
        );
        Self { rooms, knows_sfu_room: false }
    }

    /// What the SFU says of each of these, by their services.
    fn says(&self, members: &[(&str, &str)]) -> Vec<Sfu> {
        let members: Vec<_> = members.iter().map(|(user, service)| member(user, service)).collect();
        let open: Vec<_> = members.iter().map(|(key, membership)| Placed { key, membership }).collect();
        gather(&room(), &open, self, NOW).into_iter().map(|evidence| evidence.sfu).collect()
    }
}

impl Observations for World {
    fn room_member(&self, _: &UserId) -> RoomMember {
        RoomMember::Joined
    }

    fn device(&self, _: &Owner) -> Device {
        Device::NotAsked
    }

    fn is_our_sfu(&self, focus: &Focus) -> bool {
        focus.names().any(|name| name == OURS)
    }

    fn sfu_room(&self, _: &Focus, name: &str) -> SfuRoom {
        self.rooms.get(name).cloned().unwrap_or(SfuRoom::Unknown)
    }

    fn on_each_sfu(&self, name: &str) -> Vec<SfuRoom> {
        vec![self.rooms.get(name).cloned().unwrap_or(SfuRoom::Unknown)]
    }

    fn was_on_sfu(&self, _: Placed<'_>) -> bool {
        false
    }

    fn knows_sfu_room(&self, _: Placed<'_>) -> bool {
        self.knows_sfu_room
    }
}

#[test]
fn who_is_listed_by_an_sfu_that_may_not_know_all_yet_is_there_and_nobody_is_absent() {
    let both = [("alice", OURS), ("bob", OURS)];
    let mut world = World::with(&["alice"], SfuRoom::AtLeast);
    world.knows_sfu_room = true;
    assert_eq!(world.says(&both), [Sfu::Listed, Sfu::Unknown]);
    let mut world = World::with(&["alice"], SfuRoom::Participants);
    world.knows_sfu_room = true;
    assert_eq!(world.says(&both), [Sfu::Listed, Sfu::Absent { counts: true }]);
}

#[test]
fn absence_from_a_room_whose_name_is_not_known_for_sure_counts_for_nothing() {
    let mut world = World::with(&[], SfuRoom::Participants);
    assert_eq!(world.says(&[("alice", OURS)]), [Sfu::Absent { counts: false }]);
    world.knows_sfu_room = true;
    assert_eq!(world.says(&[("alice", OURS)]), [Sfu::Absent { counts: true }]);
}

#[test]
fn every_name_that_a_call_may_have_is_asked_for_unless_all_are_elsewhere_for_sure() {
    let names = |members: &[(&str, &str)]| -> BTreeSet<String> {
        let members: Vec<_> = members.iter().map(|(user, service)| member(user, service)).collect();
        let open: Vec<_> = members.iter().map(|(key, membership)| Placed { key, membership }).collect();
        sfu_rooms_to_ask(&room(), &open, &World::default(), NOW)
    };
    assert_eq!(names(&[("alice", "https://theirs")]), BTreeSet::new());
    let ours = names(&[("alice", OURS)]);
    for recipe in Recipe::ALL {
        assert!(ours.contains(&recipe.name(&room())), "{recipe:?}");
    }
    assert_eq!(names(&[("alice", "https://theirs"), ("bob", OURS)]), ours);
}

#[test]
fn whom_no_membership_explains_may_be_the_one_who_is_absent() {
    let mut world = World::with(&[], SfuRoom::Participants);
    world.knows_sfu_room = true;
    let stranger = SfuRoom::Participants(std::iter::once("@alice:hs:".to_owned()).collect());
    world.rooms.insert(Recipe::Json.name(&room()), stranger);
    assert_eq!(world.says(&[("alice", OURS)]), [Sfu::Absent { counts: false }]);
}
