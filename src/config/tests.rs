//! From text to the settings.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::*;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The least that works.
const LEAST: &str = r##"
    homeserver = { url = "https://matrix.example.org", user_id = "@rtc-janitor:example.org" }
    login.password = "hunter2"
    admin_room.room = "#janitor:example.org"
"##;

fn read(text: &str) -> Config {
    Config::from_toml(Path::new("/etc/janitor/config.toml"), text).unwrap()
}

fn password(login: &Login) -> &str {
    let Login::Password(password) = login else { panic!("{login:?}") };
    password.expose_secret()
}

#[test]
fn the_example_works_once_its_placeholders_stand() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let config = read(&EXAMPLE.replace("/run/secrets/password", secret.to_str().unwrap()));
    assert_eq!(password(&config.login), "hunter2");
    assert_eq!(password(&config.chat.login), "hunter2");
    assert_eq!(config.chat.user_id, config.homeserver.user_id);
}

#[test]
fn every_key_is_read() {
    let rows: Vec<_> = read(LEAST).effective().iter().map(|row| row.key).collect();
    let keys: Vec<_> = names::names().map(|(name, _)| name).collect();
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
    assert!(shown.contains("REDACTED"), "{shown}");
}

#[test]
fn the_call_server_is_set_up_wholly_or_not_at_all() {
    assert!(read(LEAST).livekit.is_none());
    let whole = "[livekit]\nurl = \"wss://sfu.example.org/livekit/\"\napi_key = \"k\"\napi_secret = \"hunter5\"\n\
                 service_urls = [\"https://JWT.example.org/\"]";
    let config = read(&format!("{LEAST}\n{whole}"));
    let livekit = config.livekit.as_ref().unwrap();
    assert_eq!(livekit.url.as_str(), "wss://sfu.example.org/livekit/");
    assert_eq!(livekit.service_urls, ["https://jwt.example.org"]);
    assert_eq!(livekit.poll_interval, std::time::Duration::from_secs(20));
    assert!(!format!("{config:?} {:?}", config.effective()).contains("hunter"));
    let wrong = |section: &str| {
        let text = format!("{LEAST}\n[livekit]\n{section}");
        Config::from_toml(Path::new("/etc/janitor/config.toml"), &text).unwrap_err().to_string()
    };
    let part = wrong("url = \"https://sfu.example.org\"\napi_key = \"k\"");
    assert!(part.contains("write livekit.api_secret_file as well"), "{part}");
    let alone = wrong("service_urls = [\"https://jwt.example.org\"]");
    assert!(alone.contains("livekit.url and livekit.api_key_file and livekit.api_secret_file"), "{alone}");
    for address in
        ["sfu.example.org", "ftp://sfu", "https://u:hunter6@sfu", "https://sfu/twirp", "https://a, https://b"]
    {
        let why = wrong(&format!("url = \"{address}\"\napi_key = \"k\"\napi_secret = \"s\""));
        assert!(why.contains("livekit.url") && !why.contains("hunter"), "{why}");
    }
}
