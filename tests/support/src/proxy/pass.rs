//! Passing requests to the server and answers back, under the rules.
//!
//! Every request gets a connection of its own to the server, so nothing is retried behind the test's back. Bodies are read
//! whole: nothing in Matrix's API that the bot uses streams, and a long poll is just an answer that comes late.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc};

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client, header, server, service};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{
    apply,
    rules::{ProxiedRequest, Rules},
};

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
        path: apply::unescaped(head.uri.path()),
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
        answer = apply::on_the_way_out(rules, &seen, answer) => Ok(answer?.map(Full::new)),
    }
}

/// The rule's answer or the server's.
async fn answer(
    server: SocketAddr,
    rules: &Rules,
    seen: &ProxiedRequest,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>> {
    if let Some(made_up) = apply::on_the_way_in(rules, seen).await {
        return Ok(made_up);
    }
    let request = apply::to_the_server(rules, seen, request);
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

fn strip(headers: &mut header::HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Ends the connection to the server with the request it was made for.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
