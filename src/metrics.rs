//! What is counted for Prometheus. Whoever counts holds a clone; nobody waits for anybody, and no room or user is
//! ever in a label.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use rtc_janitor_core::{
    judge::policy::{Neighbour, Reason},
    leave_lag::Leaver,
    plan::Route,
    time::Timestamp,
};

/// What every name begins with.
const PREFIX: &str = "rtc_janitor";

/// From a proper leave to the longest a membership stands by itself, in seconds.
const LEAVE_LAGS: [f64; 12] =
    [1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 4.0 * 3600.0, 24.0 * 3600.0];

/// The codes by which a homeserver refuses a write, and a word for when it does not answer. Any other is counted as
/// `other`: what it may say has no end.
const ERRCODES: [&str; 10] = [
    "M_BAD_JSON",
    "M_FORBIDDEN",
    "M_LIMIT_EXCEEDED",
    "M_NOT_FOUND",
    "M_TOO_LARGE",
    "M_UNKNOWN",
    "M_UNKNOWN_TOKEN",
    "M_UNRECOGNIZED",
    "M_USER_SUSPENDED",
    "unreachable",
];

/// In place of a reason where a person wanted it.
const ASKED_FOR: &str = "asked_for";

type One = [(&'static str, &'static str); 1];
type Two = [(&'static str, &'static str); 2];

/// Whom a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The homeserver's client API, by the device that watches.
    Homeserver,
    /// The homeserver, to post in the admin room.
    AdminRoom,
    /// The admin API of the homeserver.
    SynapseAdmin,
    /// The SFU's API.
    Sfu,
    /// An authorisation service before an SFU.
    AuthorisationService,
}

impl Asked {
    const ALL: [Self; 5] =
        [Self::Homeserver, Self::AdminRoom, Self::SynapseAdmin, Self::Sfu, Self::AuthorisationService];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Homeserver => "homeserver",
            Self::AdminRoom => "admin_room",
            Self::SynapseAdmin => "synapse_admin",
            Self::Sfu => "sfu",
            Self::AuthorisationService => "authorisation_service",
        }
    }
}

/// How many memberships look how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memberships {
    /// Nothing speaks against them.
    pub active: usize,
    /// By the reason that names them, in the order of [`Reason::ALL`].
    pub stale: [usize; Reason::ALL.len()],
    /// Nothing can be said of them.
    pub unknown: usize,
}

/// The rooms the janitor is in or wants to be in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomCounts {
    /// Joined.
    pub joined: usize,
    /// Of those, how many have something open.
    pub with_calls: usize,
    /// Invitations and upgrades that are not joined so far.
    pub not_joined: usize,
}

/// Everything that is counted. A clone counts into the same.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    memberships: Family<One, Gauge>,
    stale: Family<One, Gauge>,
    cleared: Family<Two, Counter>,
    clear_failures: Family<One, Counter>,
    returned: Counter,
    overwritten: Counter,
    breaker_open: Family<One, Gauge>,
    rooms: Family<One, Gauge>,
    source_up: Family<One, Gauge>,
    sweep_seconds: Histogram,
    leave_lag_seconds: Family<One, Histogram>,
    requests: Family<Two, Counter>,
    webhooks: Family<Two, Counter>,
    last_sync: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let inner = Inner {
            registry: Registry::with_prefix(PREFIX),
            memberships: Family::default(),
            stale: Family::default(),
            cleared: Family::default(),
            clear_failures: Family::default(),
            returned: Counter::default(),
            overwritten: Counter::default(),
            breaker_open: Family::default(),
            rooms: Family::default(),
            source_up: Family::default(),
            sweep_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            leave_lag_seconds: Family::new_with_constructor(|| Histogram::new(LEAVE_LAGS)),
            requests: Family::default(),
            webhooks: Family::default(),
            last_sync: Gauge::default(),
        };
        let metrics = Self(Arc::new(inner.registered()));
        metrics.begin_at_zero();
        metrics
    }
}

impl Inner {
    fn registered(mut self) -> Self {
        let version: Family<One, Gauge> = Family::default();
        version.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        let to = &mut self.registry;
        to.register("memberships", "Open call memberships, by verdict", self.memberships.clone());
        to.register("stale", "Stale call memberships, by the reason that names them", self.stale.clone());
        to.register("cleared", "Keys emptied, by reason and route", self.cleared.clone());
        to.register(
            "clear_failures",
            "Writes that were not taken, by error code",
            self.clear_failures.clone(),
        );
        to.register(
            "returned",
            "Memberships that came back after they were emptied: active all the time",
            self.returned.clone(),
        );
        to.register("overwritten", "Writes that replaced a newer membership", self.overwritten.clone());
        to.register(
            "breaker_open",
            "Whether the breaker of a source is open or on trial",
            self.breaker_open.clone(),
        );
        to.register("rooms", "Rooms, by how they stand", self.rooms.clone());
        to.register(
            "source_up",
            "Whether a source of evidence answers and its word counts",
            self.source_up.clone(),
        );
        to.register("sweep_seconds", "How long judging and planning took", self.sweep_seconds.clone());
        to.register(
            "leave_lag_seconds",
            "From gone at the call server to gone in the room, by who emptied it",
            self.leave_lag_seconds.clone(),
        );
        to.register("requests", "Requests, by neighbour and outcome", self.requests.clone());
        to.register(
            "webhooks",
            "Webhooks of the call server, by event and the reason of a departure",
            self.webhooks.clone(),
        );
        to.register(
            "last_sync_timestamp_seconds",
            "When the homeserver last answered a sync",
            self.last_sync.clone(),
        );
        to.register("build_info", "The version that runs", version);
        self
    }
}

impl Metrics {
    /// Nothing counted so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A series that begins with its first event hides that event from `increase()`.
    fn begin_at_zero(&self) {
        let inner = &self.0;
        for route in Route::ALL {
            for reason in Reason::ALL.into_iter().map(Reason::as_str).chain([ASKED_FOR]) {
                let labels = [("reason", reason), ("route", route.as_str())];
                drop(inner.cleared.get_or_create(&labels));
            }
        }
        for errcode in ERRCODES.into_iter().chain(["other"]) {
            drop(inner.clear_failures.get_or_create(&[("errcode", errcode)]));
        }
        for reason in ["CLIENT_INITIATED", "CONNECTION_TIMEOUT", "DUPLICATE_IDENTITY"] {
            drop(inner.webhooks.get_or_create(&[("event", "participant_left"), ("reason", reason)]));
        }
        drop(inner.webhooks.get_or_create(&[("event", "refused"), ("reason", "")]));
        for asked in Asked::ALL {
            for outcome in ["ok", "refused", "rate_limited", "unreachable"] {
                let labels = [("neighbour", asked.as_str()), ("outcome", outcome)];
                drop(inner.requests.get_or_create(&labels));
            }
        }
        for leaver in Leaver::ALL {
            drop(inner.leave_lag_seconds.get_or_create(&[("by", leaver.as_str())]));
        }
        for source in Neighbour::ALL {
            self.breaker(source, false);
        }
        self.memberships(&Memberships::default());
        self.rooms(RoomCounts::default());
    }

    /// In the OpenMetrics text format.
    pub fn open_metrics(&self) -> String {
        let mut written = String::new();
        // Text can always be written to a string.
        let _: fmt::Result = text::encode(&mut written, &self.0.registry);
        written
    }

    /// How many memberships look how.
    pub fn memberships(&self, counts: &Memberships) {
        let stale: usize = counts.stale.iter().sum();
        for (verdict, count) in [("active", counts.active), ("stale", stale), ("unknown", counts.unknown)] {
            set(&self.0.memberships.get_or_create(&[("verdict", verdict)]), count);
        }
        for (reason, count) in Reason::ALL.into_iter().zip(counts.stale) {
            set(&self.0.stale.get_or_create(&[("reason", reason.as_str())]), count);
        }
    }

    /// How many rooms stand how.
    pub fn rooms(&self, counts: RoomCounts) {
        for (state, count) in
            [("joined", counts.joined), ("with_calls", counts.with_calls), ("not_joined", counts.not_joined)]
        {
            set(&self.0.rooms.get_or_create(&[("state", state)]), count);
        }
    }

    /// A key was emptied; without a reason because a person wanted it.
    pub fn cleared(&self, reason: Option<Reason>, route: &'static str) {
        let reason = reason.map_or(ASKED_FOR, Reason::as_str);
        self.0.cleared.get_or_create(&[("reason", reason), ("route", route)]).inc();
    }

    /// A write was not taken, for this code.
    pub fn clear_failed(&self, errcode: &str) {
        let known = ERRCODES.into_iter().find(|known| *known == errcode).unwrap_or("other");
        self.0.clear_failures.get_or_create(&[("errcode", known)]).inc();
    }

    /// A membership came back after it was emptied.
    pub fn returned(&self) {
        self.0.returned.inc();
    }

    /// A write replaced a newer membership.
    pub fn overwrote(&self) {
        self.0.overwritten.inc();
    }

    /// Whether the breaker of a source keeps its word from counting.
    pub fn breaker(&self, source: Neighbour, is_open: bool) {
        self.0.breaker_open.get_or_create(&[("source", source.as_str())]).set(i64::from(is_open));
    }

    /// Whether a source answers and its word counts.
    pub fn source(&self, source: Neighbour, is_up: bool) {
        self.0.source_up.get_or_create(&[("source", source.as_str())]).set(i64::from(is_up));
    }

    /// A sweep is over.
    pub fn swept(&self, took: Duration) {
        self.0.sweep_seconds.observe(took.as_secs_f64());
    }

    /// Somebody has left the SFU and the room.
    pub fn left(&self, by: Leaver, lag: Duration) {
        self.0.leave_lag_seconds.get_or_create(&[("by", by.as_str())]).observe(lag.as_secs_f64());
    }

    /// A request came back.
    pub fn asked(&self, neighbour: Asked, outcome: &'static str) {
        let labels = [("neighbour", neighbour.as_str()), ("outcome", outcome)];
        self.0.requests.get_or_create(&labels).inc();
    }

    /// How many requests of the janitor's account the homeserver has refused with 429 since the start.
    pub fn times_limited(&self) -> u64 {
        [Asked::Homeserver, Asked::AdminRoom]
            .into_iter()
            .map(|asked| [("neighbour", asked.as_str()), ("outcome", "rate_limited")])
            .map(|labels| self.0.requests.get_or_create(&labels).get())
            .sum()
    }

    /// The SFU told something.
    pub fn told(&self, event: &'static str, reason: &'static str) {
        self.0.webhooks.get_or_create(&[("event", event), ("reason", reason)]).inc();
    }

    /// The homeserver has answered a sync.
    pub fn synced(&self, at: Timestamp) {
        self.0.last_sync.set(at.as_millis() / 1000);
    }
}

fn set(gauge: &Gauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}
