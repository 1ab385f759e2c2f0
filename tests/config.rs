//! What people see who set the janitor up: the real binary, with an environment of its own.
//!
//! Every mistake has its exact sentence here, and exit code 2.

#![expect(clippy::unwrap_used, reason = "in a test, panicking is how to fail")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/settings.rs"]
mod settings;

/// The least that works, as top-level keys so that sections can follow.
const LEAST: &str = r##"
homeserver.url = "https://matrix.example.org"
homeserver.user_id = "@rtc-janitor:example.org"
login.password = "hunter2"
admin_room.room = "#janitor:example.org"
"##;

/// The same from the environment.
const LEAST_BY_ENVIRONMENT: [(&str, &str); 4] = [
    ("RTC_JANITOR__HOMESERVER__URL", "https://matrix.example.org"),
    ("RTC_JANITOR__HOMESERVER__USER_ID", "@rtc-janitor:example.org"),
    ("RTC_JANITOR__LOGIN__PASSWORD", "hunter2"),
    ("RTC_JANITOR__ADMIN_ROOM__ROOM", "#janitor:example.org"),
];

/// A folder to run in, with files beside the config file.
struct Home(TempDir);

impl Home {
    /// Without a config file.
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(toml: &str) -> Self {
        Self::empty().file("config.toml", toml)
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    /// Lets nobody else read what is there, so that there is nothing to warn of.
    fn keep_private(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        for file in fs::read_dir(self.path()).unwrap() {
            fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    /// Absolute, as the binary sees it.
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_rtc-janitor"))
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    /// Runs `config check`, which must fail, and gives its sentences without the folder's name.
    fn mistakes(&self, environment: &[(&str, &str)]) -> String {
        self.mistakes_of(&["config", "check"], environment)
    }

    fn mistakes_of(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.run(arguments, environment);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert_eq!(text(&output.stdout), "");
        stderr.replace(self.path().to_str().unwrap(), "HOME")
    }

    /// The lines of `config show`, which must work.
    fn shown(&self, environment: &[(&str, &str)]) -> String {
        let output = self.run(&["config", "show"], environment);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).replace(self.path().to_str().unwrap(), "HOME")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The line of a key, with its spaces brought down to one.
fn line_of(shown: &str, key: &str) -> String {
    let line = shown.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `LEAST` with a line changed.
fn but(old: &str, new: &str) -> String {
    let line = LEAST.lines().find(|line| line.starts_with(old)).unwrap();
    LEAST.replace(line, new)
}

fn and(more: &str) -> String {
    format!("{LEAST}{more}\n")
}

#[test]
fn a_missing_file_is_told_by_its_name() {
    assert_eq!(
        Home::empty().mistakes_of(&["--config", "janitor.toml", "config", "check"], &LEAST_BY_ENVIRONMENT),
        "error: the config file janitor.toml does not exist; check the name given by --config or \
         RTC_JANITOR_CONFIG\n"
    );
    assert_eq!(
        Home::empty().mistakes(&[("RTC_JANITOR_CONFIG", "/nowhere/janitor.toml")]),
        "error: the config file /nowhere/janitor.toml does not exist; check the name given by --config or \
         RTC_JANITOR_CONFIG\n"
    );
    // An empty name is none, as an unset variable in a compose file gives it.
    assert!(
        Home::empty().mistakes(&[("RTC_JANITOR_CONFIG", "")]).contains("config.toml does not exist here")
    );
    // Also where a container image brings a setting of its own along, and by every subcommand.
    for arguments in [&["run"] as &[_], &["sweep"], &["config", "show"], &[]] {
        assert_eq!(
            Home::empty().mistakes_of(arguments, &[("RTC_JANITOR__STORE__PATH", "/data")]),
            "error: there is no config file: config.toml does not exist here; make one from \
             config.example.toml, or name one with --config FILE\n"
        );
    }
    assert_eq!(
        Home::empty().mistakes_of(&["--config", ".", "config", "check"], &[]),
        "error: the config file . is a directory; name the file in it\n"
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let toml = "[janitor]\nmode = \"clear\"\nminimum_age = \"0s\"\n[log]\nfromat = \"json\"\n";
    insta::assert_snapshot!(Home::with(toml).mistakes(&[]), @r##"
    error: unknown key log.fromat (config.toml); did you mean log.format?
    error: homeserver.url is not set; write the address of the homeserver, such as "https://matrix.example.org", or its homeserver.server_name
    error: homeserver.user_id is not set; write one such as "@rtc-janitor:example.org"
    error: no way to sign in is set; write login.password_file (or login.password), login.access_token_file with login.device_id, or appservice.as_token_file
    error: janitor.mode (config.toml): "clear" is neither "report" nor "clean"
    error: janitor.minimum_age (config.toml): "0s" is too short; the least is "1s"
    error: admin_room.room is not set; write one such as "#janitor:example.org"
    "##);
}

#[test]
fn nothing_is_said_of_sections_without_keys() {
    let sections = ["livekit", "grace", "http", "rooms", "owners", "admin_room.login"];
    let sections: Vec<_> = sections.map(|name| format!("[{name}]\n")).into();
    let (with, without) = (Home::with(&and(&sections.concat())), Home::with(LEAST));
    let [with, without] = [with, without].map(|home| {
        let output = home.run(&["config", "check"], &[]);
        assert_eq!(output.status.code(), Some(0));
        let said = [text(&output.stderr), text(&output.stdout)].concat();
        said.replace(home.path().to_str().unwrap(), "HOME")
    });
    assert_eq!(with, without);
}

#[test]
fn an_empty_file_is_told_what_to_begin_with() {
    let said = Home::with("").mistakes(&[]);
    assert!(said.starts_with("error: homeserver.url is not set; "), "{said}");
}

#[test]
fn an_empty_variable_is_an_empty_text_as_in_the_file() {
    let output = Home::with(LEAST).run(&["config", "show"], &[("RTC_JANITOR__HTTP__LISTEN", "")]);
    let shown = text(&output.stdout);
    assert_eq!(line_of(&shown, "http.listen"), "http.listen = \"\" # RTC_JANITOR__HTTP__LISTEN");
    let said = |name: &str, of: &str| {
        let from_file = Home::with(&and(&format!("{of} = \"\""))).mistakes(&[]);
        let from_environment = Home::with(LEAST).mistakes(&[(name, "")]);
        assert_eq!(from_environment, from_file.replace("config.toml", name));
        from_environment
    };
    assert_eq!(
        said("RTC_JANITOR__STORE__PATH", "store.path"),
        "error: store.path (RTC_JANITOR__STORE__PATH): must not be empty\n"
    );
    for key in [
        "janitor.mode",
        "limits.per_hour",
        "breaker.share",
        "livekit.webhook",
        "grace.default",
        "livekit.url",
    ] {
        let name = format!("RTC_JANITOR__{}", key.replace('.', "__").to_uppercase());
        assert!(said(&name, key).starts_with(&format!("error: {key} ({name}): ")), "{key}");
    }
}

#[test]
fn the_environment_alone_is_enough() {
    let output = Home::empty().run(&["config", "check"], &LEAST_BY_ENVIRONMENT);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with(
        "The environment is fine (config.toml does not exist here): mode report, @rtc-janitor:example.org on \
         https://matrix.example.org by password\n"
    ));
    assert_eq!(
        Home::empty().mistakes(&LEAST_BY_ENVIRONMENT[..3]),
        "error: config.toml does not exist here, and the environment alone is not enough yet\n\
         error: admin_room.room is not set; write one such as \"#janitor:example.org\"\n"
    );
}

#[test]
fn every_type_of_setting_can_come_from_the_environment() {
    let home = Home::with(&and("[janitor]\nmode = \"report\"\n[rooms]\nexclude = [\"!file:example.org\"]"));
    let shown = home.shown(&[
        ("RTC_JANITOR__JANITOR__MODE", "clean"),
        ("RTC_JANITOR__JANITOR__SWEEP_INTERVAL", "90s"),
        ("RTC_JANITOR__JANITOR__REMOTE_DEVICE_LISTS", "true"),
        ("RTC_JANITOR__GRACE__SILENT", "never"),
        ("RTC_JANITOR__LIMITS__PER_SWEEP", "7"),
        ("RTC_JANITOR__BREAKER__SHARE", "0.75"),
        ("RTC_JANITOR__ROOMS__EXCLUDE", "!one:example.org, #two:example.org"),
        ("RTC_JANITOR__ADMIN_ROOM__LOGIN__USER_ID", "@chat:example.org"),
        ("RTC_JANITOR__ADMIN_ROOM__LOGIN__PASSWORD", "0123"),
        ("RTC_JANITOR__LOG__FILTER", "info,rtc_janitor=debug"),
        // Somebody else's.
        ("RTC_JANITOR_PORT", "tcp://10.0.0.1:9170"),
    ]);
    for line in [
        "janitor.mode = \"clean\" # RTC_JANITOR__JANITOR__MODE",
        "janitor.sweep_interval = \"90s\" # RTC_JANITOR__JANITOR__SWEEP_INTERVAL",
        "janitor.remote_device_lists = true # RTC_JANITOR__JANITOR__REMOTE_DEVICE_LISTS",
        "grace.silent = \"never\" # RTC_JANITOR__GRACE__SILENT",
        "grace.expired = \"5m\" # default, follows grace.default",
        "limits.per_sweep = 7 # RTC_JANITOR__LIMITS__PER_SWEEP",
        "breaker.share = 0.75 # RTC_JANITOR__BREAKER__SHARE",
        "rooms.exclude = [\"!one:example.org\", \"#two:example.org\"] # RTC_JANITOR__ROOMS__EXCLUDE",
        "admin_room.login.password = \"(hidden)\" # RTC_JANITOR__ADMIN_ROOM__LOGIN__PASSWORD",
        "log.filter = \"info,rtc_janitor=debug\" # RTC_JANITOR__LOG__FILTER",
        "store.path = \"HOME/data\" # default",
        "homeserver.url = \"https://matrix.example.org\" # config.toml",
    ] {
        assert_eq!(line_of(&shown, line.split(' ').next().unwrap()), line);
    }
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    for (name, value, sentence) in [
        (
            "RTC_JANITOR__JANITOR__CLEAR_CALL_EVENT",
            "true",
            "unknown key janitor.clear_call_event (RTC_JANITOR__JANITOR__CLEAR_CALL_EVENT); [janitor] has mode, sweep_interval, \
             device_check_interval, minimum_age, remote_device_lists, allow_redaction, reread_interval",
        ),
        (
            "RTC_JANITOR__JANITOR__MINIMUM_AEG",
            "5m",
            "unknown key janitor.minimum_aeg (RTC_JANITOR__JANITOR__MINIMUM_AEG); did you mean \
             RTC_JANITOR__JANITOR__MINIMUM_AGE?",
        ),
        (
            "RTC_JANITOR__janitor__mode",
            "clean",
            "RTC_JANITOR__janitor__mode is not read; write RTC_JANITOR__JANITOR__MODE",
        ),
        (
            "RTC_JANITOR__LIMITS__PER_ROOM",
            "ten",
            "limits.per_room (RTC_JANITOR__LIMITS__PER_ROOM): \"ten\" is not a whole number; write it without \
             quotes, such as 20",
        ),
        (
            "RTC_JANITOR__LOGIN__PASSWORD_FILE",
            "password",
            "login.password (config.toml) and login.password_file (RTC_JANITOR__LOGIN__PASSWORD_FILE) are \
             both set; keep one of them",
        ),
    ] {
        let home = Home::with(LEAST).file("password", "hunter2");
        assert_eq!(home.mistakes(&[(name, value)]), format!("error: {sentence}\n"));
    }
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let home = Home::empty();
    fs::create_dir(home.path().join("etc")).unwrap();
    let toml = but("login.password", "login.password_file = \"password\"") + "store.path = \"../var\"\n";
    let home = home.file("etc/janitor.toml", &toml).file("etc/password", "hunter2\n");
    let shown = home.shown(&[("RTC_JANITOR_CONFIG", "etc/janitor.toml")]);
    assert_eq!(
        line_of(&shown, "login.password_file"),
        "login.password_file = \"HOME/etc/password\" # etc/janitor.toml"
    );
    assert_eq!(line_of(&shown, "store.path"), "store.path = \"HOME/etc/../var\" # etc/janitor.toml");
}

#[test]
fn no_secret_is_ever_shown() {
    let secrets = "store.passphrase = \"hunter2\"\nadmin_room.recovery_key = \"hunter2\"\n\
                   admin_room.login.password = \"hunter2\"";
    let home = Home::with(&and(secrets));
    assert!(!home.shown(&[]).contains("hunter"));
    assert_eq!(line_of(&home.shown(&[]), "login.password"), "login.password = \"(hidden)\" # config.toml");
    // Not by a complaint about it either: a syntax error in its line, a wrong type, a misspelt key.
    for toml in [
        but("login.password", "login.password = \"hunter2"),
        but("login.password", "login.password = [\"hunter2\"]"),
        but("login.password", "login.pasword = \"hunter2\""),
        but("homeserver.url", "homeserver.url = \"https://me:hunter2@example.org\""),
    ] {
        let said = Home::with(&toml).mistakes(&[]);
        assert!(!said.contains("hunter"), "{said}");
    }
}

#[test]
fn a_good_file_is_summed_up() {
    let home = Home::with(&and("[janitor]\nmode = \"clean\"\n[rooms]\naccept_invites_from = [\"*\"]"));
    let output = home.run(&["config", "check"], &[]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(text(&output.stdout).replace(home.path().to_str().unwrap(), "HOME"), @r"
    config.toml is fine: mode clean, @rtc-janitor:example.org on https://matrix.example.org by password
      admin room   #janitor:example.org, as @rtc-janitor:example.org by password
      watches      every joined room
      invitations  from those in rooms.accept_invites_from
      store        HOME/data
    ");
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::with(LEAST);
    let warned = |mode: u32| {
        fs::set_permissions(home.path().join("config.toml"), fs::Permissions::from_mode(mode)).unwrap();
        text(&home.run(&["config", "check"], &[]).stderr)
    };
    assert_eq!(
        warned(0o644),
        "warning: config.toml holds login.password and can be read by every user; try: chmod o-r config.toml\n"
    );
    assert_eq!(warned(0o640), "");
}

#[test]
fn help_tells_what_there_is_and_nothing_else() {
    let home = Home::empty();
    let help = text(&home.run(&["--help"], &[]).stdout);
    for word in [
        "run",
        "sweep",
        "survey",
        "explain",
        "history",
        "config",
        "healthcheck",
        "appservice-registration",
        "completions",
        "man",
        "--config <FILE>",
        "Exit codes:",
    ] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
    for later in ["doctor", "login"] {
        assert!(!help.contains(later), "{later} does not work yet, but is in\n{help}");
    }
    let version = text(&home.run(&["--version"], &[]).stdout);
    assert_eq!(version, format!("rtc-janitor {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(home.run(&["swep"], &[]).status.code(), Some(2));
}

#[test]
fn a_registration_is_written_for_its_owner_alone_with_the_token_of_its_file_and_never_over_another() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::with(&format!("{}appservice.as_token_file = \"as-token\"\n", but("login.password", "")));
    let write = |more: &[&str]| home.run(&[&["appservice-registration"], more].concat(), &[]);
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    let parsed = || {
        let text = read("rtc-janitor-appservice.yaml");
        yaml_rust2::YamlLoader::load_from_str(&text).unwrap().remove(0)
    };
    let first = write(&[]);
    assert_eq!(text(&first.stderr), "");
    let said = text(&first.stdout);
    assert!(said.contains("This is a great power") && said.contains("app_service_config_files"), "{said}");
    let token = read("as-token").trim_end().to_owned();
    assert!(token.len() == 43 && !said.contains(&token), "{said}");
    for name in ["as-token", "rtc-janitor-appservice.yaml"] {
        let mode = fs::metadata(home.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let yaml = parsed();
    assert_eq!(yaml["as_token"].as_str(), Some(token.as_str()));
    assert!(yaml["url"].is_null() && yaml["rate_limited"].as_bool() == Some(false));
    assert_eq!(yaml["sender_localpart"].as_str(), Some("_rtc-janitor-sender"));
    let users = &yaml["namespaces"]["users"];
    assert_eq!(users[0]["regex"].as_str(), Some(r"@.*:example\.org$"));
    assert_eq!(users[0]["exclusive"].as_bool(), Some(false));
    assert!(users[1].is_badvalue());

    let again = write(&[]);
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(
        text(&again.stderr),
        "error: rtc-janitor-appservice.yaml exists: name another file with --output, or replace it with --force\n"
    );
    assert!(write(&["--force"]).status.success());
    assert_eq!(parsed()["as_token"].as_str(), Some(token.as_str()), "the token that is there");
    assert_ne!(parsed()["hs_token"], yaml["hs_token"]);

    // Without a place for the token, it is in the registration alone, which is said.
    let home = Home::with(&but("login.password", "appservice.namespace = \"@call-.*:example\\\\.org\""));
    let output = home.run(&["appservice-registration", "--output", "as.yaml"], &[]);
    assert!(output.status.code() == Some(2), "the account cannot sign in by that: {output:?}");
    let home = Home::with(&and("appservice.namespace = \"@call-.*:example\\\\.org\""));
    let output = home.run(&["appservice-registration", "--output", "as.yaml"], &[]);
    assert!(text(&output.stdout).contains("Put its as_token into a file"), "{output:?}");
    let written = fs::read_to_string(home.path().join("as.yaml")).unwrap();
    assert!(written.contains(r#"regex: "@call-.*:example\\.org""#), "{written}");
}
