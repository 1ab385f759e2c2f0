//! `/_synapse/admin/…`: what Synapse tells and does for an administrator of the server, and for nobody else.

use serde_json::{Value, json};

use super::{
    FakeHomeserver,
    event::write_all,
    reply::Reply,
    request::{Call, Caller},
    residents::Resident,
    world::{ADMIN_TOKEN, BOT, CREATE, JOIN_RULES, MEMBER, POWER_LEVELS, Room, SERVER, SERVER_ADMIN, World},
};

/// How many rooms Synapse lists where nothing is said.
const PAGE: usize = 100;

impl FakeHomeserver {
    /// The token of an administrator of the server, who is in no room.
    pub fn admin_token(&self) -> &'static str {
        ADMIN_TOKEN
    }

    /// Makes the bot's account an administrator of the server, or no longer one.
    pub fn set_bot_admin(&self, admin: bool) {
        self.shared.world().bot_is_admin = admin;
    }
}

impl World {
    pub(super) fn server_admin(&mut self, call: &Call) -> Reply {
        let is_admin = match call.caller {
            Caller::ServerAdmin => true,
            Caller::Device => self.bot_is_admin,
            Caller::Appservice | Caller::Nobody => false,
        };
        if !is_admin {
            return Reply::error(403, "M_FORBIDDEN", "You are not a server admin");
        }
        match (call.method.as_str(), &call.parts()[2..]) {
            ("GET", ["v2", "users", user]) => {
                self.resident(user, "Can only look up local users", |resident| account(user, resident))
            }
            ("GET", ["v2", "users", user, "devices"]) => self.listed_devices(user),
            (_, ["v1", "users", user, "override_ratelimit"]) => self.override_ratelimit(user, call),
            ("GET", ["v1", "rooms"]) => self.list_rooms(call),
            ("GET", ["v1", "rooms", room]) => self.with_room(room, |room| Reply::json(&details(room))),
            ("GET", ["v1", "rooms", room, "state"]) => self.with_room(room, |room| {
                let wanted = call.query("type");
                let events = room.state.values().filter(|event| wanted.is_none_or(|kind| event.kind == kind));
                let mut json = r#"{"state":"#.to_owned();
                write_all(&mut json, events);
                json.push('}');
                Reply::text(json)
            }),
            ("GET", ["v1", "rooms", room, "members"]) => self.with_room(room, |room| {
                let members: Vec<_> = joined(room).collect();
                Reply::json(&json!({"members": members, "total": members.len()}))
            }),
            ("POST", ["v1", "rooms", room, "make_room_admin"]) => self.make_room_admin(room, call),
            ("POST", ["v1", "join", room]) => self.join_for(room, call),
            _ => Reply::unrecognized(),
        }
    }

    fn resident(&self, user: &str, elsewhere: &str, tell: impl Fn(&Resident) -> Value) -> Reply {
        if !is_local(user) {
            return Reply::error(400, "M_UNKNOWN", elsewhere);
        }
        if user == BOT {
            let mut said = self.residents.get(user).map(|bot| bot.said.clone()).unwrap_or_default();
            said.insert("admin".to_owned(), self.bot_is_admin.into());
            return Reply::json(&tell(&Resident { said, ..Resident::default() }));
        }
        match self.residents.get(user) {
            Some(resident) => Reply::json(&tell(resident)),
            None => Reply::error(404, "M_NOT_FOUND", "User not found"),
        }
    }

    fn listed_devices(&self, user: &str) -> Reply {
        if !is_local(user) {
            return Reply::error(400, "M_UNKNOWN", "Can only lookup local users");
        }
        match self.devices_of(user) {
            Some(devices) => Reply::json(&json!({"total": devices.len(), "devices": devices})),
            None => Reply::error(404, "M_NOT_FOUND", "Unknown user"),
        }
    }

    /// The server's own list; `None` where it has no such user.
    pub(super) fn devices_of(&self, user: &str) -> Option<Vec<Value>> {
        let device = |id: &str, seen_ms: Option<i64>| {
            let ip = seen_ms.map(|_| "127.0.0.1");
            json!({
                "user_id": user, "device_id": id, "display_name": null,
                "last_seen_ip": ip, "last_seen_user_agent": null, "last_seen_ts": seen_ms,
            })
        };
        if user == BOT {
            return Some(self.account.devices().into_iter().map(|id| device(id, None)).collect());
        }
        let listed = &self.residents.get(user)?.devices;
        Some(listed.iter().map(|listed| device(&listed.id, listed.seen_ms)).collect())
    }

    fn override_ratelimit(&mut self, user: &str, call: &Call) -> Reply {
        if !is_local(user) {
            return Reply::error(400, "M_UNKNOWN", "Only local users can be ratelimited");
        }
        if user != BOT && !self.residents.contains_key(user) {
            return Reply::error(404, "M_NOT_FOUND", "User not found");
        }
        let limits = &mut self.residents.entry(user.to_owned()).or_default().rate_limits;
        match call.method.as_str() {
            "POST" => {
                let given = |name: &str| call.body[name].as_u64().unwrap_or(0);
                let (per_second, burst) = (given("messages_per_second"), given("burst_count"));
                *limits = json!({"messages_per_second": per_second, "burst_count": burst});
            }
            "DELETE" => *limits = Value::Null,
            _ => {}
        }
        if limits.is_null() { Reply::json(&json!({})) } else { Reply::json(limits) }
    }

    fn list_rooms(&self, call: &Call) -> Reply {
        let number = |name: &str| call.query(name).and_then(|number| number.parse::<usize>().ok());
        let (from, limit) = (number("from").unwrap_or(0), number("limit").unwrap_or(PAGE));
        let page = self.rooms.iter().skip(from).take(limit).map(summary).collect::<Vec<_>>();
        let mut answer = json!({"rooms": page, "offset": from, "total_rooms": self.rooms.len()});
        if from + limit < self.rooms.len() {
            answer["next_batch"] = (from + limit).into();
        }
        if from > 0 {
            answer["prev_batch"] = from.saturating_sub(limit).into();
        }
        Reply::json(&answer)
    }

    fn with_room(&self, room: &str, tell: impl Fn(&Room) -> Reply) -> Reply {
        self.room(room).map_or_else(|| Reply::error(404, "M_NOT_FOUND", "Room not found"), tell)
    }

    /// Somebody who has power in the room shares it, and invites.
    fn make_room_admin(&mut self, id: &str, call: &Call) -> Reply {
        let user = call.body["user_id"].as_str().unwrap_or(call.user()).to_owned();
        let Some(index) = self.by_id.get(id).copied() else {
            return Reply::error(400, "M_UNKNOWN", "Server not in room");
        };
        let room = &self.rooms[index];
        let mut levels = content(room, POWER_LEVELS);
        let has_power = levels["users"].as_object().into_iter().flatten();
        let mut local = has_power.filter(|(name, _)| is_local(name) && room.membership(name) == "join");
        let Some((mighty, level)) = local.next().map(|(name, level)| (name.clone(), level.clone())) else {
            return Reply::error(400, "M_UNKNOWN", "No local admin user in room");
        };
        let comes_in = is_public(room) || matches!(room.membership(&user).as_str(), "join" | "invite");
        levels["users"][&user] = level;
        self.put(index, POWER_LEVELS, "", &mighty, &levels);
        if !comes_in {
            self.set_member(index, &user, &mighty, "invite");
        }
        Reply::json(&json!({}))
    }

    /// The administrator brings somebody in, which takes what any invitation takes.
    fn join_for(&mut self, name: &str, call: &Call) -> Reply {
        let user = call.body["user_id"].as_str().unwrap_or_default().to_owned();
        if !is_local(&user) {
            return Reply::error(400, "M_UNKNOWN", "This endpoint can only be used with local users");
        }
        if user != BOT && !self.residents.contains_key(&user) {
            return Reply::error(404, "M_NOT_FOUND", "User not found");
        }
        let id = self.aliases.get(name).map_or(name, String::as_str);
        let Some(index) = self.by_id.get(id).copied() else {
            return Reply::error(404, "M_NOT_FOUND", "No known servers");
        };
        let (room, admin) = (&self.rooms[index], call.user());
        if !is_public(room) && room.membership(admin) != "join" {
            return Reply::error(403, "M_FORBIDDEN", &format!("{admin} not in room {id}."));
        }
        let id = id.to_owned();
        self.set_member(index, &user, &user, "join");
        Reply::json(&json!({"room_id": id}))
    }
}

fn is_local(user: &str) -> bool {
    user.split_once(':').is_some_and(|(_, server)| server == SERVER)
}

fn account(user: &str, resident: &Resident) -> Value {
    let mut account = json!({
        "name": user, "displayname": null, "admin": user == SERVER_ADMIN, "deactivated": false, "erased": false,
        "locked": false, "suspended": false, "shadow_banned": false, "is_guest": false, "user_type": null,
        "appservice_id": null, "creation_ts": 0, "last_seen_ts": resident.devices.iter().filter_map(|it| it.seen_ms).max(),
    });
    for (name, value) in &resident.said {
        account[name] = value.clone();
    }
    account
}

fn summary(room: &Room) -> Value {
    let members = joined(room).count();
    let create = room.get(CREATE, "");
    let of_create = content(room, CREATE);
    json!({
        "room_id": &*room.id, "name": content(room, "m.room.name")["name"], "canonical_alias": null,
        "joined_members": members, "joined_local_members": members,
        "version": of_create["room_version"], "creator": create.map(|event| &*event.sender),
        "encryption": content(room, "m.room.encryption")["algorithm"], "federatable": true,
        "public": is_public(room), "join_rules": content(room, JOIN_RULES)["join_rule"],
        "guest_access": null, "history_visibility": content(room, "m.room.history_visibility")["history_visibility"],
        "state_events": room.state.len(), "room_type": of_create["type"],
    })
}

fn details(room: &Room) -> Value {
    let mut details = summary(room);
    let successor = content(room, "m.room.tombstone");
    let more = json!({
        "avatar": null, "topic": null, "forgotten": false, "joined_local_devices": 0,
        "tombstoned": !successor.is_null(), "replacement_room": successor["replacement_room"],
    });
    details
        .as_object_mut()
        .into_iter()
        .for_each(|it| it.extend(more.as_object().cloned().unwrap_or_default()));
    details
}

fn joined(room: &Room) -> impl Iterator<Item = &str> {
    let members = room.state.iter().filter(|((kind, _), _)| kind == MEMBER);
    let joined = members.filter(|(_, event)| event.content()["membership"] == "join");
    joined.map(|((_, user), _)| &**user)
}

fn is_public(room: &Room) -> bool {
    content(room, JOIN_RULES)["join_rule"] == "public"
}

fn content(room: &Room, kind: &str) -> Value {
    room.get(kind, "").map(|event| event.content()).unwrap_or_default()
}
