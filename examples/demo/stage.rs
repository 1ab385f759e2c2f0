//! The homeserver, the people, and the call.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use rtc_janitor::world::clock::{Clock as _, SystemClock};
use rtc_janitor_core::{render::words, time::Timestamp};
use rtc_janitor_test_support::{
    DEFAULT_EXPIRES, Device, Membership, RoomOptions, Synapse, SynapseOptions, User, call_key,
    is_open_content,
};
use serde_json::Value;

use crate::screen::Screen;

/// How long Carol had been in the call when her battery ran out, and how long ago that was.
const CAROL: (Duration, Duration) = (Duration::from_hours(3), Duration::from_hours(2));

/// Somebody with an account and a device.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) user: User,
    pub(crate) device: Device,
}

/// Everything that is there before the janitor comes.
pub(crate) struct Stage {
    pub(crate) synapse: Synapse,
    pub(crate) janitor: User,
    pub(crate) admin: Person,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) carol: Person,
    pub(crate) room: String,
    pub(crate) admin_room: String,
}

impl Stage {
    pub(crate) async fn set(screen: &Screen) -> Result<Self> {
        let options = SynapseOptions { server_name: "demo.test".to_owned(), ..SynapseOptions::default() };
        let synapse = Synapse::start(options).await?;
        screen.say(&format!("It answers at {}.", synapse.url()));

        let janitor = synapse.register_exactly("janitor", false).await?;
        let admin = Person::new(&synapse, "Admin", "ADMIN-DESKTOP").await?;
        let alice = Person::new(&synapse, "Alice", "ALICE-LAPTOP").await?;
        let bob = Person::new(&synapse, "Bob", "BOB-TABLET").await?;
        let carol = Person::new(&synapse, "Carol", "CAROL-PHONE").await?;
        let room = RoomOptions::new().name("Stand-up").invite(&janitor.user_id);
        let room = synapse.create_room(&admin.device, room).await?;
        let admin_room = RoomOptions::new().name("Janitor").invite(&janitor.user_id);
        let admin_room = synapse.create_room(&admin.device, admin_room).await?;
        for person in [&alice, &bob, &carol] {
            synapse.bring_in(&admin.device, &room, &person.device).await?;
        }
        // It would follow the invitation by itself; being in the room from the start, it knows how old things there are.
        let door = synapse.login(&janitor).await?;
        synapse.join(&door, &room).await?;
        synapse.logout(&door).await?;

        synapse.write_membership(&room, of_a_dead_phone(&carol.device)).await?;
        synapse.join_call(&alice.device, &room).await?;
        synapse.join_call(&bob.device, &room).await?;
        screen.say(
            "Alice, Bob and Carol are in a call in the room “Stand-up”. Carol's phone ran out of battery 2 h ago, and \
             with nobody to end it, her call goes on.",
        );
        Ok(Self { synapse, janitor, admin, alice, bob, carol, room, admin_room })
    }

    pub(crate) fn people(&self) -> [&Person; 4] {
        [&self.admin, &self.alice, &self.bob, &self.carol]
    }

    /// What people call whoever has this user id.
    pub(crate) fn name_of(&self, user_id: &str) -> &'static str {
        let person = self.people().into_iter().find(|person| person.user.user_id == user_id);
        person.map_or("Janitor", |person| person.name)
    }

    /// Whether the room says that Alice, Bob and Carol are in the call.
    pub(crate) async fn open(&self) -> Result<[bool; 3]> {
        let mut open = [false; 3];
        for (open, person) in open.iter_mut().zip([&self.alice, &self.bob, &self.carol]) {
            *open = self.synapse.is_open(&self.room, &call_key(&person.device)).await?;
        }
        Ok(open)
    }

    /// The state of the room beside the truth, heading first.
    pub(crate) async fn table(&self) -> Result<Vec<[String; 4]>> {
        let state = self.synapse.memberships(&self.room).await?;
        let now = SystemClock.now();
        let mut rows = vec![["who", "device", "the room says", "the truth is"].map(str::to_owned)];
        let truths =
            [(&self.alice, "talking"), (&self.bob, "signed out"), (&self.carol, "phone died 2 h ago")];
        for (person, truth) in truths {
            let says = state.get(&call_key(&person.device)).map_or("nothing".to_owned(), |it| says(it, now));
            rows.push([person.name.to_owned(), person.device.device_id.clone(), says, truth.to_owned()]);
        }
        Ok(rows)
    }
}

impl Person {
    async fn new(synapse: &Synapse, name: &'static str, device_id: &str) -> Result<Self> {
        let user = synapse.register_exactly(&name.to_lowercase(), false).await?;
        let device = synapse.login_as(&user, device_id).await?;
        synapse.upload_keys(&device).await?;
        synapse.set_display_name(&device, name).await?;
        Ok(Self { name, user, device })
    }
}

/// What a client leaves behind that refreshed its membership every hour, as they do, and then died: each refresh adds
/// four hours, so the longer the call was, the longer the ghost stays.
fn of_a_dead_phone(device: &Device) -> Membership {
    let (called, dead_for) = CAROL;
    let refreshes = u32::try_from(called.as_secs() / 3600).unwrap_or(u32::MAX);
    let created = SystemClock.now() - called - dead_for;
    Membership::of(device)
        .created_ts(created.to_utc().unwrap_or(DateTime::<Utc>::MIN_UTC))
        .expires(DEFAULT_EXPIRES * (1 + refreshes))
        .aged(dead_for)
}

/// What every client reads from a membership.
fn says(event: &Value, now: Timestamp) -> String {
    let content = &event["content"];
    if !is_open_content(content) {
        return "not in the call".to_owned();
    }
    let start = content["created_ts"].as_i64().or(event["origin_server_ts"].as_i64()).unwrap_or_default();
    let ends = Timestamp::from_millis(start).offset_millis(content["expires"].as_i64().unwrap_or_default());
    format!("in the call, {} left", words::span(ends.since(now)))
}
