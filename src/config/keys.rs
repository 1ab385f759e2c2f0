//! Every key there is, its default, and which one a misspelt name was meant to be.
//!
//! A key that is not in this table is refused. `config.example.toml` says what each is for.

use std::collections::BTreeSet;

/// What environment variables begin with. One underscore less is somebody else's: Kubernetes sets
/// `RTC_JANITOR_PORT` and the like for a service of that name.
pub(super) const PREFIX: &str = "RTC_JANITOR__";

/// What stands behind a key, so that text from the environment can be read as it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Fraction,
    Flag,
    List,
    Path,
    Secret,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// With its sections, joined by dots.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As it would be written in the environment.
    pub(super) default: Option<&'static str>,
}

const fn set(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default: Some(default) }
}

const fn unset(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, default: None }
}

/// In the order of `config.example.toml`.
pub(super) const KEYS: &[Key] = &[
    unset("homeserver.url", Kind::Text),
    unset("homeserver.server_name", Kind::Text),
    unset("homeserver.user_id", Kind::Text),
    unset("login.password", Kind::Secret),
    unset("login.password_file", Kind::Path),
    unset("login.access_token", Kind::Secret),
    unset("login.access_token_file", Kind::Path),
    unset("login.device_id", Kind::Text),
    set("store.path", Kind::Path, "data"),
    unset("store.passphrase", Kind::Secret),
    unset("store.passphrase_file", Kind::Path),
    set("store.retention", Kind::Text, "90d"),
    set("janitor.mode", Kind::Text, "report"),
    set("janitor.sweep_interval", Kind::Text, "1m"),
    set("janitor.device_check_interval", Kind::Text, "5m"),
    set("janitor.minimum_age", Kind::Text, "2m"),
    set("janitor.remote_device_lists", Kind::Flag, "false"),
    set("janitor.reread_interval", Kind::Text, "6h"),
    set("grace.default", Kind::Text, "5m"),
    set("grace.not_joined", Kind::Text, "30s"),
    unset("grace.expired", Kind::Text),
    unset("grace.device_gone", Kind::Text),
    set("grace.device_gone_unseen", Kind::Text, "75m"),
    unset("grace.superseded", Kind::Text),
    set("grace.not_on_sfu", Kind::Text, "90s"),
    unset("grace.device_idle", Kind::Text),
    unset("grace.silent", Kind::Text),
    set("rules.silent_after", Kind::Text, "4h15m"),
    set("rules.device_idle_after", Kind::Text, "75m"),
    set("limits.per_sweep", Kind::Whole, "20"),
    set("limits.per_room", Kind::Whole, "10"),
    set("limits.per_hour", Kind::Whole, "120"),
    set("breaker.share", Kind::Fraction, "0.5"),
    set("breaker.minimum", Kind::Whole, "3"),
    set("breaker.open_for", Kind::Text, "5m"),
    set("breaker.probe_for", Kind::Text, "2m"),
    set("rooms.include", Kind::List, ""),
    set("rooms.exclude", Kind::List, ""),
    set("rooms.accept_invites_from", Kind::List, ""),
    set("owners.exclude", Kind::List, ""),
    unset("admin_room.room", Kind::Text),
    set("admin_room.command_prefix", Kind::Text, "!janitor"),
    set("admin_room.power_level", Kind::Whole, "50"),
    set("admin_room.admins", Kind::List, ""),
    set("admin_room.alert", Kind::List, ""),
    set("admin_room.digest", Kind::Text, "08:00"),
    unset("admin_room.recovery_key", Kind::Secret),
    unset("admin_room.recovery_key_file", Kind::Path),
    unset("admin_room.login.user_id", Kind::Text),
    unset("admin_room.login.password", Kind::Secret),
    unset("admin_room.login.password_file", Kind::Path),
    unset("admin_room.login.access_token", Kind::Secret),
    unset("admin_room.login.access_token_file", Kind::Path),
    unset("admin_room.login.device_id", Kind::Text),
    set("log.format", Kind::Text, "text"),
    set("log.filter", Kind::Text, "info"),
];

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The variable that sets a key.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "__").to_uppercase())
}

/// Whether keys stand below that name.
pub(super) fn is_section(name: &str) -> bool {
    !name.is_empty() && !children(name).is_empty()
}

/// The names directly below a section, keys and sections alike; of the top level for `""`.
pub(super) fn children(section: &str) -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    let below = KEYS.iter().filter_map(|key| match section {
        "" => Some(key.name),
        _ => key.name.strip_prefix(section)?.strip_prefix('.'),
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
    let elsewhere = || KEYS.iter().map(|key| key.name).find(|key| key.rsplit('.').next() == Some(leaf));
    // In a section that exists, the whole name is alike because of the section alone.
    let whole = || {
        let keys = KEYS.iter().map(|key| key.name);
        (!is_section(section)).then(|| closest(name, keys)).flatten()
    };
    in_section.or_else(|| elsewhere().or_else(whole).map(str::to_owned))
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
            ("livekit", None),
            ("http", None),
            ("admin_room.command_prefx", Some("admin_room.command_prefix")),
            ("janitor.clear_call_event", None),
            ("admin_room.zzz", None),
        ] {
            assert_eq!(nearest(wrong).as_deref(), right, "{wrong}");
        }
    }

    #[test]
    fn no_key_is_named_twice_and_none_is_also_a_section() {
        let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len());
        assert!(KEYS.iter().all(|key| !is_section(key.name)));
    }

    #[test]
    fn variables_name_sections_with_two_underscores() {
        assert_eq!(variable("admin_room.login.user_id"), "RTC_JANITOR__ADMIN_ROOM__LOGIN__USER_ID");
    }
}
