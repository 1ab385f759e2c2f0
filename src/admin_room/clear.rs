//! `clear`: a plan of everything in a room, dead or alive.

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
    let room = match find_watched(request, &room, user.as_ref()).await? {
        Found::Room(room) => room,
        Found::Nothing(why) => return Ok(why.into()),
    };
    if let Some(why) = request.look_up(Some(&room)).await?.failed {
        return Ok(answer::failed(&why).into());
    }
    request.janitor(move |janitor| janitor.propose_clear(&room, user.as_ref())).await.map(Reply::Plan)
}
