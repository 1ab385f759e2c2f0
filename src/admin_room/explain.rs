//! `explain`

use rtc_janitor_core::{command::RoomName, ids::UserId, render::answer};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{Found, find_watched},
};

pub(super) async fn answer(
    request: &Request<'_>,
    room: RoomName,
    user: Option<UserId>,
) -> Result<Reply, Stopped> {
    let room = match find_watched(request, &room, None).await? {
        Found::Room(room) => room,
        Found::Nothing(why) => return Ok(why.into()),
    };
    let looked_up = request.look_up(Some(&room)).await?;
    if let Some(why) = looked_up.failed {
        return Ok(answer::failed(&why).into());
    }
    let explained = request.janitor(move |janitor| janitor.explanation(&room, user.as_ref(), looked_up));
    Ok(explained.await?.message().into())
}
