//! The documentation: every block is tried or parsed, every link leads somewhere, and every name exists.
//!
//! Each check takes a page and gives its faults, one sentence each. That it finds them is shown on pages that are wrong on
//! purpose, in `docs/faults.rs`.
#![expect(clippy::unwrap_used, reason = "in a test, panicking is how to fail")]

use std::{collections::BTreeSet, fs, path::Path, process::Command as Process};

use rtc_janitor::metrics::Metrics;
use rtc_janitor_core::{command, judge::policy::Neighbour};

#[path = "docs/blocks.rs"]
mod blocks;
#[path = "docs/faults.rs"]
mod faults;
#[path = "docs/names.rs"]
mod names;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/program.rs"]
mod program;
#[path = "docs/shell.rs"]
mod shell;

use page::Page;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// Where the repository is.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that a person reads before or while running the bot.
fn pages() -> Vec<Page> {
    let mut paths: Vec<_> = ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(Into::into).into();
    for folder in ["docs", "deploy"] {
        for file in fs::read_dir(root().join(folder)).into_iter().flatten() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|kind| kind == "md") {
                paths.push(format!("{folder}/{name}"));
            }
        }
    }
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

/// Fails with all faults that `check` finds in any page.
fn expect_none(pages: &[Page], check: impl Fn(&Page) -> Vec<String>) {
    let faults: Vec<_> = pages.iter().flat_map(check).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_block_says_what_it_is_and_is_tried() {
    expect_none(&pages(), blocks::check);
}

#[test]
fn every_command_in_a_sentence_is_one() {
    expect_none(&pages(), names::check_commands);
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = pages();
    pages.push(Page::read("CHANGELOG.md"));
    expect_none(&pages, page::check_links);
}

#[test]
fn every_key_of_the_config_file_that_is_named_exists() {
    expect_none(&pages(), names::check_keys);
}

#[test]
fn every_test_that_holds_a_rule_exists_and_every_rule_has_one() {
    let tests = names::tests_in(root());
    assert!(tests.len() > 500, "{}", tests.len());
    expect_none(&[Page::read("docs/safety.md")], |page| names::check_tests(page, &tests));
}

#[test]
fn nothing_has_a_second_name_and_no_line_is_too_long() {
    expect_none(&pages(), page::check_lines);
}

#[test]
fn every_command_of_the_admin_room_is_documented() {
    let page = Page::read("docs/commands.md").text;
    for usage in command::all("!janitor") {
        assert!(page.contains(&format!("!janitor {}", usage.name)), "{}", usage.name);
    }
}

#[test]
fn every_subcommand_option_and_exit_code_is_documented() {
    let page = Page::read("docs/commands.md").text;
    let help = program::stdout(&["--help"]);
    let subcommands = program::listed(&help, "Commands:");
    assert!(subcommands.len() > 4, "{subcommands:?}");
    for subcommand in subcommands.iter().filter(|name| *name != "help") {
        assert!(page.contains(&format!("rtc-janitor {subcommand}")), "{subcommand}");
        for option in program::options(&program::stdout(&[subcommand, "--help"])) {
            let is_everywhere = ["--config", "--help"].contains(&&*option);
            assert!(is_everywhere || page.contains(&option), "{subcommand} {option}");
        }
    }
    let codes = program::listed(&help, "Exit codes:");
    assert!(codes.len() > 3, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("\n| {code} | ")), "exit code {code}");
    }
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let page = Page::read("docs/http.md");
    let metrics = Metrics::new();
    // The one that begins with its first value.
    metrics.source(Neighbour::Homeserver, true);
    let written = metrics.open_metrics();
    let types = written.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let counted: BTreeSet<_> = types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    let cells = page.text.lines().filter_map(|line| line.strip_prefix("| `rtc_janitor_"));
    let documented: BTreeSet<_> =
        cells.map(|rest| format!("rtc_janitor_{}", &rest[..rest.find(['{', '`']).unwrap()])).collect();
    assert_eq!(documented, counted);
}

/// Runs something that is not the bot, and gives what it said when it failed.
fn failure_of(process: &mut Process) -> Option<String> {
    let output = process.output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
