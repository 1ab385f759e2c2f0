//! Names in sentences and tables: commands, keys of the config file, tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rtc_janitor_core::command;

use crate::{blocks, page::Page, program, root, shell};

/// Commands in a sentence that the admin room or the program refuses.
pub(crate) fn check_commands(page: &Page) -> Vec<String> {
    let fault = |(line, code): (usize, &str)| {
        // The form of a command, or its name alone.
        let is_a_form = code.contains(['…', '<', '[']);
        let named = code.strip_prefix("!janitor ").unwrap_or_default();
        let refusal = if is_a_form || command::usage(named, "!janitor").is_some() {
            None
        } else if code.starts_with("!janitor ") {
            blocks::refusal_of_message(code)
        } else if code.starts_with("rtc-janitor ") {
            let words = shell::commands(code).ok().and_then(|commands| commands.into_iter().next());
            words.and_then(|mut words| {
                // The name of a subcommand alone.
                if words.len() == 2 {
                    words.push("--help".to_owned());
                }
                program::refusal_of_arguments(&words[1..])
            })
        } else {
            None
        };
        refusal.map(|what| page.fault(line, &what))
    };
    page.inline_code().into_iter().filter_map(fault).collect()
}

/// The keys of the config file, by the file that shows all of them.
fn keys() -> BTreeSet<String> {
    let example = fs::read_to_string(root().join("config.example.toml")).unwrap();
    let mut section = "";
    let mut keys = BTreeSet::new();
    for line in example.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") {
            let is_name = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            keys.extend(is_name.then(|| format!("{section}.{key}")));
        }
    }
    keys
}

/// Keys of the config file and variables that do not exist.
pub(crate) fn check_keys(page: &Page) -> Vec<String> {
    let keys = keys();
    assert!(keys.len() > 50, "{keys:?}");
    let sections: BTreeSet<_> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    let fault = |(line, code): (usize, &str)| {
        let name = code.split(['=', ' ']).next().unwrap_or_default();
        let key = match name.strip_prefix("RTC_JANITOR__") {
            Some(variable) => variable.to_lowercase().replace("__", "."),
            None => name.to_owned(),
        };
        let is_dotted = key.chars().all(|c| c.is_ascii_lowercase() || "_.".contains(c));
        let (section, rest) = key.split_once('.')?;
        let is_file = ["yaml", "toml", "json", "rs", "md"].contains(&rest);
        let is_key = is_dotted && !is_file && sections.contains(section);
        (is_key && !keys.contains(&key)).then(|| page.fault(line, &format!("there is no key {key}")))
    };
    page.inline_code().into_iter().filter_map(fault).collect()
}

/// The names of all tests of the repository.
pub(crate) fn tests_in(root: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["core", "src", "tests"].map(|folder| root.join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                add_tests(&fs::read_to_string(path).unwrap(), &mut names);
            }
        }
    }
    names
}

/// Functions right below `#[test]` and its like.
fn add_tests(source: &str, names: &mut BTreeSet<String>) {
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            names.insert(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
            is_test = false;
        }
    }
}

/// Tests that do not exist, and rules that no test holds.
pub(crate) fn check_tests(page: &Page, tests: &BTreeSet<String>) -> Vec<String> {
    let is_name = |code: &str| {
        code.matches('_').count() > 2
            && code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let named: Vec<_> = page.inline_code().into_iter().filter(|(_, code)| is_name(code)).collect();
    let missing = named.iter().filter(|(_, name)| !tests.contains(*name));
    let mut faults: Vec<_> =
        missing.map(|(line, name)| page.fault(*line, &format!("there is no test {name}"))).collect();
    for (number, line) in page.prose() {
        let is_rule = line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| rule ");
        if is_rule && !named.iter().any(|(at, _)| *at == number) {
            faults.push(page.fault(number, "a rule that no test holds"));
        }
    }
    faults
}
