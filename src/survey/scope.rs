//! Which rooms a survey looks at: from what somebody said to rooms of the server.

use std::collections::{BTreeSet, VecDeque};

use rtc_janitor_core::{
    command::RoomName,
    ids::RoomId,
    survey::{Listed, Progress, Scope, children, is_space},
};
use wildmatch::WildMatch;

use super::{SurveyError, UnderWay, is_for_all, is_unknown, unnamed};
use crate::world::NeighbourError;

/// How many rooms one page of the list holds.
const PAGE: u32 = 500;

/// The most rooms of one space, with the spaces in it.
const MOST_IN_SPACES: usize = 10_000;

impl UnderWay<'_> {
    /// The rooms that are looked at.
    pub(super) async fn in_scope(&self, scope: &Scope) -> Result<Vec<Listed>, SurveyError> {
        match scope {
            Scope::All => self.all().await,
            Scope::Pattern(pattern) => {
                let fits = fits(pattern);
                Ok(self.all().await?.into_iter().filter(|room| fits(room)).collect())
            }
            Scope::Named(names) => self.named(names).await,
        }
    }

    async fn all(&self) -> Result<Vec<Listed>, SurveyError> {
        let (mut rooms, mut seen) = (Vec::new(), BTreeSet::new());
        let mut from = 0;
        loop {
            let page = self.pace.ask(|| self.with.admin.rooms(from, PAGE)).await;
            let page = page.map_err(Self::ends)?;
            for room in page.rooms {
                // A page begins where the one before ended, and a room that was named anew may be on both.
                if seen.insert(room.room.clone()) {
                    rooms.push(Listed { room: room.room, name: room.name, alias: room.canonical_alias });
                }
            }
            (self.tell)(Progress::Listing { rooms: rooms.len() });
            match page.next_batch {
                Some(next) if next > from => from = next,
                _ => return Ok(rooms),
            }
        }
    }

    /// The rooms of these names; of spaces, those in them.
    async fn named(&self, names: &[RoomName]) -> Result<Vec<Listed>, SurveyError> {
        let mut waiting = VecDeque::new();
        for name in names {
            waiting.push_back((self.id_of(name).await?, true));
        }
        let (mut rooms, mut seen) = (Vec::new(), BTreeSet::new());
        while let Some((room, is_named)) = waiting.pop_front() {
            if seen.len() >= MOST_IN_SPACES || !seen.insert(room.clone()) {
                continue;
            }
            let create = self.state(&room, "m.room.create").await;
            match create {
                Ok(create) if is_space(&create) => {
                    let state = self.state(&room, "m.space.child").await.map_err(Self::ends)?;
                    waiting.extend(children(&state).map(|child| (child, false)));
                }
                Ok(_) => rooms.push(unnamed(&room)),
                // A space may name rooms that nobody of this server is in.
                Err(error) if is_unknown(&error) && !is_named => {}
                Err(error) if is_unknown(&error) => return Err(SurveyError::NoSuchRoom(room.to_string())),
                Err(error) => return Err(Self::ends(error)),
            }
            (self.tell)(Progress::Listing { rooms: rooms.len() });
        }
        Ok(rooms)
    }

    async fn id_of(&self, name: &RoomName) -> Result<RoomId, SurveyError> {
        let alias = match name {
            RoomName::Id(id) => return Ok(id.clone()),
            RoomName::Alias(alias) | RoomName::Name(alias) => alias,
        };
        let found = self.pace.ask(|| self.with.rooms.resolve(alias)).await;
        match found {
            Ok(Some(room)) => Ok(room),
            Ok(None) => Err(SurveyError::NoSuchRoom(alias.clone())),
            Err(error) if is_unknown(&error) => Err(SurveyError::NoSuchRoom(alias.clone())),
            Err(error) => Err(Self::ends(error)),
        }
    }

    async fn state(&self, room: &RoomId, event_type: &str) -> Result<Vec<serde_json::Value>, NeighbourError> {
        self.pace.ask(|| self.with.admin.room_state(room, Some(event_type))).await
    }

    /// Without this there is nothing to look at.
    fn ends(error: NeighbourError) -> SurveyError {
        if is_for_all(&error) || matches!(error, NeighbourError::Refused { .. }) {
            SurveyError::Refused(error)
        } else {
            SurveyError::Unreachable(error)
        }
    }
}

/// Whether a room goes by a pattern; without a `*` or `?`, a part of a name is enough.
fn fits(pattern: &str) -> impl Fn(&Listed) -> bool {
    let pattern = if pattern.contains(['*', '?']) { pattern.to_owned() } else { format!("*{pattern}*") };
    let glob = WildMatch::new_case_insensitive(&pattern);
    move |room| {
        let names = [room.name.as_deref(), room.alias.as_deref(), Some(room.room.as_str())];
        names.into_iter().flatten().any(|name| glob.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names_and_a_word_a_part_of_one() {
        let room = Listed {
            room: "!abc:hs".into(),
            name: Some("Team Meeting".into()),
            alias: Some("#team:hs".into()),
        };
        for (pattern, expected) in [
            ("meet", true),
            ("team *", true),
            ("*:hs", true),
            ("#team:h?", true),
            ("Team", true),
            ("abc", true),
            ("team*x", false),
            ("Meeting*", false),
            ("lunch", false),
        ] {
            assert_eq!(fits(pattern)(&room), expected, "{pattern}");
        }
    }
}
