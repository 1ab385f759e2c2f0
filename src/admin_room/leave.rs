//! `leave`

use rtc_janitor_core::{
    command::RoomName,
    render::{answer, message},
};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{Found, find},
};

pub(super) async fn answer(request: &Request<'_>, name: RoomName) -> Result<Reply, Stopped> {
    let room = match find(request, &name).await? {
        Found::Room(room) => room,
        Found::Nothing(why) => return Ok(why.into()),
    };
    let id = room.clone();
    let (is_admin_room, known) =
        request.janitor(move |janitor| Ok((janitor.is_admin_room(&id), janitor.name_of(&id)))).await?;
    if is_admin_room {
        return Ok(answer::stays_here().into());
    }
    Ok(match request.context.rooms.leave(&room).await {
        Ok(()) => answer::left(&message::room(&room, known.as_deref()), &request.context.prefix).into(),
        Err(error) => answer::failed(&error.to_string()).into(),
    })
}
