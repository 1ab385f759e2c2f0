//! Asking the SFU: its `RoomService`, in JSON.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{LiveKit, token};

/// An answer takes milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// Short, for the process that was started may have ended while somebody else on its port says nothing.
const UP_LIMIT: Duration = Duration::from_secs(1);

/// The address of an SFU, and how it is asked.
#[derive(Debug, Clone)]
pub(super) struct Api {
    url: String,
    /// Keeps no connection open, because a connection belongs to the runtime of the test that opened it.
    http: reqwest::Client,
}

impl Api {
    /// `url` is without a slash at the end.
    pub(super) fn new(url: String) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(LIMIT).pool_max_idle_per_host(0).no_proxy().build()?;
        Ok(Self { url, http })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether it answers at all.
    pub(super) async fn is_up(&self) -> bool {
        let answer = self.http.get(&self.url).timeout(UP_LIMIT).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Calls a method.
    pub(super) async fn call(&self, method: &str, grants: &Value, body: &Value) -> Result<Value> {
        let url = format!("{}/twirp/livekit.RoomService/{method}", self.url);
        let token = token::admin(grants, LiveKit::SECRET);
        let answer = self.http.post(url).bearer_auth(token).json(body).send().await?;
        let status = answer.status();
        if !status.is_success() {
            let text = answer.text().await?;
            bail!("{method} was answered with {status}: {}", without_token(&text));
        }
        Ok(answer.json().await?)
    }
}

/// A refusal as it may be shown: LiveKit quotes the whole token that it does not take, and then says why.
fn without_token(refusal: &str) -> &str {
    refusal.rsplit(", error: ").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::without_token;

    #[test]
    fn a_refused_token_is_not_shown() {
        let refusal = "invalid token: a.b.c, error: token signature is invalid: signature is invalid";
        assert_eq!(without_token(refusal), "token signature is invalid: signature is invalid");
        assert_eq!(without_token("permissions denied"), "permissions denied");
    }
}
