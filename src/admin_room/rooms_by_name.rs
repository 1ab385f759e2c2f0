//! From an id, alias, link or name to the room that is meant.

use rtc_janitor_core::{
    command::RoomName,
    ids::{RoomId, UserId},
    render::{Message, answer},
};

use super::request::{Request, Stopped};

/// What a name leads to.
pub(super) enum Found {
    /// A room.
    Room(RoomId),
    /// Nothing, and this is what to say.
    Nothing(Message),
}

/// The room that is meant, which the bot must be in.
pub(super) async fn find(request: &Request<'_>, name: &RoomName) -> Result<Found, Stopped> {
    let found = find_any(request, name).await?;
    let Found::Room(room) = found else { return Ok(found) };
    let id = room.clone();
    let is_in = request.janitor(move |janitor| Ok(janitor.is_in(&id))).await?;
    Ok(if is_in {
        Found::Room(room)
    } else {
        Found::Nothing(answer::no_such_room(name, &[], &request.context.prefix))
    })
}

/// The room that is meant, whether the bot is in it or not.
pub(super) async fn find_any(request: &Request<'_>, name: &RoomName) -> Result<Found, Stopped> {
    match name {
        RoomName::Id(id) => Ok(Found::Room(id.clone())),
        RoomName::Alias(alias) => Ok(match request.context.rooms.resolve(alias).await {
            Ok(Some(room)) => Found::Room(room),
            Ok(None) => Found::Nothing(answer::no_such_alias(alias)),
            Err(error) => Found::Nothing(answer::failed(&error.to_string())),
        }),
        RoomName::Name(text) => {
            let text = text.clone();
            let called = request.janitor(move |janitor| {
                let (exact, similar) = janitor.rooms_called(&text);
                let named = |rooms: Vec<RoomId>| -> Vec<_> {
                    rooms.into_iter().map(|room| (room.clone(), janitor.name_of(&room))).collect()
                };
                Ok((named(exact), named(similar)))
            });
            let (exact, similar) = called.await?;
            Ok(match exact.as_slice() {
                [(room, _)] => Found::Room(room.clone()),
                [] => Found::Nothing(answer::no_such_room(name, &similar, &request.context.prefix)),
                several => Found::Nothing(answer::several_rooms(name, several)),
            })
        }
    }
}

/// The room that is meant, which the bot must be in and not leave alone: only then it is judged.
pub(super) async fn find_watched(
    request: &Request<'_>,
    name: &RoomName,
    user: Option<&UserId>,
) -> Result<Found, Stopped> {
    let found = find(request, name).await?;
    let Found::Room(room) = found else { return Ok(found) };
    let (id, user, prefix) = (room.clone(), user.cloned(), request.context.prefix.clone());
    let left_alone = request.janitor(move |janitor| Ok(janitor.left_alone(&id, user.as_ref(), &prefix)));
    Ok(left_alone.await?.map_or(Found::Room(room), Found::Nothing))
}
