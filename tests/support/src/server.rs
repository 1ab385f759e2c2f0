//! A Synapse of one's own: started, stopped, started again, gone with the test.

use std::{ffi::OsStr, ops::Deref, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    config::{self, Ports},
    guarded::{self, Guarded},
    homeserver::{Eyes, Homeserver},
    install::{self, Installed},
    options::{Appservice, Database, SynapseOptions},
    ports,
    postgres::Postgres,
    users,
};

/// A running homeserver with a database of its own. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Synapse {
    homeserver: Homeserver,
    port: u16,
    options: SynapseOptions,
    appservice: Appservice,
    installed: Installed,
    server: Guarded,
    /// Its own database server, unless it keeps a file. It stays up while Synapse is down.
    postgres: Option<Postgres>,
}

impl Deref for Synapse {
    type Target = Homeserver;

    fn deref(&self) -> &Homeserver {
        &self.homeserver
    }
}

impl Synapse {
    /// Whether a start need not install anything first, as far as can be told at a glance.
    pub fn is_installed() -> bool {
        install::was_finished()
    }

    /// The server that all tests of one binary share, started by the first that asks.
    ///
    /// Use [`crate::unique`] names there, and [`Synapse::start`] for a test that stops the server or counts its users.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Synapse> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(SynapseOptions::default())).await
    }

    /// Installs Synapse if need be, starts one and waits until it answers.
    ///
    /// Servers that are started with [`SynapseOptions::federation`] find each other by their names.
    pub async fn start(mut options: SynapseOptions) -> Result<Self> {
        let installed = tokio::task::spawn_blocking(install::install).await??;
        let data = tempfile::Builder::new()
            .prefix("rtc-janitor-synapse-")
            .tempdir_in(&installed.scratch)?
            // Removed by the watchdog, which outlives us.
            .keep();
        let port = ports::free_tcp()?;
        let federation = options.federation.then(ports::free_tcp).transpose()?;
        if let Some(federation) = federation {
            // A name with a port needs neither DNS nor `.well-known`.
            options.server_name = format!("localhost:{federation}");
        }
        let appservice =
            Appservice { sender_localpart: "appservice".to_owned(), ..Appservice::new("test-support") };
        let postgres = match options.database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::start(&installed.scratch).await?),
        };
        let ports = Ports { client: port, federation };
        config::write_files(&options, &appservice, ports, postgres.as_ref(), &data)?;
        let mut synapse = Self {
            homeserver: Homeserver::at(format!("http://127.0.0.1:{port}"))?,
            port,
            options,
            appservice,
            installed,
            server: Guarded::new("Synapse", data),
            postgres,
        };
        synapse.start_again().await?;
        let admin = users::register_server_admin(&synapse).await?;
        synapse.homeserver.look_with(Eyes::Admin(admin));
        Ok(synapse)
    }

    /// Starts a stopped server on the same port and data, and waits until it answers.
    pub async fn start_again(&self) -> Result<()> {
        let config = self.server.data().join(config::MAIN_FILE);
        let python = self.installed.python();
        let mut command = vec![python.get_program()];
        command.extend(["-m", "synapse.app.homeserver", "-c"].map(OsStr::new));
        command.push(config.as_os_str());
        let is_up = async || self.is_up().await;
        self.server.start(self.installed.python(), &command, &guarded::begins_anew(), is_up).await
    }

    /// Ends the server in good order and keeps its data for [`Synapse::start_again`].
    pub async fn stop(&self) -> Result<()> {
        self.server.end("stop").await
    }

    /// Ends the server as a power cut would, and keeps its data.
    pub async fn kill(&self) -> Result<()> {
        self.server.end("kill").await
    }

    /// Lets one more appservice in, by the registration file at this path: Synapse reads such files when it starts, so it is
    /// stopped and started again.
    pub async fn add_registration(&self, file: &Path) -> Result<()> {
        let mut config = config::read(self.server.data())?;
        let files = config["app_service_config_files"].as_array_mut();
        files.context("it has a list of registrations")?.push(file.display().to_string().into());
        self.stop().await?;
        config::write(&config, self.server.data())?;
        self.start_again().await
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The part after the colon in its user ids.
    pub fn server_name(&self) -> &str {
        &self.options.server_name
    }

    /// `@localpart:server_name`.
    pub fn user_id(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.server_name())
    }

    /// The appservice that may speak as any of its users.
    pub fn appservice(&self) -> &Appservice {
        &self.appservice
    }

    /// The access token of a server administrator that belongs to no test.
    pub fn admin_token(&self) -> &str {
        self.own_token()
    }

    /// Where it keeps its database and its log.
    pub fn data_directory(&self) -> &Path {
        self.server.data()
    }

    /// Where its PostgreSQL keeps everything, if it has one.
    pub fn postgres_directory(&self) -> Option<&Path> {
        self.postgres.as_ref().map(Postgres::directory)
    }

    /// What the server last wrote into its log, warnings and worse.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }

    /// The Python that Synapse runs on, and how it names its database.
    pub(crate) fn database_access(&self) -> Result<(Command, Value)> {
        Ok((self.installed.python(), config::read(self.server.data())?["database"].take()))
    }
}
