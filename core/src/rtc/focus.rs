//! Where a membership says that its media goes, and how two names of one SFU are known as one.

use serde_json::Value;
use url::Url;

/// How the SFU of a membership is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FocusSelection {
    /// Its own first focus (`multi_sfu`).
    Own,
    /// The first focus of the oldest membership of the call (`oldest_membership`).
    OldestMembership,
    /// Not by any rule that is known here, so being absent somewhere says nothing.
    Unknown,
}

/// A LiveKit focus (MSC4195). It names its SFU by one of two addresses at least, each [`normalised`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Focus {
    /// `livekit_service_url`, the authorisation service before the SFU; all that clients wrote until 2026.
    pub service_url: Option<Box<str>>,
    /// `url`, the SFU itself; what `matrix_rtc.transports` of a homeserver lists.
    pub url: Option<Box<str>>,
    /// `livekit_alias`, which older clients send as the name of the SFU room.
    pub alias: Option<Box<str>>,
}

impl Focus {
    /// What it calls its SFU; any of the names is enough to know it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.service_url, &self.url].into_iter().filter_map(Option::as_deref)
    }
}

/// Reads an entry of `foci_preferred` or `foci_active`; `None` where it is none of LiveKit's or names
/// no SFU.
pub(crate) fn livekit(focus: &Value) -> Option<Focus> {
    if focus.get("type").and_then(Value::as_str) != Some("livekit") {
        return None;
    }
    let text = |name| focus.get(name).and_then(Value::as_str);
    let name = |field| text(field).map(|url| normalised(url).into());
    let (service_url, url) = (name("livekit_service_url"), name("url"));
    (service_url.is_some() || url.is_some()).then(|| Focus {
        service_url,
        url,
        alias: text("livekit_alias").map(Into::into),
    })
}

/// The same for all ways to write the same address: letter case and international names of the host,
/// a port that is the usual one, a user, a slash at the end, and `wss` for `https`. What is no address
/// stays as it is.
pub fn normalised(address: &str) -> String {
    let address = address.trim();
    let Ok(mut url) = Url::parse(address) else { return address.trim_end_matches('/').to_owned() };
    // None of these can fail for the schemes that are asked for here; of others they say so and do nothing.
    let _ = match url.scheme() {
        "wss" => url.set_scheme("https"),
        "ws" => url.set_scheme("http"),
        _ => Ok(()),
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        for (written, same) in [
            ("https://sfu.hs/Jwt", "https://sfu.hs/Jwt"),
            ("HTTPS://SFU.hs:443/Jwt/", "https://sfu.hs/Jwt"),
            (" https://user:secret@sfu.hs/Jwt#top ", "https://sfu.hs/Jwt"),
            ("wss://sfu.hs", "https://sfu.hs"),
            ("ws://sfu.hs:80/", "http://sfu.hs"),
            ("https://sfu.hs:8443//", "https://sfu.hs:8443"),
            ("https://bücher.example/jwt", "https://xn--bcher-kva.example/jwt"),
            ("https//sfu.hs/", "https//sfu.hs"),
            ("", ""),
        ] {
            assert_eq!(normalised(written), same, "{written}");
            assert_eq!(normalised(same), same, "{same}");
        }
        assert_ne!(normalised("https://sfu.hs/a"), normalised("https://sfu.hs/A"), "paths are not hosts");
    }

    #[test]
    fn a_focus_names_its_sfu_by_either_address_or_both() {
        let names =
            |focus: Value| livekit(&focus).map(|focus| focus.names().map(str::to_owned).collect::<Vec<_>>());
        let kind = "livekit";
        for (focus, expected) in [
            (serde_json::json!({"type": kind, "livekit_service_url": "https://a/"}), Some(vec!["https://a"])),
            (serde_json::json!({"type": kind, "url": "wss://b"}), Some(vec!["https://b"])),
            (
                serde_json::json!({"type": kind, "livekit_service_url": "https://a", "url": "wss://b"}),
                Some(vec!["https://a", "https://b"]),
            ),
            (serde_json::json!({"type": kind, "livekit_service_url": 1, "url": null}), None),
            (serde_json::json!({"type": "full_mesh", "url": "wss://b"}), None),
        ] {
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(names(focus.clone()), expected, "{focus}");
        }
    }
}
