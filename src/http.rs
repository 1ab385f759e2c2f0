//! What other programs may ask of a running janitor, on one port.
//!
//! | path | what it says |
//! | --- | --- |
//! | `/live`, `/healthz` | the process serves; says nothing of the homeserver |
//! | `/ready` | all rooms were seen once, and the homeserver and the admin room answered lately; else why not |
//! | `/metrics` | for Prometheus |
//! | `POST /livekit/webhook` | what our SFU tells, where one is set up |
//!
//! It has a thread of its own, and nothing on it waits for the janitor's loop: it reads what others have left for it
//! and leaves what it was told. However much comes in, sweeps go on and memory stays as it is.

mod exposition;
mod health;
mod server;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

pub use health::{Health, Pulses};
pub use server::serve;
pub use webhooks::Webhooks;

use crate::metrics::Metrics;

/// The answer of `/live`.
pub const LIVE: &str = "rtc-janitor is live\n";

/// The answer of `/ready`, where it is.
pub const READY: &str = "rtc-janitor is ready\n";

/// What the port answers from.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Whether it can do its work.
    pub health: Health,
    /// What was counted.
    pub metrics: Metrics,
    /// What the SFU tells; `None` where it may not.
    pub webhooks: Option<Arc<Webhooks>>,
}

/// All paths.
fn router(answers: Answers) -> Router {
    let webhooks = answers.webhooks.clone();
    let router = Router::new()
        .route("/live", get(live))
        .route("/healthz", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(answers);
    match webhooks {
        Some(webhooks) => router
            .merge(Router::new().route("/livekit/webhook", post(webhooks::receive)).with_state(webhooks)),
        None => router,
    }
}

async fn live() -> &'static str {
    LIVE
}

async fn ready(State(answers): State<Answers>) -> (StatusCode, String) {
    match answers.health.obstacles().as_slice() {
        [] => (StatusCode::OK, READY.to_owned()),
        obstacles => (StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n"),
    }
}

async fn metrics(State(answers): State<Answers>, headers: HeaderMap) -> Response {
    if let Some(at) = answers.health.synced() {
        answers.metrics.synced(at);
    }
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let (content_type, text) = exposition::of(&answers.metrics.open_metrics(), accepted);
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
