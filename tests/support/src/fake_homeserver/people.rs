//! What people and their clients do in the fake's rooms while the bot runs.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    FakeHomeserver, contents,
    world::{ADMIN, BOT, Standing},
};
use crate::{CALL_MEMBER, Membership, clock, reading::is_open_content};

/// One of the memberships that the fake was started with, or that were added since.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The room.
    pub room: String,
    /// The state key.
    pub key: String,
}

impl FakeHomeserver {
    /// The room with this number, counted from 0.
    pub fn room(&self, number: usize) -> String {
        contents::room_id(number)
    }

    /// All memberships that are open now.
    pub fn open(&self) -> Vec<Place> {
        let world = self.shared.world();
        let mut open = Vec::new();
        for room in &world.rooms {
            let members = room.state.iter().filter(|((kind, _), _)| kind == CALL_MEMBER);
            let members =
                members.filter(|(_, event)| &*event.content != "{}" && is_open_content(&event.content()));
            open.extend(
                members.map(|((_, key), _)| Place { room: room.id.to_string(), key: key.to_string() }),
            );
        }
        open
    }

    /// Whether this key is open.
    pub fn is_open(&self, place: &Place) -> bool {
        let world = self.shared.world();
        let event = world.room(&place.room).and_then(|room| room.get(CALL_MEMBER, &place.key));
        event.is_some_and(|event| is_open_content(&event.content()))
    }

    /// The membership of the user with this number, as the population counts: living ones, departed, ghosts, empty.
    pub fn place(&self, number: usize) -> Result<Place> {
        // As the population spreads its users.
        let room = contents::room_id(number % self.call_rooms);
        let key = contents::state_key(number);
        let world = self.shared.world();
        let event = world.room(&room).and_then(|room| room.get(CALL_MEMBER, &key));
        event.with_context(|| format!("there is no membership {number}"))?;
        Ok(Place { room, key })
    }

    /// A client writes a membership into the room with this number.
    pub fn write(&self, room: usize, membership: &Membership) -> Place {
        let id = contents::room_id(room);
        let place = Place { key: membership.state_key(), room: id.clone() };
        let at = membership.sent_at().timestamp_millis();
        self.put(&place, &membership.user_id, at, &membership.content(&id));
        place
    }

    /// A client leaves: it empties its key.
    pub fn hang_up(&self, place: &Place) {
        let owner = place.key.trim_start_matches('_').split_once("_DEV").map_or(ADMIN, |(owner, _)| owner);
        self.put(place, owner, clock::now().timestamp_millis(), &json!({}));
    }

    fn put(&self, place: &Place, sender: &str, at_ms: i64, content: &Value) {
        let mut world = self.shared.world();
        let Some(room) = world.by_id.get(place.room.as_str()).copied() else { return };
        world.put_at(room, CALL_MEMBER, &place.key, sender, at_ms, content);
        drop(world);
        self.shared.wake();
    }

    /// Sets state of the room with this number as the admin.
    pub fn set_state(&self, room: &str, kind: &str, key: &str, content: &Value) {
        let mut world = self.shared.world();
        let Some(room) = world.by_id.get(room).copied() else { return };
        world.put(room, kind, key, ADMIN, content);
        drop(world);
        self.shared.wake();
    }

    /// Sends an event that is no state.
    pub fn send(&self, room: usize, kind: &str, sender: &str, content: &Value) {
        let mut world = self.shared.world();
        let Some(room) = world.by_id.get(contents::room_id(room).as_str()).copied() else { return };
        world.send(room, kind, sender, content, None);
        drop(world);
        self.shared.wake();
    }

    /// The client of the user with this number extends its membership by an hour.
    pub fn refresh(&self, number: usize) {
        let key = contents::state_key(number);
        let Ok(place) = self.place(number) else { return };
        let content = {
            let world = self.shared.world();
            let event = world.room(&place.room).and_then(|room| room.get(CALL_MEMBER, &key));
            event.map(|event| (event.content(), event.at_ms))
        };
        let Some((mut content, at)) = content.filter(|(content, _)| is_open_content(content)) else { return };
        if content["created_ts"].is_null() {
            content["created_ts"] = at.into();
        }
        content["expires"] = (content["expires"].as_i64().unwrap_or(0) + 3_600_000).into();
        self.put(&place, &contents::user_id(number), clock::now().timestamp_millis(), &content);
    }

    /// The membership of the user with this number ends so long from now.
    pub fn expire(&self, number: usize, after: Duration) -> Result<Place> {
        let place = self.place(number)?;
        let now = clock::now().timestamp_millis();
        // One that is over when it is sent is another case: its client is there and goes on.
        let after = i64::try_from(after.as_millis())?.max(1);
        let created = now - 2 * 3_600_000;
        let room = self.shared.world().by_id.get(place.room.as_str()).copied().context("its room")?;
        let content = contents::membership(number, room, now + after - created, Some(created));
        self.put(&place, &contents::user_id(number), now, &content);
        Ok(place)
    }

    /// The device of the user with this number is no longer in any list.
    pub fn sign_out(&self, number: usize) {
        self.sign_out_device(&contents::user_id(number), &contents::device_id(number));
    }

    /// Makes a room and invites the bot; answers the room's id.
    pub fn invite(&self, name: &str) -> String {
        let mut world = self.shared.world();
        let id = format!("!{name}:{}", super::world::SERVER);
        let room = world.add_room(&id);
        let admin = ADMIN.into();
        let now = clock::now().timestamp_millis();
        for (kind, key, content) in [
            ("m.room.create", "", json!({"room_version": "10", "creator": ADMIN})),
            ("m.room.member", ADMIN, json!({"membership": "join"})),
            ("m.room.power_levels", "", json!({"users": {ADMIN: 100}, "events": {CALL_MEMBER: 0}})),
            ("m.room.name", "", json!({"name": name})),
        ] {
            world.lay(room, kind, key, &admin, now, &content.to_string().into());
        }
        world.set_member(room, BOT, ADMIN, "invite");
        drop(world);
        self.shared.wake();
        id
    }

    /// Makes the bot's standing in a room `ban`, `leave` or `invite`, by the admin.
    pub fn set_bot(&self, room: &str, membership: &str) {
        let mut world = self.shared.world();
        let Some(room) = world.by_id.get(room).copied() else { return };
        world.set_member(room, BOT, ADMIN, membership);
        drop(world);
        self.shared.wake();
    }

    /// Whether the bot is in a room.
    pub fn bot_is_in(&self, room: &str) -> bool {
        self.shared.world().room(room).is_some_and(|room| room.standing == Standing::Joined)
    }

    /// Gives a room an alias.
    pub fn name(&self, alias: &str, room: &str) {
        self.shared.world().aliases.insert(alias.to_owned(), room.to_owned());
    }

    /// Takes an alias away.
    pub fn unname(&self, alias: &str) {
        self.shared.world().aliases.remove(alias);
    }

    /// From now on `/sync` v2 goes on telling these keys as they are now, whatever happens to them; a read of the
    /// state does not.
    pub fn keep_showing(&self, places: &[Place]) {
        self.forked(places, |world, room, key| world.keep_showing(room, &[key.to_owned()]));
    }

    /// From now on `/sync` v2 does not tell of these keys; a read of the state does.
    pub fn hide(&self, places: &[Place]) {
        self.forked(places, |world, room, key| world.hide(room, &[key.to_owned()]));
    }

    /// The next incremental `/sync` v2 that tells of this room says that it leaves something out, and tells the
    /// room's state as a full one does.
    pub fn leave_out_next(&self, room: &str) {
        let mut world = self.shared.world();
        if let Some(room) = world.by_id.get(room).copied() {
            world.limited.insert(room);
        }
    }

    fn forked(&self, places: &[Place], fork: impl Fn(&mut super::world::World, usize, &str)) {
        let mut world = self.shared.world();
        for place in places {
            if let Some(room) = world.by_id.get(place.room.as_str()).copied() {
                fork(&mut world, room, &place.key);
            }
        }
    }
}
