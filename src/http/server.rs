//! The port: listens, and takes no more connections than it can hold.

use std::{net::SocketAddr, pin::pin, sync::Arc, thread, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

use super::{Answers, router};
use crate::{shutdown::Shutdown, supervisor::TaskResult, world::backoff::Backoff};

/// How many connections are open at once; whoever comes later waits.
const CONNECTIONS: usize = 256;

/// How long somebody may take over a request's head, and a connection be quiet. Many scrape every 15 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a connection lasts at most: whoever reads nothing keeps no place.
const LIFE: Duration = Duration::from_mins(2);

/// How large the head of a request may be.
const MOST_BYTES_OF_HEAD: usize = 16 << 10;

/// The pauses while the address cannot be listened on.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

/// Serves until told to stop. On a thread of its own, so that no flood takes the time of the janitor's tasks.
///
/// # Errors
///
/// When the system gives no thread, or what runs there fails.
pub async fn serve(address: SocketAddr, answers: Answers, shutdown: Shutdown) -> TaskResult {
    let (done, is_done) = oneshot::channel();
    let work = move || {
        let served = run(address, router(answers), &shutdown);
        // Nobody waits for it any more while the program ends.
        let _: Result<(), TaskResult> = done.send(served);
    };
    let thread = thread::Builder::new().name("http".to_owned()).spawn(work);
    thread.map_err(|error| format!("cannot serve HTTP: {error}"))?;
    // A thread that panicked drops what it would have said so by.
    is_done.await.unwrap_or_else(|_| Err("what serves HTTP has failed; this is a bug".to_owned()))
}

fn run(address: SocketAddr, router: Router, shutdown: &Shutdown) -> TaskResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot serve HTTP: {error}"))?;
    runtime.block_on(listen(address, router, shutdown));
    runtime.shutdown_background();
    Ok(())
}

/// Listens, and serves each connection. What keeps it from listening may go away: until then it says so once.
async fn listen(address: SocketAddr, router: Router, shutdown: &Shutdown) {
    let Some(listener) = shutdown.or(bind(address)).await else { return };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            // A place first: what is not accepted waits in the kernel.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let Some((place, accepted)) = shutdown.or(accepted).await else { return };
        match accepted {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    answer(stream, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!("a connection to the HTTP port failed: {error}");
                // Too many open files is no matter of one connection.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn bind(address: SocketAddr) -> TcpListener {
    let mut backoff = BACKOFF;
    let mut said = None;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(address);
                tracing::info!(%address, "serving HTTP: /live, /ready, /metrics");
                return listener;
            }
            Err(error) => {
                tracing::debug!("cannot listen on {address}: {error}");
                if said.replace(error.kind()) != Some(error.kind()) {
                    tracing::warn!(
                        "cannot listen on {address} (http.listen): {error}; I go on without it and try again"
                    );
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    // An answer is one small write: nothing is gained by waiting for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!("a connection to the HTTP port broke: {error}");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(MOST_BYTES_OF_HEAD);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = if let Ok(ended) = timeout(LIFE, served.as_mut()).await {
        ended
    } else {
        served.as_mut().graceful_shutdown();
        timeout(PATIENCE, served).await.unwrap_or(Ok(()))
    };
    if let Err(error) = ended {
        tracing::trace!("a connection to the HTTP port broke: {error}");
    }
}
