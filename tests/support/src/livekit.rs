//! A real LiveKit SFU on loopback, and who is in its rooms.
//!
//! Here is the server: started, killed, started again, asked. `options.rs` is what it is started with, `api.rs` how it
//! is asked, `token.rs` what it takes for proof. `participant.rs` and `real_client.rs` are people in calls;
//! `webhooks.rs` hears what the SFU tells, and `authorisation.rs` plays the service that lets people in.
//!
//! It is built by `tests/livekit/build`, never here: that takes minutes, and needs Go.

mod api;
mod authorisation;
mod options;
mod participant;
mod real_client;
mod recipe;
mod token;
mod webhooks;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use chrono::TimeDelta;
use serde_json::{Value, json};

pub use authorisation::AuthorisationService;
pub use options::LiveKitOptions;
pub use participant::Participant;
pub use real_client::RealClient;
pub use recipe::Recipe;
pub use webhooks::{Webhook, WebhookSink};

use crate::{
    guarded::{self, Guarded},
    ports,
};
use api::Api;

/// How often other ports are tried when somebody was faster to take one.
const ATTEMPTS: usize = 5;

/// A running SFU, with nobody in it. Dropping it kills it, which it announces to nobody.
#[derive(Debug)]
pub struct LiveKit {
    binary: PathBuf,
    server: Guarded,
    port: u16,
    api: Api,
}

impl LiveKit {
    /// The API key that [`LiveKit::SECRET`] belongs to.
    pub const KEY: &str = "devkey";

    /// The API secret. The server complains of one under 32 characters.
    pub const SECRET: &str = "secret-that-is-at-least-32-characters-long";

    /// The server that `tests/livekit/build` has built on this machine, if it has.
    pub fn installed() -> Option<PathBuf> {
        // The script names the place, so that there is one who knows it.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../livekit/build");
        let output = Command::new(script).arg("--where").output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        path.is_file().then_some(path)
    }

    /// Starts a server on free ports and waits until it answers.
    ///
    /// # Errors
    /// When it is not built, or does not start; then with the end of its log.
    pub async fn start(options: LiveKitOptions) -> Result<Self> {
        let installed = tokio::task::spawn_blocking(Self::installed).await?;
        let binary = installed.context("the SFU is not built; run tests/livekit/build, which needs Go")?;
        let mut attempt = 1;
        loop {
            let livekit = Self::prepare(&binary, &options)?;
            let Err(error) = livekit.restart().await else { return Ok(livekit) };
            // Between our look and its start another test may have taken the port.
            if attempt == ATTEMPTS || !livekit.log_tail().contains("address already in use") {
                return Err(error);
            }
            attempt += 1;
        }
    }

    fn prepare(binary: &Path, options: &LiveKitOptions) -> Result<Self> {
        // Removed by the watchdog, which outlives us.
        let data = tempfile::Builder::new().prefix("rtc-janitor-livekit-").tempdir()?.keep();
        let (port, media_port) = (ports::free_tcp()?, ports::free_udp()?);
        fs::write(data.join("config.yaml"), options.config(port, media_port).to_string())?;
        let api = Api::new(format!("http://127.0.0.1:{port}"))?;
        Ok(Self { binary: binary.to_owned(), server: Guarded::new("LiveKit", data), port, api })
    }

    /// Kills the server, if it runs. Whoever was connected is cut off, and no webhook tells.
    pub async fn kill(&self) -> Result<()> {
        if self.server.is_running() { self.server.end("kill").await } else { Ok(()) }
    }

    /// Starts it again, killing it first if it runs, on the same ports and settings, and waits until it answers.
    ///
    /// It has forgotten its rooms: it lists nobody until clients are back by themselves. A real one takes anything from
    /// milliseconds to seconds, as its attempts fall; one that is stalled meanwhile stays away.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await?;
        let config = self.server.data().join("config.yaml");
        let command = [self.binary.as_os_str(), OsStr::new("--config"), config.as_os_str()];
        let is_up = async || self.api.is_up().await;
        self.server.start(Command::new("python3"), &command, &guarded::goes_on(), is_up).await
    }

    /// Where its API is, such as `http://127.0.0.1:21234`, without a slash at the end.
    pub fn url(&self) -> &str {
        self.api.url()
    }

    /// The same for clients: `ws://127.0.0.1:21234`.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A token by which this identity may join this room, for an hour.
    pub fn join_token(identity: &str, room: &str) -> String {
        token::join(identity, room, Self::SECRET)
    }

    /// A token by which a recorder of this name may join this room, for an hour.
    pub fn recorder_token(name: &str, room: &str) -> String {
        token::record(name, room, Self::SECRET)
    }

    /// A token for the API with these grants, such as `{"roomList": true}`, for a minute.
    pub fn admin_token(grants: &Value) -> String {
        token::admin(grants, Self::SECRET)
    }

    /// A token that goes with a webhook of this body, as if it had been made so long ago with this secret.
    pub fn webhook_token(body: &[u8], age: TimeDelta, secret: &str) -> String {
        token::webhook(body, age, secret)
    }

    /// What a token claims that was signed with [`LiveKit::SECRET`]: one of an authorisation service, or of a webhook.
    pub fn claims(token: &str) -> Option<Value> {
        token::claims(token, Self::SECRET)
    }

    /// The same token as one makes whose clock is ahead by this much, or behind.
    ///
    /// # Errors
    /// When it was not signed with [`LiveKit::SECRET`].
    pub fn by_another_clock(token: &str, ahead: TimeDelta) -> Result<String> {
        token::moved(token, ahead, Self::SECRET).context("a token of another secret")
    }

    /// Calls a method of its `RoomService`, such as `ListRooms`, with these grants.
    ///
    /// # Errors
    /// When it does not answer, or with any status but 2xx. A token that it quotes is left out.
    pub async fn call(&self, method: &str, grants: &Value, body: &Value) -> Result<Value> {
        self.api.call(method, grants, body).await
    }

    /// Who is in a room, as `ListParticipants` tells it. A room that there is not has nobody in it.
    pub async fn participants(&self, room: &str) -> Result<Vec<Value>> {
        let grants = json!({"roomAdmin": true, "room": room});
        let mut answer = self.call("ListParticipants", &grants, &json!({"room": room})).await?;
        match answer["participants"].take() {
            Value::Array(participants) => Ok(participants),
            other => bail!("ListParticipants answered with no list but {other}"),
        }
    }

    /// The identities of those in a room.
    pub async fn identities(&self, room: &str) -> Result<BTreeSet<String>> {
        let participants = self.participants(room).await?;
        let identity = |it: &Value| it["identity"].as_str().map(str::to_owned).context("it has no identity");
        participants.iter().map(identity).collect()
    }

    /// Throws somebody out of a room.
    pub async fn remove(&self, room: &str, identity: &str) -> Result<()> {
        let grants = json!({"roomAdmin": true, "room": room});
        self.call("RemoveParticipant", &grants, &json!({"room": room, "identity": identity})).await.map(drop)
    }

    /// What the server last wrote into its log, warnings and worse, over all its starts.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }
}
