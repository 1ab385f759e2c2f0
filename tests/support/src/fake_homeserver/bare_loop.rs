//! The anchor of measurements: the same writes by a client that knows what to write and thinks of nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{FakeHomeserver, Place};
use crate::{CALL_MEMBER, clock};

/// What each worker of the loop shares.
struct Work {
    client: Client,
    token: String,
    urls: Vec<Url>,
    next: AtomicUsize,
    reads_first: bool,
}

impl FakeHomeserver {
    /// Empties these keys, so many at once, and answers how long that took. With `reads_first` each key is read right
    /// before it is written.
    pub async fn clear_bare(&self, places: &[Place], at_once: usize, reads_first: bool) -> Result<Duration> {
        let client = Client::builder().no_proxy().build()?;
        let login =
            client.post(format!("{}/_matrix/client/v3/login", self.url)).json(&json!({})).send().await?;
        let answer: Value = login.json().await?;
        let token = answer["access_token"].as_str().context("a token")?.to_owned();
        let urls = places.iter().map(|place| self.url_of(place)).collect::<Result<_>>()?;
        let work = Arc::new(Work { client, token, urls, next: AtomicUsize::new(0), reads_first });
        let begun = clock::moment();
        let mut workers: JoinSet<Result<()>> = (0..at_once).map(|_| run(Arc::clone(&work))).collect();
        while let Some(done) = workers.join_next().await {
            done??;
        }
        Ok(begun.elapsed())
    }

    fn url_of(&self, place: &Place) -> Result<Url> {
        let mut url = Url::parse(&format!("{}/_matrix/client/v3/rooms", self.url))?;
        let path = [&place.room, "state", CALL_MEMBER, &place.key];
        url.path_segments_mut().ok().context("the address takes a path")?.extend(path);
        Ok(url)
    }
}

async fn run(work: Arc<Work>) -> Result<()> {
    while let Some(url) = work.urls.get(work.next.fetch_add(1, Ordering::Relaxed)) {
        if work.reads_first {
            let read = work.client.get(url.clone()).query(&[("format", "event")]).bearer_auth(&work.token);
            ensure!(read.send().await?.error_for_status()?.bytes().await?.len() > 2, "an empty event");
        }
        let write = work.client.put(url.clone()).bearer_auth(&work.token).json(&json!({}));
        write.send().await?.error_for_status()?.bytes().await?;
    }
    Ok(())
}
