//! `explain`

use rtc_janitor_core::command::Place;

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, find_place, look_up},
};

pub(super) async fn answer(request: &Request<'_>, place: Place) -> Result<Reply, Stopped> {
    let (room, user) = match find_place(request, &place, MustBe::Watched(None)).await? {
        Ok(found) => found,
        Err(why) => return Ok(why.into()),
    };
    let looked_up = match look_up(request, &room).await? {
        Ok(looked_up) => looked_up,
        Err(why) => return Ok(why.into()),
    };
    let explained = request.janitor(move |janitor| janitor.explanation(&room, user.as_ref(), looked_up));
    Ok(match explained.await? {
        Ok(explanation) => explanation.message().into(),
        Err(why) => why.into(),
    })
}
