//! The names of the keys, in the file and in the environment, and which one a misspelt name was meant to be.

use std::collections::BTreeSet;

use super::{
    keys::SECTIONS,
    table::{Key, Kind},
};

/// What environment variables begin with.
pub(super) const PREFIX: &str = "RTC_JANITOR__";

/// What every variable of the janitor begins with, also one with an underscore too few.
const PROGRAM: &str = "RTC_JANITOR";

/// The variable that names the config file.
pub(super) const CONFIG_VARIABLE: &str = "RTC_JANITOR_CONFIG";

/// Every key, in the order of the example.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// Every name that can be set, with what stands behind it: each key, and after a secret the one for its file.
pub(super) fn names() -> impl Iterator<Item = (&'static str, Kind)> {
    keys().flat_map(|key| {
        let twin = (key.kind == Kind::Secret).then_some((key.twin, Kind::Path));
        std::iter::once((key.name, key.kind)).chain(twin)
    })
}

/// The name as it stands in the table, with what stands behind it.
pub(super) fn find(name: &str) -> Option<(&'static str, Kind)> {
    names().find(|(known, _)| *known == name)
}

/// The variable that sets a key.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "__").to_uppercase())
}

/// Whether keys stand below that name.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == name)
}

/// The names directly below a section, keys and sections alike; of the top level for `""`.
pub(super) fn children(section: &str) -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    let below = names().filter_map(|(name, _)| match section {
        "" => Some(name),
        _ => name.strip_prefix(section)?.strip_prefix('.'),
    });
    below.filter_map(|rest| rest.split('.').next()).filter(|name| seen.insert(*name)).collect()
}

/// What an unknown name was probably meant to be: a slip of the pen in the same section, a key that
/// stands in another section, or a slip in the section's name.
pub(super) fn nearest(name: &str) -> Option<String> {
    let (section, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let in_section = closest(leaf, children(section)).map(|child| match section {
        "" => child.to_owned(),
        _ => format!("{section}.{child}"),
    });
    let all = || names().map(|(name, _)| name);
    let elsewhere = || all().find(|key| key.rsplit('.').next() == Some(leaf));
    // In a section that exists, the whole name is alike because of the section alone.
    let whole = || (!is_section(section)).then(|| closest(name, all())).flatten();
    in_section.or_else(|| elsewhere().or_else(whole).map(str::to_owned))
}

/// What is to be said of a variable that looks as if it were for the janitor and is not read; `None` for those of
/// others, and for those that are.
pub(super) fn unread_variable(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PROGRAM)?;
    if variable.starts_with(PREFIX) || variable == CONFIG_VARIABLE {
        return None;
    }
    let all: Vec<_> =
        names().map(|(name, _)| self::variable(name)).chain([CONFIG_VARIABLE.to_owned()]).collect();
    let wanted = squeezed(variable);
    if let Some(meant) = all.iter().find(|name| squeezed(name) == wanted) {
        return Some(format!("{variable} is not read; did you mean {meant}?"));
    }
    if is_of_an_orchestrator(rest) {
        return None;
    }
    let leaf = rest.trim_start_matches('_').to_lowercase();
    let by_leaf = names().map(|(name, _)| name).find(|name| name.rsplit('.').next() == Some(&leaf));
    let near = by_leaf.map(self::variable).or_else(|| {
        let alike = |name: &String| strsim::normalized_damerau_levenshtein(&squeezed(name), &wanted);
        // All of them share their first eleven letters.
        let nearest = all.into_iter().max_by(|left, right| alike(left).total_cmp(&alike(right)));
        nearest.filter(|name| alike(name) >= 0.79)
    });
    Some(match near {
        Some(near) => format!("{variable} is not read; did you mean {near}?"),
        None => format!("{variable} is not read; variables for settings begin with {PREFIX}"),
    })
}

/// Without the underscores, of which there is easily one too few.
fn squeezed(variable: &str) -> String {
    variable.replace('_', "").to_uppercase()
}

/// What Kubernetes and Docker put into the environment for services whose names begin like this program's:
/// `RTC_JANITOR_PORT`, `RTC_JANITOR_METRICS_SERVICE_HOST`, `RTC_JANITOR_PORT_80_TCP_ADDR`.
fn is_of_an_orchestrator(rest: &str) -> bool {
    let numbered = rest.split("PORT_").skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_digit()));
    let ends = ["_PORT", "_SERVICE_HOST", "_NAME"].iter().any(|end| rest.ends_with(end));
    numbered || ends || rest.contains("_SERVICE_PORT") || rest.contains("_ENV_")
}

fn closest(name: &str, candidates: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    // Below this they share little more than a few letters, and a wrong guess misleads.
    const ALIKE: f64 = 0.65;
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_told_the_nearest_right_one() {
        for (wrong, right) in [
            ("janitor.sweep_intervall", Some("janitor.sweep_interval")),
            ("jantior.mode", Some("janitor.mode")),
            ("mode", Some("janitor.mode")),
            ("janitor.silent_after", Some("rules.silent_after")),
            ("janitors", Some("janitor")),
            ("admin_room.login.passwrd_file", Some("admin_room.login.password_file")),
            ("livekit.service_url", Some("livekit.service_urls")),
            ("htp", Some("http")),
            ("admin_room.command_prefx", Some("admin_room.command_prefix")),
            ("janitor.clear_call_event", None),
            ("admin_room.zzz", None),
        ] {
            assert_eq!(nearest(wrong).as_deref(), right, "{wrong}");
        }
    }

    #[test]
    fn no_key_is_named_twice_and_none_is_also_a_section() {
        let mut seen = BTreeSet::new();
        for (name, _) in names() {
            assert!(seen.insert(name), "{name} is there twice");
            assert!(!is_section(name), "{name} is a section too");
        }
    }

    #[test]
    fn variables_name_sections_with_two_underscores() {
        assert_eq!(variable("admin_room.login.user_id"), "RTC_JANITOR__ADMIN_ROOM__LOGIN__USER_ID");
    }

    #[test]
    fn a_variable_that_is_not_read_is_told_the_nearest_that_is() {
        for (wrong, right) in [
            ("RTC_JANITOR_JANITOR_MODE", "RTC_JANITOR__JANITOR__MODE"),
            ("RTC_JANITOR_JANITOR__MODE", "RTC_JANITOR__JANITOR__MODE"),
            ("RTC_JANITOR_HOMESERVER_SERVER_NAME", "RTC_JANITOR__HOMESERVER__SERVER_NAME"),
            ("RTC_JANITOR_LOGIN_PASWORD_FILE", "RTC_JANITOR__LOGIN__PASSWORD_FILE"),
            ("RTC_JANITOR_MODE", "RTC_JANITOR__JANITOR__MODE"),
            ("RTC_JANITOR_CONFG", "RTC_JANITOR_CONFIG"),
            ("RTC_JANITORCONFIG", "RTC_JANITOR_CONFIG"),
        ] {
            assert_eq!(
                unread_variable(wrong),
                Some(format!("{wrong} is not read; did you mean {right}?")),
                "{wrong}"
            );
        }
        assert_eq!(
            unread_variable("RTC_JANITOR_COLOUR").unwrap(),
            "RTC_JANITOR_COLOUR is not read; variables for settings begin with RTC_JANITOR__"
        );
    }

    #[test]
    fn what_an_orchestrator_sets_for_a_service_of_that_name_is_passed_over() {
        for theirs in [
            "RTC_JANITOR_PORT",
            "RTC_JANITOR_SERVICE_HOST",
            "RTC_JANITOR_SERVICE_PORT",
            "RTC_JANITOR_SERVICE_PORT_HTTP",
            "RTC_JANITOR_PORT_80_TCP",
            "RTC_JANITOR_PORT_80_TCP_PROTO",
            "RTC_JANITOR_METRICS_PORT_9170_TCP_ADDR",
            "RTC_JANITOR_NAME",
            "RTC_JANITOR_ENV_PATH",
            CONFIG_VARIABLE,
            "RTC_JANITOR__JANITOR__MODE",
            "PATH",
        ] {
            assert_eq!(unread_variable(theirs), None, "{theirs}");
        }
    }
}
