//! What the bot is to other programs: its HTTP port, and what is counted.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    cli::set_up,
    config::Config,
    http::{self, Answers, Health, Webhooks},
    metrics::Metrics,
    shutdown::Shutdown,
    supervisor::Supervisor,
    world::{clock::SystemClock, livekit::webhook::Departures},
};

/// How many batches of departures may wait for the loop; what comes then is put together.
const DEPARTURES: usize = 4;

/// What other programs may ask of, and tell.
pub(super) struct HttpPort {
    pub(super) metrics: Metrics,
    pub(super) health: Health,
    webhooks: Option<Arc<Webhooks>>,
}

/// Serves before the homeserver is asked for anything: that it does not answer is no reason to be restarted.
pub(super) fn serve(config: &Config, supervisor: &mut Supervisor, shutdown: &Shutdown) -> HttpPort {
    let metrics = Metrics::new();
    let health = Health::new(Arc::new(SystemClock));
    let webhooks = set_up::webhooks(config, &metrics);
    if let Some(address) = config.http.listen {
        let answers =
            Answers { health: health.clone(), metrics: metrics.clone(), webhooks: webhooks.clone() };
        supervisor.spawn("http", http::serve(address, answers, shutdown.clone()));
    }
    HttpPort { metrics, health, webhooks }
}

impl HttpPort {
    /// What the SFU tells of departures, from now on.
    pub(super) fn departures(
        &self,
        supervisor: &mut Supervisor,
        shutdown: &Shutdown,
    ) -> mpsc::Receiver<Departures> {
        let (departed, departures) = mpsc::channel(DEPARTURES);
        if let Some(webhooks) = self.webhooks.clone() {
            let shutdown = shutdown.clone();
            supervisor.spawn("webhooks", async move {
                let _: Option<()> = shutdown.or(webhooks.hand_over(departed)).await;
                Ok(())
            });
        }
        departures
    }
}
