//! From an id, alias, link or name to the room that is meant.

use rtc_janitor_core::{
    command::{Place, RoomName, UserName},
    ids::{RoomId, UserId},
    render::{Message, answer},
};

use super::request::{Request, Stopped};
use crate::{
    janitor::{Janitor, lookups::LookedUp, queries::Called},
    world::journal::JournalError,
};

/// What a name leads to; else what is to be said.
pub(super) type Found<T> = Result<T, Message>;

/// What a room has to be.
#[derive(Clone, Debug)]
pub(super) enum MustBe {
    /// Any room, whether the bot is in it or not.
    Any,
    /// One that the bot is in.
    Joined,
    /// One that the bot is in and does not leave alone, nor this user: only then it is judged.
    Watched(Option<UserId>),
}

/// How much of a room's name has to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// All of it: something is changed by what is asked.
    Whole,
    /// A part that only one room has.
    Part,
}

/// The room that is meant.
pub(super) async fn find(
    request: &Request<'_>,
    name: &RoomName,
    naming: Naming,
    must_be: MustBe,
) -> Result<Found<RoomId>, Stopped> {
    find_and(request, name, naming, must_be, |_, room| Ok(room)).await
}

/// The room that is meant and the user in it, by the first reading whose room is there.
pub(super) async fn find_place(
    request: &Request<'_>,
    place: &Place,
    must_be: MustBe,
) -> Result<Found<(RoomId, Option<UserName>)>, Stopped> {
    let mut first_mistake = None;
    for (name, user) in &place.readings {
        match find(request, name, Naming::Part, must_be.clone()).await? {
            Ok(room) => return Ok(Ok((room, user.clone()))),
            Err(mistake) => first_mistake.get_or_insert(mistake),
        };
    }
    Ok(Err(first_mistake.unwrap_or_default()))
}

/// The room that is meant, and what the janitor does with it then, at the same instant.
pub(super) async fn find_and<T: Send + 'static>(
    request: &Request<'_>,
    name: &RoomName,
    naming: Naming,
    must_be: MustBe,
    then: impl FnOnce(&mut Janitor, RoomId) -> Result<T, JournalError> + Send + 'static,
) -> Result<Found<T>, Stopped> {
    // An alias is the homeserver's to tell; all else the janitor knows.
    let known = match name {
        RoomName::Id(id) => Some(id.clone()),
        RoomName::Alias(alias) => match request.context.rooms.resolve(alias).await {
            Ok(Some(room)) => Some(room),
            Ok(None) => return Ok(Err(answer::no_such_alias(alias))),
            Err(error) => return Ok(Err(answer::failed(&error.to_string()))),
        },
        RoomName::Name(_) => None,
    };
    let (name, prefix) = (name.clone(), request.context.prefix.clone());
    let find = move |janitor: &mut Janitor| {
        let room = match known {
            Some(room) => room,
            None => match called(janitor, &name, naming, &prefix) {
                Ok(room) => room,
                Err(why) => return Ok(Err(why)),
            },
        };
        if !matches!(must_be, MustBe::Any) && !janitor.is_in(&room) {
            return Ok(Err(answer::no_such_room(&name, &[], &prefix)));
        }
        if let MustBe::Watched(user) = must_be
            && let Some(why) = janitor.left_alone(&room, user.as_ref(), &prefix)
        {
            return Ok(Err(why));
        }
        then(janitor, room).map(Ok)
    };
    request.janitor(find).await
}

/// A room, read from its current state.
pub(super) async fn look_up(request: &Request<'_>, room: &RoomId) -> Result<Found<LookedUp>, Stopped> {
    let wanted = room.clone();
    let begun = request.janitor(move |janitor| Ok(janitor.look_up(Some(&wanted)))).await?;
    let looked_up = request.looked_up(begun).await?;
    Ok(match &looked_up.failed {
        Some(why) => Err(answer::failed(why)),
        None => Ok(looked_up),
    })
}

/// The one room that goes by a name.
fn called(janitor: &Janitor, name: &RoomName, naming: Naming, prefix: &str) -> Found<RoomId> {
    let RoomName::Name(text) = name else { return Err(answer::no_such_room(name, &[], prefix)) };
    let Called { exact, by_part, similar } = janitor.rooms_called(text);
    let named = |rooms: Vec<RoomId>| -> Vec<_> {
        rooms.into_iter().map(|room| (room.clone(), janitor.name_of(&room))).collect()
    };
    match exact.as_slice() {
        [room] => Ok(room.clone()),
        [] => match (naming, by_part.as_slice()) {
            (Naming::Part, [room]) => Ok(room.clone()),
            (Naming::Part, [_, ..]) => Err(answer::several_rooms(name, &named(by_part))),
            _ => {
                Err(answer::no_such_room(name, &named(by_part.into_iter().chain(similar).collect()), prefix))
            }
        },
        _ => Err(answer::several_rooms(name, &named(exact))),
    }
}

/// A name that may be a user's.
pub(super) fn user_of(name: &RoomName) -> Option<UserName> {
    match name {
        RoomName::Name(text) => text.parse().ok(),
        RoomName::Id(_) | RoomName::Alias(_) => None,
    }
}
