//! The program under test, its settings and its store, whatever homeserver it is pointed at.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Begun, Device, PATIENCE, signal, wait_until};

/// As long as two looks at everything may take where `janitor.sweep_interval` is 1 min, the default.
const PATIENCE_WITH_LOOKS: Duration = Duration::from_mins(3);

/// A program, a folder with its settings and its store; it can be started on them again and again.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    directory: TempDir,
    settings: Mutex<BTreeMap<String, String>>,
    environment: Mutex<BTreeMap<String, String>>,
}

impl Program {
    /// Settings with short graces and wide limits, in mode `clean`; the homeserver and the admin room are missing.
    pub fn new(path: &str) -> Result<Self> {
        let settings = [
            ("store.path", quoted("data")),
            ("janitor.mode", quoted("clean")),
            ("janitor.sweep_interval", quoted("1s")),
            ("janitor.device_check_interval", quoted("2s")),
            ("janitor.minimum_age", quoted("1s")),
            ("grace.default", quoted("2s")),
            ("grace.not_joined", quoted("1s")),
            ("limits.per_sweep", "1000".into()),
            ("limits.per_room", "1000".into()),
            ("limits.per_hour", "100000".into()),
            ("rooms.accept_invites_from", "[\"*\"]".into()),
            // Any port that is free; see [`Bot::http_url`].
            ("http.listen", quoted("127.0.0.1:0")),
            ("log.filter", quoted("info,rtc_janitor=debug")),
        ];
        let settings = settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Self {
            path: path.into(),
            directory: tempfile::tempdir()?,
            settings: Mutex::new(settings),
            environment: Mutex::default(),
        })
    }

    /// Sets a key, `section.key`, to text.
    pub fn set(&self, key: &str, value: &str) -> &Self {
        self.set_raw(key, &quoted(value))
    }

    /// Sets a key to a TOML value that is no text.
    pub fn set_raw(&self, key: &str, value: &str) -> &Self {
        self.settings().insert(key.into(), value.into());
        self
    }

    /// Takes a key out of the settings.
    pub fn unset(&self, key: &str) -> &Self {
        self.settings().remove(key);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(&self, name: &str, value: &str) -> &Self {
        let mut environment = self.environment.lock().unwrap_or_else(PoisonError::into_inner);
        environment.insert(name.to_owned(), value.to_owned());
        drop(environment);
        self
    }

    /// The folder of the settings; the store is `data` in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes the settings and names the file.
    pub fn write_config(&self) -> Result<PathBuf> {
        // Dotted keys are as good as sections.
        let mut text = String::new();
        for (key, value) in self.settings().iter() {
            writeln!(text, "{key} = {value}")?;
        }
        let path = self.directory.path().join("config.toml");
        fs::write(&path, text)?;
        // There is a password in it, and the bot warns of it where others can read that.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// Runs a subcommand to its end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(&[], arguments)?;
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// Begins a subcommand, as an argument of another program where that is named; nobody waits for its end.
    pub fn begin(&self, prefix: &[&str], arguments: &[&str]) -> Result<Begun> {
        Begun::new(self.command(prefix, arguments)?)
    }

    /// Starts `run` without waiting for anything.
    pub fn spawn(&self) -> Result<Bot> {
        self.spawn_under(&[])
    }

    /// The same as an argument of another program, such as a tracer; the process is then that program's.
    pub fn spawn_under(&self, prefix: &[&str]) -> Result<Bot> {
        let log = self.directory.path().join("log");
        let file = fs::File::options().create(true).append(true).open(&log)?;
        let child = self.command(prefix, &["run"])?.stdout(Stdio::null()).stderr(file).spawn()?;
        Ok(Bot { child, log })
    }

    fn command(&self, prefix: &[&str], arguments: &[&str]) -> Result<Command> {
        let mut command = match prefix {
            [] => Command::new(&self.path),
            [program, before @ ..] => {
                let mut command = Command::new(program);
                command.args(before).arg(&self.path);
                command
            }
        };
        command.arg("--config").arg(self.write_config()?).args(arguments).stdin(Stdio::null());
        // Settings of the person who runs the tests, and their service manager, do not belong in them.
        for (name, _) in std::env::vars_os() {
            let name_shown = name.to_string_lossy();
            if ["RTC_JANITOR", "NOTIFY_", "WATCHDOG_"].iter().any(|prefix| name_shown.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.envs(&*self.environment.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(command)
    }

    fn settings(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's.
    serde_json::Value::from(text).to_string()
}

/// The running program. It is killed when this goes.
#[derive(Debug)]
pub struct Bot {
    child: Child,
    log: PathBuf,
}

impl Bot {
    /// SIGTERM, and the wait for its end.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        self.signal("TERM")?;
        let status = wait_until("the bot to stop", Duration::from_secs(30), async || {
            Ok::<_, anyhow::Error>(self.child.try_wait()?)
        })
        .await;
        status.with_context(|| self.log())
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal::signal(&self.child, name)
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        let status = self.child.wait()?;
        ensure!(status.signal() == Some(9), "the bot had ended before: {status}\n{}", self.log());
        Ok(())
    }

    /// Waits for it to end by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        wait_until("the bot to end", PATIENCE, async || Ok::<_, anyhow::Error>(self.child.try_wait()?)).await
    }

    /// How it has ended, if it does so within this time.
    pub async fn ended_within(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        // That the time is over is no failure.
        let ended = wait_until("the bot to end", time, async || self.child.try_wait().ok().flatten());
        Ok(ended.await.ok())
    }

    /// Waits until it has logged a line with all of these words.
    pub async fn logs(&self, words: &[&str]) -> Result<()> {
        wait_until(&format!("the bot to log {words:?}"), PATIENCE, async || {
            self.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
        })
        .await
        .with_context(|| self.log())
    }

    /// Waits until it has looked at everything once more from now on: what was due before is dealt with after it. What
    /// would be due only later takes [`Self::looks`].
    ///
    /// It sweeps only while a membership is open in one of its rooms.
    pub async fn sweeps_again(&self) -> Result<()> {
        self.looks(1).await
    }

    /// Waits until it has looked at everything so often from now on, which takes minutes with the defaults. It does so once in each `janitor.sweep_interval`, and
    /// at rooms where something happens between; [`Self::LOOKS`] are enough for what would be cleared.
    pub async fn looks(&self, times: usize) -> Result<()> {
        let looks = || {
            let log = self.log();
            log.lines().filter(|line| line.contains("scope=All") && line.contains(": swept ")).count()
        };
        // The first to end may have begun before.
        let enough = looks() + times + 1;
        wait_until("the bot to look again", PATIENCE_WITH_LOOKS, async || looks() >= enough)
            .await
            .with_context(|| self.log())
    }

    /// With the short settings of [`Program::new`]: a device list is asked for every 2 s, a grace is over after 2 s, and
    /// then it is asked for once more.
    pub const LOOKS: usize = 7;

    /// Waits until it has seen a device in a device list.
    pub async fn knows(&self, device: &Device) -> Result<()> {
        self.logs(&["seen in a device list", &device.device_id]).await
    }

    /// Where it serves HTTP.
    pub async fn http_url(&self) -> Result<String> {
        let address = wait_until("the bot to serve HTTP", PATIENCE, async || {
            let log = self.log();
            let line = log.lines().rfind(|line| line.contains("serving HTTP"))?;
            line.split("address=").nth(1)?.split_whitespace().next().map(str::to_owned)
        })
        .await
        .with_context(|| self.log())?;
        Ok(format!("http://{address}"))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged, also in earlier starts on the same set-up.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
