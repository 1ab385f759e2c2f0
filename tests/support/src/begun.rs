//! A subcommand under way: what it has printed so far, what is typed, signals, its end.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{PATIENCE, signal, wait_until};

/// A subcommand that was begun. It is killed when this goes.
#[derive(Debug)]
pub struct Begun {
    child: Child,
    printed: TempDir,
}

impl Begun {
    pub(crate) fn new(mut command: Command) -> Result<Self> {
        let printed = tempfile::tempdir()?;
        let file = |name: &str| fs::File::create(printed.path().join(name));
        command.stdin(Stdio::piped()).stdout(file("out")?).stderr(file("err")?);
        Ok(Self { child: command.spawn()?, printed })
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal::signal(&self.child, name)
    }

    /// Types something.
    pub fn types(&mut self, text: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("it was piped")?;
        stdin.write_all(text.as_bytes())?;
        Ok(stdin.flush()?)
    }

    /// Waits until it has printed these words, wherever.
    pub async fn says(&self, words: &str) -> Result<()> {
        wait_until(&format!("it to say {words:?}"), PATIENCE, async || self.all().contains(words))
            .await
            .with_context(|| self.all())
    }

    /// Waits for its end: its exit code, stdout and stderr.
    pub async fn ended(mut self) -> Result<(Option<i32>, String, String)> {
        let ended =
            wait_until("it to end", PATIENCE, async || Ok::<_, anyhow::Error>(self.child.try_wait()?));
        let status = ended.await.with_context(|| self.all())?;
        Ok((status.code(), read(&self.file("out")), read(&self.file("err"))))
    }

    fn all(&self) -> String {
        format!("{}\n{}", read(&self.file("out")), read(&self.file("err")))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.printed.path().join(name)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
