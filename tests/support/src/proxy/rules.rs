//! What is to happen to which request, and what has been seen.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use hyper::{HeaderMap, StatusCode, http::request::Parts};
use serde_json::Value;
use tokio::sync::watch;

use crate::wait::wait_until;

/// A request as it arrived at the proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxiedRequest {
    /// Such as `PUT`.
    pub method: String,
    /// The path with its escapes resolved, so that it can be searched for user ids and state keys.
    pub path: String,
    /// What followed the `?`, as it was.
    pub query: String,
    /// The JSON body, or null.
    pub body: Value,
}

impl fmt::Display for ProxiedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Requests of this method (`"*"` for any) whose path contains this text.
pub fn matching(
    method: &str,
    part_of_path: &str,
) -> impl Fn(&ProxiedRequest) -> bool + Clone + Send + Sync + 'static {
    let method = method.to_owned();
    let part_of_path = part_of_path.to_owned();
    move |request| (method == "*" || request.method == method) && request.path.contains(&part_of_path)
}

/// Requests of this method (`"*"` for any) whose path begins with this, such as `/_synapse/admin/v2/users/`.
pub fn below(method: &str, path: &str) -> impl Fn(&ProxiedRequest) -> bool + Clone + Send + Sync + 'static {
    let (method, path) = (method.to_owned(), path.to_owned());
    move |request| (method == "*" || request.method == method) && request.path.starts_with(&path)
}

/// A rule that holds until it is lifted or dropped.
#[derive(Debug)]
#[must_use = "a rule ends when it is dropped"]
pub struct Rule {
    entry: Arc<Entry>,
    rules: Arc<Rules>,
}

impl Rule {
    /// Applies it to the next `count` matching requests only.
    pub fn times(self, count: usize) -> Self {
        self.entry.state().left = Some(count);
        self
    }

    /// The requests it has been applied to so far.
    pub fn caught(&self) -> Vec<ProxiedRequest> {
        self.entry.state().caught.clone()
    }

    /// Waits until it has been applied to a request, and answers the first.
    pub async fn first(&self, limit: Duration) -> Result<ProxiedRequest> {
        wait_until("a request that the rule is for", limit, async || self.caught().into_iter().next()).await
    }

    /// Ends it; what it held goes on.
    pub fn lift(self) {
        drop(self);
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let mut entries = self.rules.entries();
        entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
        drop(entries);
        self.entry.lifted.send_replace(true);
        self.rules.changed.send_modify(|count| *count += 1);
    }
}

type Predicate = Box<dyn Fn(&ProxiedRequest) -> bool + Send + Sync>;
type Change<T> = Box<dyn Fn(&mut T) + Send + Sync>;

pub(crate) enum Fault {
    Hold,
    Answer(StatusCode, Value),
    /// To the same path at this address.
    Redirect(StatusCode, String),
    Cut,
    Request(Change<Parts>),
    HoldAnswer,
    DelayAnswer(Duration),
    LoseAnswer,
    Rewrite(Change<Value>),
    Headers(Change<HeaderMap>),
}

impl Fault {
    /// Whether it concerns the request on its way to the server, and not the answer on its way back.
    pub(crate) fn is_on_the_way_in(&self) -> bool {
        matches!(self, Self::Hold | Self::Answer(..) | Self::Redirect(..) | Self::Cut | Self::Request(_))
    }
}

pub(crate) struct Entry {
    pub(crate) fault: Fault,
    when: Predicate,
    state: Mutex<EntryState>,
    lifted: watch::Sender<bool>,
}

#[derive(Default)]
struct EntryState {
    /// How often it may still be applied; `None` means always.
    left: Option<usize>,
    caught: Vec<ProxiedRequest>,
}

impl Entry {
    /// Whether to apply it to this request; if so, that is noted.
    pub(crate) fn takes(&self, request: &ProxiedRequest) -> bool {
        let mut state = self.state();
        if state.left == Some(0) || !(self.when)(request) {
            return false;
        }
        state.left = state.left.map(|left| left - 1);
        state.caught.push(request.clone());
        true
    }

    pub(crate) async fn until_lifted(&self) {
        // An error means that the sender is gone, which it is not as long as we hold the entry.
        _ = self.lifted.subscribe().wait_for(|lifted| *lifted).await;
    }

    fn state(&self) -> MutexGuard<'_, EntryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

/// All rules in force and all requests seen.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    entries: Mutex<Vec<Arc<Entry>>>,
    seen: Mutex<Vec<ProxiedRequest>>,
    changed: watch::Sender<usize>,
}

impl Rules {
    pub(crate) fn add(
        self: &Arc<Self>,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Rule {
        let entry = Arc::new(Entry {
            fault,
            when: Box::new(when),
            state: Mutex::default(),
            lifted: watch::Sender::new(false),
        });
        self.entries().push(Arc::clone(&entry));
        self.changed.send_modify(|count| *count += 1);
        Rule { entry, rules: Arc::clone(self) }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<ProxiedRequest>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules in force now, so that none is awaited under the lock.
    pub(crate) fn in_force(&self) -> Vec<Arc<Entry>> {
        self.entries().clone()
    }

    /// Waits until a rule is in force that cuts this request.
    pub(crate) async fn until_cut(&self, request: &ProxiedRequest) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let entries = self.in_force();
            let mut cuts = entries.iter().filter(|it| matches!(it.fault, Fault::Cut));
            if cuts.any(|cut| cut.takes(request)) {
                return;
            }
            // The sender lives in `self`.
            _ = changed.changed().await;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
