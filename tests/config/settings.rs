//! Settings as they come from editors, orchestrators and copied text, each with what must become of them.
//!
//! `settings.json` holds the cases: `exit` is the exit code of `config show`, `shows` are lines of its answer, and
//! `stderr_names` what it says on stderr, which is nothing where that is left out. `password` is what signs in.

use std::{collections::BTreeMap, ffi::OsString};

use rtc_janitor::config::{Config, Login};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use crate::{Home, line_of, text};

#[derive(Deserialize)]
struct Case {
    name: String,
    toml: String,
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    exit: i32,
    #[serde(default)]
    shows: Vec<String>,
    #[serde(default)]
    stderr_names: Vec<String>,
    password: Option<String>,
}

#[test]
fn what_was_set_is_taken_as_it_was_meant_or_refused_by_its_key() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("settings.json")).unwrap();
    for Case { name, toml, env, files, expect } in cases {
        let home = files.iter().fold(Home::with(&toml), |home, (file, text)| home.file(file, text));
        home.keep_private();
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

        let output = home.run(&["config", "show"], &env);

        let (shown, said) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(expect.exit), "{name}: {said}");
        for line in expect.shows {
            let key = line.split(' ').next().unwrap();
            assert!(line_of(&shown, key).starts_with(&format!("{line} # ")), "{name}: {line} in\n{shown}");
        }
        assert_eq!(said.is_empty(), expect.stderr_names.is_empty(), "{name}: {said}");
        for word in expect.stderr_names {
            assert!(said.contains(&word), "{name}: {word} is not in {said}");
        }
        if let Some(password) = expect.password {
            assert_eq!(password_of(&home, &env), password, "{name}");
        }
    }
}

fn password_of(home: &Home, env: &[(&str, &str)]) -> String {
    let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let config = Config::load_with(Some(&home.path().join("config.toml")), env).unwrap();
    let Login::Password(password) = config.login else { panic!("no password") };
    password.expose_secret().to_owned()
}
