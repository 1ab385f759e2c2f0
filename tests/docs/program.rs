//! What the program itself says of a config file and of a command line.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command as Process, Output, Stdio},
};

use tempfile::TempDir;

use crate::PROGRAM;

/// What a config file needs at least, for blocks that show a part: the key, its variable and a value.
const LEAST: [(&str, &str, &str); 3] = [
    ("homeserver.url", "RTC_JANITOR__HOMESERVER__URL", "https://matrix.example.org"),
    ("homeserver.user_id", "RTC_JANITOR__HOMESERVER__USER_ID", "@rtc-janitor:example.org"),
    ("admin_room.room", "RTC_JANITOR__ADMIN_ROOM__ROOM", "#janitor:example.org"),
];

/// How to sign in, where a block does not say.
const PASSWORD: (&str, &str) = ("RTC_JANITOR__LOGIN__PASSWORD", "hunter2");

fn run(arguments: &[&str], folder: &Path, environment: &[(&str, &str)]) -> Output {
    Process::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(folder)
        .stdin(fs::File::open(folder.join("state.json")).map_or_else(|_| Stdio::null(), Stdio::from))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// What it prints.
pub(crate) fn stdout(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(arguments, folder.path(), &[]);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The first words of the indented lines below a heading.
pub(crate) fn listed(help: &str, heading: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != heading).skip(1);
    let lines = below.take_while(|line| line.starts_with("  "));
    // Deeper lines go on with the one above.
    let own = lines.filter(|line| !line[2..].starts_with(' '));
    own.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The long options that a help text shows.
pub(crate) fn options(help: &str) -> BTreeSet<String> {
    let begins = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = begins.flat_map(|line| line.split([' ', ',', '=']).take(4));
    words.filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

/// The keys that a block sets, each with its section.
fn keys_of(toml: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in toml.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            keys.insert(format!("{section}{}", key.trim()));
        }
    }
    keys
}

/// A config file as a block shows it, with the files that it names beside it.
fn write(toml: &str, folder: &Path) {
    let mut toml = toml.to_owned();
    for line in toml.clone().lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        if let Some(name) = key.trim().ends_with("_file").then(|| value.split('"').nth(1)).flatten() {
            let beside = name.rsplit('/').next().unwrap_or_default();
            toml = toml.replace(&format!("\"{name}\""), &format!("\"{beside}\""));
            private(&folder.join(beside), "secret");
        }
    }
    private(&folder.join("config.toml"), &toml);
}

/// A file that nobody else may read, so that there is nothing to warn of.
fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Why `config check` does not take a block; where it shows a part only, the least that is needed comes from the environment.
pub(crate) fn refusal_of_config(toml: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    write(toml, folder.path());
    let keys = keys_of(toml);
    let mut environment: Vec<_> = LEAST
        .iter()
        .filter(|(key, ..)| !keys.contains(*key))
        .map(|(_, name, value)| (*name, *value))
        .collect();
    if keys.contains("homeserver.server_name") {
        environment.retain(|(name, _)| !name.ends_with("URL"));
    }
    if !keys.iter().any(|key| key.starts_with("login.")) {
        environment.push(PASSWORD);
    }
    let output = run(&["config", "check"], folder.path(), &environment);
    let stderr = text(&output.stderr).replace(folder.path().to_str().unwrap(), "");
    (!output.status.success() || !stderr.is_empty()).then(|| format!("config check says: {stderr}"))
}

/// A room state to be explained: that of a room in which nothing is amiss.
const STATE: &str = r#"[{"type": "m.room.create", "state_key": "", "sender": "@a:example.org", "event_id": "$c",
    "origin_server_ts": 1, "content": {"room_version": "11"}}]"#;

/// What needs no network.
const OFFLINE: [&str; 7] = ["config", "explain", "completions", "man", "help", "--version", "--help"];

/// Why the program does not take a command line. What needs no network is run; of the rest, every argument is read, and
/// `--help` ends it after that.
pub(crate) fn refusal_of_arguments(arguments: &[String]) -> Option<String> {
    let folder = prepared();
    // A file that stands somewhere else stands here.
    let here = |word: &'_ String| {
        if word.starts_with('/') {
            word.rsplit('/').next().unwrap_or_default().to_owned()
        } else {
            word.clone()
        }
    };
    let arguments: Vec<_> = arguments.iter().map(here).collect();
    let mut words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let is_offline = words.iter().any(|word| OFFLINE.contains(word)) && !words.contains(&"--url");
    if !is_offline {
        words.push("--help");
    }
    let output = run(&words, folder.path(), &[]);
    (!output.status.success()).then(|| {
        let why = text(&output.stderr).replace('\n', " ");
        format!("the program refuses “{}”: {why}", arguments.join(" "))
    })
}

/// A folder with the files that the pages name.
fn prepared() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let least: Vec<_> = LEAST.iter().map(|(key, _, value)| format!("{key} = \"{value}\"\n")).collect();
    write(&format!("{}login.password_file = \"password\"\n", least.concat()), folder.path());
    fs::write(folder.path().join("state.json"), STATE).unwrap();
    folder
}
