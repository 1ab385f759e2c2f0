//! `leave`

use rtc_janitor_core::{
    command::RoomName,
    render::{answer, message},
};

use super::{
    asked::{Asked, Gone, Reply},
    rooms_by_name::{Found, find},
};

pub(super) async fn answer(asked: &Asked<'_>, name: RoomName) -> Result<Reply, Gone> {
    let room = match find(asked, &name).await? {
        Found::Room(room) => room,
        Found::Nothing(why) => return Ok(why.into()),
    };
    let id = room.clone();
    let (is_admin_room, known) = asked
        .janitor(move |janitor| {
            Box::pin(async move { Ok((janitor.is_admin_room(&id), janitor.name_of(&id))) })
        })
        .await?;
    if is_admin_room {
        return Ok(answer::stays_here().into());
    }
    Ok(match asked.house.rooms.leave(&room).await {
        Ok(()) => answer::left(&message::room(&room, known.as_deref()), &asked.house.prefix).into(),
        Err(error) => answer::failed(&error.to_string()).into(),
    })
}
