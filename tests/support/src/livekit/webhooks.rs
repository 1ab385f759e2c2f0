//! Hears what the SFU tells of its rooms, and keeps it as it came.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;

use crate::loopback::{self, Loopback};

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Among them `authorization`: a token, without `Bearer`, with the hash of the body in its claim `sha256`.
    pub headers: HeaderMap,
    /// The bytes that the hash is of.
    pub body: Bytes,
}

impl Webhook {
    /// The body, or null. Unlike the API's answers it is in camelCase, with defaults left out.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Its token; empty if there is none.
    pub fn token(&self) -> &str {
        self.headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// A receiver of webhooks, which takes everything with 200 until told otherwise. Dropping it closes its port.
#[derive(Debug)]
pub struct WebhookSink {
    heard: Arc<Mutex<Heard>>,
    server: Loopback,
}

#[derive(Debug)]
struct Heard {
    webhooks: Vec<Webhook>,
    answer: StatusCode,
}

impl WebhookSink {
    /// Starts one. Give its [`WebhookSink::url`] to [`crate::LiveKitOptions::webhooks`].
    pub fn start() -> Result<Self> {
        let heard = Arc::new(Mutex::new(Heard { webhooks: Vec::new(), answer: StatusCode::OK }));
        let shared = Arc::clone(&heard);
        let server = Loopback::start("webhook-sink", move |request: Request<Bytes>| {
            let answer = if request.method() == Method::POST {
                let (parts, body) = request.into_parts();
                let mut heard = lock(&shared);
                heard.webhooks.push(Webhook { headers: parts.headers, body });
                heard.answer
            } else {
                StatusCode::METHOD_NOT_ALLOWED
            };
            async move { loopback::status(answer) }
        })?;
        Ok(Self { heard, server })
    }

    /// Where webhooks are to be sent.
    pub fn url(&self) -> String {
        format!("{}/hook", self.server.url())
    }

    /// Answers with this status from now on. After a 500 the SFU sends the same event up to four times more, within
    /// 15 s; a 400 it takes for success.
    pub fn answer_with(&self, status: u16) {
        // A status that is none would be a mistake in the test, and 500 shows it.
        lock(&self.heard).answer = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }

    /// Everything that arrived, in order, also what was refused.
    pub fn received(&self) -> Vec<Webhook> {
        lock(&self.heard).webhooks.clone()
    }

    /// The webhooks of this event, such as `participant_left`, about this identity.
    pub fn about(&self, event: &str, identity: &str) -> Vec<Value> {
        let received = self.received();
        let events = received.iter().map(Webhook::json);
        events.filter(|it| it["event"] == event && it["participant"]["identity"] == identity).collect()
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
