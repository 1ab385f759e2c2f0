//! One request to the server's API, and what a refusal looks like.

use std::fmt;

use anyhow::{Context, Result};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::{homeserver::Homeserver, server::Synapse};

/// The server said no. Tests that expect one take it out of the error with `error.downcast_ref::<Refusal>()`.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What was asked, as method and path.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// Matrix's word for it, such as `M_FORBIDDEN`; empty if the answer had none.
    pub errcode: String,
    /// The sentence beside the errcode.
    pub error: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, status, errcode, error } = self;
        write!(f, "{request} was answered with {status} {errcode} \"{error}\"")
    }
}

impl std::error::Error for Refusal {}

/// A request to be sent; see [`Homeserver::request`].
#[derive(Debug)]
#[must_use = "it is not sent before `send` is called"]
pub struct Request<'a> {
    homeserver: &'a Homeserver,
    method: Method,
    path: Vec<String>,
    query: Vec<(String, String)>,
    token: Option<String>,
    body: Option<Value>,
}

impl Homeserver {
    /// Any request: the parts of the path are joined and escaped here, so `["_matrix", "client", "v3", "rooms", room]`.
    pub fn request(&self, method: Method, path: &[&str]) -> Request<'_> {
        Request {
            homeserver: self,
            method,
            path: path.iter().map(ToString::to_string).collect(),
            query: Vec::new(),
            token: None,
            body: None,
        }
    }

    /// A request below `/_matrix/client/v3`.
    pub fn client_request(&self, method: Method, path: &[&str]) -> Request<'_> {
        self.request(method, &[&["_matrix", "client", "v3"], path].concat())
    }
}

impl Synapse {
    /// A request below `/_synapse/admin`, as the server's own administrator.
    pub fn admin_request(&self, method: Method, path: &[&str]) -> Request<'_> {
        self.request(method, &[&["_synapse", "admin"], path].concat()).token(self.admin_token())
    }
}

impl Request<'_> {
    /// Sends it with this access token.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a JSON body.
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it and reads the JSON answer.
    ///
    /// # Errors
    /// [`Refusal`] for any status but 2xx.
    pub async fn send(self) -> Result<Value> {
        let mut url = Url::parse(self.homeserver.url())?;
        url.path_segments_mut().ok().context("the server's URL takes a path")?.extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let request = format!("{} {}", self.method, url.path());
        let mut sending = self.homeserver.http().request(self.method, url);
        if let Some(token) = &self.token {
            sending = sending.bearer_auth(token);
        }
        if let Some(body) = &self.body {
            sending = sending.json(body);
        }
        let answer = sending.send().await.with_context(|| request.clone())?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| request.clone())?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(json);
        }
        let word = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Err(Refusal { request, status: status.as_u16(), errcode: word("errcode"), error: word("error") }
            .into())
    }
}

/// A text field that the server always sends.
pub(crate) fn text(answer: &Value, field: &str) -> Result<String> {
    Ok(answer[field].as_str().with_context(|| format!("no {field} in {answer}"))?.to_owned())
}
