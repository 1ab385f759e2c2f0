//! The example file and the code must not drift apart.

use std::{collections::BTreeMap, path::Path};

use super::*;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The least that works.
const LEAST: &str = r##"
    homeserver = { url = "https://matrix.example.org", user_id = "@rtc-janitor:example.org" }
    login.password = "hunter2"
    admin_room.room = "#janitor:example.org"
"##;

/// Keys that show a placeholder in the example instead of their default.
const PLACEHOLDERS: [&str; 5] = [
    "homeserver.url",
    "homeserver.user_id",
    "login.password_file",
    "rooms.accept_invites_from",
    "admin_room.room",
];

fn read(text: &str) -> Config {
    Config::from_toml(Path::new("/etc/janitor/config.toml"), text).unwrap()
}

/// Every `key = value` of the example by its full name, with whether it is commented out.
fn example_entries() -> BTreeMap<String, (String, bool)> {
    let mut section = String::new();
    let mut entries = BTreeMap::new();
    for line in EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let (text, is_comment) = line.strip_prefix("# ").map_or((line, false), |text| (text, true));
        let Some((key, value)) = text.split_once(" = ") else { continue };
        if key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            let twice = entries.insert(format!("{section}.{key}"), (value.to_owned(), is_comment));
            assert_eq!(twice, None, "{section}.{key} stands there twice");
        }
    }
    entries
}

#[test]
fn the_example_works_once_its_placeholders_stand() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let config = read(&EXAMPLE.replace("/run/secrets/password", secret.to_str().unwrap()));
    assert_eq!(config.login, Login::Password(Secret::new("hunter2")));
    assert_eq!(config.admin_room.login, config.login);
    assert_eq!(config.admin_room.user_id, config.homeserver.user_id);
}

#[test]
fn the_example_names_exactly_the_keys_that_exist() {
    let in_example: Vec<_> = example_entries().into_keys().collect();
    let mut in_code: Vec<_> = keys::KEYS.iter().map(|key| key.name).collect();
    in_code.sort_unstable();
    assert_eq!(in_example, in_code);
}

#[test]
fn what_the_example_shows_is_the_default() {
    let entries = example_entries();
    let config = Config::from_toml(Path::new("config.toml"), LEAST).unwrap();
    let here = std::env::current_dir().unwrap();
    let mut compared = 0;
    for row in config.effective() {
        let (shown, is_comment) = &entries[row.key];
        if PLACEHOLDERS.contains(&row.key) {
            assert!(!is_comment, "{} has to be set", row.key);
            continue;
        }
        // A secret of LEAST, not a default.
        let Some(value) = row.value.as_ref().filter(|value| *value != "\"(hidden)\"") else {
            assert!(is_comment, "{} has no default, so it is commented out", row.key);
            continue;
        };
        let value = if row.key == "store.path" {
            value.replace(&format!("{}/", here.display()), "")
        } else {
            value.clone()
        };
        assert_eq!(shown, &value, "{}", row.key);
        assert_eq!(*is_comment, matches!(row.origin, Origin::Follows(_)), "{}", row.key);
        compared += 1;
    }
    assert!(compared > 30, "only {compared} compared");
}

#[test]
fn every_key_is_read() {
    let rows: Vec<_> = read(LEAST).effective().iter().map(|row| row.key).collect();
    let keys: Vec<_> = keys::KEYS.iter().map(|key| key.name).collect();
    assert_eq!(rows, keys);
}

#[test]
fn graces_that_are_not_set_follow_the_default() {
    let config = read(&format!("{LEAST}\n[grace]\ndefault = \"7m\"\nsilent = \"never\""));
    assert_eq!(config.grace.expired, Grace::After(std::time::Duration::from_mins(7)));
    assert_eq!(config.grace.silent, Grace::Never);
    assert_eq!(config.grace.not_joined, Grace::After(std::time::Duration::from_secs(30)));
    let row = config.effective().iter().find(|row| row.key == "grace.expired").unwrap();
    assert_eq!(row.value.as_deref(), Some("\"7m\""));
    assert_eq!(row.origin, Origin::Follows("grace.default"));
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{LEAST}\nstore.passphrase = \"hunter3\"\nadmin_room.recovery_key = \"hunter4\"");
    let shown = format!("{:?}", read(&text));
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("Password((hidden))"), "{shown}");
}
