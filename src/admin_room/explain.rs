//! `explain`

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
    let (room, looked_up) = match find_and_look_up(request, &name, MustBe::Watched(None)).await? {
        Ok(found) => found,
        Err(why) => return Ok(why.into()),
    };
    let explained = request.janitor(move |janitor| janitor.explanation(&room, user.as_ref(), looked_up));
    Ok(explained.await?.message().into())
}
