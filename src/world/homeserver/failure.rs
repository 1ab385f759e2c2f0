//! What the SDK says of a failed request, in the words of [`NeighbourError`].

use std::{error::Error as _, time::Duration};

use matrix_sdk::{
    Error, HttpError, RefreshTokenError,
    authentication::oauth::{
        OAuthError,
        error::{BasicErrorResponseType, RequestTokenError},
    },
    bytes::Bytes,
    encryption::CryptoStoreError,
    reqwest,
    ruma::{
        api::{
            EndpointError as _,
            client::uiaa::UiaaResponse,
            error::{Error as MatrixError, ErrorBody, ErrorKind, FromHttpResponseError, RetryAfter},
        },
        exports::http,
    },
};

use crate::world::{NeighbourError, backoff::LONGEST_RETRY_AFTER};

/// How long to wait after a 429 that names no time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// From a failed request.
pub(crate) fn of_http(error: &HttpError) -> NeighbourError {
    match error {
        HttpError::Reqwest(error) => of_network(error),
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

/// From an answer that is no success.
pub(super) fn of_answer(answer: http::Response<Bytes>) -> NeighbourError {
    of_matrix(&MatrixError::from_http_response(answer))
}

/// From a request that got no answer.
pub(super) fn of_network(error: &reqwest::Error) -> NeighbourError {
    NeighbourError::Unreachable(network_cause(error))
}

/// From a failed action of the SDK; what is no matter of the network is told in its own words.
pub(crate) fn of_sdk(error: &Error) -> NeighbourError {
    match error {
        Error::Http(error) => of_http(error),
        Error::WrongRoomState(_) => NeighbourError::NotInRoom(error.to_string()),
        other => NeighbourError::Unreachable(other.to_string()),
    }
}

/// From the store of encryption keys.
pub(crate) fn of_crypto(error: &CryptoStoreError) -> NeighbourError {
    NeighbourError::Unreachable(format!("the chat store failed: {error}"))
}

/// A session whose refresh token the server refuses is over; anything else may heal.
pub(super) fn of_refresh(error: &RefreshTokenError) -> NeighbourError {
    match error {
        RefreshTokenError::MatrixAuth(error) => match of_http(error) {
            NeighbourError::Refused { message, .. } => {
                NeighbourError::SignedOut(format!("the refresh token is refused: {message}"))
            }
            other => other,
        },
        RefreshTokenError::OAuth(error) => match &**error {
            OAuthError::RefreshToken(RequestTokenError::ServerResponse(answer))
                if is_final(answer.error()) =>
            {
                NeighbourError::SignedOut(format!("the refresh token is refused: {answer}"))
            }
            other => NeighbourError::Unreachable(format!("the access token cannot be renewed: {other}")),
        },
        RefreshTokenError::RefreshTokenRequired => NeighbourError::SignedOut(error.to_string()),
    }
}

/// Whether asking the authorization server again cannot help (RFC 6749, 5.2). Its other codes are of a
/// server that has trouble of its own, or is being set up.
fn is_final(error: &BasicErrorResponseType) -> bool {
    use BasicErrorResponseType as Code;
    matches!(error, Code::InvalidGrant | Code::InvalidClient | Code::UnauthorizedClient)
}

fn of_matrix(error: &MatrixError) -> NeighbourError {
    let status = error.status_code.as_u16();
    let message = match &error.body {
        ErrorBody::Standard(body) => body.message.clone(),
        ErrorBody::Json(body) => body["error"].as_str().unwrap_or_default().to_owned(),
        ErrorBody::NotJson { .. } => String::new(),
    };
    // Ruma wants more of some errors than servers and proxies send.
    let errcode = match &error.body {
        ErrorBody::Json(body) => body["errcode"].as_str(),
        _ => None,
    };
    match error.error_kind() {
        Some(ErrorKind::LimitExceeded(data)) => NeighbourError::RateLimited {
            retry_after: match data.retry_after {
                Some(RetryAfter::Delay(delay)) => delay.min(LONGEST_RETRY_AFTER),
                _ => DEFAULT_RETRY_AFTER,
            },
        },
        Some(ErrorKind::UnknownToken(_) | ErrorKind::MissingToken) => NeighbourError::SignedOut(message),
        _ if status == 429 => NeighbourError::RateLimited { retry_after: DEFAULT_RETRY_AFTER },
        Some(kind) if error.status_code.is_client_error() => {
            NeighbourError::Refused { status, errcode: kind.errcode().to_string(), message }
        }
        None if error.status_code.is_client_error() && errcode.is_some() => {
            NeighbourError::Refused { status, errcode: errcode.unwrap_or_default().to_owned(), message }
        }
        // 5xx, and error pages of a proxy in front of the homeserver.
        _ => NeighbourError::Unreachable(format!("HTTP {status} {message}").trim_end().to_owned()),
    }
}

/// The innermost cause, which is the one that helps ("Connection refused"), without the URL.
pub(crate) fn network_cause(error: &reqwest::Error) -> String {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use matrix_sdk::authentication::oauth::error::{HttpClientError, StandardErrorResponse};

    use super::*;

    #[test]
    fn only_a_refused_refresh_token_ends_a_session() {
        let refresh =
            |error| of_refresh(&RefreshTokenError::OAuth(Arc::new(OAuthError::RefreshToken(error))));
        let answer = |code| RequestTokenError::ServerResponse(StandardErrorResponse::new(code, None, None));
        let of_code = |code: &str| refresh(answer(BasicErrorResponseType::Extension(code.to_owned())));
        assert!(matches!(
            refresh(answer(BasicErrorResponseType::InvalidGrant)),
            NeighbourError::SignedOut(_)
        ));
        assert!(matches!(of_code("temporarily_unavailable"), NeighbourError::Unreachable(_)));
        let broken = RequestTokenError::Request(HttpClientError::Other("connection refused".to_owned()));
        assert!(matches!(refresh(broken), NeighbourError::Unreachable(_)));
        let html = RequestTokenError::Other("502".to_owned());
        assert!(matches!(refresh(html), NeighbourError::Unreachable(_)));
    }

    #[test]
    fn nobody_is_waited_for_longer_than_ten_minutes() {
        let answer = |header: &str, body: &str| {
            let mut answer = http::Response::new(Bytes::from(body.to_owned()));
            *answer.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
            answer.headers_mut().insert(http::header::RETRY_AFTER, header.parse().unwrap());
            of_answer(answer)
        };
        let longest = NeighbourError::RateLimited { retry_after: LONGEST_RETRY_AFTER };
        let slow =
            |ms: u64| format!(r#"{{"errcode":"M_LIMIT_EXCEEDED","error":"slow","retry_after_ms":{ms}}}"#);
        assert_eq!(answer("86400", &slow(86_400_000)), longest);
        assert_eq!(answer("86400", r#"{"errcode":"M_LIMIT_EXCEEDED","error":"slow"}"#), longest);
        let short = NeighbourError::RateLimited { retry_after: Duration::from_secs(7) };
        assert_eq!(answer("7", &slow(7000)), short);
        assert!(matches!(answer("86400", "<html>"), NeighbourError::RateLimited { retry_after }
            if retry_after <= LONGEST_RETRY_AFTER));
    }
}
