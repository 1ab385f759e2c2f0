//! Passing requests to the server and answers back, under the rules.
//!
//! Every request gets a connection of its own to the server, so nothing is retried behind the test's back. Bodies are read
//! whole: nothing in Matrix's API that the bot uses streams, and a long poll is just an answer that comes late.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, client, header, server, service};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::rules::{Fault, ProxiedRequest, Rules};

/// Headers that belong to one connection or to how its body was framed.
const HOP_BY_HOP: [header::HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::TE, header::UPGRADE];

type Serving = Pin<Box<dyn Future<Output = ()>>>;

/// Takes connections until dropped.
pub(super) fn serve(server: SocketAddr, rules: Arc<Rules>) -> impl FnOnce(TcpListener) -> Serving + Send {
    move |listener| {
        Box::pin(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                _ = stream.set_nodelay(true);
                let rules = Arc::clone(&rules);
                let answering = service::service_fn(move |request| {
                    let rules = Arc::clone(&rules);
                    // hyper closes the connection on an error, without an answer: just what a cut is.
                    async move { pass(server, &rules, request).await.map_err(io::Error::other) }
                });
                connections.spawn(async move {
                    let stream = TokioIo::new(stream);
                    let connection = server::conn::http1::Builder::new();
                    _ = connection.serve_connection(stream, answering).await;
                });
                while connections.try_join_next().is_some() {}
            }
        })
    }
}

/// One request and its answer.
async fn pass(
    server: SocketAddr,
    rules: &Rules,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let seen = ProxiedRequest {
        method: head.method.to_string(),
        path: unescaped(head.uri.path()),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    rules.seen().push(seen.clone());

    let mut request = Request::from_parts(head, Full::new(body));
    strip(request.headers_mut());
    // The answer must be readable for the rules that rewrite it.
    request.headers_mut().remove(header::ACCEPT_ENCODING);

    let answer = tokio::select! {
        // First, so that a request that is cut never reaches the server.
        biased;
        () = rules.until_cut(&seen) => bail!("cut"),
        answer = answer(server, rules, &seen, request) => answer?,
    };
    tokio::select! {
        biased;
        () = rules.until_cut(&seen) => bail!("cut"),
        answer = on_the_way_out(rules, &seen, answer) => answer,
    }
}

/// The rule's answer or the server's.
async fn answer(
    server: SocketAddr,
    rules: &Rules,
    seen: &ProxiedRequest,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>> {
    for entry in rules.in_force() {
        let concerns = matches!(entry.fault, Fault::Hold | Fault::Answer(..));
        if !concerns || !entry.takes(seen) {
            continue;
        }
        match &entry.fault {
            Fault::Answer(status, body) => return made_up(*status, body),
            _ => entry.until_lifted().await,
        }
    }
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let _connection = AbortOnDrop(tokio::spawn(async move {
        _ = connection.await;
    }));
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    strip(&mut head.headers);
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

async fn on_the_way_out(
    rules: &Rules,
    seen: &ProxiedRequest,
    mut answer: Response<Bytes>,
) -> Result<Response<Full<Bytes>>> {
    for entry in rules.in_force() {
        if entry.fault.is_on_the_way_in() || !entry.takes(seen) {
            continue;
        }
        match &entry.fault {
            Fault::HoldAnswer => entry.until_lifted().await,
            Fault::LoseAnswer => bail!("lost"),
            Fault::Headers(change) => change(answer.headers_mut()),
            Fault::Rewrite(change) => {
                let mut json = serde_json::from_slice(answer.body())
                    .with_context(|| format!("the answer to {seen} is no JSON"))?;
                change(&mut json);
                *answer.body_mut() = serde_json::to_vec(&json)?.into();
            }
            Fault::Hold | Fault::Answer(..) | Fault::Cut => {}
        }
    }
    Ok(answer.map(Full::new))
}

fn made_up(status: StatusCode, body: &Value) -> Result<Response<Bytes>> {
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    Ok(answer.body(serde_json::to_vec(body)?.into())?)
}

fn strip(headers: &mut header::HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Resolves `%40` and the like. `Url` does it only for queries, so the path is read as one, with its plus signs kept.
fn unescaped(path: &str) -> String {
    let query = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    Url::parse(&format!("http://localhost/?{query}"))
        .ok()
        .and_then(|url| url.query_pairs().next().map(|(path, _)| path.into_owned()))
        .unwrap_or_else(|| path.to_owned())
}

/// Ends the connection to the server with the request it was made for.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
