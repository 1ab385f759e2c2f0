//! What the homeserver cannot do: one line of `status`, and none where nothing is missing.

use crate::render::message::harmless_sentence;

/// Something a homeserver may lack. Each costs only what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It has only `/sync` v2, whose full view may name keys that are gone: rooms with calls are read one by one.
    SlidingSync,
    /// It takes wildcards in filters literally, so its answers hold what nobody asked for.
    Wildcards,
    /// Its newest room version is this one: it cannot be in newer rooms.
    RoomVersion(u32),
    /// It names no event that another one replaced. A write that overwrote a newer membership shows by the order of
    /// sync alone, and not at all where sync leaves something out.
    Replaced,
    /// It makes no event of a content that stands there already, whoever wrote it: each write is read back.
    EqualContent,
    /// It gives an event of the appservice another time than it was asked to: a write as the owner whose answer was
    /// lost is not known again.
    EventTimes,
    /// It has no admin API.
    AdminApi,
}

impl Lack {
    fn words(self) -> String {
        match self {
            Self::SlidingSync => "no sliding sync".into(),
            Self::Wildcards => "no wildcards in filters".into(),
            Self::RoomVersion(newest) => format!("no room version above {newest}"),
            Self::Replaced => "does not tell what a write replaced".into(),
            Self::EqualContent => "answers a write with another's event of the same content".into(),
            Self::EventTimes => "does not take the time of an appservice's event".into(),
            Self::AdminApi => "no admin API".into(),
        }
    }
}

/// A homeserver, by what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its make and version, where it says so.
    pub name: Option<String>,
    /// What it lacks, as far as that is known.
    pub lacks: Vec<Lack>,
}

impl Server {
    /// The line; `None` where nothing is missing.
    pub fn line(&self) -> Option<String> {
        if self.lacks.is_empty() {
            return None;
        }
        let name = self.name.as_deref().map(|name| format!(" ({})", harmless_sentence(name)));
        let lacks: Vec<_> = self.lacks.iter().map(|lack| lack.words()).collect();
        Some(format!("homeserver limits{}: {}", name.unwrap_or_default(), lacks.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_said_in_one_line() {
        let line = |name: Option<&str>, lacks: &[Lack]| {
            Server { name: name.map(str::to_owned), lacks: lacks.to_vec() }.line()
        };
        let all = [
            Lack::SlidingSync,
            Lack::Wildcards,
            Lack::RoomVersion(11),
            Lack::Replaced,
            Lack::EqualContent,
            Lack::EventTimes,
            Lack::AdminApi,
        ];
        assert_eq!(line(Some("Synapse 1.163.2"), &[]), None);
        assert_eq!(line(None, &[Lack::AdminApi]).as_deref(), Some("homeserver limits: no admin API"));
        assert_eq!(
            line(Some("Dendrite 0.13.8"), &all).as_deref(),
            Some(
                "homeserver limits (Dendrite 0.13.8): no sliding sync, no wildcards in filters, no room version above \
                 11, does not tell what a write replaced, answers a write with another's event of the same content, does not take the time of an \
                 appservice's event, no admin API"
            )
        );
        assert!(!line(Some("a\nb"), &all).unwrap_or_default().contains('\n'), "one line");
    }
}
