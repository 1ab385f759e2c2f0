//! What the fake answers.

use bytes::Bytes;
use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};

/// An answer of the server itself, before faults.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    body: String,
}

impl Reply {
    /// Success with this JSON.
    pub(super) fn json(body: &Value) -> Self {
        Self::text(body.to_string())
    }

    /// Success with JSON that is written already.
    pub(super) fn text(body: String) -> Self {
        Self { status: 200, body }
    }

    /// An error as Matrix words it.
    pub(super) fn error(status: u16, errcode: &str, error: &str) -> Self {
        Self { status, body: json!({"errcode": errcode, "error": error}).to_string() }
    }

    /// What this server does not have.
    pub(super) fn unrecognized() -> Self {
        Self::error(404, "M_UNRECOGNIZED", "Unrecognized request")
    }

    /// Bytes of the body.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether this stands anywhere in it.
    pub(super) fn contains(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// With another name for a user, everywhere.
    pub(super) fn renamed(mut self, from: &str, to: &str) -> Self {
        if from != to {
            self.body = self.body.replace(from, to);
        }
        self
    }

    /// It on the wire.
    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
