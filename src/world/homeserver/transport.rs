//! Sending one request with the session's token, and renewing that token when it has expired.
//!
//! The SDK keeps the session and renews its tokens; the request itself goes straight through its HTTP
//! client. So an answer is read only as far as it may be large, and a redirect is seen and never followed.

use std::{fmt, str::FromStr as _, sync::Arc};

use futures_util::future::BoxFuture;
use matrix_sdk::{
    Client, RefreshTokenError,
    bytes::BytesMut,
    reqwest::{self, header, redirect},
    ruma::exports::http,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    failure,
    request::{JsonRequest, JsonResponse},
};
use crate::{
    metrics::{Asked, Metrics},
    world::NeighbourError,
};

/// What carries requests to the homeserver.
///
/// It is a `dyn` that returns boxed futures on purpose: an `async` method that holds the SDK's client
/// over an await makes the compiler prove anew, each time, that all of the SDK is `Send` and `Sync`, which
/// takes seconds. Here that is proved once.
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    /// One request and its answer: no retries but for one after the access token was renewed.
    fn exchange(&self, request: JsonRequest) -> BoxFuture<'_, Result<JsonResponse, NeighbourError>>;
}

impl JsonRequest {
    /// Sends it, once: no retries but for one after the access token was renewed.
    pub(crate) async fn send(self, transport: &dyn Transport) -> Result<JsonResponse, NeighbourError> {
        transport.exchange(self).await
    }
}

impl Transport for Client {
    fn exchange(&self, request: JsonRequest) -> BoxFuture<'_, Result<JsonResponse, NeighbourError>> {
        Box::pin(async move {
            if let Some(token) = &request.token {
                // It is nobody's session, and cannot be renewed.
                let token = Some(token.expose_secret());
                return send_once(self.http_client(), &self.homeserver(), token, &request).await;
            }
            let token = self.access_token();
            let base = self.homeserver();
            let answer = send_once(self.http_client(), &base, token.as_deref(), &request).await;
            if !matches!(answer, Err(NeighbourError::SignedOut(_))) || token.is_none() {
                return answer;
            }
            // Another request may have had it renewed meanwhile.
            if self.access_token() == token {
                match renew(self).await {
                    Ok(()) => {}
                    Err(RefreshTokenError::RefreshTokenRequired) => return answer,
                    Err(error) => return Err(failure::of_refresh(&error)),
                }
            }
            send_once(self.http_client(), &base, self.access_token().as_deref(), &request).await
        })
    }
}

/// Counts what comes of each request.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) metrics: Metrics,
}

impl Transport for Counted {
    fn exchange(&self, request: JsonRequest) -> BoxFuture<'_, Result<JsonResponse, NeighbourError>> {
        Box::pin(async move {
            let answer = self.transport.exchange(request).await;
            self.metrics.asked(Asked::Homeserver, NeighbourError::outcome_of(&answer));
            answer
        })
    }
}

/// An address with a token that somebody else made and keeps: there is no session and nothing to renew.
#[derive(Debug)]
pub(crate) struct WithToken {
    http: reqwest::Client,
    base: reqwest::Url,
    token: SecretString,
    asked: Asked,
    metrics: Metrics,
}

impl WithToken {
    /// `asked` is what its requests are counted as.
    pub(crate) fn new(
        base: reqwest::Url,
        token: SecretString,
        asked: Asked,
        metrics: Metrics,
    ) -> reqwest::Result<Self> {
        Ok(Self { http: http_client()?, base, token, asked, metrics })
    }
}

impl Transport for WithToken {
    fn exchange(&self, request: JsonRequest) -> BoxFuture<'_, Result<JsonResponse, NeighbourError>> {
        Box::pin(async move {
            let token = Some(self.token.expose_secret());
            let answer = send_once(&self.http, &self.base, token, &request).await;
            self.metrics.asked(self.asked, NeighbourError::outcome_of(&answer));
            answer
        })
    }
}

fn renew(client: &Client) -> BoxFuture<'_, Result<(), RefreshTokenError>> {
    Box::pin(client.refresh_access_token())
}

/// The HTTP client of both connections. No redirect is followed: what is sent holds tokens and passwords.
pub(crate) fn http_client() -> reqwest::Result<reqwest::Client> {
    http_client_builder().redirect(redirect::Policy::none()).build()
}

/// What every HTTP client here has in common.
pub(crate) fn http_client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("rtc-janitor/", env!("CARGO_PKG_VERSION")))
        // As BCP 195 recommends.
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
}

fn send_once<'a>(
    http: &'a reqwest::Client,
    base: &reqwest::Url,
    token: Option<&str>,
    request: &JsonRequest,
) -> BoxFuture<'a, Result<JsonResponse, NeighbourError>> {
    let prepared = prepare(http, base, token, request);
    let most_bytes = request.most_bytes;
    Box::pin(async move {
        let mut response = http.execute(prepared?).await.map_err(|error| failure::of_network(&error))?;
        let status = response.status();
        if status.is_redirection() {
            let target = response.headers().get(header::LOCATION).and_then(|target| target.to_str().ok());
            return Err(NeighbourError::Redirected(
                target.unwrap_or("an address it does not name").to_owned(),
            ));
        }
        let expected = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if expected > most_bytes {
            return Err(NeighbourError::TooLarge { limit: most_bytes });
        }
        let mut body = BytesMut::with_capacity(expected);
        while let Some(chunk) = response.chunk().await.map_err(|error| failure::of_network(&error))? {
            if body.len() + chunk.len() > most_bytes {
                return Err(NeighbourError::TooLarge { limit: most_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            let date = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
            return Ok(JsonResponse::new(body.freeze(), date.map(str::to_owned)));
        }
        let mut answer = http::Response::new(body.freeze());
        *answer.status_mut() = status;
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Err(failure::of_answer(answer))
    })
}

fn prepare(
    http: &reqwest::Client,
    base: &reqwest::Url,
    token: Option<&str>,
    request: &JsonRequest,
) -> Result<reqwest::Request, NeighbourError> {
    if let Some(reason) = &request.unsendable {
        return Err(NeighbourError::Invalid(reason.clone()));
    }
    let url = format!("{}{}{}", base.as_str().trim_end_matches('/'), request.path, request.query);
    let url = reqwest::Url::from_str(&url).map_err(|error| NeighbourError::Invalid(error.to_string()))?;
    let mut prepared = http
        .request(request.method.clone(), url)
        .timeout(request.patience)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        prepared = prepared.bearer_auth(token);
    }
    if let Some(body) = &request.body {
        prepared = prepared.body(body.clone());
    }
    prepared.build().map_err(|error| NeighbourError::Invalid(error.without_url().to_string()))
}
