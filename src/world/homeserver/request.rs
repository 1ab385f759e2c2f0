//! One request to the homeserver with JSON in and JSON out.
//!
//! What comes back is not parsed into the SDK's types: these refuse a whole answer for one identifier
//! they do not like, and that identifier may have been written by anybody.

use std::time::Duration;

use matrix_sdk::{bytes::Bytes, reqwest::Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::event;
use crate::world::NeighbourError;

/// How long an ordinary request may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// No answer is longer than this: the full view of 100,000 rooms has a tenth of it.
const MOST_BYTES: usize = 1 << 30;

/// A request in the making.
///
/// It cannot be printed: its body may hold a password.
#[derive(Clone)]
pub(crate) struct JsonRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Option<String>,
    pub(super) patience: Duration,
    /// A token of its own, instead of the session's.
    pub(super) token: Option<SecretString>,
    /// An answer with a longer body is given up.
    pub(super) most_bytes: usize,
    /// Why it cannot be sent as it is, where it cannot.
    pub(super) unsendable: Option<String>,
}

impl JsonRequest {
    /// A `GET` of a path whose segments are given unescaped.
    pub(crate) fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments, None)
    }

    /// A `PUT` with a JSON body.
    pub(crate) fn put(segments: &[&str], body: &Value) -> Self {
        Self::new(Method::PUT, segments, Some(body))
    }

    /// A `POST` with a JSON body.
    pub(crate) fn post(segments: &[&str], body: &Value) -> Self {
        Self::new(Method::POST, segments, Some(body))
    }

    fn new(method: Method, segments: &[&str], body: Option<&Value>) -> Self {
        let mut path = String::new();
        let mut unsendable = None;
        for segment in segments {
            // A URL cannot carry these, escaped or not: they would silently address another key.
            if matches!(*segment, "." | "..") {
                unsendable = Some(format!("{segment:?} cannot be part of a URL"));
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment, ESCAPED));
        }
        Self {
            method,
            path,
            query: String::new(),
            body: body.map(Value::to_string),
            patience: REQUEST_TIMEOUT,
            token: None,
            most_bytes: MOST_BYTES,
            unsendable,
        }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, ESCAPED));
        self
    }

    /// Sends it with this token, whatever session there is.
    pub(crate) fn token(mut self, token: &SecretString) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// Waits longer, or shorter, than [`REQUEST_TIMEOUT`].
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Gives an answer with a longer body up, with [`NeighbourError::TooLarge`].
    pub(crate) fn at_most(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }
}

/// What stands as it is in a URL; everything that could mean something there is escaped, `%` and `\` included
/// (the SDK's own escaping leaves these two, so that `a%41` would address the key `aA`).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'@')
    .remove(b':')
    .remove(b'$');

/// What the homeserver answered with a status of success.
#[derive(Debug)]
pub(crate) struct JsonResponse {
    body: Bytes,
    /// The `Date` header.
    pub(crate) date: Option<String>,
}

impl JsonResponse {
    pub(super) fn new(body: Bytes, date: Option<String>) -> Self {
        Self { body, date }
    }

    /// The body as it came.
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Reads the body. `what` names it in the error.
    pub(crate) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, NeighbourError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| NeighbourError::Unreachable(format!("{what} could not be read: {error}")))
    }

    /// Reads the body into something that keeps parts of it. `what` names it in the error.
    pub(crate) fn borrowed<'a, T: Deserialize<'a>>(&'a self, what: &str) -> Result<T, NeighbourError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| NeighbourError::Unreachable(format!("{what} could not be read: {error}")))
    }

    /// Reads the body as one event, whatever is in it.
    pub(crate) fn event(&self) -> Result<Value, NeighbourError> {
        let text = String::from_utf8_lossy(&self.body);
        event::read(&text)
            .map_err(|error| NeighbourError::Unreachable(format!("an event could not be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(segments: &[&str]) -> String {
        JsonRequest::get(segments).path
    }

    #[test]
    fn every_state_key_addresses_itself_and_no_other() {
        assert_eq!(path_of(&["a", "_@alice:hs_DEV"]), "/a/_@alice:hs_DEV");
        assert_eq!(path_of(&["a", "x%41"]), "/a/x%2541");
        assert_eq!(path_of(&["a", "b/c\\d?e#f"]), "/a/b%2Fc%5Cd%3Fe%23f");
        assert_eq!(path_of(&["a", "é "]), "/a/%C3%A9%20");
        assert_eq!(path_of(&["a", ""]), "/a/");
        assert!(JsonRequest::get(&["a", ".."]).unsendable.is_some());
    }
}
