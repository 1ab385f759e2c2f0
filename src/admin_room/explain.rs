//! `explain`

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
    let (begun, room) = match find_and(request, &room, MustBe::Watched(None), look_up).await? {
        Ok(found) => found,
        Err(why) => return Ok(why.into()),
    };
    let looked_up = request.looked_up(begun).await?;
    if let Some(why) = looked_up.failed {
        return Ok(answer::failed(&why).into());
    }
    let explained = request.janitor(move |janitor| janitor.explanation(&room, user.as_ref(), looked_up));
    Ok(explained.await?.message().into())
}
