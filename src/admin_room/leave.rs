//! `leave`

use rtc_janitor_core::{command::RoomName, ids::RoomId, render::answer};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find_and},
};
use crate::janitor::Janitor;

pub(super) async fn answer(request: &Request<'_>, name: RoomName, is_sure: bool) -> Result<Reply, Stopped> {
    let about = |janitor: &mut Janitor, room: RoomId| {
        Ok((janitor.is_admin_room(&room), janitor.name_of(&room), room))
    };
    let (is_admin_room, known, room) =
        match find_and(request, &name, Naming::Whole, MustBe::Joined, about).await? {
            Ok(found) => found,
            Err(why) => return Ok(why.into()),
        };
    if is_admin_room {
        return Ok(answer::stays_here().into());
    }
    let prefix = &request.context.prefix;
    if !is_sure {
        return Ok(answer::sure_to_leave(&room, known.as_deref(), prefix).into());
    }
    Ok(match request.context.rooms.leave(&room).await {
        Ok(()) => answer::left(&room, known.as_deref(), prefix).into(),
        Err(error) => answer::failed(&error.to_string()).into(),
    })
}
