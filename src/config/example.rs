//! `config.example.toml`, written from the table of keys.

use super::{
    keys::SECTIONS,
    parse, source,
    table::{Key, Kind, Presence},
};

const HEAD: &str = "\
# Settings of rtc-janitor: every key, with its default, and what it is for.
#
# Copy this to config.toml, put your own values where example.org stands, and run
#     rtc-janitor config check
# A line that begins with \"# key =\" is optional and not set; all others show the default, except
# where example.org or /run/secrets stands.
#
# Durations: \"90s\", \"5m\", \"4h15m\", \"90d\"; at least 1 s.
# Relative paths are relative to this file (to the working directory when there is no file).
# Every key can come from the environment instead, and wins over the file:
#     RTC_JANITOR__JANITOR__MODE=clean
#     RTC_JANITOR__ROOMS__EXCLUDE='!one:example.org,!two:example.org'
# Every secret can stand here or in a file of its own (the same key with _file), not both.
";

/// The text of `config.example.toml`.
pub fn example() -> String {
    let mut lines = vec![HEAD.to_owned()];
    for section in SECTIONS {
        lines.extend(comment(section.about));
        lines.push(format!("[{}]", section.name));
        for key in section.keys {
            lines.extend(comment(key.help));
            lines.extend(entry(section.name, key));
        }
        lines.push(String::new());
    }
    lines.join("\n")
}

/// Lines of documentation begin with a blank already.
fn comment(lines: &[&str]) -> impl Iterator<Item = String> {
    lines.iter().map(|line| format!("#{line}"))
}

/// A key with its value; before a secret's file also the secret itself.
fn entry(section: &str, key: &Key) -> impl Iterator<Item = String> {
    let leaf = |name: &str| name[section.len() + 1..].to_owned();
    let (inline, name, kind) = match key.kind {
        Kind::Secret => (Some(format!("# {} = \"...\"", leaf(key.name))), key.twin, Kind::Path),
        kind => (None, key.name, kind),
    };
    let is_set = !matches!(key.presence, Presence::Follows(_) | Presence::Optional(_));
    let mark = if is_set { "" } else { "# " };
    let value = parse::shown(&source::loosely(kind, value_of(key)));
    inline.into_iter().chain([format!("{mark}{} = {value}", leaf(name))])
}

/// What stands in the example, as the environment would give it.
fn value_of(key: &Key) -> &'static str {
    match key.presence {
        Presence::Follows(followed) => {
            super::names::keys().find(|key| key.name == followed).map_or(followed, Key::example)
        }
        _ => key.example(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_what_the_table_gives() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
        if std::env::var_os("UPDATE_EXAMPLE").is_some() {
            std::fs::write(file, example()).unwrap();
        }
        let written = std::fs::read_to_string(file).unwrap();
        assert_eq!(
            written,
            example(),
            "after a change in config/keys.rs, run this test with UPDATE_EXAMPLE=1"
        );
    }
}
