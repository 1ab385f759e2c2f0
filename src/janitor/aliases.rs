//! Rooms that the settings name by alias: which room each is, and what follows where nobody can tell.
//!
//! One alias that cannot be resolved never stops or delays the rest. What it led to at an earlier start holds on; where
//! there is nothing to hold on to, it is in [`Named::unresolved`], to be told and to be asked again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use rtc_janitor_core::ids::RoomId;
use tokio::time::{Instant, timeout_at};

use crate::{
    config::{RoomRef, Rooms},
    world::NeighbourError,
};

/// The key of rooms to keep clean.
pub const INCLUDE: &str = "rooms.include";

/// The key of rooms to leave alone.
pub const EXCLUDE: &str = "rooms.exclude";

/// How long all aliases together may take: a server of another room that does not answer holds up nothing.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many are asked for at the same time; more than hang at once in any set-up one would meet.
const CONCURRENCY: usize = 64;

/// An alias of the settings of which no room is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnresolvedAlias {
    /// The key that names it, [`INCLUDE`] or [`EXCLUDE`].
    pub key: &'static str,
    /// The alias.
    pub alias: String,
    /// Why it leads nowhere today, in a few words.
    pub why: String,
}

/// The rooms of `[rooms]` by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Those to keep clean. Empty with an unresolved [`INCLUDE`] means none, not all.
    pub include: BTreeSet<RoomId>,
    /// Those to leave alone.
    pub exclude: BTreeSet<RoomId>,
    /// What is still to be resolved.
    pub unresolved: Vec<UnresolvedAlias>,
}

/// What became of each alias: its room, or why there is none.
pub type Answers = BTreeMap<String, Result<RoomId, String>>;

/// Every alias in `[rooms]`.
pub fn aliases(rooms: &Rooms) -> BTreeSet<String> {
    rooms.include.iter().chain(&rooms.exclude).filter_map(alias).map(str::to_owned).collect()
}

fn alias(room: &RoomRef) -> Option<&str> {
    match room {
        RoomRef::Alias(alias) => Some(alias),
        RoomRef::Id(_) => None,
    }
}

/// Asks for all of them side by side. What has not answered in time is one more that does not resolve.
pub async fn resolve(
    aliases: BTreeSet<String>,
    ask: impl AsyncFn(&str) -> Result<Option<RoomId>, NeighbourError>,
) -> Answers {
    let deadline = Instant::now() + RESOLVE_TIMEOUT;
    let late = format!("no answer within {}", humantime::format_duration(RESOLVE_TIMEOUT));
    let mut answers: Answers = aliases.iter().map(|alias| (alias.clone(), Err(late.clone()))).collect();
    let ask = &ask;
    let asked = stream::iter(aliases).map(|alias| async move {
        let answer = match ask(&alias).await {
            Ok(Some(room)) => Ok(room),
            Ok(None) => Err("the homeserver knows no such alias".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        (alias, answer)
    });
    let mut asked = std::pin::pin!(asked.buffer_unordered(CONCURRENCY));
    while let Ok(Some((alias, answer))) = timeout_at(deadline, asked.next()).await {
        answers.insert(alias, answer);
    }
    answers
}

/// The rooms by what was answered, and where that is nothing, by what was `known` before.
pub fn place(rooms: &Rooms, answers: &Answers, known: &BTreeMap<String, RoomId>) -> Named {
    let mut named = Named::default();
    for (key, refs) in [(INCLUDE, &rooms.include), (EXCLUDE, &rooms.exclude)] {
        let mut ids = BTreeSet::new();
        for room in refs {
            match find(room, answers, known) {
                Ok(id) => {
                    ids.insert(id);
                }
                Err((alias, why)) => named.unresolved.push(UnresolvedAlias { key, alias, why }),
            }
        }
        if key == INCLUDE { named.include = ids } else { named.exclude = ids }
    }
    named
}

fn find(
    room: &RoomRef,
    answers: &Answers,
    known: &BTreeMap<String, RoomId>,
) -> Result<RoomId, (String, String)> {
    let alias = match room {
        RoomRef::Id(id) => return Ok(id.clone()),
        RoomRef::Alias(alias) => alias,
    };
    match (answers.get(alias), known.get(alias)) {
        (Some(Ok(id)), _) | (_, Some(id)) => Ok(id.clone()),
        (Some(Err(why)), None) => Err((alias.clone(), why.clone())),
        (None, None) => Err((alias.clone(), "not asked for yet".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(include: &[&str], exclude: &[&str]) -> Rooms {
        let refs = |names: &[&str]| {
            let of = |name: &&str| match name.strip_prefix('#') {
                Some(_) => RoomRef::Alias((*name).to_owned()),
                None => RoomRef::Id((*name).into()),
            };
            names.iter().map(of).collect()
        };
        Rooms {
            include: refs(include),
            exclude: refs(exclude),
            accept_invites_from: crate::config::UserGlobs::default(),
        }
    }

    async fn ask(alias: &str) -> Result<Option<RoomId>, NeighbourError> {
        match alias {
            "#good:hs" => Ok(Some("!good".into())),
            "#gone:hs" => Ok(None),
            "#hangs:far" => std::future::pending().await,
            _ => Err(NeighbourError::Refused {
                status: 502,
                errcode: "M_UNKNOWN".to_owned(),
                message: "Failed to fetch alias".to_owned(),
            }),
        }
    }

    fn ids(names: &[&str]) -> BTreeSet<RoomId> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_alias_that_does_not_resolve_holds_up_no_other() {
        let rooms = rooms(
            &["!by-id", "#good:hs", "#gone:hs", "#hangs:far", "#broken:far"],
            &["#hangs:far", "#good:hs"],
        );
        let begun = Instant::now();

        let answers = resolve(aliases(&rooms), ask).await;
        let named = place(&rooms, &answers, &BTreeMap::new());

        assert_eq!(begun.elapsed(), RESOLVE_TIMEOUT);
        assert_eq!((named.include, named.exclude), (ids(&["!by-id", "!good"]), ids(&["!good"])));
        let told: Vec<_> =
            named.unresolved.iter().map(|one| (one.key, one.alias.as_str(), one.why.as_str())).collect();
        assert_eq!(
            told,
            [
                (INCLUDE, "#gone:hs", "the homeserver knows no such alias"),
                (INCLUDE, "#hangs:far", "no answer within 5s"),
                (INCLUDE, "#broken:far", "refused with 502 M_UNKNOWN: Failed to fetch alias"),
                (EXCLUDE, "#hangs:far", "no answer within 5s"),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_of_an_earlier_start_holds_until_another_is_named() {
        let rooms = rooms(&["#gone:hs", "#good:hs"], &["#hangs:far", "#broken:far"]);
        let known = ["#gone:hs", "#good:hs", "#hangs:far", "#broken:far"]
            .map(|alias| (alias.to_owned(), RoomId::from(format!("!old-{alias}").as_str())));

        let named = place(&rooms, &resolve(aliases(&rooms), ask).await, &BTreeMap::from(known));

        assert_eq!(named.unresolved, []);
        assert_eq!(named.include, ids(&["!old-#gone:hs", "!good"]));
        assert_eq!(named.exclude, ids(&["!old-#hangs:far", "!old-#broken:far"]));
    }
}
