//! What is allowed but probably not meant. Nothing here stops the janitor.

use std::{path::Path, time::Duration};

use super::{Config, HomeserverAddress, parse::is_level, reader::Reader};

/// How long an active client may write nothing: current ones refresh when a membership of 4 h ends.
const LONGEST_QUIET: Duration = Duration::from_hours(4);

/// Notes all of it.
pub(super) fn add(reader: &mut Reader, config: &Config) {
    add_exposed_files(reader, config.file());
    if config.rules.silent_after < LONGEST_QUIET {
        reader.warn(format!(
            "rules.silent_after is {}: active clients write only every 4 h, so whoever is in a call for \
             longer would be cleared",
            humantime::format_duration(config.rules.silent_after)
        ));
    }
    if let Some(name) = only_target(&config.log.filter) {
        reader.warn(format!(
            "log.filter is \"{name}\", which is no level but the name of a module: nothing else is logged; the \
             levels are error, warn, info, debug, trace"
        ));
    }
    if let HomeserverAddress::Url(url) = &config.homeserver.address
        && url.scheme() == "http"
        && !url.host_str().is_some_and(is_near)
    {
        reader.warn(format!(
            "homeserver.url is {url}: without https, passwords and tokens can be read on the way there"
        ));
    }
}

/// The filter, when all it says is which module may speak.
fn only_target(filter: &str) -> Option<&str> {
    let word = filter.trim();
    let is_word = word.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    (is_word && !is_level(word)).then_some(word)
}

/// Files with secrets in them that every user of the machine can read.
fn add_exposed_files(reader: &mut Reader, file: Option<&Path>) {
    if let (Some(path), Some(key)) = (file, reader.inline_secrets.first())
        && is_readable_by_others(path)
    {
        reader.warn(format!(
            "{} holds {key} and can be read by every user; try: chmod o-r {}",
            path.display(),
            path.display()
        ));
    }
    for (key, path) in reader.secret_files.clone() {
        // What container engines mount there is 0444 on purpose, and nobody else lives in a container.
        if !path.starts_with("/run/secrets") && is_readable_by_others(&path) {
            reader.warn(format!(
                "{key}: {} can be read by every user; try: chmod o-r {}",
                path.display(),
                path.display()
            ));
        }
    }
}

#[cfg(unix)]
pub(crate) fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// Whether a host is this machine or a neighbour in its own network: a private address, or a name
/// without dots, as containers have.
pub(crate) fn is_near(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_loopback() || address.is_private(),
        Ok(std::net::IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => !host.contains('.') || host.ends_with(".localhost") || host.ends_with(".internal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_by_itself_is_no_level() {
        for fine in ["warn", "INFO", "off", "3", "info,rtc_janitor=debug", "rtc_janitor=debug", "a::b"] {
            assert_eq!(only_target(fine), None, "{fine}");
        }
        assert_eq!(only_target(" rtc_janitor "), Some("rtc_janitor"));
    }

    #[test]
    fn loopback_and_private_networks_are_near() {
        for near in ["localhost", "synapse", "127.0.0.1", "[::1]", "10.1.2.3", "192.168.0.4", "[fd00::1]"] {
            assert!(is_near(near), "{near}");
        }
        for far in ["matrix.example.org", "8.8.8.8", "[2001:db8::1]"] {
            assert!(!is_near(far), "{far}");
        }
    }
}
