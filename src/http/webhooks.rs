//! What the SFU tells: believed when it is signed, and then no more than a hint to look.

use std::{
    collections::{HashSet, VecDeque},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
};
use rtc_janitor_core::time::Timestamp;
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::{sleep, timeout},
};

use crate::{
    metrics::Metrics,
    world::{
        clock::Clock,
        livekit::{
            ApiKey,
            webhook::{Departure, Departures, Webhook},
        },
    },
};

/// No webhook of LiveKit's is longer: a participant with its metadata takes a few kB.
const MOST_BYTES: usize = 256 << 10;

/// How many are read at once; the SFU sends again what is refused beyond that.
const AT_ONCE: usize = 32;

/// How long one may take to come in.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many ids are remembered: what comes again says nothing new.
const REMEMBERED: usize = 4096;

/// How many departures wait for the janitor; of more, it finds out by looking.
const WAITING: usize = 4096;

/// What comes in one burst is handed over together.
const GATHER: Duration = Duration::from_millis(100);

/// By how much the SFU's word on the time may be behind: it sends again for 15 s.
const SENT_LATE: Duration = Duration::from_secs(30);

/// The events that are counted by name.
const EVENTS: [&str; 5] = [
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "room_started",
    "room_finished",
];

/// The reasons of departures that are counted by name, each with whether somebody has really gone. Another
/// connection of the same identity, a server that ends and a room that moves are no departures.
const REASONS: [(&str, bool); 10] = [
    ("CLIENT_INITIATED", true),
    ("CONNECTION_TIMEOUT", true),
    ("PARTICIPANT_REMOVED", true),
    ("ROOM_DELETED", true),
    ("ROOM_CLOSED", true),
    ("SIGNAL_CLOSE", true),
    ("DUPLICATE_IDENTITY", false),
    ("SERVER_SHUTDOWN", false),
    ("MIGRATION", false),
    ("STATE_MISMATCH", false),
];

/// What the SFU has told, until the janitor takes it.
pub struct Webhooks {
    key: ApiKey,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    reading: Semaphore,
    heard: Mutex<Heard>,
    has_news: Notify,
}

#[derive(Default)]
struct Heard {
    /// With when each happened.
    departures: Departures,
    ids: HashSet<Box<str>>,
    oldest_ids: VecDeque<Box<str>>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").finish_non_exhaustive()
    }
}

impl Webhooks {
    /// Believes what is signed with this key.
    pub fn new(key: ApiKey, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self {
            key,
            clock,
            metrics,
            reading: Semaphore::new(AT_ONCE),
            heard: Mutex::default(),
            has_news: Notify::new(),
        }
    }

    /// Hands over who has left, some at a time, until nobody takes it any more.
    pub async fn hand_over(&self, to: mpsc::Sender<Departures>) {
        loop {
            self.has_news.notified().await;
            sleep(GATHER).await;
            let departures = mem::take(&mut self.lock().departures);
            if to.send(departures).await.is_err() {
                return;
            }
        }
    }

    /// Takes one in.
    fn take_in(&self, token: &str, body: &[u8]) -> StatusCode {
        let now = self.clock.now();
        let told = match Webhook::read(&self.key, token, body, now) {
            Ok(told) => told,
            Err(error) => {
                self.metrics.told("refused", "");
                tracing::debug!("a webhook is not believed: {error}");
                return StatusCode::BAD_REQUEST;
            }
        };
        if !self.lock().is_new(&told.id) {
            return StatusCode::OK;
        }
        let event = EVENTS.into_iter().find(|event| *event == told.event).unwrap_or("other");
        let said = told.participant.disconnect_reason.as_str();
        let (reason, is_gone) = match REASONS.into_iter().find(|(reason, _)| *reason == said) {
            Some(known) => known,
            None if said.is_empty() => ("", false),
            None => ("other", false),
        };
        self.metrics.told(event, reason);
        let is_departure = ["participant_left", "participant_connection_aborted"].contains(&event);
        if is_departure && is_gone {
            let at = told.created().filter(|at| *at <= now && now.since(*at) <= SENT_LATE).unwrap_or(now);
            let departure = Departure { sfu_room: told.room.name, identity: told.participant.identity };
            self.lock().note(departure, at);
            self.has_news.notify_one();
        }
        StatusCode::OK
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Whether an event has not come before. What has no id always counts as new.
    fn is_new(&mut self, id: &str) -> bool {
        if id.is_empty() || id.len() > 64 {
            return true;
        }
        if !self.ids.insert(id.into()) {
            return false;
        }
        self.oldest_ids.push_back(id.into());
        if self.oldest_ids.len() > REMEMBERED
            && let Some(oldest) = self.oldest_ids.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    fn note(&mut self, departure: Departure, at: Timestamp) {
        if self.departures.len() < WAITING || self.departures.contains_key(&departure) {
            self.departures.insert(departure, at);
        }
    }
}

/// `POST /livekit/webhook`
pub(super) async fn hear(State(webhooks): State<Arc<Webhooks>>, request: Request) -> StatusCode {
    let Ok(_place) = webhooks.reading.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE };
    let (head, body) = request.into_parts();
    let Some(token) = head.headers.get(header::AUTHORIZATION).and_then(|token| token.to_str().ok()) else {
        webhooks.metrics.told("refused", "");
        return StatusCode::BAD_REQUEST;
    };
    let is_long = |length: &str| length.parse().is_ok_and(|length: usize| length > MOST_BYTES);
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.is_some_and(is_long) {
        webhooks.metrics.told("refused", "");
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    match timeout(PATIENCE, whole(body)).await {
        Ok(Some(body)) => webhooks.take_in(token, &body),
        Ok(None) => {
            webhooks.metrics.told("refused", "");
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Err(_) => StatusCode::REQUEST_TIMEOUT,
    }
}

/// The bytes of a body, unless it is too long.
async fn whole(body: Body) -> Option<axum::body::Bytes> {
    to_bytes(body, MOST_BYTES).await.ok()
}
