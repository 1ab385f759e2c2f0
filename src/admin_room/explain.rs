//! `explain`

use rtc_janitor_core::{command::RoomName, ids::UserId, render::answer};

use super::{
    asked::{Asked, Gone, Reply},
    rooms_by_name::{Found, find_watched},
};

pub(super) async fn answer(asked: &Asked<'_>, room: RoomName, user: Option<UserId>) -> Result<Reply, Gone> {
    let room = match find_watched(asked, &room, None).await? {
        Found::Room(room) => room,
        Found::Nothing(why) => return Ok(why.into()),
    };
    let explained = asked.janitor(move |janitor| {
        Box::pin(async move {
            match janitor.reread(&room).await? {
                Ok(events) => Ok(Ok(janitor.explanation(&room, user.as_ref(), &events).await?)),
                Err(error) => Ok(Err(error)),
            }
        })
    });
    Ok(match explained.await? {
        Ok(explanation) => explanation.message().into(),
        Err(error) => answer::failed(&error.to_string()).into(),
    })
}
