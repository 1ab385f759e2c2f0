//! What an administrator of the server does to accounts and devices, and accounts that are not a person's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    clock, http::text, names::unique, options::Appservice, server::Synapse, users::Device, wait::wait_until,
};

/// Longer than Synapse takes to write when it last saw a device, once it has begun to.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// `argv`: JSON of how Synapse names its database, the user, the device, and the time in milliseconds or null.
const SET_LAST_SEEN: &str = "
import json, sys

database, user, device, time = json.loads(sys.argv[1])
if database['name'] == 'sqlite3':
    import sqlite3
    connection, mark = sqlite3.connect(database['args']['database'], timeout=30), '?'
else:
    import psycopg2
    pool = ('cp_min', 'cp_max')
    wanted = {name: value for name, value in database['args'].items() if name not in pool}
    connection, mark = psycopg2.connect(**wanted), '%s'
cursor = connection.cursor()
where = f'WHERE user_id = {mark} AND device_id = {mark}'
cursor.execute(f'UPDATE devices SET last_seen = {mark} ' + where, (time, user, device))
if cursor.rowcount != 1:
    sys.exit('there is no such device')
connection.commit()
";

impl Synapse {
    /// Makes a user an administrator of the server, or no longer one.
    pub async fn set_admin(&self, user_id: &str, admin: bool) -> Result<()> {
        let put = self.admin_request(Method::PUT, &["v1", "users", user_id, "admin"]);
        put.body(json!({"admin": admin})).send().await.map(drop)
    }

    /// What the admin API says of an account: `deactivated`, `shadow_banned`, `is_guest`, `appservice_id` and more.
    pub async fn account(&self, user_id: &str) -> Result<Value> {
        self.admin_request(Method::GET, &["v2", "users", user_id]).send().await
    }

    /// Ends the account for good, with all its devices. Synapse takes it out of its rooms some moments later.
    pub async fn deactivate(&self, user_id: &str) -> Result<()> {
        self.end_account(user_id, false).await
    }

    /// The same, and has what the user has sent be shown to nobody who comes later.
    pub async fn erase(&self, user_id: &str) -> Result<()> {
        self.end_account(user_id, true).await
    }

    async fn end_account(&self, user_id: &str, erase: bool) -> Result<()> {
        let post = self.admin_request(Method::POST, &["v1", "deactivate", user_id]);
        post.body(json!({"erase": erase})).send().await.map(drop)
    }

    /// From now on the user is told that everything it does is done, and nothing is.
    pub async fn shadow_ban(&self, user_id: &str) -> Result<()> {
        let post = self.admin_request(Method::POST, &["v1", "users", user_id, "shadow_ban"]);
        post.body(json!({})).send().await.map(drop)
    }

    /// Lifts all limits for one user of a server with [`crate::RateLimits::Default`].
    pub async fn lift_rate_limits(&self, user_id: &str) -> Result<()> {
        let post = self.admin_request(Method::POST, &["v1", "users", user_id, "override_ratelimit"]);
        post.body(json!({"messages_per_second": 0, "burst_count": 0})).send().await.map(drop)
    }

    /// What limits a user has of its own; `{}` where it has none.
    pub async fn rate_limits_of(&self, user_id: &str) -> Result<Value> {
        self.admin_request(Method::GET, &["v1", "users", user_id, "override_ratelimit"]).send().await
    }

    /// Gives the user the server's limits again.
    pub async fn restore_rate_limits(&self, user_id: &str) -> Result<()> {
        let path = ["v1", "users", user_id, "override_ratelimit"];
        self.admin_request(Method::DELETE, &path).send().await.map(drop)
    }

    /// What the admin API says of a device; `None` if there is no such device.
    pub async fn device(&self, user_id: &str, device_id: &str) -> Result<Option<Value>> {
        let mut answer = self.admin_request(Method::GET, &["v2", "users", user_id, "devices"]).send().await?;
        let devices: Vec<Value> = serde_json::from_value(answer["devices"].take())?;
        Ok(devices.into_iter().find(|device| device["device_id"] == device_id))
    }

    /// Sets the name that the user sees beside the device.
    pub async fn rename_device(&self, device: &Device, name: &str) -> Result<()> {
        let put = self.as_device(device, Method::PUT, &["devices", &device.device_id]);
        put.body(json!({"display_name": name})).send().await.map(drop)
    }

    /// Takes a device away from its user, as an administrator.
    pub async fn delete_device(&self, user_id: &str, device_id: &str) -> Result<()> {
        let path = ["v2", "users", user_id, "devices", device_id];
        self.admin_request(Method::DELETE, &path).send().await.map(drop)
    }

    /// Sets when the server last heard of a device (`None`: never), and waits until the admin API says so.
    ///
    /// It is written into the database, for Synapse itself counts in steps of two minutes. Any request of the device
    /// overwrites it.
    pub async fn set_last_seen(
        &self,
        user_id: &str,
        device_id: &str,
        time: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let time = time.map(|time| time.timestamp_millis());
        self.device(user_id, device_id).await?.context("there is no such device")?;
        // What Synapse has yet to write goes before: it does so every few seconds, and shows nothing of it on the way.
        let mut holds_since = None;
        wait_until(&format!("{device_id} to be last seen at {time:?}"), Duration::from_secs(30), async || {
            let device = self.device(user_id, device_id).await?.context("there is no such device")?;
            if device["last_seen_ts"] == json!(time) && holds_since.is_some() {
                return anyhow::Ok(holds_since.is_some_and(|since: Instant| since.elapsed() >= ON_ITS_WAY));
            }
            let (mut python, database) = self.database_access()?;
            let argument = json!([database, user_id, device_id, time]).to_string();
            let output = python.args(["-c", SET_LAST_SEEN, &argument]).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
            holds_since = Some(clock::moment());
            Ok(false)
        })
        .await
    }

    /// A new guest, with its device.
    pub async fn register_guest(&self) -> Result<Device> {
        let register = self.client_request(Method::POST, &["register"]).query("kind", "guest");
        device(&register.body(json!({})).send().await?)
    }

    /// A new user of an appservice, as bridges make for people from elsewhere, with a device without keys; it is called
    /// `stem` with a unique ending.
    pub async fn register_bridged(&self, appservice: &Appservice, stem: &str) -> Result<Device> {
        let body = json!({"type": "m.login.application_service", "username": unique(stem)});
        let register = self.client_request(Method::POST, &["register"]).token(&appservice.token);
        device(&register.body(body).send().await?)
    }
}

fn device(answer: &Value) -> Result<Device> {
    Ok(Device {
        user_id: text(answer, "user_id")?,
        device_id: text(answer, "device_id")?,
        access_token: text(answer, "access_token")?,
    })
}
