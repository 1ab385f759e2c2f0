//! `clear`: a plan of everything in a room, dead or alive.

use rtc_janitor_core::{command::RoomName, ids::UserId};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, find_and_look_up},
};

pub(super) async fn answer(
    request: &Request<'_>,
    name: RoomName,
    user: Option<UserId>,
) -> Result<Reply, Stopped> {
    let room = match find_and_look_up(request, &name, MustBe::Watched(user.clone())).await? {
        Ok((room, _)) => room,
        Err(why) => return Ok(why.into()),
    };
    request.janitor(move |janitor| janitor.propose_clear(&room, user.as_ref())).await.map(Reply::Plan)
}
