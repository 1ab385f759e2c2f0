//! A private PostgreSQL for a Synapse: no port, only a socket in its own folder, and gone with the test.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    wait::wait_until,
    watchdog::{Farewell, Watchdog},
};

/// The user of Debian's package; the server refuses to run as root.
const SYSTEM_USER: &str = "postgres";

/// Who the server knows; anybody who gets at its socket is this one.
const ROLE: &str = "synapse";

/// It crosses no power cut, and its shared memory is a file in its folder, so that none is left when all of us are killed.
const SETTINGS: [&str; 6] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "dynamic_shared_memory_type=mmap",
];

/// A running server. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    _running: Watchdog,
}

impl Postgres {
    /// The folder with its programs, as `tests/postgres/get` finds it.
    pub fn installed() -> Option<PathBuf> {
        // The script names the place, so that there is one who knows it.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../postgres/get");
        let output = Command::new(script).arg("--where").output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        path.join("initdb").is_file().then_some(path)
    }

    /// Makes an empty one in a new folder below `scratch`, and waits until it answers.
    pub(crate) async fn start(scratch: &Path) -> Result<Self> {
        let programs = Self::installed().context(
            "there is no PostgreSQL; run tests/postgres/get, or install Debian's postgresql or another that has initdb",
        )?;
        // Not inside the folder of the Synapse: the server's user may not get in there.
        let folder = tempfile::Builder::new().prefix("rtc-janitor-postgres-").tempdir_in(scratch)?;
        let user = user(folder.path())?;
        let cluster = folder.path().join("cluster");
        let mut initdb = command(&user, &programs.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--username", ROLE]);
        // Synapse refuses any other collation.
        initdb.arg("--locale=C").arg("--pgdata").arg(&cluster).current_dir(folder.path());
        let made =
            tokio::task::spawn_blocking(move || initdb.output()).await?.context("cannot start initdb")?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());

        let mut server = user;
        server.extend([programs.join("postgres").into(), "-D".into(), cluster.into(), "-k".into()]);
        server.push(folder.path().into());
        server.extend(SETTINGS.iter().flat_map(|setting| ["-c".into(), (*setting).into()]));
        let server: Vec<&OsStr> = server.iter().map(AsRef::as_ref).collect();
        let log = File::create(folder.path().join("log"))?;
        let python = Command::new("python3");
        let running = Watchdog::start(python, &server, folder.path(), Farewell::Quit, log)?;
        // From here on the watchdog removes it.
        let postgres = Self { folder: folder.keep(), _running: running };
        let answers = || {
            let mut ask = Command::new(programs.join("pg_isready"));
            ask.arg("--quiet").arg("--host").arg(&postgres.folder).stderr(Stdio::null()).status()
        };
        wait_until("PostgreSQL to answer", Duration::from_mins(1), async || Ok(answers()?.success()))
            .await
            .with_context(|| fs::read_to_string(postgres.folder.join("log")).unwrap_or_default())?;
        Ok(postgres)
    }

    /// The folder with its data, its socket and its log.
    pub(crate) fn directory(&self) -> &Path {
        &self.folder
    }

    /// The `database` of `homeserver.yaml`.
    pub(crate) fn as_synapse_names_it(&self) -> Value {
        let database =
            json!({"user": ROLE, "dbname": "postgres", "host": self.folder, "cp_min": 1, "cp_max": 5});
        json!({"name": "psycopg2", "args": database})
    }
}

/// What stands before a command so that another user runs it; nothing, unless we are root. The folder becomes that user's.
fn user(folder: &Path) -> Result<Vec<OsString>> {
    if ask_id(&["-u"])? != "0" {
        return Ok(Vec::new());
    }
    let id =
        ask_id(&["-u", SYSTEM_USER]).context("PostgreSQL does not run as root: it needs a user postgres")?;
    std::os::unix::fs::chown(folder, Some(id.parse()?), None)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    let become_user = ["setpriv", "--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--init-groups", "--"];
    Ok(become_user.map(OsString::from).into())
}

fn ask_id(arguments: &[&str]) -> Result<String> {
    let output = Command::new("id").args(arguments).output().context("cannot start id")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn command(user: &[OsString], program: &Path) -> Command {
    match user {
        [] => Command::new(program),
        [first, more @ ..] => {
            let mut command = Command::new(first);
            command.args(more).arg(program);
            command
        }
    }
}
