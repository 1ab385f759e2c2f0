//! What `deploy/` says of the program, against the program: every metric in the dashboard and the alerts is one that it
//! shows, and it takes the settings. Whether the other files are valid is for `.ci/deploy`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use matrix_sdk::reqwest::{Client, StatusCode};
use rtc_janitor_test_support::{BotSetup, PATIENCE, Prometheus, RoomOptions, Synapse, wait_until};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// What every metric begins with.
const PREFIX: &str = "rtc_janitor_";

fn file(path: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn dashboard() -> Result<Value> {
    Ok(serde_json::from_str(&file("grafana/rtc-janitor.json")?)?)
}

/// The queries of the dashboard, each with the title of its panel.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap_or_default();
        panel["targets"].as_array().into_iter().flatten().map(move |target| (title, &target["expr"]))
    });
    // Grafana puts its own interval in.
    let filled_in = |expression: &str| expression.replace("$__rate_interval", "5m");
    targets.map(|(title, query)| (title.to_owned(), filled_in(query.as_str().unwrap_or_default()))).collect()
}

/// What selects series in an expression: `name` or `name{labels}`.
fn selectors(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices(PREFIX).map(|(start, _)| &text[start..]);
    let ends = |rest: &str| {
        let name = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let labels =
            if rest[name..].starts_with('{') { rest[name..].find('}').map_or(0, |end| end + 1) } else { 0 };
        name + labels
    };
    starts.map(|rest| &rest[..ends(rest)]).collect()
}

fn name_of(selector: &str) -> &str {
    selector.split('{').next().unwrap_or_default()
}

/// The names of all series in a scrape.
fn names(scrape: &str) -> BTreeSet<&str> {
    let series = scrape.lines().filter(|line| !line.starts_with('#'));
    series.filter_map(|line| line.split(['{', ' ']).next()).collect()
}

#[tokio::test]
async fn every_metric_of_the_dashboard_and_the_alerts_is_in_a_scrape() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    // A source shows once somebody in a call is judged by it.
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    setup.caller(&bot, &host, &room).await?;
    let get = async |path: &str| {
        anyhow::Ok(Client::new().get(format!("{}{path}", bot.http_url().await?)).send().await?)
    };
    wait_until("it to be ready", PATIENCE, async || {
        anyhow::Ok(get("/ready").await?.status() == StatusCode::OK)
    })
    .await?;
    let scrape = get("/metrics").await?.error_for_status()?.text().await?;

    let (alerts, queries) = (file("prometheus/alerts.yaml")?, queries(&dashboard()?));
    let shown = names(&scrape);
    let mut used = selectors(&alerts);
    ensure!(
        used.len() >= 10 && queries.len() >= 20,
        "hardly anything was found in them: {used:?}, {queries:?}"
    );
    used.extend(queries.iter().flat_map(|(_, query)| selectors(query)));
    let missing: Vec<_> = used.iter().filter(|selector| !shown.contains(name_of(selector))).collect();
    ensure!(missing.is_empty(), "no such metric: {missing:?}\n{scrape}");
    // And nothing that it shows is forgotten by both.
    let base = |name: &str| -> String {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let used_names: BTreeSet<_> = used.iter().map(|selector| base(name_of(selector))).collect();
    let unused: Vec<_> = shown.iter().filter(|name| !used_names.contains(&base(name))).collect();
    ensure!(unused.is_empty(), "neither in the dashboard nor in the alerts: {unused:?}");

    if Prometheus::installed().is_some() {
        let prometheus = Prometheus::scraping(&bot.http_url().await?).await?;
        wait_until("Prometheus to have scraped it", PATIENCE, async || {
            anyhow::Ok(prometheus.value("up").await? == Some(1.0))
        })
        .await?;
        for selector in used {
            let count = prometheus.value(&format!("count({selector})")).await?;
            ensure!(count >= Some(1.0), "{selector} selects nothing of\n{scrape}");
        }
        for (title, query) in queries {
            prometheus.value(&query).await.with_context(|| format!("“{title}”: {query}"))?;
        }
    }
    assert!(bot.stop().await?.success());
    Ok(())
}

#[test]
fn the_settings_beside_it_are_fine_but_for_the_names_in_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (path, secrets) in [("compose/janitor.toml", "/run/secrets"), ("kubernetes/config.toml", "/secrets")]
    {
        for secret in ["password", "janitor-password", "livekit-key", "livekit-secret"] {
            fs::write(folder.path().join(secret), "something that is long enough to be a secret")?;
        }
        let here = folder.path().to_str().context("its name is text")?;
        let config = folder.path().join("config.toml");
        fs::write(&config, file(path)?.replace(secrets, here))?;
        let mut program = Command::new(PROGRAM);
        program.env_clear().arg("--config").arg(config).args(["config", "check"]);
        if path.starts_with("kubernetes") {
            program.env("RTC_JANITOR__LOGIN__PASSWORD_FILE", format!("{here}/password"));
        }
        let Output { status, stdout, stderr } = program.output()?;
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        ensure!(status.success() && said.contains("is fine"), "{path}: {said}");
    }
    Ok(())
}

#[test]
fn the_panels_of_the_dashboard_are_one_beside_the_other() -> Result<()> {
    let dashboard = dashboard()?;
    let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().context("it has panels")? {
        let title = panel["title"].as_str().context("a panel has a title")?;
        ensure!(ids.insert(panel["id"].as_u64()), "“{title}” has the id of another");
        let at =
            |key: &str| panel["gridPos"][key].as_u64().with_context(|| format!("“{title}” has no place"));
        let (left, top, width, height) = (at("x")?, at("y")?, at("w")?, at("h")?);
        ensure!(left + width <= 24, "“{title}” is wider than the dashboard");
        for place in (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y))) {
            let other = taken.insert(place, title);
            ensure!(other.is_none(), "“{title}” lies over {other:?}");
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            ensure!(target["datasource"]["uid"] == "${datasource}", "“{title}” asks a source of its own");
        }
    }
    Ok(())
}
