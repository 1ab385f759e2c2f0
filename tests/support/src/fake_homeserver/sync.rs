//! `/sync` v2: full and incremental, waiting for something to tell, and told wrongly where a room has forked.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use super::{
    event::{Event, quote, write_all},
    filter::Filter,
    reply::Reply,
    request::Call,
    world::{BOT, MEMBER, Room, Standing, World},
};
use crate::CALL_MEMBER;

impl World {
    /// The token that says: told up to here.
    pub(super) fn token(&self, place: usize) -> String {
        format!("s{}_{place}", self.generation)
    }

    /// The place in the log that a token names, if this server still knows it.
    pub(super) fn place(&self, token: &str) -> Option<usize> {
        let (generation, place) = token.strip_prefix('s')?.split_once('_')?;
        let place: usize = place.parse().ok()?;
        (generation.parse() == Ok(self.generation) && place <= self.log.len()).then_some(place)
    }

    /// An answer, or nothing as long as there is nothing to tell and time to wait.
    pub(super) fn sync(&mut self, call: &Call, is_over: bool) -> Option<Reply> {
        let filter = self.account.filter(call.query("filter").unwrap_or_default());
        let Some(since) = call.query("since") else { return Some(Reply::text(self.full(&filter, call))) };
        let Some(place) = self.place(since) else {
            return Some(Reply::error(400, "M_UNKNOWN", "Invalid stream token"));
        };
        let (changes, any) = self.changes(place, &filter);
        let data = self.account.changed_since(call.device(), self.log.len(), place, &filter);
        if !any && data.is_empty() && !is_over {
            return None;
        }
        Some(Reply::text(self.answer(call, &changes, &data)))
    }

    fn answer(&self, call: &Call, rooms: &str, data: &str) -> String {
        let mut json = format!(r#"{{"next_batch":"{}","#, self.token(self.log.len()));
        // Writing to a string does not fail.
        _ = write!(
            json,
            r#""device_one_time_keys_count":{{"signed_curve25519":{}}},"device_unused_fallback_key_types":["signed_curve25519"]"#,
            self.account.one_time_keys(call.device())
        );
        if !data.is_empty() {
            _ = write!(json, r#","account_data":{{"events":[{data}]}}"#);
        }
        _ = write!(json, r#","rooms":{{{rooms}}}}}"#);
        json
    }

    fn full(&self, filter: &Filter, call: &Call) -> String {
        let (mut joined, mut invited) = (Section::new("join"), Section::new("invite"));
        for room in self.rooms.iter().filter(|room| filter.wants_room(&room.id)) {
            match room.standing {
                Standing::Joined => {
                    let timeline = self.last_messages(room, filter);
                    write_room(joined.add(&room.id), &room.view(filter), &timeline, false);
                }
                Standing::Invited => room.write_invite(invited.add(&room.id)),
                Standing::Out => {}
            }
        }
        let rooms = format!("{},{}", joined.end(), invited.end());
        self.answer(call, &rooms, &self.account.all_data(filter))
    }

    /// The newest events of a room that are no state.
    fn last_messages(&self, room: &Room, filter: &Filter) -> Vec<Arc<Event>> {
        let index = self.by_id[&room.id];
        let messages = self.log.iter().rev().filter(|(of, event)| {
            *of == index && event.state_key.is_none() && filter.timeline.passes(&event.kind)
        });
        let mut messages: Vec<_> =
            messages.take(filter.timeline.limit).map(|(_, event)| Arc::clone(event)).collect();
        messages.reverse();
        messages
    }

    /// What has happened since, and whether that is anything.
    fn changes(&mut self, place: usize, filter: &Filter) -> (String, bool) {
        let mut by_room: BTreeMap<usize, Vec<Arc<Event>>> = BTreeMap::new();
        for (room, event) in &self.log[place..] {
            if filter.timeline.passes(&event.kind) && filter.wants_room(&self.rooms[*room].id) {
                by_room.entry(*room).or_default().push(Arc::clone(event));
            }
        }
        let (mut join, mut invite, mut leave) =
            (Section::new("join"), Section::new("invite"), Section::new("leave"));
        for (index, events) in &by_room {
            let is_cut = self.limited.remove(index);
            let room = &self.rooms[*index];
            let own = events.iter().any(|event| is_own(event));
            match room.standing {
                Standing::Joined if own || is_cut => {
                    write_room(join.add(&room.id), &room.view(filter), &events[events.len() - 1..], is_cut);
                }
                Standing::Joined => {
                    let kept = &events[events.len().saturating_sub(filter.timeline.limit.max(1))..];
                    let gap = &events[..events.len() - kept.len()];
                    write_room(join.add(&room.id), &newest_state(gap), kept, !gap.is_empty());
                }
                Standing::Invited if own => room.write_invite(invite.add(&room.id)),
                Standing::Out if own => write_room(leave.add(&room.id), &[], events, false),
                Standing::Invited | Standing::Out => {}
            }
        }
        let any = !(join.is_empty() && invite.is_empty() && leave.is_empty());
        (format!("{},{},{}", join.end(), invite.end(), leave.end()), any)
    }
}

fn is_own(event: &Event) -> bool {
    event.kind == MEMBER && event.state_key.as_deref() == Some(BOT)
}

/// The last state event of each key.
fn newest_state(events: &[Arc<Event>]) -> Vec<Arc<Event>> {
    let state = events.iter().filter_map(|event| Some(((&*event.kind, event.state_key.clone()?), event)));
    let newest: BTreeMap<_, _> = state.collect();
    newest.into_values().cloned().collect()
}

impl Room {
    fn view(&self, filter: &Filter) -> Vec<Arc<Event>> {
        let everybody = !filter.state.lazy_members;
        self.told_state()
            .filter(|event| filter.state.passes(&event.kind))
            .filter(|event| event.kind != MEMBER || everybody || is_own(event))
            .cloned()
            .collect()
    }

    /// What somebody is shown who is not in the room yet.
    pub(super) fn write_stripped_state(&self, into: &mut String) {
        into.push('[');
        let shown = self.state.values().filter(|event| {
            event.kind != CALL_MEMBER
                && event.kind != "m.room.power_levels"
                && (event.kind != MEMBER || is_own(event))
        });
        for (index, event) in shown.enumerate() {
            if index > 0 {
                into.push(',');
            }
            event.write_stripped(into);
        }
        into.push(']');
    }

    fn write_invite(&self, into: &mut String) {
        into.push_str(r#"{"invite_state":{"events":"#);
        self.write_stripped_state(into);
        into.push_str("}}");
    }
}

/// A room that the bot is in, or was.
fn write_room(into: &mut String, state: &[Arc<Event>], timeline: &[Arc<Event>], limited: bool) {
    into.push_str(r#"{"summary":{},"unread_notifications":{},"state":{"events":"#);
    write_all(into, state);
    _ = write!(into, r#"}},"timeline":{{"limited":{limited},"prev_batch":"p","events":"#);
    write_all(into, timeline);
    into.push_str("}}");
}

/// An object of rooms that is being written.
struct Section {
    json: String,
    is_empty: bool,
}

impl Section {
    fn new(name: &str) -> Self {
        Self { json: format!(r#""{name}":{{"#), is_empty: true }
    }

    fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Where the room of this id is to be written.
    fn add(&mut self, id: &str) -> &mut String {
        if !self.is_empty {
            self.json.push(',');
        }
        self.is_empty = false;
        quote(&mut self.json, id);
        self.json.push(':');
        &mut self.json
    }

    fn end(mut self) -> String {
        self.json.push('}');
        self.json
    }
}
