//! How the fake misbehaves: slow, silent, refusing, limiting, sending elsewhere, forgetting tokens.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{FakeHomeserver, Shared};
use crate::{
    ProxiedRequest, Rule, clock,
    proxy::rules::{Fault, Rules},
};

/// How long matching requests take more than they would.
pub(super) type Latency = Box<dyn Fn(&ProxiedRequest) -> Duration + Send + Sync>;

impl Shared {
    pub(super) fn latency_of(&self, seen: &ProxiedRequest) -> Duration {
        let latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.as_ref().map_or(Duration::ZERO, |of| of(seen))
    }
}

impl FakeHomeserver {
    /// Every answer takes this much longer.
    pub fn be_slow(&self, latency: Duration) {
        self.be_slow_with(move |_| latency);
    }

    /// Answers take as much longer as this says.
    pub fn be_slow_with(&self, latency: impl Fn(&ProxiedRequest) -> Duration + Send + Sync + 'static) {
        *self.shared.latency.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(latency));
    }

    /// Matching requests are not answered until the rule is lifted.
    pub fn hang(&self, when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.rules().add(when, Fault::Hold)
    }

    /// Matching requests have their effect, but are not answered until the rule is lifted.
    pub fn hold_answers(&self, when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.rules().add(when, Fault::HoldAnswer)
    }

    /// Matching requests are answered with this error and have no effect.
    pub fn refuse(
        &self,
        status: u16,
        errcode: &str,
        error: &str,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Rule {
        self.answer(status, json!({"errcode": errcode, "error": error}), when)
    }

    /// Matching requests are answered with this and have no effect.
    pub fn answer(
        &self,
        status: u16,
        body: Value,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Rule {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.rules().add(when, Fault::Answer(status, body))
    }

    /// Matching requests are answered with 429, to be tried again after so long.
    pub fn too_many(
        &self,
        retry_after: Duration,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Rule {
        self.answer(429, limited(retry_after), when)
    }

    /// Matching requests have their effect, and each is answered this much later.
    pub fn delay_answers(
        &self,
        by: Duration,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Rule {
        self.rules().add(when, Fault::DelayAnswer(by))
    }

    /// The connections of matching requests are closed without an answer, those under way included.
    pub fn cut(&self, when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.rules().add(when, Fault::Cut)
    }

    /// Everything is redirected to the same path at another address.
    pub fn redirect(&self, status: u16, address: &str) -> Rule {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::PERMANENT_REDIRECT);
        self.rules().add(|_| true, Fault::Redirect(status, address.to_owned()))
    }

    /// Of matching requests it takes `burst` at once and one more each `period`; beyond, it answers 429.
    pub fn limit(
        &self,
        burst: usize,
        period: Duration,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Rule {
        let taken: Arc<Mutex<VecDeque<tokio::time::Instant>>> = Arc::default();
        let is_too_much = move |seen: &ProxiedRequest| {
            if !when(seen) {
                return false;
            }
            let now = clock::moment();
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            // A bucket that loses one each period: each entry is when its place is free again.
            while taken.front().is_some_and(|free| *free <= now) {
                taken.pop_front();
            }
            if taken.len() >= burst {
                return true;
            }
            let free = taken.back().copied().unwrap_or(now).max(now) + period;
            taken.push_back(free);
            false
        };
        self.answer(429, limited(period), is_too_much)
    }

    /// No token that it has given is known any more, as after a change to another implementation.
    pub fn forget_tokens(&self) {
        self.shared.world().generation += 1;
        self.shared.wake();
    }

    fn rules(&self) -> &Arc<Rules> {
        &self.shared.rules
    }
}

fn limited(retry_after: Duration) -> Value {
    let ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
    json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": ms})
}
