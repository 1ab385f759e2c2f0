//! The harness: a janitor in a fake world, minute by minute.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rtc_janitor_core::{
    guard::{breaker, limits::Limits},
    judge::policy::Policy,
    rtc::state_event::{CALL_MEMBER, StateEvent},
    time::Timestamp,
};
use serde_json::json;

use super::{BOT, OwnListsOfServer, ROOM, World, key};
use crate::{
    config::UserGlobs,
    janitor::{Janitor, Mail, Outbox, Ports, Settings, ingest::Ingest, presence::Presence},
    metrics::Metrics,
    shutdown::Shutdown,
    world::{
        RoomUpdate, SyncBatch,
        device_lists::OwnLists,
        journal::{FindingKind, Journal, StoredMessage},
        livekit::CallServer,
    },
};

/// With an SFU, whose name is to be found out.
pub(in crate::janitor::tests) fn with_sfu() -> Settings {
    Settings { sfu: "https://sfu.hs".into(), admin_room: Some("!admin:hs".into()), ..settings() }
}

pub(crate) fn settings() -> Settings {
    Settings {
        user_id: BOT.into(),
        is_clean: true,
        homeserver: "https://hs".into(),
        policy: Policy::default(),
        sfu: String::new(),
        sfu_names: BTreeSet::new(),
        sfu_interval: Duration::from_secs(20),
        limits: Limits::default(),
        breaker: breaker::Settings::default(),
        sweep_interval: Duration::from_mins(1),
        device_check_interval: Duration::from_mins(5),
        reread_interval: Duration::from_hours(6),
        minimum_age: Duration::from_mins(2),
        remote_device_lists: false,
        appservice: None,
        allow_redaction: false,
        only: BTreeSet::new(),
        include: BTreeSet::new(),
        exclude: BTreeSet::new(),
        unresolved: Vec::new(),
        without_device_lists: UserGlobs::default(),
        excluded_owners: UserGlobs::default(),
        excluded_users: BTreeSet::new(),
        alert: Vec::new(),
        command_prefix: "!janitor".to_owned(),
        digest: None,
        accept_invites_from: UserGlobs::default(),
        chat_user_id: BOT.into(),
        admin_room: None,
        bridge: Duration::ZERO,
        retention: Duration::from_hours(90 * 24),
    }
}

/// A janitor in a world, minute by minute.
pub(in crate::janitor::tests) struct Story {
    pub(in crate::janitor::tests) world: World,
    pub(in crate::janitor::tests) janitor: Janitor,
    pub(in crate::janitor::tests) shutdown: Shutdown,
    mail: Mail,
}

impl Story {
    pub(in crate::janitor::tests) fn new() -> Self {
        Self::with(settings())
    }

    pub(in crate::janitor::tests) fn with(settings: Settings) -> Self {
        Self::in_world(World::default(), settings)
    }

    /// One whose server lets the janitor ask for its own device lists.
    pub(in crate::janitor::tests) fn with_own_lists(settings: Settings) -> Self {
        let world = World::default();
        world.lock().own_lists = Some(OwnListsOfServer::default());
        Self::in_world(world, settings)
    }

    fn in_world(world: World, settings: Settings) -> Self {
        world.lock().now = 1_800_000_000_000;
        world.open_room(ROOM);
        let journal = Journal::in_memory(&BOT.into()).expect("a journal");
        Self::on(world, journal, settings)
    }

    /// A janitor in mode `clean` that has seen everything once and can speak.
    pub(in crate::janitor::tests) fn on(world: World, journal: Journal, settings: Settings) -> Self {
        let (outbox, mail) = Outbox::new();
        let ports = Ports {
            rooms: Arc::new(world.clone()),
            writer: Arc::new(world.clone()),
            device_lists: Arc::new(world.clone()),
            own_lists: world.lock().own_lists.is_some().then(|| Arc::new(world.clone()) as Arc<dyn OwnLists>),
            appservice: Some(Arc::new(world.clone())),
            has_no_admin_api: false,
            call_server: (!settings.sfu.is_empty()).then(|| Arc::new(world.clone()) as Arc<dyn CallServer>),
            clock: Arc::new(world.clone()),
            metrics: Metrics::new(),
        };
        let mut janitor = Janitor::new(settings, ports, journal, outbox).expect("a janitor");
        janitor.has_caught_up = true;
        janitor.has_seen_all.send_replace(true);
        janitor.has_announced_start = true;
        janitor.presence = Presence::at_the_terminal();
        let mut story = Self { world, janitor, shutdown: Shutdown::new(), mail };
        story.enter(ROOM);
        story.name(ROOM, "Team");
        story
    }

    /// The same journal and world with a new janitor, as after a restart.
    pub(in crate::janitor::tests) fn restart(self, settings: Settings) -> Self {
        let mut story = Self::on(self.world, self.janitor.journal, settings);
        story.see_everything();
        story
    }

    /// The bot is in a room, of which everything was seen.
    pub(in crate::janitor::tests) fn enter(&mut self, room: &str) {
        self.janitor.memory.add_room(&room.into());
        self.janitor.journal.add_rooms([&room.into()]).expect("the journal works");
        self.janitor.memory.is_current(&room.into());
    }

    fn name(&mut self, room: &str, name: &str) {
        let named = self.world.put(room, "m.room.name", "", "@creator:hs", json!({"name": name}));
        let (who, now) = (self.janitor.settings.clone(), self.world.now());
        let room = room.into();
        self.janitor.memory.info_mut(&room).expect("a room").take_in(&named, &who.writers(), true, now);
        self.janitor.memory.rename(&room);
    }

    /// The admin room can be spoken in, or not.
    pub(in crate::janitor::tests) fn admin_room_is(&mut self, state: Result<(), String>) {
        let now = self.world.now();
        self.janitor.presence.room_is(state, now);
    }

    /// A full view of the room arrives.
    pub(in crate::janitor::tests) fn see_everything(&mut self) {
        let events =
            self.world.lock().events.values().filter(|e| e.event_type == CALL_MEMBER).cloned().collect();
        self.sync(ROOM, events, true);
    }

    /// Events arrive by sync.
    pub(in crate::janitor::tests) fn hear(&mut self, events: impl IntoIterator<Item = StateEvent>) {
        self.sync(ROOM, events.into_iter().collect(), false);
    }

    /// A full view arrives, with these events of the room.
    pub(in crate::janitor::tests) fn hear_all(&mut self, events: impl IntoIterator<Item = StateEvent>) {
        self.sync(ROOM, events.into_iter().collect(), true);
    }

    fn sync(&mut self, room: &str, events: Vec<StateEvent>, full: bool) {
        let update = RoomUpdate::new(room.into(), events);
        let batch =
            SyncBatch { full, joined: vec![update].into(), next_batch: "s".into(), ..SyncBatch::default() };
        self.take_in(batch);
    }

    /// A sync answer arrives.
    pub(in crate::janitor::tests) fn take_in(&mut self, batch: SyncBatch) {
        let mut ingest = Ingest::new(batch, true, self.world.now());
        while !self.janitor.ingest(&mut ingest).expect("the journal works") {}
    }

    /// Joins a call, which arrives.
    pub(in crate::janitor::tests) fn joins(&mut self, user: &str, device: &str) {
        // Nobody joins in the same instant as another; what does is put into one question.
        self.world.pass(Duration::from_secs(1));
        let event = self.world.join_call(user, device);
        self.hear([event]);
    }

    /// Ten are in calls, and the devices of eight are gone at once.
    pub(in crate::janitor::tests) async fn eight_of_ten_vanish(&mut self) {
        let users: Vec<_> = (0..10).map(|n| format!("@u{n}:hs")).collect();
        for user in &users {
            self.joins(user, "D");
        }
        self.minutes(5).await;
        for user in &users[..8] {
            self.world.log_out(user, "D");
        }
    }

    /// Joins a call, which arrives and is looked at; then the device is gone.
    pub(in crate::janitor::tests) async fn ghost(&mut self, user: &str, device: &str) -> String {
        self.joins(user, device);
        self.sweep().await;
        self.world.log_out(user, device);
        key(user, device)
    }

    /// As [`Self::ghost`], in a room of its own.
    pub(in crate::janitor::tests) async fn ghost_in(&mut self, room: &str, user: &str, device: &str) {
        self.world.open_room(room);
        self.world.pass(Duration::from_secs(1));
        self.enter(room);
        let event = self.world.join_call_in(room, user, device);
        self.sync(room, vec![event], false);
        self.sweep().await;
        self.world.log_out(user, device);
    }

    pub(in crate::janitor::tests) async fn sweep(&mut self) {
        self.janitor.sweep_until_quiet(&self.shutdown).await.expect("the journal works");
    }

    /// A sweep a minute.
    pub(in crate::janitor::tests) async fn minutes(&mut self, minutes: u32) {
        for _ in 0..minutes {
            self.world.pass(Duration::from_mins(1));
            self.sweep().await;
        }
    }

    /// A sweep a minute until a ghost is cleared.
    pub(in crate::janitor::tests) async fn until_a_write(&mut self) {
        for _ in 0..15 {
            self.minutes(1).await;
            if self.writes() > 0 {
                return;
            }
        }
        panic!("nothing was written in a quarter of an hour");
    }

    pub(in crate::janitor::tests) fn writes(&self) -> usize {
        self.world.lock().writes.len()
    }

    /// Everything said since the last call.
    pub(in crate::janitor::tests) fn said(&mut self) -> Vec<String> {
        self.messages().into_iter().map(|stored| stored.message.plain).collect()
    }

    /// What was put on its way so far, without hurrying anything.
    pub(in crate::janitor::tests) fn posted(&mut self) -> Vec<String> {
        self.janitor.commit().expect("the journal works");
        std::iter::from_fn(|| self.mail.messages.try_recv().ok()).map(|stored| stored.message.plain).collect()
    }

    /// The same as [`Self::said`], with all that belongs to a message.
    pub(in crate::janitor::tests) fn messages(&mut self) -> Vec<StoredMessage> {
        // What waits for its turn comes out, too.
        self.janitor.commit().expect("the journal works");
        let now = self.world.now();
        while self.janitor.voice.next(self.janitor.presence.may_speak(), false, now).is_some() {
            self.janitor.voice.hurry();
            self.speak();
        }
        let messages: Vec<_> = std::iter::from_fn(|| self.mail.messages.try_recv().ok()).collect();
        for stored in &messages {
            self.mail.posted(stored);
        }
        messages
    }

    /// What waits to be said is said, if it may now.
    pub(in crate::janitor::tests) fn speak(&mut self) {
        self.janitor.speak().expect("the journal works");
        self.janitor.commit().expect("the journal works");
    }

    /// Goes on until so much was written, as if the loop was interrupted then.
    pub(in crate::janitor::tests) async fn until_written(&mut self, writes: usize) {
        while self.writes() < writes {
            self.janitor.step().expect("the journal works");
            self.janitor.commit().expect("the journal works");
            let outcome = self.janitor.background.next().await;
            self.janitor.take_in_outcome(outcome).expect("the journal works");
        }
    }

    /// What is to be done now is done.
    pub(in crate::janitor::tests) async fn go_on(&mut self) {
        self.janitor.step_until_quiet(&self.shutdown).await.expect("the journal works");
    }

    pub(in crate::janitor::tests) fn times_found(&self, kind: FindingKind) -> u32 {
        self.janitor.journal.count_since(kind, Timestamp::from_millis(0)).expect("the journal works")
    }
}
