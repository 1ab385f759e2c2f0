//! What the SFU tells: believed when it is signed, and then no more than a hint to look.

use std::{
    collections::{HashSet, VecDeque},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::to_bytes,
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
            webhook::{BadWebhook, Departure, Departures, Signed},
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

/// The reasons of departures that are counted by name.
const REASONS: [&str; 11] = [
    "",
    "CLIENT_INITIATED",
    "CONNECTION_TIMEOUT",
    "DUPLICATE_IDENTITY",
    "MIGRATION",
    "PARTICIPANT_REMOVED",
    "ROOM_CLOSED",
    "ROOM_DELETED",
    "SERVER_SHUTDOWN",
    "SIGNAL_CLOSE",
    "STATE_MISMATCH",
];

/// Those of another connection of the same identity, which is there: no departures.
const STILL_THERE: [&str; 2] = ["DUPLICATE_IDENTITY", "MIGRATION"];

/// What the SFU has told, until the janitor takes it.
pub struct Webhooks {
    key: ApiKey,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    reading: Semaphore,
    heard: Mutex<Heard>,
    departures_wait: Notify,
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
            departures_wait: Notify::new(),
        }
    }

    /// Hands over who has left, some at a time, until nobody takes it any more.
    pub async fn hand_over(&self, to: mpsc::Sender<Departures>) {
        loop {
            self.departures_wait.notified().await;
            sleep(GATHER).await;
            let departures = mem::take(&mut self.lock().departures);
            if departures.is_empty() {
                continue;
            }
            if to.send(departures).await.is_err() {
                return;
            }
        }
    }

    /// Takes one in.
    fn take_in(&self, signed: &Signed, body: &[u8]) -> StatusCode {
        let now = self.clock.now();
        let told = match signed.webhook(body) {
            Ok(told) => told,
            Err(error) => return self.refuse(error),
        };
        if !self.lock().is_new(&told.id) {
            return StatusCode::OK;
        }
        let event = EVENTS.into_iter().find(|event| *event == told.event).unwrap_or("other");
        let reason = told.participant.disconnect_reason.as_str();
        let reason = REASONS.into_iter().find(|known| *known == reason).unwrap_or("other");
        self.metrics.told(event, reason);
        let has_left = ["participant_left", "participant_connection_aborted"].contains(&event);
        if has_left && !STILL_THERE.contains(&reason) {
            let at = told.created().filter(|at| *at <= now && now.since(*at) <= SENT_LATE).unwrap_or(now);
            let departure = Departure { sfu_room: told.room.name, identity: told.participant.identity };
            self.lock().note(departure, at);
            self.departures_wait.notify_one();
        }
        StatusCode::OK
    }

    fn refuse(&self, error: BadWebhook) -> StatusCode {
        self.metrics.told("refused", "");
        tracing::debug!("a webhook is not believed: {error}");
        StatusCode::BAD_REQUEST
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
            self.departures.entry(departure).or_insert(at);
        }
    }
}

/// `POST /livekit/webhook`. Only what our SFU has signed takes one of the places, and has its body read.
pub(super) async fn receive(State(webhooks): State<Arc<Webhooks>>, request: Request) -> StatusCode {
    let (head, body) = request.into_parts();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let token = header(header::AUTHORIZATION).unwrap_or_default();
    let signed = match Signed::read(&webhooks.key, token, webhooks.clock.now()) {
        Ok(signed) => signed,
        Err(error) => return webhooks.refuse(error),
    };
    let Ok(_place) = webhooks.reading.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE };
    match timeout(PATIENCE, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(body)) => webhooks.take_in(&signed, &body),
        Ok(Err(_)) => {
            webhooks.metrics.told("refused", "");
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Err(_) => StatusCode::REQUEST_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::request};
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    fn key() -> ApiKey {
        ApiKey { name: "devkey".into(), secret: "secret".into() }
    }

    fn webhooks() -> Arc<Webhooks> {
        Arc::new(Webhooks::new(key(), Arc::new(At(NOW)), Metrics::new()))
    }

    async fn send(webhooks: &Arc<Webhooks>, body: &Value) -> StatusCode {
        let body = body.to_string();
        let token = key().sign_webhook(body.as_bytes(), NOW);
        let request = request::Builder::new().header(header::AUTHORIZATION, token).body(body.into());
        receive(State(Arc::clone(webhooks)), request.expect("a request")).await
    }

    fn left(id: &str, identity: &str, reason: &str) -> Value {
        json!({
            "event": "participant_left", "id": id, "room": {"name": "r"}, "createdAt": "1799999998",
            "participant": {"identity": identity, "disconnectReason": reason},
        })
    }

    fn departures(webhooks: &Webhooks) -> Departures {
        mem::take(&mut webhooks.lock().departures)
    }

    #[tokio::test]
    async fn who_has_left_waits_for_the_janitor_and_another_connection_of_theirs_is_no_departure() {
        let webhooks = webhooks();
        for (identity, reason, is_departure) in [
            ("a", "CLIENT_INITIATED", true),
            ("b", "CONNECTION_TIMEOUT", true),
            ("c", "SOMETHING_NEW", true),
            ("d", "", true),
            ("e", "DUPLICATE_IDENTITY", false),
            ("f", "MIGRATION", false),
        ] {
            assert_eq!(send(&webhooks, &left(identity, identity, reason)).await, StatusCode::OK);
            let departure = Departure { sfu_room: "r".to_owned(), identity: identity.to_owned() };
            let expected = is_departure.then_some((departure, NOW - Duration::from_secs(2)));
            assert_eq!(departures(&webhooks).into_iter().next(), expected, "{reason}");
        }
        for event in ["participant_joined", "room_finished", "track_published"] {
            let mut other = left(event, "g", "CLIENT_INITIATED");
            other["event"] = event.into();
            assert_eq!(send(&webhooks, &other).await, StatusCode::OK);
            assert!(departures(&webhooks).is_empty(), "{event}");
        }
    }

    #[tokio::test]
    async fn what_comes_again_says_nothing_new_and_neither_ids_nor_departures_pile_up() {
        let webhooks = webhooks();
        for _ in 0..2 {
            assert_eq!(send(&webhooks, &left("same", "a", "CLIENT_INITIATED")).await, StatusCode::OK);
        }
        assert_eq!(departures(&webhooks).len(), 1);
        assert_eq!(send(&webhooks, &left("same", "b", "CLIENT_INITIATED")).await, StatusCode::OK);
        assert!(departures(&webhooks).is_empty(), "the same event");
        for number in 0..WAITING + REMEMBERED {
            let id = number.to_string();
            assert_eq!(send(&webhooks, &left(&id, &id, "CLIENT_INITIATED")).await, StatusCode::OK);
        }
        let heard = webhooks.lock();
        assert_eq!(
            (heard.departures.len(), heard.ids.len(), heard.oldest_ids.len()),
            (WAITING, REMEMBERED, REMEMBERED)
        );
    }

    #[tokio::test]
    async fn what_is_not_signed_takes_no_place_and_what_is_signed_waits_for_none() {
        let webhooks = webhooks();
        let unsigned = request::Builder::new().body(Body::from("{}")).expect("a request");
        let _all = webhooks.reading.try_acquire_many(32).expect("all of them");
        assert_eq!(receive(State(Arc::clone(&webhooks)), unsigned).await, StatusCode::BAD_REQUEST);
        let answer = send(&webhooks, &left("a", "a", "CLIENT_INITIATED")).await;
        assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE, "it is sent again");
    }

    #[tokio::test]
    async fn a_departure_of_long_ago_counts_from_when_it_came() {
        let webhooks = webhooks();
        for (created, at) in
            [("1799999970", NOW - SENT_LATE), ("1799999969", NOW), ("1800000001", NOW), ("x", NOW)]
        {
            let mut told = left(created, "a", "CLIENT_INITIATED");
            told["createdAt"] = created.into();
            assert_eq!(send(&webhooks, &told).await, StatusCode::OK);
            assert_eq!(departures(&webhooks).into_values().next(), Some(at), "{created}");
        }
    }
}
