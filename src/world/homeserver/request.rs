//! One request to the homeserver with JSON in and JSON out.
//!
//! The SDK sends it, with its tokens and their renewal. What comes back is not parsed into the
//! SDK's types: these refuse a whole answer for one identifier they do not like, and that
//! identifier may have been written by anybody.

use std::{fmt::Write as _, time::Duration};

use matrix_sdk::{
    Client,
    bytes::BufMut,
    config::RequestConfig,
    ruma::{
        api::{
            EndpointError as _, IncomingResponse, Metadata, OutgoingRequest,
            auth_scheme::{AccessToken, AuthScheme, SendAccessToken},
            error::{Error, FromHttpResponseError, IntoHttpError},
            path_builder::SinglePath,
        },
        // The very version of `http` that the SDK's traits are made of.
        exports::http::{self, Method, header},
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{event, failure};
use crate::world::NeighbourError;

/// How long an ordinary request may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A request in the making.
#[derive(Clone, Debug)]
pub(crate) struct JsonRequest {
    method: Method,
    path: String,
    query: String,
    body: Option<String>,
    patience: Duration,
    unsendable: Option<String>,
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
            escape(segment, &mut path);
        }
        Self {
            method,
            path,
            query: String::new(),
            body: body.map(Value::to_string),
            patience: PATIENCE,
            unsendable,
        }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        escape(value, &mut self.query);
        self
    }

    /// Waits longer, or shorter, than [`PATIENCE`].
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends it, once: no retries but for one after the access token was renewed.
    pub(crate) async fn send(self, client: &Client) -> Result<JsonResponse, NeighbourError> {
        if let Some(message) = self.unsendable {
            return Err(NeighbourError::Refused {
                status: 400,
                errcode: "M_INVALID_PARAM".to_owned(),
                message,
            });
        }
        let config = RequestConfig::new().disable_retry().timeout(self.patience);
        client.send(self).with_request_config(config).await.map_err(|error| failure::of_http(&error))
    }
}

/// Escapes everything that could mean something in a URL, `%` and `\` included (the SDK's own
/// escaping leaves these two, so that `a%41` would address the key `aA`).
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b'@'
            | b':'
            | b'$' => {
                into.push(char::from(byte));
            }
            _ => {
                // Writing to a string does not fail.
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

/// What the homeserver answered with a status of success.
#[derive(Debug)]
pub(crate) struct JsonResponse {
    body: Vec<u8>,
    /// The `Date` header.
    pub(crate) date: Option<String>,
}

impl JsonResponse {
    /// Reads the body. `what` names it in the error.
    pub(crate) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, NeighbourError> {
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

impl Metadata for JsonRequest {
    // Only the SDK's typed requests are built from these; ours brings its own method and path.
    const METHOD: Method = Method::GET;
    const RATE_LIMITED: bool = true;
    type Authentication = AccessToken;
    type PathBuilder = SinglePath;
    const PATH_BUILDER: SinglePath = SinglePath::new("/_matrix");
}

impl OutgoingRequest for JsonRequest {
    type EndpointError = Error;
    type IncomingResponse = JsonResponse;

    fn try_into_http_request<T: Default + BufMut + AsRef<[u8]>>(
        self,
        base_url: &str,
        access_token: SendAccessToken<'_>,
        (): (),
    ) -> Result<http::Request<T>, IntoHttpError> {
        let mut body = T::default();
        if let Some(text) = &self.body {
            body.put_slice(text.as_bytes());
        }
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(format!("{}{}{}", base_url.trim_end_matches('/'), self.path, self.query))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)?;
        AccessToken::add_authentication(&mut request, access_token)
            .map_err(|error| IntoHttpError::Authentication(error.into()))?;
        Ok(request)
    }
}

impl IncomingResponse for JsonResponse {
    type EndpointError = Error;

    fn try_from_http_response<T: AsRef<[u8]>>(
        response: http::Response<T>,
    ) -> Result<Self, FromHttpResponseError<Error>> {
        if !response.status().is_success() {
            return Err(FromHttpResponseError::Server(Error::from_http_response(response)));
        }
        let date = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
        Ok(Self { date: date.map(str::to_owned), body: response.body().as_ref().to_vec() })
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
