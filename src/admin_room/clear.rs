//! `clear`: a plan of everything in a room, active or not.

use rtc_janitor_core::{command::RoomName, ids::UserId};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find, look_up},
};

pub(super) async fn answer(
    request: &Request<'_>,
    name: RoomName,
    user: Option<UserId>,
) -> Result<Reply, Stopped> {
    let room = match find(request, &name, Naming::Whole, MustBe::Watched(user.clone())).await? {
        Ok(room) => room,
        Err(why) => return Ok(why.into()),
    };
    if let Err(why) = look_up(request, &room).await? {
        return Ok(why.into());
    }
    request.janitor(move |janitor| janitor.propose_clear(&room, user.as_ref())).await.map(Reply::Plan)
}
