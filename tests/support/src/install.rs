//! Puts a pinned Synapse, and a pinned client of LiveKit, below cargo's target directory, once. Needs only Python and, that once, the network.

use std::{
    env, fs,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};

use crate::{clock, names::unique};

/// The homeserver the tests speak to, the client that real participants are, and what Synapse speaks to PostgreSQL by. Their facts (error texts, limits) are
/// asserted in tests, so a new version is a decision.
const REQUIREMENTS: [&str; 3] = ["matrix-synapse==1.163.2", "livekit==1.2.1", "psycopg2-binary==2.9.13"];

/// The file that whoever installs has locked.
const LOCK: &str = "lock";

/// Below this a database on the memory file system could run full: containers often have 64 MB there.
const ENOUGH_MEMORY: u64 = 512 * 1024 * 1024;

/// Prints who this Python is and how much room the memory file system has.
const PROBE: &str = "
import os, shutil, sys
print(sys.version.split()[0], sys.prefix)
shm = '/dev/shm'
print(shutil.disk_usage(shm).free if os.access(shm, os.W_OK) else 0)
";

/// A Python that can `import synapse` and `import livekit`, and where servers keep their data.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    /// The interpreter to start.
    python: PathBuf,
    /// `PYTHONPATH` for it, where there is no virtual environment.
    python_path: Option<PathBuf>,
    /// The memory file system where there is room, else the usual temporary directory. SQLite on disk is 2-4 times slower.
    pub(crate) scratch: PathBuf,
}

impl Installed {
    /// That Python, to be given arguments.
    pub(crate) fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        if let Some(path) = &self.python_path {
            command.env("PYTHONPATH", path);
        }
        command
    }
}

/// Whether an install was finished before, of this or another version.
pub(crate) fn was_finished() -> bool {
    target_directory().join("synapse/complete").exists()
}

/// Finds what is installed or installs it. Blocks; several processes may call it at once.
pub(crate) fn install() -> Result<Installed> {
    let probe = run(Command::new("python3").args(["-c", PROBE]))
        .context("the end-to-end tests need python3 (3.10 or newer) to run a Synapse; please install it")?;
    let probe = String::from_utf8_lossy(&probe.stdout).into_owned();
    let (identity, free) =
        probe.trim().split_once('\n').context("python3 did not say which version it is")?;
    let scratch = if free.trim().parse().unwrap_or(0) >= ENOUGH_MEMORY {
        PathBuf::from("/dev/shm")
    } else {
        env::temp_dir()
    };

    let home = target_directory().join("synapse");
    fs::create_dir_all(&home)?;
    // Held until this function returns: another test binary waits here while this one installs.
    let lock = File::create(home.join(LOCK))?;
    lock.lock()?;

    // Its presence says that an install was finished, and its last line where.
    let marker = home.join("complete");
    let wanted = format!("{}\n{identity}\n", REQUIREMENTS.join("\n"));
    let found = fs::read_to_string(&marker).unwrap_or_default();
    let place = if let Some(name) = found.strip_prefix(&wanted) {
        home.join(name)
    } else {
        // A new name each time: the pip of a killed test may still be writing under the old one.
        let name = unique("installed");
        let place = home.join(&name);
        clear(&home)?;
        say("installing Synapse and a LiveKit client (once, about a minute) ...");
        let started = clock::moment();
        install_into(&place)?;
        fs::write(&marker, wanted + &name)?;
        say(&format!("installed them in {} s", started.elapsed().as_secs()));
        place
    };

    let python = environment_python(&place);
    Ok(if python.exists() {
        Installed { python, python_path: None, scratch }
    } else {
        Installed { python: PathBuf::from("python3"), python_path: Some(place), scratch }
    })
}

/// Removes what older or unfinished installs have left.
fn clear(home: &Path) -> Result<()> {
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        if path.ends_with(LOCK) {
            continue;
        }
        if path.is_dir() {
            // It fails where an orphaned pip goes on writing; the next install tries again.
            _ = fs::remove_dir_all(path);
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A virtual environment, or, where Python comes without `ensurepip` (Debian), a plain directory filled by pip.
fn install_into(place: &Path) -> Result<()> {
    let environment = run(Command::new("python3").args(["-m", "venv"]).arg(place));
    let Err(no_environment) = environment else {
        return run(pip(&environment_python(place)).args(REQUIREMENTS))
            .map(drop)
            .context("pip could not install Synapse and the LiveKit client");
    };
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    run(pip(Path::new("python3")).arg("--target").arg(place).args(REQUIREMENTS)).map(drop).with_context(
        || {
            format!(
                "python3 has neither a working venv module nor pip; install python3-venv\n{no_environment:#}"
            )
        },
    )
}

/// Quiet, without questions, and without building anything: a missing wheel is to be told at once.
fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--only-binary=matrix-synapse,livekit,psycopg2-binary"]);
    pip
}

fn environment_python(place: &Path) -> PathBuf {
    place.join("bin").join("python")
}

fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", Path::new(command.get_program()).display()))?;
    ensure!(
        output.status.success(),
        "{} {}",
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim(),
    );
    Ok(output)
}

fn target_directory() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // An absolute path replaces what it is joined to.
    workspace.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Says it on the real standard error: `eprintln!` would be swallowed by the test harness, and a silent minute looks hung.
fn say(line: &str) {
    _ = writeln!(io::stderr(), "{line}");
}
