//! Fenced blocks: what each language is tried by.

use std::process::Command as Process;

use rtc_janitor_core::command::Command;
use yaml_rust2::YamlLoader;

use crate::{
    failure_of,
    page::{Block, Page},
    program, shell,
};

/// Everything that is wrong with the blocks of a page.
pub(crate) fn check(page: &Page) -> Vec<String> {
    let blocks = match page.blocks() {
        Ok(blocks) => blocks,
        Err(line) => return vec![page.fault(line, "a block that does not end")],
    };
    let faults = |block: &Block| {
        let found = match &*block.language {
            "toml" => program::refusal_of_config(&block.text).into_iter().collect(),
            "sh" => check_shell(&block.text),
            "crontab" => check_crontab(&block.text),
            "yaml" => check_yaml(&block.text),
            "json" => serde_json::from_str::<serde_json::Value>(&block.text)
                .err()
                .map(|error| format!("no JSON: {error}"))
                .into_iter()
                .collect(),
            "ini" => check_ini(&block.text),
            "text" => check_text(&block.text),
            "" => vec!["a block without a language".to_owned()],
            other => vec![format!("nothing tries blocks of “{other}”")],
        };
        found.into_iter().map(|what| page.fault(block.line, &what)).collect::<Vec<_>>()
    };
    blocks.iter().flat_map(faults).collect()
}

/// The syntax by bash itself, each command by what is known of it.
fn check_shell(text: &str) -> Vec<String> {
    let syntax = failure_of(Process::new("bash").args(["-n", "-c", text]));
    if let Some(why) = syntax {
        return vec![format!("bash does not take it: {why}")];
    }
    match shell::commands(text) {
        Ok(commands) => commands.iter().filter_map(|words| shell::fault_of(words)).collect(),
        Err(why) => vec![why],
    }
}

/// Lines of five fields and a command.
fn check_crontab(text: &str) -> Vec<String> {
    let fault = |line: &str| {
        let mut rest = line.trim();
        for _ in 0..5 {
            let Some((field, after)) = rest.split_once(char::is_whitespace) else {
                return vec![format!("no line of a crontab: {line}")];
            };
            if !field.chars().all(|c| c.is_ascii_digit() || "*/,-".contains(c)) {
                return vec![format!("“{field}” is no field of a crontab")];
            }
            rest = after.trim_start();
        }
        check_shell(rest)
    };
    text.lines().filter(|line| !line.trim().is_empty()).flat_map(fault).collect()
}

fn check_yaml(text: &str) -> Vec<String> {
    match YamlLoader::load_from_str(text) {
        Ok(documents) if documents.iter().all(|one| one.as_hash().is_some() || one.as_vec().is_some()) => {
            Vec::new()
        }
        Ok(_) => vec!["YAML that holds neither keys nor a list".to_owned()],
        Err(error) => vec![format!("no YAML: {error}")],
    }
}

/// Units of systemd and the like: sections, and keys with values.
fn check_ini(text: &str) -> Vec<String> {
    let mut in_section = false;
    let mut fault = |line: &str| {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return None;
        }
        if line.starts_with('[') && line.ends_with(']') {
            in_section = true;
            return None;
        }
        let is_pair =
            line.split_once('=').is_some_and(|(key, _)| key.trim().chars().all(char::is_alphanumeric));
        (!in_section || !is_pair).then(|| format!("no section and no key of one: {line}"))
    };
    text.lines().filter_map(&mut fault).collect()
}

/// Commands of the admin room, or what a program prints; never both.
fn check_text(text: &str) -> Vec<String> {
    let is_command = |line: &&str| line.starts_with("!janitor");
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if !lines.iter().any(is_command) {
        return Vec::new();
    }
    let fault = |line: &&str| {
        if is_command(line) {
            refusal_of_message(line)
        } else {
            Some(format!("among commands, and none: {line}"))
        }
    };
    lines.iter().filter_map(fault).collect()
}

/// Why the admin room does not take a message.
pub(crate) fn refusal_of_message(message: &str) -> Option<String> {
    let text = message.strip_prefix("!janitor")?.trim();
    let mistake = Command::parse(text).err()?;
    Some(format!("no command: {message}: {}", mistake.message("!janitor").plain.replace('\n', " ")))
}
