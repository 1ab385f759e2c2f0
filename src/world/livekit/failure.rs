//! Why an SFU gave no answer, each in a sentence that whoever runs it can act on.
//!
//! What it answers is never shown as it came: a 401 of LiveKit holds the whole bearer token, and anything
//! may stand in the error page of a proxy.

use std::time::Duration;

use matrix_sdk::reqwest;
use serde::Deserialize;

use crate::world::{backoff::LONGEST_RETRY_AFTER, homeserver::failure};

/// Why an SFU gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SfuError {
    /// No connection, no answer in time, or a 5xx: it may heal by itself.
    #[error("it does not answer ({0})")]
    Unreachable(String),
    /// 429.
    #[error("it asks to slow down (429)")]
    RateLimited {
        /// What it asks for.
        retry_after: Duration,
    },
    /// 401: it does not know the key.
    #[error("it does not know the key: livekit.api_key is none of its keys")]
    WrongKey,
    /// 401: the key's secret is another one.
    #[error("it does not take the signature: livekit.api_secret does not belong to livekit.api_key")]
    WrongSecret,
    /// 401: the token is over, or has not begun.
    #[error("its clock and ours differ by more than a minute: set both by NTP")]
    Clock,
    /// 401 or 403 for another reason.
    #[error("it refuses the request (HTTP {0}): may livekit.api_key list rooms and participants?")]
    Forbidden(u16),
    /// 404 or 405: something else answers there.
    #[error(
        "livekit.url leads to no LiveKit API (HTTP {0}): is a part of the path missing, or one too much?"
    )]
    WrongAddress(u16),
    /// 3xx. Nothing follows it: the token would go along.
    #[error("livekit.url redirects to {0}: set that, if it is meant")]
    Redirected(String),
    /// An answer that LiveKit does not give.
    #[error("what answers at livekit.url is not LiveKit ({0})")]
    NotLiveKit(String),
}

impl SfuError {
    /// Whether only a person can put it right.
    pub fn needs_person(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::RateLimited { .. })
    }
}

/// The codes of Twirp that are told apart.
#[derive(Default, Deserialize)]
struct Twirp {
    #[serde(default)]
    code: String,
}

/// An answer without success.
pub(super) fn of_answer(
    status: u16,
    location: Option<&str>,
    retry_after: Option<u64>,
    body: &[u8],
) -> SfuError {
    let text = String::from_utf8_lossy(body);
    let code = serde_json::from_slice::<Twirp>(body).unwrap_or_default().code;
    match status {
        300..=399 => SfuError::Redirected(
            location.map_or_else(|| "an address it does not name".to_owned(), harmless_address),
        ),
        401 | 403 if text.starts_with("invalid API key") => SfuError::WrongKey,
        // Of such a body only what comes after the token says anything.
        401 | 403 => match text.rsplit_once(", error: ").map(|(_, why)| why) {
            Some(why) if why.contains("expired") || why.contains("not valid yet") => SfuError::Clock,
            Some(why) if why.contains("signature") => SfuError::WrongSecret,
            _ => SfuError::Forbidden(status),
        },
        404 | 405 => SfuError::WrongAddress(status),
        429 => SfuError::RateLimited {
            retry_after: retry_after
                .map_or(Duration::from_secs(5), Duration::from_secs)
                .min(LONGEST_RETRY_AFTER),
        },
        500.. => SfuError::Unreachable(format!("HTTP {status}")),
        _ if code == "malformed" => {
            SfuError::NotLiveKit(format!("HTTP {status}, it cannot read the question"))
        }
        _ => SfuError::NotLiveKit(format!("HTTP {status}")),
    }
}

/// No answer at all.
pub(super) fn of_network(error: &reqwest::Error) -> SfuError {
    SfuError::Unreachable(failure::network_cause(error))
}

/// Where a redirect leads, without what may be secret in it.
fn harmless_address(location: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(location) else { return "a path of its own".to_owned() };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJrIn0.c2lnbmF0dXJl";

    /// What is made of an answer of livekit-server 1.13.5, or of something that is not.
    fn of(status: u16, body: &str) -> SfuError {
        of_answer(status, Some("https://u:p@other.example/x?token=abc"), None, body.as_bytes())
    }

    #[test]
    fn each_way_to_fail_is_told_apart() {
        let invalid = |why: &str| format!("invalid token: {TOKEN}, error: {why}");
        for (status, body, error) in [
            (401, "invalid API key: nokey".to_owned(), SfuError::WrongKey),
            (401, invalid("token signature is invalid: signature is invalid"), SfuError::WrongSecret),
            (401, invalid("token has invalid claims: token is expired"), SfuError::Clock),
            (401, invalid("token has invalid claims: token is not valid yet"), SfuError::Clock),
            (
                401,
                r#"{"code":"unauthenticated","msg":"permissions denied"}"#.to_owned(),
                SfuError::Forbidden(401),
            ),
            (401, "invalid authorization token".to_owned(), SfuError::Forbidden(401)),
            (404, r#"{"code":"bad_route","msg":"no handler"}"#.to_owned(), SfuError::WrongAddress(404)),
            (404, "404 page not found".to_owned(), SfuError::WrongAddress(404)),
            (301, String::new(), SfuError::Redirected("https://other.example/x".into())),
            (502, "<html>bad gateway</html>".to_owned(), SfuError::Unreachable("HTTP 502".into())),
            (
                400,
                "<html>plain HTTP to an HTTPS port</html>".to_owned(),
                SfuError::NotLiveKit("HTTP 400".into()),
            ),
        ] {
            assert_eq!(of(status, &body), error, "{body}");
        }
        let limited = of_answer(429, None, Some(86_400), b"");
        assert_eq!(limited, SfuError::RateLimited { retry_after: LONGEST_RETRY_AFTER });
    }

    #[test]
    fn nothing_of_an_answer_is_ever_shown() {
        let secrets = [TOKEN, "turn-password", "abc", "u:p"];
        let bodies = [
            format!("invalid token: {TOKEN}, error: token signature is invalid"),
            format!("invalid token: {TOKEN}"),
            format!("invalid API key: {TOKEN}"),
            format!(r#"{{"code":"{TOKEN}","msg":"{TOKEN}","turn_password":"turn-password"}}"#),
            format!("<html>{TOKEN} turn-password</html>"),
            format!(", error: expired signature {TOKEN}"),
        ];
        for status in [200, 301, 302, 400, 401, 403, 404, 405, 418, 429, 500, 503] {
            for body in &bodies {
                let error = of(status, body);
                let shown = format!("{error} {error:?}");
                assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{status} {body}: {shown}");
            }
        }
    }
}
