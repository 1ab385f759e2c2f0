//! Which room somebody means.

use rtc_janitor_core::{
    command::RoomName,
    ids::{RoomId, UserId},
    render::{Message, answer},
};

use super::asked::{Asked, Gone};

/// What a name leads to.
pub(super) enum Found {
    /// A room.
    Room(RoomId),
    /// Nothing, and this is what to say.
    Nothing(Message),
}

/// The room that is meant, which the bot must be in.
pub(super) async fn find(asked: &Asked<'_>, name: &RoomName) -> Result<Found, Gone> {
    let found = find_any(asked, name).await?;
    let Found::Room(room) = found else { return Ok(found) };
    let id = room.clone();
    let is_in = asked.janitor(move |janitor| Box::pin(async move { Ok(janitor.is_in(&id)) })).await?;
    Ok(if is_in {
        Found::Room(room)
    } else {
        Found::Nothing(answer::no_such_room(name, &[], &asked.house.prefix))
    })
}

/// The room that is meant, whether the bot is in it or not.
pub(super) async fn find_any(asked: &Asked<'_>, name: &RoomName) -> Result<Found, Gone> {
    match name {
        RoomName::Id(id) => Ok(Found::Room(id.clone())),
        RoomName::Alias(alias) => Ok(match asked.house.rooms.resolve(alias).await {
            Ok(Some(room)) => Found::Room(room),
            Ok(None) => Found::Nothing(answer::no_such_alias(alias)),
            Err(error) => Found::Nothing(answer::failed(&error.to_string())),
        }),
        RoomName::Name(text) => {
            let text = text.clone();
            let called = asked.janitor(move |janitor| {
                Box::pin(async move {
                    let (exact, similar) = janitor.rooms_called(&text);
                    let named = |rooms: Vec<RoomId>| -> Vec<_> {
                        rooms.into_iter().map(|room| (room.clone(), janitor.name_of(&room))).collect()
                    };
                    Ok((named(exact), named(similar)))
                })
            });
            let (exact, similar) = called.await?;
            Ok(match exact.as_slice() {
                [(room, _)] => Found::Room(room.clone()),
                [] => Found::Nothing(answer::no_such_room(name, &similar, &asked.house.prefix)),
                several => Found::Nothing(answer::several_rooms(name, several)),
            })
        }
    }
}

/// The room that is meant, which the bot must be in and not leave alone: only then it is judged.
pub(super) async fn find_watched(
    asked: &Asked<'_>,
    name: &RoomName,
    user: Option<&UserId>,
) -> Result<Found, Gone> {
    let found = find(asked, name).await?;
    let Found::Room(room) = found else { return Ok(found) };
    let (id, user, prefix) = (room.clone(), user.cloned(), asked.house.prefix.clone());
    let left_alone = asked
        .janitor(move |janitor| Box::pin(async move { Ok(janitor.left_alone(&id, user.as_ref(), &prefix)) }));
    Ok(left_alone.await?.map_or(Found::Room(room), Found::Nothing))
}
