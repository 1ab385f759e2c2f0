//! `clear`: a plan of everything in a room, dead or alive.

use rtc_janitor_core::{
    command::RoomName,
    ids::{RoomId, UserId},
    render::answer,
};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, find_and},
};
use crate::janitor::Janitor;

pub(super) async fn answer(
    request: &Request<'_>,
    room: RoomName,
    user: Option<UserId>,
) -> Result<Reply, Stopped> {
    let look_up = |janitor: &mut Janitor, room: RoomId| (janitor.look_up(Some(&room)), room);
    let (begun, room) = match find_and(request, &room, MustBe::Watched(user.clone()), look_up).await? {
        Ok(found) => found,
        Err(why) => return Ok(why.into()),
    };
    if let Some(why) = request.looked_up(begun).await?.failed {
        return Ok(answer::failed(&why).into());
    }
    request.janitor(move |janitor| janitor.propose_clear(&room, user.as_ref())).await.map(Reply::Plan)
}
