//! Who lives in a fake homeserver when it starts: so many rooms, memberships, ghosts and old keys.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    contents::{device_id, membership, power_levels, room_id, state_key, user_id},
    residents::{ListedDevice, Resident},
    world::{ADMIN, ADMIN_ROOM, BOT, MEMBER, SERVER, SERVER_ADMIN, World},
};
use crate::{CALL_MEMBER, clock};

/// What is there at the start. Ghosts are memberships that have expired an hour ago; all others live for hours.
#[derive(Debug, Clone)]
pub struct Population {
    pub(super) rooms: usize,
    pub(super) unseen: usize,
    pub(super) call_rooms: Option<usize>,
    pub(super) open: usize,
    pub(super) ghosts: usize,
    pub(super) expired_for: Duration,
    pub(super) empty: usize,
    pub(super) blocked: bool,
    pub(super) departed: usize,
    pub(super) sliding_sync: bool,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            rooms: 1,
            unseen: 0,
            call_rooms: None,
            open: 0,
            ghosts: 0,
            expired_for: Duration::from_hours(1),
            empty: 0,
            blocked: false,
            departed: 0,
            sliding_sync: true,
        }
    }
}

impl Population {
    /// One room without a call.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many rooms with the bot in them, the admin room not counted; nine of ten have a name.
    #[must_use]
    pub fn rooms(mut self, rooms: usize) -> Self {
        self.rooms = rooms;
        self
    }

    /// So many of the rooms, the last ones, have the admin in them and not the bot.
    #[must_use]
    pub fn unseen(mut self, rooms: usize) -> Self {
        self.unseen = rooms;
        self
    }

    /// Memberships are spread over so many of the rooms; over all of them where nothing is said.
    #[must_use]
    pub fn call_rooms(mut self, rooms: usize) -> Self {
        self.call_rooms = Some(rooms);
        self
    }

    /// Living memberships, each of a user of its own.
    #[must_use]
    pub fn open(mut self, open: usize) -> Self {
        self.open = open;
        self
    }

    /// Memberships that have expired.
    #[must_use]
    pub fn ghosts(mut self, ghosts: usize) -> Self {
        self.ghosts = ghosts;
        self
    }

    /// For how long the ghosts have been expired; an hour where nothing is said.
    #[must_use]
    pub fn expired_for(mut self, time: Duration) -> Self {
        self.expired_for = time;
        self
    }

    /// Keys that were emptied long ago, half of them by the bot.
    #[must_use]
    pub fn empty(mut self, empty: usize) -> Self {
        self.empty = empty;
        self
    }

    /// The bot may not write memberships in any of the rooms.
    #[must_use]
    pub fn blocked(mut self) -> Self {
        self.blocked = true;
        self
    }

    /// Living memberships of users who have left their room.
    #[must_use]
    pub fn departed(mut self, departed: usize) -> Self {
        self.departed = departed;
        self
    }

    /// Speaks `/sync` v2 alone.
    #[must_use]
    pub fn without_sliding_sync(mut self) -> Self {
        self.sliding_sync = false;
        self
    }

    pub(super) fn build(&self) -> World {
        let mut world = World::default();
        world.sliding_sync = self.sliding_sync;
        admin_room(&mut world);
        let mut shared = Shared::new(self.blocked);
        for number in 0..self.rooms {
            let name = (number % 10 != 9).then(|| format!("Team room {number}"));
            let member = if number + self.unseen < self.rooms { &shared.bot } else { &shared.admin };
            shared.room(&mut world, &room_id(number), name.as_deref(), member);
        }
        let call_rooms = self.call_rooms.unwrap_or(self.rooms).clamp(1, self.rooms.max(1));
        // Rooms stand behind the admin room.
        let room_of = |number: usize| 1 + number % call_rooms;
        let hours = |count: i64| count * 3_600_000;
        let now = clock::now().timestamp_millis();
        let mut number = 0;
        let mut next = || {
            number += 1;
            number - 1
        };
        for index in 0..self.open + self.departed {
            let user = next();
            // As a client writes that has refreshed its membership twice.
            let content = membership(user, room_of(user), hours(6), Some(now - hours(2)));
            let at = now - i64::try_from(user % 50).unwrap_or(0) * 60_000;
            shared.membership(&mut world, room_of(user), user, at, &content);
            if index >= self.open {
                shared.owner(&mut world, room_of(user), user, "leave");
            }
        }
        let ended = i64::try_from(self.expired_for.as_millis()).unwrap_or(i64::MAX / 2);
        for _ in 0..self.ghosts {
            let user = next();
            let content = membership(user, room_of(user), hours(4), None);
            shared.membership(&mut world, room_of(user), user, now - hours(4) - ended, &content);
        }
        for index in 0..self.empty {
            let user = next();
            let by = if index % 2 == 0 { Arc::clone(&shared.bot) } else { user_id(user).into() };
            let at = now - hours(1) * i64::try_from(index % 1000).unwrap_or(0);
            world.lay(room_of(user), CALL_MEMBER, &state_key(user), &by, at, &shared.nothing);
        }
        world
    }
}

/// Contents and ids that many events share.
struct Shared {
    bot: Arc<str>,
    admin: Arc<str>,
    nothing: Arc<str>,
    create: Arc<str>,
    levels: Arc<str>,
    joined: Arc<str>,
    born: i64,
}

impl Shared {
    fn new(blocked: bool) -> Self {
        let text = |value: Value| Arc::<str>::from(value.to_string());
        Self {
            bot: BOT.into(),
            admin: ADMIN.into(),
            nothing: "{}".into(),
            create: text(json!({"room_version": "10", "creator": ADMIN})),
            levels: text(power_levels(if blocked { 100 } else { 0 })),
            joined: text(json!({"membership": "join", "displayname": "somebody"})),
            born: clock::now().timestamp_millis() - 30 * 86_400_000,
        }
    }

    fn room(&self, world: &mut World, id: &str, name: Option<&str>, member: &Arc<str>) -> usize {
        let room = world.add_room(id);
        world.lay(room, "m.room.create", "", &self.admin, self.born, &self.create);
        world.lay(room, "m.room.power_levels", "", &self.admin, self.born, &self.levels);
        world.lay(room, MEMBER, member, member, self.born, &self.joined);
        if let Some(name) = name {
            let content = json!({"name": name}).to_string().into();
            world.lay(room, "m.room.name", "", &self.admin, self.born, &content);
        }
        room
    }

    fn membership(&mut self, world: &mut World, room: usize, user: usize, at: i64, content: &Value) {
        let owner = user_id(user);
        let devices = [device_id(user), format!("OTHER{user:07}")].map(ListedDevice::new);
        let resident = Resident { devices: devices.into(), ..Resident::default() };
        world.residents.insert(owner.clone(), resident);
        self.owner(world, room, user, "join");
        world.lay(room, CALL_MEMBER, &state_key(user), &owner.into(), at, &content.to_string().into());
    }

    fn owner(&self, world: &mut World, room: usize, user: usize, membership: &str) {
        let owner: Arc<str> = user_id(user).into();
        let left = || json!({"membership": membership}).to_string().into();
        let content = if membership == "join" { Arc::clone(&self.joined) } else { left() };
        world.lay(room, MEMBER, &owner, &owner, self.born, &content);
    }
}

fn admin_room(world: &mut World) {
    let mut shared = Shared::new(false);
    shared.levels = power_levels(50).to_string().into();
    let room = shared.room(world, ADMIN_ROOM, Some("Janitor"), &shared.bot);
    for (kind, content) in [
        ("m.room.join_rules", json!({"join_rule": "invite"})),
        ("m.room.history_visibility", json!({"history_visibility": "shared"})),
    ] {
        world.lay(room, kind, "", &shared.admin, shared.born, &content.to_string().into());
    }
    world.lay(room, MEMBER, ADMIN, &shared.admin, shared.born, &shared.joined);
    for user in [ADMIN, SERVER_ADMIN] {
        world.residents.insert(user.to_owned(), Resident::default());
    }
    world.aliases.insert(format!("#janitor:{SERVER}"), ADMIN_ROOM.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_population_has_what_was_asked_for() {
        let world = Population::new().rooms(20).call_rooms(4).open(10).ghosts(5).empty(6).departed(2).build();

        let joined = world.rooms.iter().filter(|room| room.standing == super::super::world::Standing::Joined);
        assert_eq!(joined.count(), 21);
        let keys = |open: bool| {
            let events = world.rooms.iter().flat_map(|room| room.state.values());
            events.filter(|event| event.kind == CALL_MEMBER && (&*event.content != "{}") == open).count()
        };
        assert_eq!((keys(true), keys(false)), (17, 6));
        let with_a_call =
            world.rooms.iter().filter(|room| room.state.keys().any(|(kind, _)| kind == CALL_MEMBER));
        assert_eq!(with_a_call.count(), 4);
    }
}
