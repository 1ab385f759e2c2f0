//! What systemd is told: the real program, and in the place of systemd a real socket to tell it to.

use std::{io::ErrorKind, os::unix::net::UnixDatagram, sync::Mutex, time::Duration};

use anyhow::{Context as _, Result};
use rtc_janitor_test_support::{Bot, BotSetup, PATIENCE, Program, Synapse, free_port, wait_until};
use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// A service manager, as far as a program can tell.
struct Systemd {
    socket: UnixDatagram,
    told: Mutex<Vec<String>>,
    _folder: tempfile::TempDir,
}

impl Systemd {
    /// One that `set` makes the program tell to, and that wants to be told every second that it lives.
    fn new(set: impl Fn(&str, &str)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        set("NOTIFY_SOCKET", path.to_str().context("its name is text")?);
        set("WATCHDOG_USEC", "1000000");
        Ok(Self { socket, told: Mutex::default(), _folder: folder })
    }

    /// All lines that it was told so far, in order.
    fn told(&self) -> Result<Vec<String>> {
        let mut told = self.told.lock().map_err(|_| anyhow::anyhow!("another test has panicked"))?;
        let mut message = [0; 4096];
        loop {
            match self.socket.recv(&mut message) {
                Ok(length) => {
                    told.extend(std::str::from_utf8(&message[..length])?.lines().map(str::to_owned));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(told.clone()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn times_told(&self, line: &str) -> Result<usize> {
        Ok(self.told()?.iter().filter(|told| *told == line).count())
    }

    /// Waits until it was told a line once more than `before`.
    async fn hears_again(&self, line: &str, before: usize, bot: &Bot) -> Result<()> {
        let what = format!("systemd to be told {line}");
        wait_until(&what, PATIENCE, async || anyhow::Ok(self.times_told(line)? > before))
            .await
            .with_context(|| format!("{:?}\n{}", self.told(), bot.log()))
    }

    async fn hears(&self, line: &str, bot: &Bot) -> Result<()> {
        self.hears_again(line, 0, bot).await
    }
}

/// Settings for a homeserver that is not there.
fn alone() -> Result<Program> {
    let program = Program::new(PROGRAM)?;
    program
        .set("homeserver.url", &format!("http://127.0.0.1:{}", free_port()?))
        .set("homeserver.user_id", "@janitor:hs.test")
        .set("login.password", "hunter2")
        .set("admin_room.room", "!admin:hs.test");
    Ok(program)
}

#[tokio::test]
async fn it_is_up_before_its_homeserver_is_and_stays_so() -> Result<()> {
    let program = alone()?;
    let systemd = Systemd::new(|name, value| {
        program.env(name, value);
    })?;
    let bot = program.spawn()?;
    systemd.hears("READY=1", &bot).await?;
    systemd.hears("STATUS=waiting: not signed in yet", &bot).await?;
    systemd.hears_again("WATCHDOG=1", 4, &bot).await?;

    assert!(bot.stop().await?.success());
    let told = systemd.told()?;
    assert_eq!(told.last().map(String::as_str), Some("STOPPING=1"), "{told:?}");
    assert_eq!(systemd.times_told("READY=1")?, 1, "{told:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_start_is_never_up() -> Result<()> {
    let program = alone()?;
    let first = program.spawn()?;
    first.logs(&["signing in to"]).await?;
    let systemd = Systemd::new(|name, value| {
        program.env(name, value);
    })?;
    let second = program.run(&["run"]).await?;
    assert_eq!(second.status.code(), Some(2), "the store is the first one's: {second:?}");
    assert_eq!(systemd.times_told("READY=1")?, 0);
    assert!(first.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn its_loop_feeds_the_watchdog_while_it_watches() -> Result<()> {
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let systemd = Systemd::new(|name, value| {
        setup.env(name, value);
    })?;
    let bot = setup.start().await?;
    systemd.hears("STATUS=ready", &bot).await?;
    let before = systemd.times_told("WATCHDOG=1")?;
    systemd.hears_again("WATCHDOG=1", before + 4, &bot).await?;

    assert!(bot.stop().await?.success());
    assert_eq!(systemd.told()?.last().map(String::as_str), Some("STOPPING=1"));
    Ok(())
}

#[tokio::test]
async fn its_loop_feeds_no_watchdog_while_it_hangs() -> Result<()> {
    // Longer than two of its meals; shorter than SQLite waits for a lock, which is 5 s.
    const HUNGER: Duration = Duration::from_millis(1500);
    let setup = BotSetup::new(Synapse::shared().await?, PROGRAM).await?;
    let systemd = Systemd::new(|name, value| {
        setup.env(name, value);
    })?;
    let bot = setup.start().await?;
    systemd.hears("STATUS=ready", &bot).await?;

    // The loop waits for nobody but its journal. Whoever holds that lets it hang at what it is to write down.
    let journal = rusqlite::Connection::open(setup.directory().join("data/journal.sqlite3"))?;
    journal.execute_batch("BEGIN IMMEDIATE")?;
    setup.synapse.send_text(&setup.admin, &setup.admin_room, "!janitor pause").await?;
    let mut last_meal = (systemd.times_told("WATCHDOG=1")?, Instant::now());
    wait_until("the watchdog to go hungry", PATIENCE, async || {
        let meals = systemd.times_told("WATCHDOG=1")?;
        if meals > last_meal.0 {
            last_meal = (meals, Instant::now());
        }
        anyhow::Ok(last_meal.1.elapsed() > HUNGER)
    })
    .await?;
    let meals = systemd.times_told("WATCHDOG=1")?;
    journal.execute_batch("ROLLBACK")?;
    systemd.hears_again("WATCHDOG=1", meals + 4, &bot).await?;
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_service_manager_that_does_not_listen_keeps_it_from_nothing() -> Result<()> {
    let program = alone()?;
    program.env("NOTIFY_SOCKET", "/nonexistent/notify").env("WATCHDOG_USEC", "1000000");
    let bot = program.spawn()?;
    bot.logs(&["WARN", "cannot tell the service manager (NOTIFY_SOCKET) that it is up"]).await?;
    bot.logs(&["serving HTTP"]).await?;
    tokio::time::timeout(Duration::from_secs(30), bot.stop()).await??;
    Ok(())
}
