//! A real Prometheus on loopback: whether it reads what a program shows, and what it makes of it.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    PATIENCE, ports, wait_until,
    watchdog::{Farewell, Watchdog},
};

/// A running Prometheus. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    http: reqwest::Client,
    _running: Watchdog,
    _data: TempDir,
}

impl Prometheus {
    /// The folder with its programs, where `tests/prometheus/get` has put them.
    pub fn installed() -> Option<PathBuf> {
        // The script names the place, so that there is one who knows it.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prometheus/get");
        let output = Command::new(script).arg("--where").output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        path.join("promtool").is_file().then_some(path)
    }

    /// Starts one that scrapes `target`, such as `http://127.0.0.1:9170`, every second.
    pub async fn scraping(target: &str) -> Result<Self> {
        let programs = Self::installed().context("there is no Prometheus; run tests/prometheus/get")?;
        let data = tempfile::tempdir()?;
        let host = target.trim_start_matches("http://");
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "bot", "static_configs": [{"targets": [host]}]}],
        });
        let file = data.path().join("prometheus.yml");
        // JSON is YAML.
        fs::write(&file, config.to_string())?;
        let url = format!("http://127.0.0.1:{}", ports::free_tcp()?);
        let program = programs.join("prometheus").display().to_string();
        let arguments = [
            program,
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", data.path().join("tsdb").display()),
            format!("--web.listen-address={}", url.trim_start_matches("http://")),
        ];
        let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
        let log = File::create(data.path().join("log"))?;
        let running = Watchdog::start(Command::new("python3"), &arguments, data.path(), Farewell::Kill, log)?;
        let prometheus = Self { url, http: reqwest::Client::new(), _running: running, _data: data };
        wait_until("Prometheus to answer", PATIENCE, async || prometheus.ask("up").await.is_ok()).await?;
        Ok(prometheus)
    }

    /// What an expression has for its value now; `None` where there is no such series.
    pub async fn value(&self, expression: &str) -> Result<Option<f64>> {
        let answer = self.ask(expression).await?;
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.map(|value| value.parse().context("no number")).transpose()
    }

    async fn ask(&self, expression: &str) -> Result<Value> {
        let url =
            reqwest::Url::parse_with_params(&format!("{}/api/v1/query", self.url), [("query", expression)])?;
        let answer = self.http.get(url).send().await?.error_for_status()?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    }

    /// What `promtool check metrics` says of a scrape; nothing, if there is nothing wrong with it.
    pub fn complaints(scrape: &str) -> Result<String> {
        let programs = Self::installed().context("there is no Prometheus; run tests/prometheus/get")?;
        let mut promtool = Command::new(programs.join("promtool"))
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        promtool.stdin.take().context("it has no input")?.write_all(scrape.as_bytes())?;
        let Output { status, stdout, stderr } = promtool.wait_with_output()?;
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        ensure!(status.success() || !said.is_empty(), "promtool ended with {status} and said nothing");
        Ok(said)
    }
}
