//! What all homeservers have in common: an address, and rooms that tests look into.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;

/// A homeserver of whatever make. What people and their clients do there are its methods; each make derefs to it.
#[derive(Debug)]
pub struct Homeserver {
    url: String,
    /// Keeps no connection open, because a connection belongs to the runtime of the test that opened it.
    http: reqwest::Client,
    eyes: Eyes,
}

/// How tests look into rooms that none of their users need be in.
#[derive(Debug)]
pub(crate) enum Eyes {
    /// By Synapse's admin API, with this token.
    Admin(String),
    /// As whoever made the room: its token, by room. What is in no room is asked for with the first.
    Makers(String, Mutex<BTreeMap<String, String>>),
}

impl Homeserver {
    /// The server at this URL, before any user is known there.
    pub(crate) fn at(url: String) -> Result<Self> {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build()?;
        Ok(Self { url, http, eyes: Eyes::Admin(String::new()) })
    }

    pub(crate) fn look_with(&mut self, eyes: Eyes) {
        self.eyes = eyes;
    }

    /// Where it listens, such as `http://127.0.0.1:41234`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An HTTP client that keeps nothing open.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A token of a user that belongs to no test; on a Synapse it is an administrator's.
    pub(crate) fn own_token(&self) -> &str {
        match &self.eyes {
            Eyes::Admin(token) | Eyes::Makers(token, _) => token,
        }
    }

    /// The token of whoever made this room, where the admin API does not show it.
    pub(crate) fn maker_of(&self, room: &str) -> Option<String> {
        self.makers()?.get(room).cloned()
    }

    pub(crate) fn was_made(&self, room: &str, token: &str) {
        if let Some(mut makers) = self.makers() {
            makers.insert(room.to_owned(), token.to_owned());
        }
    }

    pub(crate) async fn is_up(&self) -> bool {
        let versions = format!("{}/_matrix/client/versions", self.url);
        let answer = self.http.get(versions).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    fn makers(&self) -> Option<MutexGuard<'_, BTreeMap<String, String>>> {
        match &self.eyes {
            Eyes::Admin(_) => None,
            Eyes::Makers(_, makers) => Some(makers.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}
