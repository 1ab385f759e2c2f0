//! `sweep`: a plan of what is dead and due.

use rtc_janitor_core::{command::RoomName, render::answer};

use super::{
    asked::{Asked, Gone, Reply},
    rooms_by_name::{Found, find_watched},
};

pub(super) async fn answer(asked: &Asked<'_>, room: Option<RoomName>) -> Result<Reply, Gone> {
    let only = match room {
        None => None,
        Some(name) => match find_watched(asked, &name, None).await? {
            Found::Room(room) => Some(room),
            Found::Nothing(why) => return Ok(why.into()),
        },
    };
    let proposed = asked.janitor(move |janitor| {
        Box::pin(async move {
            if let Some(room) = &only
                && let Err(error) = janitor.reread(room).await?
            {
                return Ok(Err(error));
            }
            janitor.propose_sweep(only.as_ref()).await.map(Ok)
        })
    });
    Ok(match proposed.await? {
        Ok(proposed) => Reply::Plan(proposed),
        Err(error) => answer::failed(&error.to_string()).into(),
    })
}
