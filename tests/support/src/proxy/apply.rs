//! What the rules in force do to one request and its answer, whoever serves it.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::{Request, Response, StatusCode, header};
use reqwest::Url;
use serde_json::Value;
use tokio::time::timeout;

use super::rules::{Fault, ProxiedRequest, Rules};

/// Holds the request as long as rules say so, and gives the answer that a rule makes up.
pub(crate) async fn on_the_way_in(rules: &Rules, seen: &ProxiedRequest) -> Option<Response<Bytes>> {
    for entry in rules.in_force() {
        let concerns = matches!(entry.fault, Fault::Hold | Fault::Answer(..) | Fault::Redirect(..));
        if !concerns || !entry.takes(seen) {
            continue;
        }
        match &entry.fault {
            Fault::Answer(status, body) => return Some(made_up(*status, body)),
            Fault::Redirect(status, address) => return Some(redirect(*status, address, seen)),
            _ => entry.until_lifted().await,
        }
    }
    None
}

/// Changes the request, as the server is to get it.
pub(crate) fn to_the_server<B>(rules: &Rules, seen: &ProxiedRequest, request: Request<B>) -> Request<B> {
    let (mut head, body) = request.into_parts();
    for entry in rules.in_force() {
        if let Fault::Request(change) = &entry.fault
            && entry.takes(seen)
        {
            change(&mut head);
        }
    }
    Request::from_parts(head, body)
}

/// Holds, loses or changes the answer.
///
/// # Errors
/// When the connection is to be closed instead.
pub(crate) async fn on_the_way_out(
    rules: &Rules,
    seen: &ProxiedRequest,
    mut answer: Response<Bytes>,
) -> Result<Response<Bytes>> {
    for entry in rules.in_force() {
        if entry.fault.is_on_the_way_in() || !entry.takes(seen) {
            continue;
        }
        match &entry.fault {
            Fault::HoldAnswer => entry.until_lifted().await,
            // That the time is over is what it is for.
            Fault::DelayAnswer(by) => _ = timeout(*by, entry.until_lifted()).await,
            Fault::LoseAnswer => bail!("lost"),
            Fault::Headers(change) => change(answer.headers_mut()),
            Fault::Rewrite(change) => {
                let mut json = serde_json::from_slice(answer.body())
                    .with_context(|| format!("the answer to {seen} is no JSON"))?;
                change(&mut json);
                *answer.body_mut() = serde_json::to_vec(&json)?.into();
            }
            Fault::Hold | Fault::Answer(..) | Fault::Redirect(..) | Fault::Cut | Fault::Request(_) => {}
        }
    }
    Ok(answer)
}

fn made_up(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn redirect(status: StatusCode, address: &str, seen: &ProxiedRequest) -> Response<Bytes> {
    let mut answer = made_up(status, &Value::Null);
    let query = if seen.query.is_empty() { String::new() } else { format!("?{}", seen.query) };
    let target = format!("{address}{}{query}", seen.path);
    if let Ok(target) = header::HeaderValue::from_str(&target) {
        answer.headers_mut().insert(header::LOCATION, target);
    }
    answer
}

/// Resolves `%40` and the like. `Url` does it only for queries, so the path is read as one, with its plus signs kept.
pub(crate) fn unescaped(path: &str) -> String {
    let query = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    Url::parse(&format!("http://localhost/?{query}"))
        .ok()
        .and_then(|url| url.query_pairs().next().map(|(path, _)| path.into_owned()))
        .unwrap_or_else(|| path.to_owned())
}
