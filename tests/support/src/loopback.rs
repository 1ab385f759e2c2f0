//! A small HTTP server on loopback, for neighbours that a test plays itself.

use std::{
    convert::Infallible,
    net::TcpListener,
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server, service};
use hyper_util::rt::TokioIo;
use tokio::{sync::oneshot, task::JoinSet};

/// The server. Dropping it closes its port and every connection.
///
/// It runs on a thread and a runtime of its own, so a test may block.
#[derive(Debug)]
pub(crate) struct Loopback {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Answers every request by `answer`, which gets the whole body.
    pub(crate) fn start<F, A>(name: &str, answer: F) -> Result<Self>
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(listener, Arc::new(answer)) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { url, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

async fn serve<F, A>(listener: tokio::net::TcpListener, answer: Arc<F>)
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Bytes>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        _ = stream.set_nodelay(true);
        let answer = Arc::clone(&answer);
        let answering = service::service_fn(move |request: Request<Incoming>| {
            let answer = Arc::clone(&answer);
            async move {
                let (head, body) = request.into_parts();
                Ok::<_, Infallible>(match body.collect().await {
                    Ok(body) => answer(Request::from_parts(head, body.to_bytes())).await.map(Full::new),
                    // Nobody is there any more to read it.
                    Err(_) => status(StatusCode::BAD_REQUEST).map(Full::new),
                })
            }
        });
        connections.spawn(async move {
            let connection = server::conn::http1::Builder::new();
            _ = connection.serve_connection(TokioIo::new(stream), answering).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An answer without a body.
pub(crate) fn status(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}
