//! A proxy on loopback between the bot and the server, by which a test sees, delays, answers, changes or cuts requests.
//!
//! It runs on a thread and a runtime of its own, so a test may block. What it does to which request is in
//! `proxy/rules.rs` and `proxy/apply.rs`; how bytes get through is in `proxy/pass.rs`.

pub(crate) mod apply;
mod pass;
pub(crate) mod rules;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use hyper::{
    HeaderMap, StatusCode, Uri,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
    http::request::Parts,
};
use reqwest::Url;
use serde_json::Value;
use tokio::sync::oneshot;

use rules::{Fault, Rules};
pub use rules::{ProxiedRequest, Rule, below, matching};

/// The proxy. Dropping it closes its port and every connection.
///
/// The methods that lay down a [`Rule`] take a predicate, [`matching`] or a closure. A rule holds as long as its `Rule`
/// is kept, and several may apply to one request, in the order in which they were made.
#[derive(Debug)]
pub struct FaultProxy {
    url: String,
    rules: Arc<Rules>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts a proxy in front of a server, such as `synapse.url()`. Give the bot [`FaultProxy::url`] instead.
    pub fn start(server: &str) -> Result<Self> {
        let server = Url::parse(server)?;
        let server: SocketAddr =
            server.socket_addrs(|| None)?.into_iter().next().context("the server has no address")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let rules = Arc::new(Rules::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let passing = pass::serve(server, Arc::clone(&rules));
        let thread = thread::Builder::new().name("fault-proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    () = passing(listener) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { url, rules, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the bot is to connect, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every request that arrived since the start or the last [`FaultProxy::reset`], in order.
    pub fn requests(&self) -> Vec<ProxiedRequest> {
        self.rules.seen().clone()
    }

    /// How many of these requests match.
    pub fn count(&self, when: impl Fn(&ProxiedRequest) -> bool) -> usize {
        self.rules.seen().iter().filter(|seen| when(seen)).count()
    }

    /// Forgets the requests seen so far. Rules stay.
    pub fn reset(&self) {
        self.rules.seen().clear();
    }

    /// Keeps matching requests from the server until the rule is lifted.
    pub fn hold(&self, when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.rules.add(when, Fault::Hold)
    }

    /// Lets matching requests reach the server, but keeps its answers back until the rule is lifted.
    pub fn hold_answers(&self, when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.rules.add(when, Fault::HoldAnswer)
    }

    /// Lets matching requests reach the server, but keeps each of its answers back for this long, or until the rule is
    /// lifted.
    pub fn delay_answers(
        &self,
        by: Duration,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Rule {
        self.rules.add(when, Fault::DelayAnswer(by))
    }

    /// Changes the head of matching requests before the server sees them: where they go, what they carry.
    pub fn change_requests(
        &self,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
        change: impl Fn(&mut Parts) + Send + Sync + 'static,
    ) -> Rule {
        self.rules.add(when, Fault::Request(Box::new(change)))
    }

    /// Has every request carry another bearer token than it came with.
    pub fn replace_tokens(&self, other: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Rule {
        self.change_requests(
            |_| true,
            move |head| {
                let header = head.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
                let other = header.and_then(|header| other(header.strip_prefix("Bearer ")?));
                if let Some(Ok(other)) = other.map(|other| HeaderValue::try_from(format!("Bearer {other}"))) {
                    head.headers.insert(AUTHORIZATION, other);
                }
            },
        )
    }

    /// Takes a part off the beginning of every path, as a reverse proxy does before a server that does not know it.
    pub fn strip(&self, prefix: &'static str) -> Rule {
        self.change_requests(
            |_| true,
            move |head| {
                let path = head.uri.path_and_query().map(|path| path.as_str().replacen(prefix, "", 1));
                if let Some(Ok(uri)) = path.map(Uri::try_from) {
                    head.uri = uri;
                }
            },
        )
    }

    /// Answers matching requests itself; the server never sees them.
    pub fn answer(
        &self,
        status: u16,
        body: Value,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Rule {
        // A status that is none would be a mistake in the test, and 500 shows it.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.rules.add(when, Fault::Answer(status, body))
    }

    /// Closes the connection of matching requests without an answer, those under way included.
    pub fn cut(&self, when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.rules.add(when, Fault::Cut)
    }

    /// Lets matching requests reach the server and then closes the connection: it was done, but the bot cannot know.
    pub fn lose_answers(&self, when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.rules.add(when, Fault::LoseAnswer)
    }

    /// An outage: everything is cut, long polls under way included.
    pub fn outage(&self) -> Rule {
        self.cut(|_| true)
    }

    /// Changes the JSON of the answers to matching requests.
    pub fn rewrite(
        &self,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
        change: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Rule {
        self.rules.add(when, Fault::Rewrite(Box::new(change)))
    }

    /// Changes the headers of the answers to matching requests, such as `date` or `retry-after`.
    pub fn rewrite_headers(
        &self,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
        change: impl Fn(&mut HeaderMap) + Send + Sync + 'static,
    ) -> Rule {
        self.rules.add(when, Fault::Headers(Box::new(change)))
    }

    /// Sets one header of the answers to matching requests.
    pub fn set_header(
        &self,
        name: &'static str,
        value: &str,
        when: impl Fn(&ProxiedRequest) -> bool + Send + Sync + 'static,
    ) -> Result<Rule> {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_str(value)?;
        Ok(self.rewrite_headers(when, move |headers| {
            headers.insert(name.clone(), value.clone());
        }))
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}
