//! Which rooms a survey looks at: from what somebody said to rooms of the server.

use std::collections::{BTreeSet, VecDeque};

use rtc_janitor_core::{
    command::RoomName,
    ids::RoomId,
    survey::{Cut, Listed, Progress, Scope, children, is_space},
};
use wildmatch::WildMatch;

use super::{SurveyError, is_for_all, is_no_id, is_unknown, under_way::UnderWay, unnamed};
use crate::world::NeighbourError;

/// How many rooms one page of the list holds.
const PAGE: u32 = 500;

/// The most rooms of one space, with the spaces in it.
const MOST_IN_SPACES: usize = 10_000;

/// How often the list is read before it is taken as it is.
const TIMES_LISTED: u32 = 3;

/// The rooms that are looked at, and why these are not all, where they are not.
pub(super) struct InScope {
    pub(super) rooms: Vec<Listed>,
    /// Those of a space that could not be read, with why.
    pub(super) unread: Vec<(Listed, String)>,
    pub(super) cut: Option<Cut>,
}

impl UnderWay<'_> {
    /// The rooms that are looked at.
    pub(super) async fn in_scope(&self, scope: &Scope) -> Result<InScope, SurveyError> {
        match scope {
            Scope::All => self.all().await,
            Scope::Pattern(pattern) => {
                let fits = fits(pattern);
                let mut all = self.all().await?;
                all.rooms.retain(fits);
                Ok(all)
            }
            Scope::Named(names) => self.named(names).await,
        }
    }

    /// All rooms of the server. Where one is renamed or deleted meanwhile, another moves to a page that was read
    /// before; then the list is read once more.
    async fn all(&self) -> Result<InScope, SurveyError> {
        let (mut rooms, mut seen) = (Vec::new(), BTreeSet::new());
        let mut missing = 0;
        for _ in 0..TIMES_LISTED {
            missing = self.list(&mut rooms, &mut seen).await?;
            if missing == 0 {
                break;
            }
        }
        Ok(InScope { rooms, unread: Vec::new(), cut: (missing > 0).then_some(Cut::NotListed(missing)) })
    }

    /// Reads the list from its beginning to its end, and adds what is new; how many of the rooms that were there when it
    /// began may not have been seen.
    async fn list(&self, rooms: &mut Vec<Listed>, seen: &mut BTreeSet<RoomId>) -> Result<usize, SurveyError> {
        let mut from = 0;
        let (mut total, mut hidden) = (0, 0);
        // Those that are made while the list is read were not there when it began.
        let mut least = usize::MAX;
        loop {
            let page = self.pace.ask(|| self.with.admin.rooms(from, PAGE)).await;
            let page = page.map_err(Self::ends)?;
            let before =
                std::mem::replace(&mut total, usize::try_from(page.total_rooms).unwrap_or(usize::MAX));
            // Each room that was deleted since the last page has hidden another one; a new one hides none.
            hidden += before.saturating_sub(total);
            least = least.min(total);
            for room in page.rooms {
                // A page begins where the one before ended, and a room that was named anew may be on both.
                if seen.insert(room.room.clone()) {
                    rooms.push(Listed { room: room.room, name: room.name, alias: room.canonical_alias });
                }
            }
            (self.tell)(Progress::Listing { rooms: rooms.len() });
            match page.next_batch {
                Some(next) if next > from => from = next,
                _ => return Ok(least.saturating_sub(seen.len()).max(hidden)),
            }
        }
    }

    /// The rooms of these names; of spaces, those in them.
    async fn named(&self, names: &[RoomName]) -> Result<InScope, SurveyError> {
        let mut waiting = VecDeque::new();
        for name in names {
            waiting.push_back((self.id_of(name).await?, true));
        }
        let (mut rooms, mut unread, mut seen, mut cut) = (Vec::new(), Vec::new(), BTreeSet::new(), None);
        while let Some((room, is_named)) = waiting.pop_front() {
            if seen.contains(&room) {
                continue;
            }
            if seen.len() >= MOST_IN_SPACES {
                cut = Some(Cut::TooManyRooms(MOST_IN_SPACES));
                break;
            }
            seen.insert(room.clone());
            let create = self.state(&room, "m.room.create").await;
            match create {
                Ok(create) if is_space(&create) => match self.state(&room, "m.space.child").await {
                    Ok(state) => waiting.extend(children(&state).map(|child| (child, false))),
                    Err(error) if is_named => return Err(Self::ends(error)),
                    Err(error) => unread.extend(self.not_read(&room, error).await?),
                },
                Ok(_) => rooms.push(unnamed(&room)),
                // A space may name rooms that nobody of this server is in, and what is no room at all.
                Err(error) if (is_unknown(&error) || is_no_id(&error)) && !is_named => {}
                Err(error) if is_unknown(&error) || is_no_id(&error) => {
                    return Err(SurveyError::NoSuchRoom(room.to_string()));
                }
                Err(error) if is_named => return Err(Self::ends(error)),
                Err(error) => unread.extend(self.not_read(&room, error).await?),
            }
            (self.tell)(Progress::Listing { rooms: rooms.len() });
        }
        Ok(InScope { rooms, unread, cut })
    }

    /// Why a room of a space is left out, unless all others are to be, too.
    async fn not_read(
        &self,
        room: &RoomId,
        error: NeighbourError,
    ) -> Result<Option<(Listed, String)>, SurveyError> {
        let why = self.readable::<()>(Err(error)).await?.err();
        Ok(why.map(|why| (unnamed(room), why)))
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
            Err(error) if is_unknown(&error) || is_no_id(&error) => {
                Err(SurveyError::NoSuchRoom(alias.clone()))
            }
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
