//! From an id, alias, link or name to the room that is meant.

use rtc_janitor_core::{
    command::RoomName,
    ids::{RoomId, UserId},
    render::{Message, answer},
};

use super::request::{Request, Stopped};
use crate::janitor::{Janitor, lookups::LookedUp};

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

/// The room that is meant.
pub(super) async fn find(
    request: &Request<'_>,
    name: &RoomName,
    must_be: MustBe,
) -> Result<Found<RoomId>, Stopped> {
    find_and(request, name, must_be, |_, room| room).await
}

/// The room that is meant, and what the janitor does with it then, at the same instant.
pub(super) async fn find_and<T: Send + 'static>(
    request: &Request<'_>,
    name: &RoomName,
    must_be: MustBe,
    then: impl FnOnce(&mut Janitor, RoomId) -> T + Send + 'static,
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
            None => called(janitor, &name, &prefix)?,
        };
        if !matches!(must_be, MustBe::Any) && !janitor.is_in(&room) {
            return Err(answer::no_such_room(&name, &[], &prefix));
        }
        if let MustBe::Watched(user) = must_be
            && let Some(why) = janitor.left_alone(&room, user.as_ref(), &prefix)
        {
            return Err(why);
        }
        Ok(then(janitor, room))
    };
    request.janitor(move |janitor| Ok(find(janitor))).await
}

/// The room that is meant, read from its current state.
pub(super) async fn find_and_look_up(
    request: &Request<'_>,
    name: &RoomName,
    must_be: MustBe,
) -> Result<Found<(RoomId, LookedUp)>, Stopped> {
    let look_up = |janitor: &mut Janitor, room: RoomId| (janitor.look_up(Some(&room)), room);
    let (begun, room) = match find_and(request, name, must_be, look_up).await? {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let looked_up = request.looked_up(begun).await?;
    Ok(match &looked_up.failed {
        Some(why) => Err(answer::failed(why)),
        None => Ok((room, looked_up)),
    })
}

/// The one room that goes by a name.
fn called(janitor: &Janitor, name: &RoomName, prefix: &str) -> Found<RoomId> {
    let RoomName::Name(text) = name else { return Err(answer::no_such_room(name, &[], prefix)) };
    let (exact, similar) = janitor.rooms_called(text);
    let named = |rooms: Vec<RoomId>| -> Vec<_> {
        rooms.into_iter().map(|room| (room.clone(), janitor.name_of(&room))).collect()
    };
    match exact.as_slice() {
        [room] => Ok(room.clone()),
        [] => Err(answer::no_such_room(name, &named(similar), prefix)),
        _ => Err(answer::several_rooms(name, &named(exact))),
    }
}
