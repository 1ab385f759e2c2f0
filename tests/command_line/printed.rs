//! The manual page and the completions: that they have everything `--help` has.

use std::collections::BTreeSet;

use tempfile::tempdir;

use crate::{run_alone, text};

/// What an argument list prints, which must work without settings.
fn printed(arguments: &[&str]) -> String {
    let folder = tempdir().unwrap();
    let output = run_alone(folder.path(), arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The subcommands that `help` lists.
fn subcommands(help: &str) -> Vec<&str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

/// The long options that `help` lists, and `--help` itself.
fn options(help: &str) -> BTreeSet<&str> {
    let words =
        help.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with("--")).collect()
}

#[test]
fn the_manual_page_has_every_subcommand_with_every_option() {
    let page = printed(&["man"]);
    let plain = page.replace("\\-", "-");

    let help = printed(&["--help"]);
    let names = subcommands(&help);
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let help = printed(&[name, "--help"]);
        let parts = subcommands(&help);
        let sections = match parts[..] {
            [] => vec![name.to_owned()],
            _ => parts.iter().map(|part| format!("{name} {part}")).collect(),
        };
        for section in sections {
            let (_, text) = plain.split_once(&format!("\n.SS {section}\n")).unwrap_or_default();
            assert!(!text.is_empty(), "{section} is missing in\n{page}");
            let text = &text[..text.find("\n.S").unwrap_or(text.len())];
            for option in options(&help).difference(&BTreeSet::from(["--config", "--help"])) {
                assert!(text.contains(option), "{section} lacks {option}:\n{text}");
            }
        }
    }
    for section in
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "\"EXIT STATUS\"", "ENVIRONMENT", "FILES"]
    {
        assert!(page.contains(&format!("\n.SH {section}\n")), "{section} is missing in\n{page}");
    }
    // Every exit code that `--help` knows.
    for line in
        help.lines().skip_while(|line| *line != "Exit codes:").skip(1).take_while(|line| !line.is_empty())
    {
        if let Some((_, meaning)) = line.trim_start().split_once("  ") {
            assert!(plain.contains(meaning), "{meaning:?} is missing in\n{page}");
        }
    }
}

#[test]
fn every_shell_completes_the_options_of_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        for word in ["rtc-janitor", "healthcheck", "ready", "synapse-devices", "clean"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}
