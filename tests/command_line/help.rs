//! What `--help` says, word for word: whoever changes it looks at it once as its readers will.

use tempfile::tempdir;

use crate::{run_alone, text};

#[test]
fn every_subcommand_says_what_it_does() {
    let folder = tempdir().unwrap();
    for (name, arguments) in [
        ("rtc-janitor", &["--help"][..]),
        ("run", &["run", "--help"]),
        ("sweep", &["sweep", "--help"]),
        ("survey", &["survey", "--help"]),
        ("explain", &["explain", "--help"]),
        ("history", &["history", "--help"]),
        ("config", &["config", "--help"]),
        ("config_check", &["config", "check", "--help"]),
        ("config_show", &["config", "show", "--help"]),
        ("healthcheck", &["healthcheck", "--help"]),
        ("appservice-registration", &["appservice-registration", "--help"]),
        ("completions", &["completions", "--help"]),
        ("man", &["man", "--help"]),
    ] {
        let output = run_alone(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let help = text(&output.stdout);
        assert!(help.lines().all(|line| line.chars().count() <= 100), "too wide:\n{help}");
        insta::assert_snapshot!(name, help);
    }
}

#[test]
fn a_slip_on_the_command_line_is_told_with_what_was_probably_meant() {
    let folder = tempdir().unwrap();
    let said = |arguments: &[&str]| {
        let output = run_alone(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        text(&output.stderr)
    };
    let told = said(&["swep"]);
    assert!(told.starts_with("error: unrecognized subcommand 'swep'") && told.contains("'sweep'"), "{told}");
    let told = said(&["sweep", "--claen"]);
    assert!(told.starts_with("error: unexpected argument '--claen'") && told.contains("'--clean'"), "{told}");
    let told = said(&["sweep", "--room", "Stand-up"]);
    assert!(told.starts_with("error: invalid value 'Stand-up' for '--room <ID>': "), "{told}");
    let told = said(&["explain"]);
    assert!(told.contains("--state <FILE>"), "{told}");
}
