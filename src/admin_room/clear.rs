//! `clear`: a plan of everything in a room, dead or alive.

use rtc_janitor_core::{command::RoomName, ids::UserId, render::answer};

use super::{
    asked::{Asked, Gone, Reply},
    rooms_by_name::{Found, find_watched},
};

pub(super) async fn answer(asked: &Asked<'_>, room: RoomName, user: Option<UserId>) -> Result<Reply, Gone> {
    let room = match find_watched(asked, &room, user.as_ref()).await? {
        Found::Room(room) => room,
        Found::Nothing(why) => return Ok(why.into()),
    };
    let proposed = asked.janitor(move |janitor| {
        Box::pin(async move {
            match janitor.reread(&room).await? {
                Ok(_) => janitor.propose_clear(&room, user.as_ref()).await.map(Ok),
                Err(error) => Ok(Err(error)),
            }
        })
    });
    Ok(match proposed.await? {
        Ok(proposed) => Reply::Plan(proposed),
        Err(error) => answer::failed(&error.to_string()).into(),
    })
}
