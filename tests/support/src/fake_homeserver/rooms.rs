//! `/rooms/{id}/…`, `/join` and the directory: reads of the current state, writes, joining and leaving.

use serde_json::{Value, json};

use super::{
    event::write_all,
    reply::Reply,
    request::{Call, Caller},
    world::{BOT, MEMBER, Standing, World, known},
};
use crate::clock;

/// What Synapse takes of one event.
const LARGEST_EVENT: usize = 65_536;

impl World {
    pub(super) fn rooms(&mut self, call: &Call) -> Reply {
        let (parts, user) = (call.parts(), call.user());
        let outside = || Reply::error(403, "M_FORBIDDEN", &format!("User {user} not in room {}", parts[1]));
        let Some(index) = self.by_id.get(parts[1]).copied() else {
            return outside();
        };
        match (call.method.as_str(), &parts[2..]) {
            ("POST", ["join"]) if user == BOT => self.join(index),
            _ if !self.rooms[index].has_joined(user) => outside(),
            ("GET", ["state"]) => self.state(index),
            ("GET", ["state", kind, key @ ..]) => self.state_event(index, kind, first(key), call),
            ("PUT", ["state", kind, key @ ..]) => self.put_state(index, kind, first(key), call),
            ("PUT", ["send", kind, transaction]) => self.send_message(index, kind, transaction, call),
            ("PUT", ["redact", event, transaction]) => self.redact(index, event, transaction, call),
            ("GET", ["members"]) => self.members(index),
            ("GET", ["joined_members"]) => self.joined_members(index),
            ("GET", ["messages"]) => self.messages(index, call),
            ("GET", ["event", id]) => self.event(index, id, |json| json),
            ("GET", ["context", id]) => {
                self.event(index, id, |json| format!(r#"{{"event":{json},"state":[]}}"#))
            }
            ("POST", ["leave"]) => {
                self.set_member(index, user, user, "leave");
                Reply::json(&json!({}))
            }
            ("POST" | "PUT", ["receipt" | "read_markers" | "typing", ..]) => Reply::json(&json!({})),
            _ => Reply::unrecognized(),
        }
    }

    /// `/join/{id or alias}`
    pub(super) fn join_by_name(&mut self, name: &str) -> Reply {
        let id = self.aliases.get(name).map_or(name, String::as_str);
        match self.by_id.get(id).copied() {
            Some(index) => self.join(index),
            None => Reply::error(404, "M_NOT_FOUND", "No known servers"),
        }
    }

    fn join(&mut self, index: usize) -> Reply {
        let own = self.rooms[index].get(MEMBER, BOT).map(|event| event.content()).unwrap_or_default();
        match self.rooms[index].standing {
            Standing::Out if own["membership"] == "ban" => {
                return Reply::error(403, "M_FORBIDDEN", &format!("{BOT} is banned from the room"));
            }
            Standing::Out => return Reply::error(403, "M_FORBIDDEN", "You are not invited to this room."),
            Standing::Invited => self.set_member(index, BOT, BOT, "join"),
            Standing::Joined => {}
        }
        Reply::json(&json!({"room_id": &*self.rooms[index].id}))
    }

    /// `/directory/room/{alias}`
    pub(super) fn directory(&self, alias: &str) -> Reply {
        match self.aliases.get(alias) {
            Some(room) => Reply::json(&json!({"room_id": room, "servers": ["fake.test"]})),
            None => Reply::error(404, "M_NOT_FOUND", &format!("Room alias {alias} not found")),
        }
    }

    /// `/joined_rooms`
    pub(super) fn joined_rooms(&self) -> Reply {
        let joined = self.rooms.iter().filter(|room| room.standing == Standing::Joined);
        Reply::json(&json!({"joined_rooms": joined.map(|room| &*room.id).collect::<Vec<_>>()}))
    }

    fn state(&self, index: usize) -> Reply {
        let mut json = String::new();
        write_all(&mut json, self.rooms[index].state.values());
        Reply::text(json)
    }

    fn state_event(&self, index: usize, kind: &str, key: &str, call: &Call) -> Reply {
        match self.rooms[index].get(kind, key) {
            None => Reply::error(404, "M_NOT_FOUND", "Event not found."),
            Some(event) if call.query("format") == Some("event") => Reply::text(event.json()),
            Some(event) => Reply::text(event.content.to_string()),
        }
    }

    fn put_state(&mut self, index: usize, kind: &str, key: &str, call: &Call) -> Reply {
        let (room, user) = (&self.rooms[index], call.user());
        if !room.has_power(user, kind) {
            let error =
                "You don't have permission to post that to the room. user_level (0) < send_level (100)";
            return Reply::error(403, "M_FORBIDDEN", error);
        }
        if key.starts_with('@') && key != user {
            return Reply::error(403, "M_FORBIDDEN", "You are not allowed to set others state");
        }
        let same = room
            .get(kind, key)
            .filter(|old| &*old.sender == user && old.redaction.is_none() && old.content() == call.body);
        if let Some(old) = same {
            return Reply::json(&json!({"event_id": old.id()}));
        }
        // Only an appservice may say when.
        let said = call.query("ts").filter(|_| call.caller == Caller::Appservice);
        let at = said.and_then(|ms| ms.parse().ok()).unwrap_or_else(|| clock::now().timestamp_millis());
        let id = self.put_at(index, &known(kind), key, user, at, &call.body).id();
        Reply::json(&json!({"event_id": id}))
    }

    fn send_message(&mut self, index: usize, kind: &str, transaction: &str, call: &Call) -> Reply {
        if call.body.to_string().len() > LARGEST_EVENT {
            return Reply::error(413, "M_TOO_LARGE", "event too large");
        }
        let transaction = format!("{}/{transaction}", call.device());
        let again =
            self.log.iter().rev().find(|(_, event)| event.transaction.as_deref() == Some(&transaction));
        let id = match again {
            Some((_, event)) => event.id(),
            None => self.send(index, kind, call.user(), &call.body, Some(transaction)).id(),
        };
        Reply::json(&json!({"event_id": id}))
    }

    fn redact(&mut self, index: usize, id: &str, transaction: &str, call: &Call) -> Reply {
        let (room, user) = (&self.rooms[index], call.user());
        let logged = self.log.iter().filter(|(of, _)| *of == index).map(|(_, event)| event);
        let Some(target) = logged.chain(room.state.values()).find(|event| event.id() == id) else {
            return Reply::error(404, "M_NOT_FOUND", &format!("Could not find event {id}"));
        };
        if &*target.sender != user && !room.may_redact(user) {
            return Reply::error(403, "M_FORBIDDEN", "You don't have permission to redact events");
        }
        let number = target.number;
        let mut content = call.body.clone();
        content["redacts"] = id.into();
        let redaction = self.send(
            index,
            "m.room.redaction",
            user,
            &content,
            Some(format!("{}/{transaction}", call.device())),
        );
        self.empty(index, number, &redaction);
        Reply::json(&json!({"event_id": redaction.id()}))
    }

    fn members(&self, index: usize) -> Reply {
        let members = self.rooms[index].state.iter().filter(|((kind, _), _)| kind == MEMBER);
        let mut json = r#"{"chunk":"#.to_owned();
        write_all(&mut json, members.map(|(_, event)| event));
        json.push('}');
        Reply::text(json)
    }

    fn joined_members(&self, index: usize) -> Reply {
        let members = self.rooms[index].state.iter().filter(|((kind, _), _)| kind == MEMBER);
        let joined = members.filter(|(_, event)| event.content()["membership"] == "join");
        let joined = joined.map(|((_, user), _)| (user.to_string(), json!({"display_name": null})));
        Reply::json(&json!({"joined": joined.collect::<serde_json::Map<String, Value>>()}))
    }

    fn messages(&self, index: usize, call: &Call) -> Reply {
        let limit = call.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
        // Of a filter, `senders` and `types` are obeyed.
        let filter: Value =
            call.query("filter").and_then(|filter| serde_json::from_str(filter).ok()).unwrap_or_default();
        let passes = |event: &Value, list: &str, field: &str| {
            filter[list].as_array().is_none_or(|wanted| wanted.contains(&event[field]))
        };
        let newest = self.log.iter().rev().filter(|(of, event)| {
            let event: Value = serde_json::from_str(&event.json()).unwrap_or_default();
            *of == index && passes(&event, "senders", "sender") && passes(&event, "types", "type")
        });
        let newest = newest.take(limit);
        let mut json = r#"{"start":"p","chunk":"#.to_owned();
        write_all(&mut json, newest.map(|(_, event)| event));
        json.push('}');
        Reply::text(json)
    }

    fn event(&self, index: usize, id: &str, wrap: impl Fn(String) -> String) -> Reply {
        let logged = self.log.iter().filter(|(of, _)| *of == index).map(|(_, event)| event);
        let mut all = logged.chain(self.rooms[index].state.values());
        match all.find(|event| event.id() == id) {
            Some(event) => Reply::text(wrap(event.json())),
            None => Reply::error(404, "M_NOT_FOUND", "Event not found."),
        }
    }
}

/// The state key of a path; empty where it has none.
fn first<'a>(key: &[&'a str]) -> &'a str {
    key.first().copied().unwrap_or_default()
}
