//! A real Dendrite on loopback: a homeserver that does things in other ways than Synapse.
//!
//! It is built by `tests/dendrite/build`, never here: that takes minutes, and needs Go.

use std::{
    ffi::OsStr,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    config::REGISTRATION_SECRET,
    guarded::{self, Guarded},
    homeserver::{Eyes, Homeserver},
    ports,
};

/// A running Dendrite with databases of its own. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Dendrite {
    homeserver: Homeserver,
    port: u16,
    programs: PathBuf,
    server: Guarded,
}

impl Deref for Dendrite {
    type Target = Homeserver;

    fn deref(&self) -> &Homeserver {
        &self.homeserver
    }
}

impl Dendrite {
    /// The folder with the programs that `tests/dendrite/build` has built on this machine, if it has.
    pub fn installed() -> Option<PathBuf> {
        // The script names the place, so that there is one who knows it.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dendrite/build");
        let output = Command::new(script).arg("--where").output().ok()?;
        let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        folder.join("dendrite").is_file().then_some(folder)
    }

    /// Starts one on a free port and waits until it answers.
    ///
    /// # Errors
    /// When it is not built, or does not start; then with the end of its log.
    pub async fn start() -> Result<Self> {
        let installed = tokio::task::spawn_blocking(Self::installed).await?;
        let programs = installed.context("there is no Dendrite; run tests/dendrite/build, which needs Go")?;
        // Removed by the watchdog, which outlives us.
        let data = tempfile::Builder::new().prefix("rtc-janitor-dendrite-").tempdir()?.keep();
        let port = ports::free_tcp()?;
        let key = data.join("matrix_key.pem");
        let generate =
            Command::new(programs.join("generate-keys")).arg("--private-key").arg(&key).output()?;
        ensure!(generate.status.success(), "{}", String::from_utf8_lossy(&generate.stderr));
        fs::write(data.join("dendrite.yaml"), config(&data).to_string())?;
        let homeserver = Homeserver::at(format!("http://127.0.0.1:{port}"))?;
        let mut dendrite = Self { homeserver, port, programs, server: Guarded::new("Dendrite", data) };
        dendrite.start_again().await?;
        let own = dendrite.register_exactly("test-support", true).await?;
        let token = dendrite.login(&own).await?.access_token;
        dendrite.homeserver.look_with(Eyes::Makers(token, Mutex::default()));
        Ok(dendrite)
    }

    /// Starts a killed server on the same port and data, and waits until it answers.
    pub async fn start_again(&self) -> Result<()> {
        let (program, config) = (self.programs.join("dendrite"), self.server.data().join("dendrite.yaml"));
        let address = format!("127.0.0.1:{}", self.port);
        let command = [program.as_os_str(), OsStr::new("--config"), config.as_os_str()]
            .into_iter()
            .chain(["--http-bind-address", &address].map(OsStr::new));
        let command: Vec<_> = command.collect();
        let is_up = async || self.is_up().await;
        self.server.start(Command::new("python3"), &command, &guarded::goes_on(), is_up).await
    }

    /// Ends the server as a power cut would, and keeps its data.
    pub async fn kill(&self) -> Result<()> {
        self.server.end("kill").await
    }

    /// What the server last wrote into its log, warnings and worse, over all its starts.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }
}

/// What it is started with. It is JSON, which is YAML.
fn config(data: &Path) -> Value {
    let path = |name: &str| data.join(name).display().to_string();
    // Database files land in the working directory, which is the data's.
    let database = |name: &str| json!({"connection_string": format!("file:{name}.db")});
    json!({
        "version": 2,
        "global": {
            "server_name": "dendrite.test",
            "private_key": path("matrix_key.pem"),
            "disable_federation": true,
            "jetstream": {"storage_path": path("jetstream"), "in_memory": false},
            "report_stats": {"enabled": false},
            "presence": {"enable_inbound": false, "enable_outbound": false},
            "trusted_third_party_id_servers": [],
        },
        "client_api": {
            "registration_disabled": true,
            "registration_shared_secret": REGISTRATION_SECRET,
            "rate_limiting": {"enabled": false},
        },
        "user_api": {
            // The default of 10 costs a tenth of a second for every registration and login.
            "bcrypt_cost": 4,
            "account_database": database("account"),
            "device_database": database("device"),
        },
        "federation_api": {"database": database("federation"), "key_perspectives": []},
        "key_server": {"database": database("keyserver")},
        "media_api": {"base_path": path("media"), "database": database("media")},
        "mscs": {"mscs": [], "database": database("mscs")},
        "relay_api": {"database": database("relay")},
        "room_server": {"database": database("room")},
        "sync_api": {"database": database("sync")},
        "logging": [{"type": "std", "level": "warn"}],
    })
}
