//! What the SDK says of a failed request, in the four words of [`NeighbourError`].

use std::{error::Error as _, time::Duration};

use matrix_sdk::{
    Error, HttpError, RefreshTokenError,
    encryption::CryptoStoreError,
    ruma::api::{
        client::uiaa::UiaaResponse,
        error::{ErrorBody, ErrorKind, FromHttpResponseError, RetryAfter},
    },
};

use crate::world::NeighbourError;

/// How long to wait after a 429 that names no time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// From a failed request.
pub(crate) fn of_http(error: &HttpError) -> NeighbourError {
    match error {
        HttpError::Reqwest(error) => NeighbourError::Unreachable(network_cause(error)),
        HttpError::Api(error) => match &**error {
            FromHttpResponseError::Server(UiaaResponse::MatrixError(error)) => of_matrix(error),
            FromHttpResponseError::Server(UiaaResponse::AuthResponse(_)) => NeighbourError::Refused {
                status: 401,
                errcode: "M_FORBIDDEN".to_owned(),
                message: "the server asks for the password again".to_owned(),
            },
            _ => NeighbourError::Unreachable("the answer is not what Matrix prescribes".to_owned()),
        },
        HttpError::RefreshToken(error) => of_refresh(error),
        HttpError::Cached(error) => of_http(error),
        HttpError::IntoHttp(error) => NeighbourError::Unreachable(error.to_string()),
    }
}

/// From a failed action of the SDK; what is no matter of the network is told in its own words.
pub(crate) fn of_sdk(error: &Error) -> NeighbourError {
    match error {
        Error::Http(error) => of_http(error),
        other => NeighbourError::Unreachable(other.to_string()),
    }
}

/// From the store of encryption keys.
pub(crate) fn of_crypto(error: &CryptoStoreError) -> NeighbourError {
    NeighbourError::Unreachable(format!("the chat store failed: {error}"))
}

/// A session whose refresh token the server refuses is over; anything else may heal.
fn of_refresh(error: &RefreshTokenError) -> NeighbourError {
    match error {
        RefreshTokenError::MatrixAuth(error) => match of_http(error) {
            NeighbourError::Refused { message, .. } => {
                NeighbourError::SignedOut(format!("the refresh token is refused: {message}"))
            }
            other => other,
        },
        other => NeighbourError::SignedOut(other.to_string()),
    }
}

fn of_matrix(error: &matrix_sdk::ruma::api::error::Error) -> NeighbourError {
    let status = error.status_code.as_u16();
    let message = match &error.body {
        ErrorBody::Standard(body) => body.message.clone(),
        _ => String::new(),
    };
    match error.error_kind() {
        Some(ErrorKind::LimitExceeded(data)) => NeighbourError::RateLimited {
            retry_after: match data.retry_after {
                Some(RetryAfter::Delay(delay)) => delay,
                _ => DEFAULT_RETRY_AFTER,
            },
        },
        Some(ErrorKind::UnknownToken(_) | ErrorKind::MissingToken) => NeighbourError::SignedOut(message),
        _ if status == 429 => NeighbourError::RateLimited { retry_after: DEFAULT_RETRY_AFTER },
        Some(kind) if error.status_code.is_client_error() => {
            NeighbourError::Refused { status, errcode: kind.errcode().to_string(), message }
        }
        // 5xx, and error pages of a proxy in front of the homeserver.
        _ => NeighbourError::Unreachable(format!("HTTP {status} {message}").trim_end().to_owned()),
    }
}

/// The innermost cause, which is the one that helps ("Connection refused"), without the URL.
fn network_cause(error: &matrix_sdk::reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    let what = if error.is_connect() { "no connection" } else { "the connection broke" };
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"))
}
