//! Simplified sliding sync (MSC4186), as Synapse answers it: always the current state, and only the state asked for.

use std::{collections::HashSet, sync::Arc};

use serde_json::{Value, json};

use super::{
    event::{Event, quote, write_all},
    reply::Reply,
    request::Call,
    world::{BOT, MEMBER, Room, Standing, World},
};

/// What is wanted of a room.
struct Wanted {
    state: Vec<(String, String)>,
    timeline: usize,
}

impl Wanted {
    fn read(json: &Value) -> Self {
        let pairs = json["required_state"].as_array().into_iter().flatten();
        let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
        Self {
            state: pairs.filter_map(pair).collect(),
            timeline: json["timeline_limit"].as_u64().and_then(|limit| limit.try_into().ok()).unwrap_or(0),
        }
    }

    fn has(&self, event: &Event) -> bool {
        let Some(key) = event.state_key.as_deref() else { return false };
        self.state.iter().any(|(kind, wanted)| {
            let key_fits = match wanted.as_str() {
                "*" => true,
                "$ME" => key == BOT,
                // Nobody matters where no timeline is asked for.
                "$LAZY" => key == BOT && event.kind == MEMBER,
                wanted => wanted == key,
            };
            key_fits && (kind == "*" || *kind == event.kind)
        })
    }
}

impl World {
    /// An answer, or nothing as long as there is nothing to tell and time to wait.
    pub(super) fn sliding(&mut self, call: &Call, is_over: bool) -> Option<Reply> {
        let connection = format!("{} {}", call.device(), call.body["conn_id"].as_str().unwrap_or_default());
        let since = match call.query("pos") {
            None => None,
            Some(pos) => {
                let Some(place) = self.place(pos).filter(|_| self.told.contains_key(&connection)) else {
                    return Some(Reply::error(400, "M_UNKNOWN_POS", "Unknown position"));
                };
                Some(place)
            }
        };
        let mut told = self.told.get(&connection).filter(|_| since.is_some()).cloned().unwrap_or_default();
        let (lists, rooms) = self.rooms_of(&call.body, since, &mut told);
        if rooms.is_empty() && since.is_some() && !is_over {
            return None;
        }
        self.told.insert(connection, told);
        let mut json = format!(r#"{{"pos":"{}","lists":{lists},"rooms":{{"#, self.token(self.log.len()));
        json.push_str(&rooms);
        json.push_str(r#"},"extensions":{}}"#);
        Some(Reply::text(json))
    }

    /// The lists, and what is to be told of their rooms: the members of a JSON object.
    fn rooms_of(&self, body: &Value, since: Option<usize>, told: &mut HashSet<usize>) -> (Value, String) {
        let mut order: Vec<usize> =
            (0..self.rooms.len()).filter(|room| self.rooms[*room].standing != Standing::Out).collect();
        order.sort_by_key(|room| std::cmp::Reverse((self.rooms[*room].bumped, *room)));
        let (mut lists, mut rooms) = (json!({}), String::new());
        let mut written: HashSet<usize> = HashSet::new();
        for (name, list) in body["lists"].as_object().into_iter().flatten() {
            let mut operations = Vec::new();
            let wanted = Wanted::read(list);
            for range in list["ranges"].as_array().into_iter().flatten() {
                let bound = |index: usize| range[index].as_u64().and_then(|end| usize::try_from(end).ok());
                let (first, last) = (bound(0).unwrap_or(0), bound(1).unwrap_or(0));
                let in_range = order.iter().skip(first).take(last.saturating_sub(first) + 1);
                let ids: Vec<&str> = in_range.clone().map(|room| &*self.rooms[*room].id).collect();
                operations.push(json!({"op": "SYNC", "range": [first, last], "room_ids": ids}));
                for room in in_range {
                    if written.insert(*room) {
                        self.write_sliding(&mut rooms, *room, &wanted, since, told);
                    }
                }
            }
            lists[name] = json!({"count": order.len(), "ops": operations});
        }
        for (id, subscription) in body["room_subscriptions"].as_object().into_iter().flatten() {
            let room =
                self.by_id.get(id.as_str()).filter(|room| self.rooms[**room].standing == Standing::Joined);
            if let Some(room) = room.filter(|room| written.insert(**room)) {
                self.write_sliding(&mut rooms, *room, &Wanted::read(subscription), since, told);
            }
        }
        self.write_left(&mut rooms, since, told);
        (lists, rooms)
    }

    fn write_sliding(
        &self,
        into: &mut String,
        index: usize,
        wanted: &Wanted,
        since: Option<usize>,
        told: &mut HashSet<usize>,
    ) {
        let room = &self.rooms[index];
        let news = since.map_or(&self.log[..0], |since| &self.log[since..]);
        let news: Vec<&Arc<Event>> =
            news.iter().filter(|(of, _)| *of == index).map(|(_, event)| event).collect();
        let own = news.iter().any(|event| event.kind == MEMBER && event.state_key.as_deref() == Some(BOT));
        let is_initial = told.insert(index) || own;
        if room.standing == Standing::Invited {
            if is_initial {
                begin(into, room);
                into.push_str(r#"{"initial":true,"invite_state":"#);
                room.write_stripped_state(into);
                into.push('}');
            }
            return;
        }
        let state: Vec<Arc<Event>> = if is_initial {
            room.state.values().filter(|event| wanted.has(event)).cloned().collect()
        } else {
            let places = news.iter().filter(|event| wanted.has(event));
            let places: HashSet<_> =
                places.filter_map(|event| Some((event.kind.clone(), event.state_key.clone()?))).collect();
            places.iter().filter_map(|place| room.state.get(place)).cloned().collect()
        };
        let shown = news.len().saturating_sub(wanted.timeline);
        if !is_initial && state.is_empty() && (wanted.timeline == 0 || news.is_empty()) {
            return;
        }
        begin(into, room);
        into.push('{');
        if is_initial {
            into.push_str(r#""initial":true,"#);
        }
        into.push_str(r#""required_state":"#);
        write_all(into, &state);
        if wanted.timeline > 0 {
            into.push_str(r#","timeline":"#);
            write_all(into, news[shown..].iter().copied());
        }
        into.push('}');
    }

    /// Rooms that the bot is no longer in, as far as it was told that it is.
    fn write_left(&self, into: &mut String, since: Option<usize>, told: &mut HashSet<usize>) {
        let Some(since) = since else { return };
        for (index, event) in &self.log[since..] {
            let room = &self.rooms[*index];
            let own = event.kind == MEMBER && event.state_key.as_deref() == Some(BOT);
            if own && room.standing == Standing::Out && told.remove(index) {
                begin(into, room);
                into.push_str(r#"{"required_state":"#);
                write_all(into, room.get(MEMBER, BOT));
                into.push('}');
            }
        }
    }
}

/// The name of a room's member of the object.
fn begin(into: &mut String, room: &Room) {
    if !into.is_empty() {
        into.push(',');
    }
    quote(into, &room.id);
    into.push(':');
}
