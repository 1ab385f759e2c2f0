//! The sticky events of all rooms: an extension of sliding sync with a token of its own (MSC4354).
//!
//! Only what is sticky at the start is asked for here; what comes later, `/sync` v2 says.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use matrix_sdk::bytes::Bytes;
use rtc_janitor_core::{ids::RoomId, rtc::sticky::StickyEvent};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::timeout;

use super::{
    super::reading::{self, Entries},
    request,
};
use crate::world::homeserver::Homeserver;

/// The name of the extension.
const NAME: &str = "org.matrix.msc4354.sticky_events";

/// How many come at once: Synapse gives no more.
const AT_ONCE: usize = 100;

/// So often is more of them asked for. They are only shown, and anybody can send them.
const MOST_PAGES: usize = 20;

/// Sticky events by room.
pub(super) type Sticky = HashMap<RoomId, Vec<StickyEvent>>;

/// Asks for sticky events, from a token on.
pub(super) fn extension(since: Option<&str>) -> Value {
    let mut extension = json!({"enabled": true, "limit": AT_ONCE});
    if let Some(since) = since {
        extension["since"] = since.into();
    }
    json!({NAME: extension})
}

/// How long the rest of them may take: the view of everything waits for it.
const STICKY_TIMEOUT: Duration = Duration::from_secs(5);

/// Those that an answer names, and the rest of them. What cannot be read, or not in time, is not there.
pub(super) async fn all(homeserver: &Homeserver, first: &Bytes) -> Sticky {
    let mut all = Sticky::new();
    if timeout(STICKY_TIMEOUT, read_all(homeserver, first, &mut all)).await.is_err() {
        tracing::debug!("not all sticky events could be read in time");
    }
    all
}

async fn read_all(homeserver: &Homeserver, first: &Bytes, all: &mut Sticky) {
    let mut page = Page::read(first);
    for _ in 0..MOST_PAGES {
        let is_last = page.number < AT_ONCE;
        for (room, events) in page.events {
            all.entry(room).or_default().extend(events);
        }
        let (Some(position), Some(next), false) = (&page.position, &page.next, is_last) else { break };
        let request = request(&json!([]), &extension(Some(next))).query("pos", position);
        page = match request.send(homeserver.transport()).await {
            Ok(answer) => Page::read(answer.body()),
            Err(error) => {
                tracing::debug!("not all sticky events could be read: {error}");
                break;
            }
        };
    }
}

/// What one answer says of sticky events.
#[derive(Default)]
struct Page {
    events: Vec<(RoomId, Vec<StickyEvent>)>,
    /// How many there are, of whatever kind.
    number: usize,
    /// Where the next goes on: the extension's own token, and that of the whole.
    next: Option<String>,
    position: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    pos: Option<String>,
    #[serde(borrow)]
    extensions: BTreeMap<String, &'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Extension<'a> {
    next_batch: Option<String>,
    #[serde(borrow)]
    rooms: Entries<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Room<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

impl Page {
    fn read(body: &Bytes) -> Self {
        let answer: Answer<'_> = serde_json::from_slice(body).unwrap_or_default();
        let extension = answer.extensions.get(NAME).map(|text| text.get());
        let extension = extension.and_then(|text| serde_json::from_str::<Extension<'_>>(text).ok());
        let Extension { next_batch, rooms } = extension.unwrap_or_default();
        let mut page = Self { next: next_batch, position: answer.pos, ..Self::default() };
        for (room, text) in rooms.0 {
            let room = RoomId::from(room.as_str());
            let events = serde_json::from_str::<Room<'_>>(text.get()).unwrap_or_default().events;
            page.number += events.len();
            page.events.push((room.clone(), reading::sticky(&events, &room)));
        }
        page
    }
}
