//! Finding the homeserver, and the client settings that both connections share.

use std::time::Duration;

use matrix_sdk::{
    Client, ClientBuildError, ClientBuilder,
    config::RequestConfig,
    reqwest::{StatusCode, Url},
    ruma::ServerName,
};
use serde::Deserialize;

use super::{
    credentials::{Address, SignInError},
    failure,
    request::{JsonRequest, REQUEST_TIMEOUT},
    transport,
};
use crate::world::NeighbourError;

/// How long the web server of a domain may take over `.well-known`.
const PATIENCE_WITH_WELL_KNOWN: Duration = Duration::from_secs(20);

/// A path that every homeserver answers without a token.
const VERSIONS: [&str; 3] = ["_matrix", "client", "versions"];

/// A client that keeps nothing on disk.
pub(crate) async fn client(address: &Address) -> Result<Client, SignInError> {
    build(Client::builder(), address).await
}

/// Any client: its stores as the builder says, everything else the same.
pub(crate) async fn build(builder: ClientBuilder, address: &Address) -> Result<Client, SignInError> {
    let url = match address {
        Address::Url(url) => url.clone(),
        Address::ServerName(name) => discover(name).await?,
    };
    let http = transport::http_client().map_err(|error| failure::of_network(&error))?;
    let client = builder
        .homeserver_url(&url)
        // Also the policy for renewing tokens, where no other can be given.
        .request_config(RequestConfig::new().disable_retry().timeout(REQUEST_TIMEOUT))
        .handle_refresh_tokens()
        .http_client(http)
        .build()
        .await
        .map_err(|error| of_build(&error, &url))?;
    // Before anything secret is sent to an address, it is known not to lead elsewhere.
    match JsonRequest::get(&VERSIONS).send(&client).await {
        Err(NeighbourError::Redirected(target)) => Err(redirected(&client.homeserver(), &target)),
        // Whatever else it says is for those to tell who know what they asked for.
        _ => Ok(client),
    }
}

fn of_build(error: &ClientBuildError, url: &str) -> SignInError {
    match error {
        ClientBuildError::Http(error) => failure::of_http(error).into(),
        other => SignInError::Mistake(format!("{url:?} is not the address of a homeserver: {other}")),
    }
}

fn redirected(from: &Url, target: &str) -> SignInError {
    // Relative targets are meant from what was asked for.
    let path = VERSIONS.join("/");
    let target =
        from.join(&path).and_then(|asked| asked.join(target)).map_or(target.to_owned(), String::from);
    let base = target.strip_suffix(&path).unwrap_or(&target);
    SignInError::Mistake(format!("{from} redirects to {base}: set homeserver.url to where it leads"))
}

/// The homeserver of a server name, by its `.well-known`. Nothing secret is sent, so a redirect is
/// followed, as clients do.
async fn discover(name: &str) -> Result<String, SignInError> {
    let server = ServerName::parse(name)
        .map_err(|error| SignInError::Mistake(format!("{name:?} is not a server name: {error}")))?;
    let network = |error| failure::of_network(&error);
    let http = transport::http_client_builder().build().map_err(network)?;
    let url = format!("https://{server}/.well-known/matrix/client");
    let answer = http.get(url).timeout(PATIENCE_WITH_WELL_KNOWN).send().await.map_err(network)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(network)?;
    base_url(name, status, &body)
}

/// What is read of `.well-known`; what else it holds is nobody's business.
#[derive(Deserialize)]
struct WellKnown {
    #[serde(rename = "m.homeserver")]
    homeserver: HomeserverInfo,
}

#[derive(Deserialize)]
struct HomeserverInfo {
    base_url: String,
}

fn base_url(name: &str, status: StatusCode, body: &[u8]) -> Result<String, SignInError> {
    let place = format!("/.well-known/matrix/client of {name}");
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(
            NeighbourError::Unreachable(format!("{place} answers with HTTP {}", status.as_u16())).into()
        );
    }
    if !status.is_success() {
        return Err(SignInError::Mistake(format!(
            "{name} has no /.well-known/matrix/client (HTTP {}): set homeserver.url instead of server_name",
            status.as_u16()
        )));
    }
    let info: WellKnown = serde_json::from_slice(body).map_err(|error| {
        SignInError::Mistake(format!("{place} names no homeserver ({error}): set homeserver.url instead"))
    })?;
    Url::parse(&info.homeserver.base_url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(|_| info.homeserver.base_url.clone())
        .ok_or_else(|| {
            SignInError::Mistake(format!(
                "{place} names {:?}, which is no address: set homeserver.url instead",
                info.homeserver.base_url
            ))
        })
}

/// Whether a homeserver answers there at all: what it refuses means something else where none does.
pub(super) async fn is_homeserver(client: &Client) -> Result<(), SignInError> {
    match JsonRequest::get(&VERSIONS).send(client).await {
        Ok(_) => Ok(()),
        Err(NeighbourError::Refused { status, .. }) => Err(SignInError::Mistake(format!(
            "nothing at {} answers as a Matrix homeserver (HTTP {status}): correct homeserver.url; it ends \
             before /_matrix",
            client.homeserver()
        ))),
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(status: u16, body: &str) -> Result<String, SignInError> {
        base_url("example.org", StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn what_else_is_in_well_known_is_nobodys_business() {
        for odd in [
            r#""org.matrix.msc4143.rtc_foci": {}"#,
            r#""org.matrix.msc4143.rtc_foci": null"#,
            r#""org.matrix.msc4143.rtc_foci": [{}, {"type": "livekit"}]"#,
            r#""m.identity_server": {}"#,
            r#""m.tile_server": []"#,
        ] {
            let body =
                format!(r#"{{{odd}, "m.homeserver": {{"base_url": "https://m.example.org", "more": 1}}}}"#);
            assert_eq!(found(200, &body), Ok("https://m.example.org".to_owned()), "{odd}");
        }
    }

    #[test]
    fn what_may_heal_is_tried_again_and_what_may_not_is_a_mistake() {
        for status in [429, 500, 502, 503] {
            assert!(matches!(found(status, "<html>"), Err(SignInError::Unreachable(_))), "{status}");
        }
        for (status, body) in [
            (404, ""),
            (403, ""),
            (200, "<html>"),
            (200, "{}"),
            (200, r#"{"m.homeserver": null}"#),
            (200, r#"{"m.homeserver": {"base_url": 7}}"#),
            (200, r#"{"m.homeserver": {"base_url": "matrix.example.org"}}"#),
        ] {
            let Err(SignInError::Mistake(sentence)) = found(status, body) else { panic!("{status} {body}") };
            assert!(sentence.contains("homeserver.url") && sentence.contains("example.org"), "{sentence}");
        }
    }

    #[test]
    fn a_redirect_names_the_address_to_write_instead() {
        let from = Url::parse("http://example.org/").unwrap();
        let to = |target: &str| redirected(&from, target).to_string();
        assert!(to("https://example.org/_matrix/client/versions").contains("to https://example.org/:"));
        assert!(to("/matrix/_matrix/client/versions").contains("to http://example.org/matrix/:"));
        assert!(to("https://login.example.org/?next=1").contains("to https://login.example.org/?next=1:"));
    }
}
